/** `mayfly up`: starts a microVM that serves HTTP by itself. */
import { readFile, stat } from "node:fs/promises";
import { type Command, InvalidArgumentError } from "commander";
import { CodedError, isCoded, parseSize } from "#base";
import type { ConfigFile, StartedMachine } from "#standalone";
import { action, type Cli, collect, examples, jsonOption } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";
import { bytesText, msText } from "../format.ts";
import type { Terminal } from "../terminal.ts";

interface Flags {
  readonly port?: readonly string[];
  readonly name?: string;
  readonly memory?: number;
  readonly config?: string;
  readonly tap?: string;
  readonly detach?: boolean;
  readonly json?: boolean;
}

/** Bytes of `8M`, `8MiB` or `1G`: M and G are QEMU's, and powers of two as there. */
function memorySize(text: string): number {
  const bytes = parseSize(text.replace(/^(\d+)([MG])$/i, (_whole, digits: string, unit: string) => `${digits}${unit.toUpperCase()}iB`));
  if (bytes === undefined) throw new InvalidArgumentError("It must be a size such as 8M or 1GiB.");
  return bytes;
}

/** Throws MF_FILE_UNREADABLE, MF_MICROVM_CONFIG. */
async function configFile(path: string | undefined): Promise<ConfigFile> {
  if (path === undefined) return { settings: {} };
  const { readConfigFile, standaloneLimits } = await import("#standalone");
  try {
    if ((await stat(path)).size > standaloneLimits.configBytes) throw new Error(`it is longer than ${standaloneLimits.configBytes} bytes`);
    return readConfigFile(await readFile(path, "utf8"), path);
  } catch (cause) {
    if (isCoded(cause)) throw cause;
    throw new CodedError("MF_FILE_UNREADABLE", `${path} can't be read: ${(cause as Error).message}`, { cause });
  }
}

function memoryBytes(asked: number | undefined, { leastMemoryBytes: least, mostMemoryBytes: most, memoryBytes: usual }: Sizes): number {
  if (asked !== undefined && (asked < least || asked > most))
    throw usageError(`--memory must be from ${least / 2 ** 20}M to ${most / 2 ** 20}M: its page tables have room for no more`);
  return asked ?? usual;
}

interface Sizes {
  readonly leastMemoryBytes: number;
  readonly mostMemoryBytes: number;
  readonly memoryBytes: number;
}

function addressText({ record }: StartedMachine): string {
  const urls = record.ports.map(({ address, host }) => `http://${address}:${host}/`);
  return urls.length === 0 ? `on ${record.tap ?? "no network"}` : urls.join(" ");
}

function announce({ out, err, paintErr }: Terminal, machine: StartedMachine, flags: Flags): void {
  const { record, readyMs, reason } = machine;
  if (flags.json === true)
    return out(
      `${JSON.stringify({ name: record.name, pid: record.process.pid, ports: record.ports, readyMs, accelerator: record.accelerator }, undefined, 2)}\n`,
    );
  err(
    `${paintErr.bold(record.name)} ${addressText(machine)} ${paintErr.dim(`(${bytesText(record.memoryBytes)} of memory, ${reason}, ready after ${msText(readyMs)})`)}\n`,
  );
}

/** Until it ends, or a signal asks for the end: the first drains it, the second does not wait. */
async function stay({ terminal }: Cli, machine: StartedMachine, signal: Promise<NodeJS.Signals>): Promise<number> {
  const { endMachine, killMachine, removeFolder } = await import("#standalone");
  const first = await Promise.race([machine.ended, signal]);
  if (typeof first === "string") {
    terminal.err("stopping; send the signal again to stop without waiting\n");
    // A second signal ends the process at once, which takes the microVM along.
    process.on("exit", () => killMachine(machine));
    if ((await endMachine(machine, false)) === "killed") terminal.err("it did not end by itself, and was switched off\n");
  }
  const { clean, text } = await machine.ended;
  await removeFolder(machine.folder);
  if (typeof first === "string") return exitCodes.ok;
  terminal.err(`${machine.record.name}: ${text}\n`);
  return clean ? exitCodes.ok : exitCodes.failed;
}

async function up(cli: Cli, elf: string, flags: Flags): Promise<number> {
  const { terminal } = cli;
  if (flags.tap !== undefined && flags.port !== undefined)
    throw usageError("-p is for user networking: with --tap the microVM has an address of its own, leave -p out");
  if (flags.tap !== undefined && !/^[A-Za-z0-9_.-]{1,15}$/.test(flags.tap)) throw usageError(`${flags.tap} is not a network device's name`);
  if (flags.json === true && flags.detach !== true)
    throw usageError("--json goes with --detach: in the foreground the console is on standard output");
  const [{ configText, portsOf, standaloneLimits, startMachine, userNetwork }, { serviceAt }] = await Promise.all([
    import("#standalone"),
    import("../machine/elf.ts"),
  ]);
  const { service, target } = await serviceAt(elf);
  if (target === "linux")
    throw new CodedError(
      "MF_MICROVM_ELF",
      `${elf} is a Linux executable and no microVM: start it as a program, as in \`${elf} -p ${service.port}\``,
    );
  const given = await configFile(flags.config);
  const memory = memoryBytes(flags.memory, standaloneLimits);
  const options = {
    name: flags.name ?? service.name,
    elf,
    service,
    config: configText(service, flags.tap === undefined ? { network: userNetwork, ...given } : given, terminal.env),
    ports: flags.tap === undefined ? portsOf(flags.port ?? [], service) : [],
    tap: flags.tap,
    memoryBytes: memory,
    environment: terminal.env,
  };
  if (flags.detach === true) {
    const machine = await startMachine({ ...options, console: undefined });
    announce(terminal, machine, flags);
    return exitCodes.ok;
  }
  const { withSignals } = await import("../serving/signals.ts");
  return await withSignals(async (signal) => {
    const early = new AbortController();
    void signal.then(() => early.abort());
    const machine = await startMachine({ ...options, console: (text) => terminal.out(text), stopped: early.signal });
    announce(terminal, machine, flags);
    return await stay(cli, machine, signal);
  });
}

export function addUp(program: Command, cli: Cli): Command {
  const command = program
    .command("up")
    .description(
      "Start a microVM of an ELF that `mayfly build --target microvm` wrote. In the foreground Ctrl-C finishes its requests and ends it.",
    )
    .argument("<elf>", "the ELF")
    .option(
      "-p, --port <[address:]host:guest>",
      "a port of this computer for one of the microVM's (default: its own, on 127.0.0.1)",
      collect,
    )
    .option("--name <name>", "name for `ps`, `logs` and `stop` (default: that of its flow)")
    .option("--memory <size>", "memory of the microVM (default: 64M, taken as it is used)", memorySize)
    .option("--config <file>", "JSON with its settings and network; other settings are those of the environment")
    .option("--tap <device>", "a tap device in place of user networking; the address is by DHCP or in --config")
    .option("--detach", "leave it running, and return once it answers")
    .addOption(jsonOption())
    .action(action(cli, (elf: string, flags: Flags) => up(cli, elf, flags)));
  return examples(command, [
    ["mayfly up app.elf -p 8080:80", "serves on http://127.0.0.1:8080/"],
    ["ERP_URL=http://10.0.2.2:9000 mayfly up app.elf -p 0.0.0.0:80:80 --detach", "a setting, every address, in the background"],
    ["mayfly up app.elf --memory 8M --config config.json", "settings from a file"],
  ]);
}
