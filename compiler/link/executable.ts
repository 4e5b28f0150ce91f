import { CodedError } from "#base";
import { type LoadSegment, type Note, writeElf } from "./elf.ts";
import type { Program, ProgramMemory } from "./program.ts";

/** Initial state of a machine: the contents of its memories and the values of its globals. */
export interface MemoryContents {
  /** Module that owns the memory. */
  readonly module: string;
  /** From offset 0; the memory gets this size, which must be whole pages of 64 KiB. */
  readonly bytes: Uint8Array;
}

export interface GlobalValue {
  readonly module: string;
  readonly index: number;
  /** Bits of an i32 or i64. */
  readonly value: bigint;
}

export interface ExecutableOptions {
  readonly memories?: readonly MemoryContents[];
  readonly globals?: readonly GlobalValue[];
  readonly notes?: readonly Note[];
  /** Where a loader without paging puts a memory (bare metal). */
  readonly physicalAddress?: (module: string) => bigint | undefined;
}

const pageBytes = 4096;
const wasmPageBytes = 65536;
/** Runs of zero pages shorter than this stay in the file: a segment costs more. */
const gapPages = 16;

/** Runs of pages that are not all zero, as [first, end) page numbers. */
function occupiedRuns(bytes: Uint8Array): { first: number; end: number }[] {
  const words = new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
  const runs: { first: number; end: number }[] = [];
  for (let page = 0; page < bytes.length / pageBytes; page++) {
    let zero = true;
    for (let i = page * 512; zero && i < (page + 1) * 512; i++) zero = words[i] === 0n;
    if (zero) continue;
    const last = runs[runs.length - 1];
    if (last !== undefined && page - last.end < gapPages) last.end = page + 1;
    else runs.push({ first: page, end: page + 1 });
  }
  return runs;
}

/** The memory as load segments: each ends where the next begins, the zeroes between being the kernel's. */
function memorySegments(name: string, base: bigint, physical: bigint | undefined, contents: Uint8Array): LoadSegment[] {
  const bytes = contents.byteOffset % 8 === 0 ? contents : contents.slice();
  const runs = occupiedRuns(bytes);
  if (runs[0]?.first !== 0) runs.unshift({ first: 0, end: 0 });
  return runs.map((run, i) => {
    const next = runs[i + 1]?.first ?? bytes.length / pageBytes;
    const offset = BigInt(run.first * pageBytes);
    return {
      name: `memory.${name}${i === 0 ? "" : `.${i}`}`,
      address: base + offset,
      ...(physical === undefined ? {} : { physicalAddress: physical + offset }),
      bytes: bytes.subarray(run.first * pageBytes, run.end * pageBytes),
      memoryBytes: (next - run.first) * pageBytes,
      writable: true,
      executable: false,
    };
  });
}

function initialMemory(memory: ProgramMemory): Uint8Array {
  const bytes = new Uint8Array(memory.minimumPages * wasmPageBytes);
  for (const segment of memory.initial) {
    if (segment.offset + segment.bytes.length > bytes.length)
      throw new CodedError("MF_LINK_SEGMENT", `a data segment lies outside the memory of ${memory.module}`);
    bytes.set(segment.bytes, segment.offset);
  }
  return bytes;
}

/** Writes the executable of a linked program with given memory. Only copies and appends: nothing is compiled or linked. */
export function writeExecutable(program: Program, options: ExecutableOptions = {}): Uint8Array {
  const { linked } = program;
  const dataSegment = linked.segments.find((s) => s.name === "data");
  const data = dataSegment === undefined ? new Uint8Array(0) : dataSegment.bytes.slice();
  const dataAddress = BigInt(dataSegment?.address ?? 0);
  const view = new DataView(data.buffer);
  const place = (symbol: string): number => {
    const address = linked.addresses.get(symbol);
    if (address === undefined) throw new CodedError("MF_LINK_SYMBOL", `the program has no ${symbol}`);
    return Number(address - dataAddress);
  };
  for (const { module, index, value } of options.globals ?? []) {
    const i = program.modules.indexOf(module);
    view.setBigUint64(place(`${i}:global.${index}`), BigInt.asUintN(64, value), true);
  }
  const segments: LoadSegment[] = linked.segments
    .filter((s) => s.memoryBytes > 0)
    .map((s) => ({
      name: s.name,
      address: BigInt(s.address),
      bytes: s.name === "data" ? data : s.bytes,
      memoryBytes: s.memoryBytes,
      writable: s.name === "data" || s.name === "bss",
      executable: s.name === "text",
    }));
  if (program.platform !== "bare")
    segments.push({
      name: "stack",
      address: program.stack.limit,
      bytes: new Uint8Array(0),
      memoryBytes: program.stack.bytes,
      writable: true,
      executable: false,
    });
  for (const memory of program.memories) {
    const given = options.memories?.find((m) => m.module === memory.module);
    const bytes = given?.bytes ?? (program.platform === "bench" ? undefined : initialMemory(memory));
    if (bytes === undefined || bytes.length === 0) continue;
    if (bytes.length % wasmPageBytes !== 0 || bytes.length / wasmPageBytes > memory.maximumPages)
      throw new CodedError(
        "MF_LINK_LIMIT",
        `the memory given for ${memory.module} has ${bytes.length} bytes, not whole pages up to ${memory.maximumPages}`,
      );
    segments.push(...memorySegments(memory.module, memory.base, options.physicalAddress?.(memory.module), bytes));
    view.setUint32(place(`memory.${memory.module}.descriptor`) + 8, bytes.length / wasmPageBytes, true);
  }
  segments.sort((x, y) => (x.address < y.address ? -1 : 1));
  return writeElf({
    entry: program.entry,
    segments,
    symbols: linked.symbols,
    ...(options.notes === undefined ? {} : { notes: options.notes }),
  });
}
