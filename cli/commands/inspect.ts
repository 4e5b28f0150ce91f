/** `mayfly inspect`: what is inside an image and what each part costs. */
import { promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";
import type { Command } from "commander";
import type { Image } from "#image";
import { layout } from "#kernel";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes } from "../failure.ts";
import { bytesText, indent, table } from "../format.ts";
import { imageAt } from "../machine/load.ts";
import { inspectElf, isElf } from "../machine/elf.ts";
import { engineDataEnd } from "../machine/regions.ts";
import type { Terminal } from "../terminal.ts";
import { withProgress } from "../terminal.ts";

interface Region {
  readonly name: string;
  readonly pages: number;
  readonly bytes: number;
}

function regionOf(address: number, dataEnd: number): string {
  if (address < layout.nativeEnd) return "natives";
  if (address < layout.stackTop) return "stack";
  return address < dataEnd ? "engine data" : "heap";
}

function regions({ pageNumbers }: Image): Region[] {
  const counts = new Map([
    ["natives", 0],
    ["engine data", 0],
    ["heap", 0],
  ]);
  const dataEnd = engineDataEnd();
  for (const page of pageNumbers) {
    const name = regionOf(page * layout.pageBytes, dataEnd);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, pages]) => ({ name, pages, bytes: pages * layout.pageBytes }));
}

interface Report {
  readonly compressed: { readonly gzip: number; readonly brotli: number };
  readonly regions: readonly Region[];
  readonly [more: string]: unknown;
}

async function report(path: string, image: Image): Promise<Report> {
  const { manifest, sha256, bytes, pageNumbers, pages, sourceMap } = image;
  const [zipped, brotli] = await Promise.all([promisify(gzip)(bytes), promisify(brotliCompress)(bytes)]);
  return {
    image: path,
    sha256,
    bytes: bytes.length,
    pages: pageNumbers.length,
    pageBytes: pages.length,
    sourceMapBytes: sourceMap.length,
    compressed: { gzip: zipped.length, brotli: brotli.length },
    regions: regions(image),
    manifest,
  };
}

function outletsText(outlets: readonly string[] | null): string {
  if (outlets === null) return "not declared: any outlet of mayfly.yaml";
  return outlets.length === 0 ? "none" : outlets.join(", ");
}

function show({ out, paint }: Terminal, path: string, image: Image, { compressed, regions: parts }: Report): void {
  const { manifest, sha256, bytes, pageNumbers, sourceMap } = image;
  const { limits, outlets } = manifest;
  out(`${paint.bold(manifest.name)} ${manifest.version}  ${paint.dim(path)}\n`);
  const facts = [
    ["sha256", sha256],
    ["file", `${bytesText(bytes.length)} (${bytesText(compressed.gzip)} gzip, ${bytesText(compressed.brotli)} brotli)`],
    [
      "memory",
      `${bytesText(manifest.memoryPages * layout.wasmPageBytes)} at rest, of which ${pageNumbers.length} pages of ${layout.pageBytes / 1024} KiB are not zero`,
    ],
    ["engine", `${manifest.engine}, ABI ${manifest.abi}, kernel ${manifest.kernel.slice(0, 12)}`],
    ["outlets", outletsText(outlets)],
    [
      "limits",
      `memory ${bytesText(limits.memoryBytes)}, cpu ${limits.cpuMs} ms a step, time ${limits.timeMs} ms, ${limits.sends} sends, log ${bytesText(limits.logBytes)}`,
    ],
  ];
  out(indent(table(facts.map(([name = "", text = ""]) => [name, text]))));
  out(`${paint.bold("pages")}\n`);
  const map = ["source map", "", bytesText(sourceMap.length)];
  out(indent(table([...parts.map(({ name, pages, bytes: size }) => [name, String(pages), bytesText(size)]), map], [1, 2])));
  out(`${paint.bold("sources")} ${paint.dim("(bytes in the bundle)")}\n`);
  out(
    indent(
      table(
        manifest.sources.slice(0, 30).map((source) => [source.path, String(source.bytes)]),
        [1],
      ),
    ),
  );
  if (manifest.sources.length > 30) out(`  … ${manifest.sources.length - 30} more\n`);
}

async function inspect({ terminal }: Cli, path: string, flags: { readonly json?: boolean; readonly check: boolean }): Promise<number> {
  if (await isElf(path)) return await inspectElf(terminal, path, flags.json === true);
  const { image } = await withProgress(terminal, `reading ${path}`, () => imageAt(path, flags.check));
  const found = await report(path, image);
  if (flags.json === true) terminal.out(`${JSON.stringify(found, undefined, 2)}\n`);
  else show(terminal, path, image, found);
  return exitCodes.ok;
}

export function addInspect(program: Command, cli: Cli): Command {
  const command = program
    .command("inspect")
    .description("Show the contents of an image and the size of each part, or the service in an ELF that serves by itself.")
    .argument("<image>", "an image, a flow's source file, or an ELF that serves by itself")
    .option("--no-check", "skip the type check of a flow")
    .addOption(jsonOption())
    .action(action(cli, (path: string, flags: { json?: boolean; check: boolean }) => inspect(cli, path, flags)));
  return examples(command, [
    ["mayfly inspect orders.mfi", "manifest, pages, sources"],
    ["mayfly inspect app.elf", "name, version, image, limits, routes, settings of an ELF that serves by itself"],
    ["mayfly inspect flows/orders.ts --json", "inspects a flow, output for programs"],
  ]);
}
