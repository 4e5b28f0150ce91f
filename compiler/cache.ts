import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Backend } from "./compile.ts";
import { compileModule } from "./compile.ts";
import { decodeModule } from "./decode/module.ts";
import type { ProgramModule } from "./link/bind.ts";
import type { Segment, Symbol } from "./link/linker.ts";
import type { ProgramOptions } from "./link/options.ts";
import { linkProgram, type Program, type ProgramMemory, type Thunk } from "./link/program.ts";

/**
 * Keeps linked programs in a directory, by the hash of everything they are made from: the modules' bytes, the options,
 * and the compiler's own files. A damaged or foreign entry is compiled again.
 *
 * A file is the length of a JSON header (u32), the header, and the bytes of the segments and initial data one after another.
 */
export interface ProgramSource {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly backend?: Backend;
}

interface Header {
  readonly platform: Program["platform"];
  readonly entry: string;
  readonly segments: readonly (Omit<Segment, "bytes"> & { readonly length: number })[];
  readonly symbols: readonly Symbol[];
  readonly addresses: readonly (readonly [string, string])[];
  readonly memories: readonly (Omit<ProgramMemory, "base" | "initial"> & {
    readonly base: string;
    readonly initial: readonly { offset: number; length: number }[];
  })[];
  readonly stack: { readonly limit: string; readonly bytes: number };
  readonly thunks: readonly Thunk[];
  readonly modules: readonly string[];
}

export function encodeProgram(program: Program): Uint8Array {
  const header: Header = {
    platform: program.platform,
    entry: String(program.entry),
    segments: program.linked.segments.map(({ name, address, bytes, memoryBytes }) => ({
      name,
      address,
      memoryBytes,
      length: bytes.length,
    })),
    symbols: program.linked.symbols,
    addresses: [...program.linked.addresses].map(([name, address]) => [name, String(address)]),
    memories: program.memories.map((m) => ({
      ...m,
      base: String(m.base),
      initial: m.initial.map((d) => ({ offset: d.offset, length: d.bytes.length })),
    })),
    stack: { limit: String(program.stack.limit), bytes: program.stack.bytes },
    thunks: program.thunks,
    modules: program.modules,
  };
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const initial = program.memories.flatMap((m) => m.initial.map((d) => d.bytes));
  return new Uint8Array(Buffer.concat([length, json, ...program.linked.segments.map((s) => s.bytes), ...initial]));
}

export function decodeProgram(bytes: Uint8Array): Program {
  const jsonBytes = Buffer.from(bytes.buffer, bytes.byteOffset, 4).readUInt32LE();
  const header = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset + 4, jsonBytes).toString("utf8")) as Header;
  let at = 4 + jsonBytes;
  const take = (length: number): Uint8Array => {
    at += length;
    if (at > bytes.length) throw new Error("the cached program is cut short");
    return bytes.slice(at - length, at);
  };
  const segments = header.segments.map(({ length, ...rest }) => ({ ...rest, bytes: take(length) }));
  return {
    platform: header.platform,
    entry: BigInt(header.entry),
    linked: { segments, symbols: header.symbols, addresses: new Map(header.addresses.map(([name, address]) => [name, BigInt(address)])) },
    memories: header.memories.map((m) => ({
      ...m,
      base: BigInt(m.base),
      initial: m.initial.map((d) => ({ offset: d.offset, bytes: take(d.length) })),
    })),
    stack: { limit: BigInt(header.stack.limit), bytes: header.stack.bytes },
    thunks: header.thunks,
    modules: header.modules,
  };
}

let ownHash: string | undefined;

/** A hash of the compiler's own files, so that no cache outlives a change of it. */
function compilerHash(): string {
  if (ownHash !== undefined) return ownHash;
  const hash = createHash("sha256");
  const self = fileURLToPath(import.meta.url);
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) visit(path);
      else if (entry.name.endsWith(extname(self))) hash.update(entry.name).update(readFileSync(path));
    }
  };
  visit(dirname(self));
  ownHash = hash.digest("hex");
  return ownHash;
}

export function programKey(sources: readonly ProgramSource[], options: ProgramOptions, variant = ""): string {
  const hash = createHash("sha256").update(compilerHash());
  for (const { name, bytes, backend } of sources) hash.update(JSON.stringify([name, bytes.length, backend ?? ""])).update(bytes);
  const bases = sources.map(({ name }, i) => [String(options.memoryBase?.(name, i)), options.memoryPages?.(name)]);
  const { platform, entry, baseAddress, stackBytes, missing, growTables, start } = options;
  return hash.update(JSON.stringify([platform, entry, baseAddress, stackBytes, missing, growTables, start, bases, variant])).digest("hex");
}

/**
 * Compiles and links, or takes the result from `directory`. `variant` must tell apart what functions among the options do differently
 * (`resolve`, `globals`): they cannot be hashed.
 */
export function cachedProgram(directory: string, sources: readonly ProgramSource[], options: ProgramOptions, variant = ""): Program {
  const file = join(directory, `${programKey(sources, options, variant)}.program`);
  try {
    return decodeProgram(new Uint8Array(readFileSync(file)));
  } catch {
    // Not there, or not readable: it is made anew.
  }
  const modules = sources.map(
    ({ name, bytes, backend }): ProgramModule => ({
      name,
      code: compileModule(decodeModule(bytes), backend === undefined ? {} : { backend }),
    }),
  );
  const program = linkProgram(modules, options);
  mkdirSync(directory, { recursive: true });
  const temporary = `${file}.${randomBytes(6).toString("hex")}`;
  writeFileSync(temporary, encodeProgram(program));
  renameSync(temporary, file); // whole or not at all
  return program;
}
