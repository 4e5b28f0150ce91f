/** Manifest of an image. Written as JSON at the head of the file; read as hostile input. */
import type { FlowLimits } from "#abi";

export interface Manifest {
  /** The flow's name: its file's name unless told otherwise. */
  readonly name: string;
  /** The `version` of the nearest package.json, or 0.0.0. */
  readonly version: string;
  /** The wire form its kernel speaks. */
  readonly abi: number;
  /** SHA-256 of engine, natives and runtime it was booted with. */
  readonly kernel: string;
  readonly engine: string;
  /** Outlets the flow may use; null when it did not say, so that the gateway decides. */
  readonly outlets: readonly string[] | null;
  readonly limits: FlowLimits;
  /** The flow reads its message in pieces, in one run or a batch a run; absent: as a whole. */
  readonly reads?: "stream" | "batch";
  /** Linear memory at rest, in 64 KiB pages. */
  readonly memoryPages: number;
  /** The engine's stack pointer at rest. */
  readonly stackPointer: number;
  /** Bytes of each source that went into the bundle, largest first. */
  readonly sources: readonly { readonly path: string; readonly bytes: number }[];
}

function isCount(value: unknown, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;
}

function isText(value: unknown, most: number): value is string {
  return typeof value === "string" && value.length <= most;
}

/** Checks the shape of a parsed manifest: the sentence says what is wrong with it, undefined that nothing is. */
export function manifestFault(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return "it is not an object";
  const m = value as Readonly<Record<keyof Manifest, unknown>>;
  if (!isText(m.name, 256) || m.name === "") return "name is missing";
  if (!isText(m.version, 256)) return "version is missing";
  if (!isCount(m.abi, 255)) return "abi is missing";
  if (!isText(m.kernel, 64) || !/^[0-9a-f]{64}$/.test(m.kernel)) return "kernel is not a SHA-256";
  if (!isText(m.engine, 256)) return "engine is missing";
  if (m.outlets !== null && !(Array.isArray(m.outlets) && m.outlets.every((name) => isText(name, 256))))
    return "outlets is not a list of names";
  if (!isCount(m.memoryPages, 4096) || m.memoryPages === 0) return "memoryPages is out of range";
  if (!isCount(m.stackPointer, m.memoryPages * 65_536)) return "stackPointer is out of range";
  if (!Array.isArray(m.sources)) return "sources is not a list";
  if (m.reads !== undefined && m.reads !== "stream" && m.reads !== "batch") return "reads is unknown";
  const limits = m.limits as Readonly<Record<keyof FlowLimits, unknown>> | null | undefined;
  if (typeof limits !== "object" || limits === null) return "limits is missing";
  for (const key of ["memoryBytes", "cpuMs", "timeMs", "sends", "logBytes"] as const) {
    if (!isCount(limits[key], Number.MAX_SAFE_INTEGER)) return `limits.${key} is not a count`;
  }
  return undefined;
}
