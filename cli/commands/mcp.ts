/** `mayfly mcp`: the record and the tools of a project for assistants that speak the Model Context Protocol. */
import { realpathSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { CodedError, isCoded } from "#base";
import { action, type Cli, collect, examples } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";
import type { CallsOptions } from "../mcp/calls.ts";
import { permissions, permissionsOf } from "../mcp/permissions.ts";

interface Flags {
  readonly config: string;
  readonly allow?: readonly string[];
  readonly http?: number;
  readonly gateway?: string;
  readonly token?: string;
}

function port(text: string): number {
  const number = Number(text);
  if (!/^\d{1,5}$/.test(text) || number > 65_535) throw new InvalidArgumentError("It must be a port, or 0 for any that is free.");
  return number;
}

/** Project, permissions and environment of the tools. Commands get the gateway by their environment: other users can read arguments. */
async function callsOptions({ terminal }: Cli, { config, allow = [], gateway, token }: Flags): Promise<CallsOptions> {
  const { readPlaces } = await import("#gateway");
  await readPlaces(config, terminal.env).catch((error: unknown) => {
    if (isCoded(error) && error.code === "MF_CONFIG_FILE") throw error; // other faults are for the assistant to mend
  });
  const [, entry] = process.argv;
  if (entry === undefined) throw usageError("mayfly mcp runs only as a command of its own");
  return {
    project: { root: realpathSync(dirname(resolve(config))), config: basename(config), allowed: permissionsOf(allow) },
    entry,
    env: {
      ...process.env,
      ...terminal.env,
      ...(gateway === undefined ? {} : { MAYFLY_GATEWAY: gateway }),
      ...(token === undefined ? {} : { MAYFLY_TOKEN: token }),
    },
  };
}

/** Resolves when the client closes standard input. */
function inputEnds(): Promise<void> {
  return new Promise((done) => {
    for (const event of ["end", "close", "error"]) process.stdin.once(event, () => done());
  });
}

async function mcp(cli: Cli, flags: Flags): Promise<number> {
  const [{ loadSdk, serverMaker }, { withSignals }] = await Promise.all([import("../mcp/server.ts"), import("../serving/signals.ts")]);
  const { terminal } = cli;
  const options = await callsOptions(cli, flags);
  const sdk = await loadSdk();
  const make = serverMaker(sdk, options);
  process.stderr.on("error", () => undefined); // a client that reads no remarks is served all the same
  const report = ({ message }: Error): void => terminal.err(`mayfly mcp: ${message.slice(0, 500)}\n`);
  const { root, allowed } = options.project;
  const may = allowed.size === 0 ? "it may read, and nothing else" : `allowed: ${[...allowed].join(", ")}`;
  if (flags.http === undefined) {
    const { serveStdio } = await import("@modelcontextprotocol/server/stdio");
    terminal.err(`mayfly mcp: serves ${root} to the client on standard input; ${may}\n`);
    const serving = serveStdio(() => make(), { onerror: report });
    await withSignals((ended) => Promise.race([ended, inputEnds()]));
    await serving.close();
    return exitCodes.ok;
  }
  const { serveHttp } = await import("../mcp/http.ts");
  const { readAdminToken } = await import("#gateway");
  const token = options.env["MAYFLY_TOKEN"] ?? (await readAdminToken(flags.config, options.env));
  if (token === undefined || token === "")
    throw new CodedError("MF_MCP_TOKEN", "--http needs a token: set http.admin.token in mayfly.yaml, or MAYFLY_TOKEN");
  const serving = await serveHttp({ sdk, make, token, port: flags.http, report });
  terminal.err(`mayfly mcp: serves ${root} at ${serving.url}; ${may}\n`);
  await withSignals((ended) => ended);
  await serving.close();
  return exitCodes.ok;
}

export function addMcp(program: Command, cli: Cli): Command {
  const allowing = Object.entries(permissions).map(([name, what]) => `  ${name.padEnd(9)} ${what}`);
  const command = program
    .command("mcp")
    .description(
      "Serve this project to an assistant over the Model Context Protocol, on standard input and output: messages, dead letters, sleepers and, where allowed, replay, tests and more. See docs/MCP.md.",
    )
    .option("-c, --config <file>", "path of mayfly.yaml; nothing outside its folder is read", "mayfly.yaml")
    .option("--allow <names>", "what tools may do besides reading, with commas between the names", collect)
    .addOption(
      new Option("--http <port>", "serve at http://127.0.0.1:PORT/mcp instead, under http.admin.token or MAYFLY_TOKEN").argParser(port),
    )
    .option("--gateway <url>", "address of a running gateway, http://… or unix:PATH (default: MAYFLY_GATEWAY, else by mayfly.yaml)")
    .addOption(new Option("--token <token>", "http.admin.token, for a gateway given by URL and for --http (default: MAYFLY_TOKEN)"))
    .addHelpText("after", `\nPermissions for --allow:\n${allowing.join("\n")}`)
    .action(action(cli, (flags: Flags) => mcp(cli, flags)));
  return examples(command, [
    ["mayfly mcp", "reads only"],
    ["mayfly mcp --allow replay,backtest,lint,test", "may also try a fix; nothing leaves this computer"],
    ["mayfly mcp --http 8765", "for a client that speaks HTTP"],
  ]);
}
