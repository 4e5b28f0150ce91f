/** The command line: every command with its options and help, and the exit code of a run. */
import { Command, CommanderError } from "commander";
import type { Cli } from "./cli.ts";
import { examples } from "./cli.ts";
import { commands } from "./commands/all.ts";
import { exitCodes, reportFailure } from "./failure.ts";
import { version } from "./package.ts";
import { processTerminal, type Terminal } from "./terminal.ts";

/** `mayfly dlq show`: a command with those it stands below. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/** Options every command shares, and errors written as every other error is. */
function prepare(command: Command, { terminal }: Cli): Command {
  return command
    .exitOverride()
    .showHelpAfterError(`(see ${pathOf(command)} --help)`)
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      outputError: (text, write) => write(`${terminal.paintErr.red("MF_USAGE")}: ${text.replace(/^error: /, "")}`),
    });
}

/** Wherever a mayfly.yaml is read, a profile may be put over it. The configuration of `up` is another. */
function addProfile(command: Command): void {
  if (command.name() !== "up" && command.options.some(({ long }) => long === "--config"))
    command.option("--profile <name>", "put mayfly.NAME.yaml over it; default: the environment variable MAYFLY_PROFILE");
  for (const below of command.commands) addProfile(below);
}

/** From here on the environment names the profile. */
function useProfile(cli: Cli, profile: unknown): void {
  if (typeof profile !== "string") return;
  if (cli.terminal.env === process.env) process.env["MAYFLY_PROFILE"] = profile;
  else cli.terminal = { ...cli.terminal, env: { ...cli.terminal.env, MAYFLY_PROFILE: profile } };
}

function program(cli: Cli): Command {
  const root = prepare(new Command("mayfly"), cli)
    .description("Microservices without an OS: every message gets its own unikernel.")
    .version(version(), "-V, --version", "show the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show the help of a command");
  for (const add of commands) prepare(add(root, cli), cli);
  for (const command of root.commands) {
    command.helpOption("-h, --help", "show this help");
    for (const below of command.commands) prepare(below, cli).helpOption("-h, --help", "show this help");
  }
  addProfile(root);
  root.hook("preAction", (_root, command) => useProfile(cli, command.opts()["profile"]));
  examples(root, [
    ["mayfly init hello && cd hello", "create a small working project"],
    ["mayfly run flows/orders.ts --message order.json", "run one message through one machine"],
    ["mayfly test", "run the flow tests"],
    ["mayfly serve", "serve the flows of mayfly.yaml"],
  ]);
  return root.addHelpText(
    "after",
    "\nExit codes: 0 done · 1 the flow or a test failed · 2 bad usage, configuration or build\nMAYFLY_DEBUG=1 shows stack traces, NO_COLOR=1 disables colours.",
  );
}

/** Runs a command line and gives its exit code. Never rejects. */
export async function main(argv: readonly string[], terminal: Terminal = processTerminal()): Promise<number> {
  const cli: Cli = { terminal, exitCode: exitCodes.ok };
  try {
    const root = program(cli);
    if (argv.length === 0) {
      terminal.out(root.helpInformation());
      return exitCodes.unusable;
    }
    await root.parseAsync(argv, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return exitCodes.ok; // help or version was asked for
      // It has told people why already; a machine reads standard output.
      const message = error.message.replace(/^error: /, "");
      if (argv.includes("--json")) terminal.out(`${JSON.stringify({ error: { code: "MF_USAGE", message } })}\n`);
      return exitCodes.unusable;
    }
    reportFailure(terminal, error, argv.includes("--json"));
    return exitCodes.unusable;
  }
  return cli.exitCode;
}
