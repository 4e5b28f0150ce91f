/**
 * The entries of nodes and partitions in the store, as JSON. Decoding never throws; it returns undefined for a malformed one.
 *
 *   node.NAME   a beat of the node, written anew at an interval: its life, since when, version, state
 *   part.N      the owner of partition N, written when that changes
 */
import { ownershipLimits } from "./limits.ts";

export interface NodeEntry {
  /** Of its process: a restarted node is another one. */
  readonly life: string;
  /** Of its start, milliseconds since 1970 by its own clock: to be shown. */
  readonly sinceMs: number;
  readonly version: string;
  /** Where its own HTTP server listens: to be shown. */
  readonly address: string;
  readonly state: "up" | "draining" | "gone";
  readonly beat: number;
  /** Of the configuration that it serves; absent until it does, and in beats of an older version. */
  readonly revision?: string | undefined;
}

export interface PartitionEntry {
  /** Undefined: it was given up. */
  readonly owner: string | undefined;
  readonly life: string;
  /** The owner takes nothing for it any more, and gives it up next. */
  readonly resting: boolean;
}

export type Entry =
  | { readonly kind: "node"; readonly name: string; readonly node: NodeEntry | undefined }
  | { readonly kind: "partition"; readonly partition: number; readonly entry: PartitionEntry | undefined };

export const nodeKey = (name: string): string => `node.${name}`;
export const partitionKey = (partition: number): string => `part.${partition}`;

const states = ["up", "draining", "gone"];

function parsed(value: Uint8Array): Readonly<Record<string, unknown>> {
  if (value.length === 0 || value.length > ownershipLimits.entryBytes) return {};
  try {
    const json: unknown = JSON.parse(Buffer.from(value).toString());
    return typeof json === "object" && json !== null ? (json as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function nodeOf(value: Uint8Array): NodeEntry | undefined {
  const { life, sinceMs, version, address, state, beat, revision } = parsed(value) as Partial<NodeEntry>;
  const isSound = typeof life === "string" && typeof sinceMs === "number" && typeof version === "string" && typeof beat === "number";
  if (!isSound || typeof address !== "string" || state === undefined || !states.includes(state)) return undefined;
  return { life, sinceMs, version, address, state, beat, ...(typeof revision === "string" ? { revision } : {}) };
}

function partitionOf(value: Uint8Array): PartitionEntry | undefined {
  const { owner, life, resting } = parsed(value) as Partial<PartitionEntry>;
  if (typeof life !== "string" || typeof resting !== "boolean") return undefined;
  return owner === undefined || typeof owner === "string" ? { owner, life, resting } : undefined;
}

/** Undefined for a key of neither kind. */
export function decodeEntry(key: string, value: Uint8Array): Entry | undefined {
  const name = /^node\.([A-Za-z0-9_-]+)$/.exec(key)?.[1];
  if (name !== undefined) return { kind: "node", name, node: nodeOf(value) };
  const partition = /^part\.(\d{1,6})$/.exec(key)?.[1];
  return partition === undefined ? undefined : { kind: "partition", partition: Number(partition), entry: partitionOf(value) };
}

export function encodeEntry(entry: NodeEntry | PartitionEntry): Uint8Array {
  return Buffer.from(JSON.stringify(entry));
}
