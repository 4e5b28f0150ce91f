/**
 * `npm run conformance -- [--suite NAME,…] [--filter TEXT] [--quick] [--failures] [--json]`: suites that nobody here wrote, run in machines.
 * Exits with 1 when a case fails that is not known to, or passes that is; with UPDATE=1 what passes is taken off the list of the known.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type CaseResult, type Suite } from "./case.ts";
import { compare, type Compared, readExpectations, shorten } from "./expectations.ts";
import { suites } from "./suites.ts";

const usage = `npm run conformance -- [--suite NAME,…] [--filter TEXT] [--quick] [--failures] [--json]

  --suite NAME   only these: ${suites.map(({ name }) => name).join(", ")}
  --filter TEXT  only files whose names hold this
  --quick        the part that npm test runs
  --failures     every failure with its detail, known ones too
  --json         results as JSON
  --data DIR     the suites (default: ../shared/data, or MAYFLY_CONFORMANCE)

UPDATE=1 takes known failures that pass off test/conformance/expectations.json.
`;

function fail(message: string): never {
  process.stderr.write(`mayfly: ${message}\n\n${usage}`);
  process.exit(2);
}

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const { values } = parseArgs({ options: { suite: text, filter: text, data: text, quick: flag, failures: flag, json: flag, help: flag } });
if (values.help === true) {
  process.stdout.write(usage);
  process.exit(0);
}
const data = values.data ?? process.env["MAYFLY_CONFORMANCE"] ?? join(process.cwd(), "..", "shared", "data");
if (!existsSync(join(data, "conformance"))) fail(`the suites are not at ${data}: name their folder with --data`);
const names = values.suite?.split(",");
for (const name of names ?? []) if (!suites.some((suite) => suite.name === name)) fail(`there is no suite ${name}`);
const list = join(process.cwd(), "test", "conformance", "expectations.json");
const expectations = readExpectations(list);
const whole = values.quick !== true && values.filter === undefined;

function show({ name, about }: Suite, results: readonly CaseResult[], { passed, total, known, unexpected, mended }: Compared): void {
  const remarks = [
    about,
    ...(known > 0 ? [`${known} known`] : []),
    ...(unexpected.length > 0 ? [`${unexpected.length} UNEXPECTED`] : []),
    ...(mended.length > 0 ? ["some MENDED"] : []),
  ];
  process.stdout.write(`${name.padEnd(20)} ${String(passed).padStart(6)} of ${String(total).padStart(6)}  ${remarks.join("; ")}\n`);
  const shown = values.failures === true ? results.filter((each) => !each.passed) : unexpected.slice(0, 20);
  for (const each of shown) process.stdout.write(`  ${each.name}: ${each.detail}\n`);
  for (const { entry, failures } of mended)
    process.stdout.write(`  ${entry.cases}: ${failures} failures, not ${entry.failures}: run with UPDATE=1 to shorten the list\n`);
}

const compared: Record<string, Compared> = {};
for (const suite of suites.filter(({ name }) => names === undefined || names.includes(name))) {
  if (process.stderr.isTTY) process.stderr.write(`\r${suite.name} … \x1b[K`);
  const results = await suite.run({ data, quick: values.quick === true, filter: values.filter });
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  const one = compare(results, expectations[suite.name] ?? [], whole);
  compared[suite.name] = one;
  if (values.json !== true) show(suite, results, one);
}
if (values.json === true) process.stdout.write(`${JSON.stringify(compared, undefined, 2)}\n`);
if (process.env["UPDATE"] === "1" && whole) shorten(list, expectations, compared);
process.exitCode = Object.values(compared).some(({ unexpected, mended }) => unexpected.length > 0 || mended.length > 0) ? 1 : 0;
