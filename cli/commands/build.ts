/** `mayfly build`: flows to images. */
import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { type Command, Option } from "commander";
import type { Service } from "#abi";
import { CodedError } from "#base";
import type { Artefact, Built, Image } from "#image";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";
import { bytesText, msText, roundMs } from "../format.ts";
import type { NamedFlow } from "../images/artefacts.ts";
import type { BuildService } from "../images/service.ts";
import { type Terminal, withProgress } from "../terminal.ts";

interface BuildFlags {
  readonly output?: string;
  readonly name?: string;
  readonly target: Target;
  readonly serve?: boolean;
  /** Folder of an OCI layout. */
  readonly oci?: string;
  readonly config?: string;
  /** `ADDRESS:PORT`, for a microVM. */
  readonly syslog?: string;
  readonly healthPort?: number;
  readonly check: boolean;
  readonly json?: boolean;
}

/** Output formats: `.mfi` for any monitor, or an ELF that holds engine, kernel and pages as machine code. */
const targets = { image: ".mfi", linux: ".linux.elf", pvh: ".pvh.elf", microvm: ".microvm.elf" } as const;
type Target = keyof typeof targets;

/** One image in the output of `--json`. */
interface BuildReport {
  /** The file written. */
  readonly image: string;
  readonly target: Target;
  readonly sha256: string;
  readonly bytes: number;
  readonly pages: number;
  readonly buildMs: number;
  readonly timings: Built["timings"];
  /** Milliseconds of the flow's `warm` in a machine that has not run it, and in one that has; absent for a flow without. */
  readonly warm?: Built["warm"];
  /** Reasons why its machines will not work, unless mayfly.yaml says otherwise. */
  readonly warnings: readonly string[];
}

/** The target of an ELF that serves by itself; undefined for other images. */
function servedBy({ target, serve }: BuildFlags): "microvm" | "linux" | undefined {
  if (target === "microvm") return target;
  return target === "linux" && serve === true ? target : undefined;
}

async function writeImageFile(path: string, bytes: Uint8Array, target: Target): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes, { mode: target === "linux" ? 0o755 : 0o644 });
  } catch (cause) {
    throw new CodedError("MF_FILE_UNWRITABLE", `the image can't be written to ${path}: ${(cause as Error).message}`, { cause });
  }
}

/** `service`: of an ELF that serves by itself. */
async function fileOf(image: Image, target: Target, service: Service | undefined): Promise<Uint8Array> {
  if (target === "image") return image.bytes;
  const { linuxExecutable, writeMicrovm, writePvh, writeServiceExecutable } = await import("#image");
  if (service !== undefined) return (target === "linux" ? writeServiceExecutable : writeMicrovm)(image, service);
  return target === "linux" ? linuxExecutable(image) : writePvh(image);
}

/** A name for the file of these sources. */
function fileName(flags: BuildFlags, sources: readonly string[], service: BuildService | undefined): string {
  const [first = ""] = sources;
  const name = flags.name ?? (sources.length > 1 && service !== undefined ? service.name : basename(first).replace(/\.[^.]+$/, ""));
  return `${name}${flags.serve === true ? ".service.elf" : targets[flags.target]}`;
}

/** The sum of what each flow and their common image took. */
function sumOf(all: readonly Built["timings"][]): Built["timings"] {
  const sum = (part: keyof Built["timings"]): number => roundMs(all.reduce((total, timings) => total + timings[part], 0));
  return { bundleMs: sum("bundleMs"), checkMs: sum("checkMs"), bootMs: sum("bootMs"), freezeMs: sum("freezeMs") };
}

/** Where the service's log and health go besides. */
function withPlaces(service: Service, { syslog, healthPort = 0 }: BuildFlags): Service {
  if (healthPort === service.port) throw usageError(`--health-port must differ from the service's port ${service.port}`);
  return { ...service, syslog, healthPort };
}

async function buildOne({ env }: Terminal, given: string | undefined, flags: BuildFlags): Promise<BuildReport> {
  const { buildFlow } = await import("../images/build.ts");
  const started = performance.now();
  const target = servedBy(flags);
  const service =
    target === undefined ? undefined : await (await import("../images/service.ts")).buildService(given, flags.config, env, target);
  const sources = service?.sources ?? [given ?? ""];
  const each: Built[] = [];
  for (const source of sources)
    each.push(await buildFlow(source, { check: flags.check, ...(flags.name === undefined ? {} : { name: flags.name }) }));
  const joined = await service?.join(each, flags.name ?? service.name);
  const served = joined === undefined ? undefined : withPlaces(joined.service, flags);
  const built = joined?.built ?? (each[0] as Built);
  const { image } = built;
  const output = flags.output ?? fileName(flags, sources, service);
  const bytes = await fileOf(image, flags.target, served);
  await writeImageFile(output, bytes, flags.target);
  const { memoryShortage } = await import("#image");
  const shortage = memoryShortage(image.manifest, image.manifest.limits.memoryBytes);
  return {
    image: output,
    target: flags.target,
    sha256: image.sha256,
    bytes: bytes.length,
    pages: image.pageNumbers.length,
    buildMs: roundMs(performance.now() - started),
    ...(built.warm === undefined ? {} : { warm: { coldMs: roundMs(built.warm.coldMs), warmMs: roundMs(built.warm.warmMs) } }),
    timings: sumOf([...new Set([...each, built])].map(({ timings }) => timings)),
    warnings: [...(service?.remarks ?? []), ...(shortage === undefined ? [] : [shortage])],
  };
}

/** One artefact in the output of `--oci --json`. */
interface ArtefactReport {
  readonly flow: string;
  /** Of the artefact's manifest. */
  readonly digest: string;
  /** Of the image. */
  readonly sha256: string;
  readonly bytes: number;
}

/** Writes flows as OCI artefacts: those that are named, or all of mayfly.yaml. The same sources give the same bytes. */
async function buildArtefacts({ terminal }: Cli, flows: readonly string[], oci: string, flags: BuildFlags): Promise<number> {
  const { output, name, serve, target, config = "mayfly.yaml", check, json } = flags;
  if (output !== undefined || serve === true || target !== "image")
    throw usageError("--oci goes with images for any monitor: leave out -o, --target and --serve");
  if (name !== undefined && flows.length !== 1) throw usageError("--name accepts one flow: name it, or leave the option out");
  const [{ artefactOf, writeLayout }, { configuredFlows }, { buildFlow }] = await Promise.all([
    import("#image"),
    import("../images/artefacts.ts"),
    import("../images/build.ts"),
  ]);
  const configured = await configuredOr(flows, () => configuredFlows(config, terminal.env));
  if (configured.length === 0) throw usageError(`${config} has no flow with a source: name the flows to build`);
  const wanted = configured.map((each) => ({ file: each.file, name: name ?? each.name }));
  const artefacts: Artefact[] = [];
  for (const { file, name: flow } of wanted) {
    const built = await withProgress(terminal, `building ${flow}`, () => buildFlow(file, { check, name: flow }));
    artefacts.push(artefactOf(built.image));
  }
  await writeLayout(oci, artefacts);
  const reports = artefacts.map(({ flow, sha256, manifest, blobs }): ArtefactReport => {
    const bytes = blobs.reduce((sum, blob) => sum + blob.bytes.length, 0);
    return { flow, digest: manifest.digest, sha256, bytes };
  });
  if (json === true) terminal.out(`${JSON.stringify({ oci, artefacts: reports }, undefined, 2)}\n`);
  else
    for (const { flow, digest, bytes } of reports)
      terminal.out(`${terminal.paint.bold(flow)}  ${bytesText(bytes)}\n${terminal.paint.dim(digest)}\n`);
  return exitCodes.ok;
}

/** The flows that are named, by their files' names; without any those of mayfly.yaml, by theirs. */
async function configuredOr(flows: readonly string[], configured: () => Promise<readonly NamedFlow[]>): Promise<readonly NamedFlow[]> {
  if (flows.length === 0) return await configured();
  return flows.map((file) => ({ file, name: basename(file).replace(/\.[^.]+$/, "") }));
}

async function build(cli: Cli, flows: readonly string[], flags: BuildFlags): Promise<number> {
  const { terminal } = cli;
  if (flags.oci !== undefined) return await buildArtefacts(cli, flows, flags.oci, flags);
  if (flows.length > 1 && (flags.output !== undefined || flags.name !== undefined))
    throw usageError("-o and --name accept one flow: build the flows one by one, or leave the options out");
  if (flags.serve === true && flags.target !== "linux")
    throw usageError("--serve goes with --target linux: a microVM serves in any case, and other images have a gateway");
  const isService = servedBy(flags) !== undefined;
  if (flows.length === 0 && !isService) throw usageError("name the flows to build: mayfly build flows/orders.ts");
  if (flags.config !== undefined && !isService)
    throw usageError("--config counts for --target microvm and --target linux --serve only, which take routes and outlets from it");
  if (!isService && (flags.healthPort !== undefined || flags.syslog !== undefined))
    throw usageError("--health-port and --syslog go with --target microvm, and --health-port with --target linux --serve");
  if (flags.syslog !== undefined && flags.target !== "microvm")
    throw usageError("--syslog goes with --target microvm: a Linux process writes its log to standard output, for whoever forwards it");
  if (flags.syslog !== undefined && !/^(\d{1,3}(\.\d{1,3}){3}(:\d{1,5})?|\$\{.+\})$/.test(flags.syslog))
    throw usageError("--syslog must be an address, as in 10.0.0.5:514, or a setting, as in '${SYSLOG}'");
  const reports: BuildReport[] = [];
  for (const flow of flows.length === 0 ? [undefined] : flows)
    reports.push(await withProgress(terminal, `building ${flow ?? "the service"}`, () => buildOne(terminal, flow, flags)));
  for (const { image, warnings } of reports) for (const warning of warnings) terminal.err(`${image}: warning: ${warning}\n`);
  if (flags.json === true) {
    terminal.out(`${JSON.stringify(reports.length === 1 ? reports[0] : { images: reports }, undefined, 2)}\n`);
    return exitCodes.ok;
  }
  const { bold, dim } = terminal.paint;
  for (const { image, sha256, bytes, pages, buildMs, timings, warm } of reports) {
    const parts = `bundle ${msText(timings.bundleMs)}, types ${flags.check ? msText(timings.checkMs) : "unchecked"}, boot ${msText(timings.bootMs)}`;
    terminal.out(
      `${bold(image)}  ${bytesText(bytes)}, ${pages} pages, ${msText(buildMs)} ${dim(`(${parts})`)}\n${dim(`sha256 ${sha256}`)}\n`,
    );
    if (warm !== undefined) terminal.out(`warm: ${msText(warm.warmMs)} in this image instead of ${msText(warm.coldMs)}\n`);
  }
  return exitCodes.ok;
}

function portOption(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535)
    throw usageError(`--health-port must be a port from 1 to 65535, and is ${text}`);
  return port;
}

export function addBuild(program: Command, cli: Cli): Command {
  const command = program
    .command("build")
    .description("Bundle flows, check their types, boot each once and freeze it into an image.")
    .argument("[flow...]", "source files of flows; for an ELF that serves by itself all flows of mayfly.yaml, if none is named")
    .option("-o, --output <file>", "output file (default: NAME.mfi in this folder)")
    .option("--name <name>", "name of the image (default: the file's name)")
    .addOption(
      new Option(
        "--target <target>",
        "image: for any monitor; linux: a Linux executable; pvh: an ELF that boots without an OS, for its gateway; microvm: one that serves HTTP by itself",
      )
        .choices(Object.keys(targets))
        .default("image"),
    )
    .option("--serve", "with --target linux: an executable that serves HTTP by itself, without Node")
    .option("--health-port <port>", "with an ELF that serves by itself: a port of its own for /healthz and /metrics", portOption)
    .option("--syslog <address>", "with --target microvm: send the log to this syslog server as well (UDP), ADDRESS:PORT")
    .option("--oci <dir>", "write OCI artefacts into this folder instead, an image layout: of the flows named, or of all of mayfly.yaml")
    .option(
      "-c, --config <file>",
      "for --oci and for an ELF that serves by itself: the configuration (default: mayfly.yaml, for an ELF of the flow's project)",
    )
    .option("--no-check", "skip the type check")
    .addOption(jsonOption())
    .action(action(cli, (flows: string[], flags: BuildFlags) => build(cli, flows, flags)));
  return examples(command, [
    ["mayfly build flows/orders.ts", "writes orders.mfi"],
    ["mayfly build flows/orders.ts -o out/orders.mfi --json", "for a pipeline"],
    ["mayfly build flows/orders.ts --target pvh", "writes orders.pvh.elf: see `mayfly boot`"],
    ["mayfly build flows/orders.ts --target microvm -o app.elf", "a microservice without an OS: see `mayfly up`"],
    ["mayfly build flows/orders.ts --target linux --serve -o app", "the same as a Linux process: ./app -p 8080"],
    ["mayfly build --oci out", "every flow of mayfly.yaml as an OCI artefact: see `mayfly push`"],
    ["mayfly build flows/*.ts --no-check", "builds several flows, types unchecked"],
  ]);
}
