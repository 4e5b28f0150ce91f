/** `mayfly config`: mayfly.yaml as it counts. */
import type { Command } from "commander";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes } from "../failure.ts";

interface Flags {
  readonly config: string;
  readonly json?: boolean;
}

async function show({ terminal }: Cli, flags: Flags): Promise<number> {
  const [{ showConfig }, { connectors }, { stringify }] = await Promise.all([import("#gateway"), import("#connectors"), import("yaml")]);
  const shown = await showConfig(flags.config, connectors, terminal.env);
  terminal.out(flags.json === true ? `${JSON.stringify(shown, undefined, 2)}\n` : stringify(shown));
  return exitCodes.ok;
}

export function addConfig(program: Command, cli: Cli): Command {
  const config = program.command("config").description("mayfly.yaml as it counts.");
  config
    .command("show")
    .description(
      "Show every setting with its default, times in milliseconds and sizes in bytes. Secrets are masked: what comes from the environment or a file is shown as it is written, and need not be there.",
    )
    .option("-c, --config <file>", "the configuration", "mayfly.yaml")
    .addOption(jsonOption())
    .action(action(cli, (flags: Flags) => show(cli, flags)));
  return examples(config, [
    ["mayfly config show", "as YAML"],
    ["mayfly config show --profile prod", "with mayfly.prod.yaml over mayfly.yaml"],
    ["mayfly config show -c deploy.yaml --json", "for other tools"],
  ]);
}
