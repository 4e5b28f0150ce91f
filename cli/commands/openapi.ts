/** `mayfly openapi`: the OpenAPI document of what mayfly.yaml serves over HTTP. */
import { readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { Option } from "commander";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes } from "../failure.ts";

interface Flags {
  readonly config: string;
  readonly json?: boolean;
  readonly yaml?: boolean;
  readonly output?: string;
}

/** Name and version of the project's package.json, or of its folder. */
async function projectInfo(folder: string): Promise<{ readonly title: string; readonly version: string }> {
  let manifest: { readonly name?: unknown; readonly version?: unknown } = {};
  try {
    manifest = (JSON.parse(await readFile(join(folder, "package.json"), "utf8")) ?? {}) as typeof manifest;
  } catch {
    // A folder without one serves as well.
  }
  const { name, version } = manifest;
  return {
    title: typeof name === "string" && name !== "" ? name : basename(folder) || "mayfly",
    version: typeof version === "string" && version !== "" ? version : "0.0.0",
  };
}

async function write({ terminal }: Cli, { config, json, yaml, output }: Flags): Promise<number> {
  const [{ showConfig }, { connectors, openApiDocument }, { stringify }] = await Promise.all([
    import("#gateway"),
    import("#connectors"),
    import("yaml"),
  ]);
  const shown = (await showConfig(config, connectors, terminal.env)) as Parameters<typeof openApiDocument>[0];
  const folder = dirname(resolve(config));
  const document = openApiDocument(shown, await projectInfo(folder), folder);
  const asJson = json === true || (yaml !== true && output?.endsWith(".json") === true);
  const text = asJson ? `${JSON.stringify(document, undefined, 2)}\n` : stringify(document, { aliasDuplicateObjects: false });
  if (Object.keys(document["paths"] as object).length === 0)
    terminal.err(`${terminal.paintErr.dim(`${config} has no HTTP source: the document has no paths`)}\n`);
  if (output === undefined) terminal.out(text);
  else await writeFile(output, text);
  return exitCodes.ok;
}

export function addOpenApi(program: Command, cli: Cli): Command {
  const openapi = program
    .command("openapi")
    .description("Write the OpenAPI 3.1 document of what mayfly.yaml serves over HTTP. Needs and shows no secrets.")
    .option("-c, --config <file>", "the configuration", "mayfly.yaml")
    .option("-o, --output <file>", "output file, JSON if its name ends so (default: standard output)")
    .addOption(jsonOption().conflicts("yaml"))
    .addOption(new Option("--yaml", "write YAML (the default)"))
    .action(action(cli, (flags: Flags) => write(cli, flags)));
  return examples(openapi, [
    ["mayfly openapi", "as YAML"],
    ["mayfly openapi -o openapi.json", "for a generator of clients"],
    ["mayfly openapi --profile prod --json", "with mayfly.prod.yaml over mayfly.yaml"],
  ]);
}
