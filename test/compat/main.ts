/**
 * `npm run compat [-- --json] [--package NAME,…]`: jobs for npm packages in a flow and in Node. Exits with 1 when one fails that docs/COMPAT.md
 * says works; with UPDATE=1 that page is written anew.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CodedError } from "#base";
import { themes } from "./jobs.ts";
import { installPackages } from "./packages.ts";
import { runJobs, type Verdict } from "./run.ts";
import { knownFailures, pageOf } from "./table.ts";

const usage = "npm run compat [-- --json] [--package NAME,…]";

function fail(message: string): never {
  process.stderr.write(`mayfly: ${message}\n${usage}\n`);
  process.exit(2);
}

function options(): { readonly json: boolean; readonly names: readonly string[] | undefined } {
  try {
    const { values } = parseArgs({ options: { json: { type: "boolean" }, package: { type: "string" }, help: { type: "boolean" } } });
    if (values.help === true) {
      process.stdout.write(`${usage}\n`);
      process.exit(0);
    }
    return { json: values.json === true, names: values.package?.split(",") };
  } catch (error) {
    return fail((error as Error).message);
  }
}

const { json, names } = options();
// Packages write to the console in Node; what this command writes is its own.
console.log = console.info = console.debug = console.error;
// A package's mistake that surfaces after its job is no reason to end the others.
process.on("unhandledRejection", () => undefined);
process.on("uncaughtException", (error) => process.stderr.write(`mayfly: after its job a package threw ${error.message}\n`));

const bare = (name: string): string => name.replace(/ \(.*$/, "");
const page = join(process.cwd(), "docs", "COMPAT.md");
const known = existsSync(page) ? knownFailures(readFileSync(page, "utf8")) : new Set<string>();
try {
  const folder = installPackages();
  const verdicts: Record<string, readonly Verdict[]> = {};
  for (const [theme, jobs] of Object.entries(themes)) {
    const wanted = jobs.filter((each) => names === undefined || names.includes(bare(each.package)));
    verdicts[theme] = await runJobs(wanted, folder, ({ package: name, why }) => {
      if (!json) process.stdout.write(`${why === undefined ? "works" : "FAILS"}  ${name}${why === undefined ? "" : `: ${why}`}\n`);
    });
  }
  const all = Object.values(verdicts).flat();
  if (all.length === 0) fail(`no job has the package ${names?.join(", ")}`);
  const failed = all.flatMap(({ package: name, why }) => (why === undefined ? [] : [{ package: name, why }]));
  const passed = all.length - failed.length;
  if (json) process.stdout.write(`${JSON.stringify({ jobs: all.length, passed, failed })}\n`);
  else process.stdout.write(`\n${passed} of ${all.length} jobs work (${((100 * passed) / all.length).toFixed(1)} %)\n`);
  if (process.env["UPDATE"] === "1" && names === undefined) writeFileSync(page, pageOf(verdicts));
  process.exit(failed.some(({ package: name }) => !known.has(name)) ? 1 : 0);
} catch (error) {
  if (error instanceof CodedError) fail(error.message);
  throw error;
}
