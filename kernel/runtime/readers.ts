/** A body that is read in pieces: what the part `reading` has of the kernel, and the kernel of it. */
import type { Batch } from "./api.d.ts";
import { FlowError } from "./errors.ts";
import { notLinked } from "./formats.ts";

/** The message, as far as it is read. */
export interface ReadMessage {
  readonly id: string;
  readonly headers: object;
  readonly contentType: string;
  readonly bytes: Uint8Array;
  /** Bytes of the body, wherever it is. */
  readonly size: number;
  readonly storedBody: string | undefined;
  /** Once the headers were read. */
  readonly position: string | undefined;
  unreadable(format: string, error: unknown): unknown;
}

/** Among the headers of a message that was read in part: where the next batch begins, as JSON of the part's own. */
export const positionHeader = "mayfly-position";

export type ReaderKind = "rows" | "lines" | "elements";

/** The part, once it is linked. */
export interface Reading {
  open(message: ReadMessage, kind: ReaderKind, name: string | undefined, options: object | undefined): AsyncIterableIterator<unknown>;
  batch(message: ReadMessage): Batch;
  /** Where the next batch begins; undefined where none follows. */
  nextPosition(): string | undefined;
}

export let reading: Reading | undefined;

export function onReading(part: Reading): void {
  reading = part;
}

/** The part. Throws MF_FORMAT_NOT_LINKED. */
export function readingFor(what: string, part: string): Reading {
  if (reading === undefined) throw notLinked(what, part);
  return reading;
}

const mostItems = 100_000;
/** Items of a batch; undefined for a flow that reads its message in one run. */
export let batchItems: number | undefined;

export function setBatch(items: unknown): void {
  if (!Number.isInteger(items) || (items as number) < 1 || (items as number) > mostItems)
    throw new FlowError("MF_FLOW_INVALID", `flow(): batch: ${String(items)} must be a whole number from 1 to ${mostItems}`, false);
  batchItems = items as number;
}
