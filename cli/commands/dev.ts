/** `mayfly dev`: serves, and takes in what is changed without dropping a message. */
import { resolve } from "node:path";
import { isCoded } from "#base";
import type { Command } from "commander";
import { action, type Cli, examples, jsonLinesOption } from "../cli.ts";
import { exitCodes, reportFailure } from "../failure.ts";
import type { Serving } from "../serving/serving.ts";
import { contentsOf, FileWatch } from "../watch.ts";
import { announce, portNumber, type ServeFlags } from "./serve.ts";

/** A development server: none while the first start fails, and from then on always one. */
class DevServer {
  readonly #cli: Cli;
  readonly #flags: ServeFlags;
  readonly #watch: FileWatch;
  /** Resolves when a signal has come. */
  readonly #ended: Promise<unknown>;
  #serving: Serving | undefined;
  #files: readonly string[];
  /** Contents of the files at the last build: an editor that writes the same again changes nothing. */
  #built = new Map<string, string>();

  constructor(cli: Cli, flags: ServeFlags, ended: Promise<unknown>) {
    this.#cli = cli;
    this.#flags = flags;
    this.#ended = ended;
    this.#files = [resolve(flags.config)];
    this.#watch = new FileWatch(() => this.#changed());
  }

  /** Starts, or takes in what has changed; then watches what is served, or what is at fault. */
  async build(): Promise<void> {
    const startedMs = Date.now();
    await this.#writeTypes();
    this.#built = await contentsOf(this.#files);
    try {
      if (this.#serving === undefined) await this.#start();
      else {
        await this.#serving.reload();
        this.#serving.logger.info({ ms: Date.now() - startedMs }, "reloaded");
      }
      this.#files = this.#serving?.inputs ?? this.#files;
      this.#watch.set(this.#files, startedMs);
    } catch (error) {
      if (isCoded(error) && error.code === "MF_STOPPING") return; // a signal came before it served
      this.#files = [...new Set([...(this.#serving?.inputs ?? []), ...(await this.#guessInputs())])];
      this.#watch.set(this.#files, startedMs);
      reportFailure(this.#cli.terminal, error, this.#flags.json === true);
      const then = this.#serving === undefined ? "not started; waiting for changes" : "not reloaded; the previous version keeps serving";
      this.#cli.terminal.err(`${this.#cli.terminal.paintErr.dim(then)}\n`);
    }
  }

  async stop(): Promise<void> {
    this.#watch.close();
    await this.#serving?.stop();
  }

  async #changed(): Promise<void> {
    const now = await contentsOf(this.#files);
    if ([...now].some(([file, content]) => this.#built.get(file) !== content)) await this.build();
  }

  async #start(): Promise<void> {
    const { startServing } = await import("../serving/serving.ts");
    this.#serving = await startServing({ file: this.#flags.config, port: this.#flags.port, json: this.#flags.json, ended: this.#ended });
    announce(this.#serving);
  }

  /** Types of contracts, which flows import. What is wrong with the configuration is told by what needs it next. */
  async #writeTypes(): Promise<void> {
    const [{ connectors }, { loadConfig }, { writeContractTypes }] = await Promise.all([
      import("#connectors"),
      import("#gateway"),
      import("../contract-types.ts"),
    ]);
    const config = await loadConfig(this.#flags.config, connectors).catch(() => undefined);
    const { terminal } = this.#cli;
    const refused = (error: unknown): void =>
      terminal.err(
        `${terminal.paintErr.dim(`types of contracts can't be written: ${error instanceof Error ? error.message : String(error)}`)}\n`,
      );
    if (config !== undefined) await writeContractTypes(config).catch(refused);
  }

  /** Files that may be at fault: the configuration and, if it can be read, all that its flows import by now. */
  async #guessInputs(): Promise<string[]> {
    const files = [resolve(this.#flags.config)];
    const { connectors } = await import("#connectors");
    const { ConfigError, configFiles, loadConfig } = await import("#gateway");
    try {
      files.push(...configFiles(resolve(this.#flags.config)));
      const { bundleInputs } = await import("../images/inputs.ts");
      const { base, flows, contractFiles } = await loadConfig(this.#flags.config, connectors);
      files.push(...contractFiles);
      for (const { flow } of Object.values(flows)) if (flow !== undefined) files.push(...(await bundleInputs(resolve(base, flow))));
    } catch (error) {
      // The configuration itself is at fault, and it is watched, or a contract that it names.
      if (error instanceof ConfigError) files.push(...error.files);
    }
    return files;
  }
}

async function dev(cli: Cli, flags: ServeFlags): Promise<number> {
  const { withSignals } = await import("../serving/signals.ts");
  return await withSignals(async (ended) => {
    const server = new DevServer(cli, flags, ended);
    await server.build();
    await ended;
    await server.stop();
    return exitCodes.ok;
  });
}

export function addDev(program: Command, cli: Cli): Command {
  const command = program
    .command("dev")
    .description("Serve, watch, rebuild and reload without dropping messages. If a build fails, show why and keep serving the old image.")
    .option("-c, --config <file>", "the configuration", "mayfly.yaml")
    .option("-p, --port <number>", "overrides http.port; 0 picks a free one", portNumber)
    .addOption(jsonLinesOption())
    .action(action(cli, (flags: ServeFlags) => dev(cli, flags)));
  return examples(command, [["mayfly dev", "serves ./mayfly.yaml and follows changes"]]);
}
