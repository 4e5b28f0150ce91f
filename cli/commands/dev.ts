/** `mayfly dev`: serves, and takes in what is changed without dropping a message. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { action, type Cli, examples } from "../cli.ts";
import { exitCodes, reportFailure } from "../failure.ts";
import type { Serving } from "../serving/serving.ts";
import { FileWatch } from "../watch.ts";
import { announce, portNumber, type ServeFlags } from "./serve.ts";

/** A development server: none while the first start fails, and from then on always one. */
class DevServer {
  readonly #cli: Cli;
  readonly #flags: ServeFlags;
  readonly #watch: FileWatch;
  #serving: Serving | undefined;

  constructor(cli: Cli, flags: ServeFlags) {
    this.#cli = cli;
    this.#flags = flags;
    this.#watch = new FileWatch(() => this.#changed());
    this.#watch.set([resolve(flags.config)]);
  }

  async start(): Promise<void> {
    const { startServing } = await import("../serving/serving.ts");
    try {
      this.#serving = await startServing({ file: this.#flags.config, port: this.#flags.port });
      announce(this.#serving);
      this.#watch.set(this.#serving.inputs);
    } catch (error) {
      this.#show(error, "not started; waiting for a change");
      this.#watch.set(await this.#guessInputs());
    }
  }

  async stop(): Promise<void> {
    this.#watch.close();
    await this.#serving?.stop();
  }

  async #changed(): Promise<void> {
    const serving = this.#serving;
    if (serving === undefined) return await this.start();
    const started = performance.now();
    try {
      await serving.reload();
      serving.logger.info({ ms: Math.round(performance.now() - started) }, "reloaded");
    } catch (error) {
      this.#show(error, "not reloaded; what was served is served on");
    }
    this.#watch.set(serving.inputs);
  }

  #show(error: unknown, then: string): void {
    const { terminal } = this.#cli;
    reportFailure(terminal, error, false);
    terminal.err(`${terminal.paintErr.dim(then)}\n`);
  }

  /** What to watch while nothing could be started: the configuration and, when it can be read, its flows' files. */
  async #guessInputs(): Promise<string[]> {
    const files = [resolve(this.#flags.config)];
    try {
      const { loadConfig } = await import("#gateway");
      const { bundleInputs } = await import("../images/inputs.ts");
      const { base, flows } = await loadConfig(this.#flags.config);
      for (const { flow } of Object.values(flows)) if (flow !== undefined) files.push(...(await bundleInputs(resolve(base, flow))));
    } catch {
      // The configuration itself is at fault, and it is watched.
    }
    return files;
  }
}

async function dev(cli: Cli, flags: ServeFlags): Promise<number> {
  const { untilSignal } = await import("../serving/signals.ts");
  const ended = untilSignal();
  const server = new DevServer(cli, flags);
  await server.start();
  await ended;
  await server.stop();
  return exitCodes.ok;
}

export function addDev(program: Command, cli: Cli): Command {
  const command = program
    .command("dev")
    .description("Serve, watch, rebuild and reload without dropping messages. What does not build is shown, and the old image serves on.")
    .option("-c, --config <file>", "the configuration", "mayfly.yaml")
    .option("-p, --port <number>", "overrides http.port; 0 takes a free one", portNumber)
    .action(action(cli, (flags: ServeFlags) => dev(cli, flags)));
  return examples(command, [["mayfly dev", "what ./mayfly.yaml says, and what becomes of it"]]);
}
