/** `mayfly types`: TypeScript types of the contracts that mayfly.yaml names. */
import { relative } from "node:path";
import type { Command } from "commander";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes } from "../failure.ts";

interface Flags {
  readonly config: string;
  readonly json?: boolean;
}

async function types({ terminal }: Cli, { config, json }: Flags): Promise<number> {
  const [{ loadConfig }, { connectors }, { writeContractTypes }] = await Promise.all([
    import("#gateway"),
    import("#connectors"),
    import("../contract-types.ts"),
  ]);
  const { files, written } = await writeContractTypes(await loadConfig(config, connectors, terminal.env));
  if (json === true) terminal.out(`${JSON.stringify({ files, written })}\n`);
  else if (files.length === 0) terminal.err(`${terminal.paintErr.dim(`${config} has no source with \`openapi\`: there are no types`)}\n`);
  else for (const file of files) terminal.out(`${relative(process.cwd(), file)}${written.includes(file) ? "" : " (unchanged)"}\n`);
  return exitCodes.ok;
}

export function addTypes(program: Command, cli: Cli): Command {
  const command = program
    .command("types")
    .description(
      "Write TypeScript types of the contracts that HTTP sources serve, beside each: petstore.types.ts. `mayfly dev` does so as well.",
    )
    .option("-c, --config <file>", "the configuration", "mayfly.yaml")
    .addOption(jsonOption())
    .action(action(cli, (flags: Flags) => types(cli, flags)));
  return examples(command, [["mayfly types", 'for flow<Operations["createOrder"]>']]);
}
