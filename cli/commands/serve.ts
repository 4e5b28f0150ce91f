/** `mayfly serve`: builds what is stale and serves what mayfly.yaml says. */
import { isCoded } from "#base";
import { type Command, InvalidArgumentError } from "commander";
import { action, type Cli, examples, jsonLinesOption } from "../cli.ts";
import { asCoded, exitCodes } from "../failure.ts";
import type { Serving } from "../serving/serving.ts";

export interface ServeFlags {
  readonly config: string;
  readonly port?: number;
  readonly json?: boolean;
}

export function portNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new InvalidArgumentError("It must be a number from 0 to 65535.");
  return port;
}

/** One line for each flow: where its messages come from, where they go. */
export function announce(serving: Serving): void {
  const { config, gateway, url, logger } = serving;
  for (const [name, { from, to }] of Object.entries(config.flows)) {
    const sources = from.map(({ connector, config: settings }) => {
      if (connector !== "http") return connector;
      const {
        method = "",
        path = "",
        openapi = "",
      } = settings as { readonly method?: string; readonly path?: string; readonly openapi?: string };
      return openapi === "" ? `${method} ${url}${path}` : `${openapi} at ${url}${path}`;
    });
    logger.info({ flow: name, from: sources, to: Object.keys(to) }, "serving");
  }
  const { cluster } = config;
  const journal =
    cluster !== undefined
      ? `in the cluster ${cluster.name}, with ${cluster.replicas} ${cluster.replicas === 1 ? "copy" : "copies"}`
      : config.journal.dir === undefined
        ? "in memory: queued messages are lost in a crash, unless their sender keeps them"
        : config.journal.dir;
  logger.info({ url, journal, admin: gateway.admin.socket, page: pageUrl(serving) }, "ready");
}

/** Address of the page; undefined for a gateway that serves no page. */
export function pageUrl({ config, gateway }: Serving): string | undefined {
  const { address, page } = gateway.admin;
  if (address === undefined || !page) return undefined;
  const host = address.host === "0.0.0.0" || address.host === "::" ? "localhost" : address.host;
  return `${config.http.tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${address.port}/`;
}

function reloadNow(serving: Serving): void {
  void serving.reload().then(
    () => serving.logger.info({}, serving.config.cluster === undefined ? "reloaded" : "reloaded, this node only"),
    (error: unknown) => {
      const { code, message } = asCoded(error);
      serving.logger.error({ code }, `not reloaded, the previous configuration keeps serving: ${message}`);
    },
  );
}

async function serve(flags: ServeFlags): Promise<number> {
  const [{ settleForScarceMemory }, { startServing }, { withSignals }] = await Promise.all([
    import("../serving/scarce-memory.ts"),
    import("../serving/serving.ts"),
    import("../serving/signals.ts"),
  ]);
  settleForScarceMemory();
  return await withSignals(async (ended) => {
    let serving: Serving | undefined;
    let early = false;
    const reload = (): void => {
      // Not listened to, the signal would end a gateway that is just starting.
      if (serving === undefined) early = true;
      else reloadNow(serving);
    };
    process.on("SIGHUP", reload);
    try {
      serving = await startServing({ file: flags.config, port: flags.port, json: flags.json, ended });
      announce(serving);
      if (early) reloadNow(serving);
      const signal = await ended;
      serving.logger.info({ signal }, "stopping; send the signal again to stop without waiting");
      await serving.stop();
    } catch (error) {
      if (!isCoded(error) || error.code !== "MF_STOPPING") throw error; // a signal came before it served: it ends as it was told to
    } finally {
      process.off("SIGHUP", reload);
    }
    return exitCodes.ok;
  });
}

export function addServe(program: Command, cli: Cli): Command {
  const command = program
    .command("serve")
    .description(
      "Build stale flows and serve mayfly.yaml. SIGTERM and Ctrl-C finish the messages in flight, SIGHUP reloads; in a cluster this node only.",
    )
    .option("-c, --config <file>", "the configuration", "mayfly.yaml")
    .option("-p, --port <number>", "overrides http.port; 0 picks a free one", portNumber)
    .addOption(jsonLinesOption())
    .action(action(cli, (flags: ServeFlags) => serve(flags)));
  return examples(command, [
    ["mayfly serve", "serves ./mayfly.yaml"],
    ["ERP_URL=http://erp:8000 mayfly serve -c deploy/mayfly.yaml -p 9000", "sets an environment variable and another port"],
  ]);
}
