/** Places in the files of the log. */
import type { RecordPlace } from "../format/fields.ts";
export type { RecordPlace };

/** True for one and the same record. */
export function isSamePlace(one: RecordPlace, other: RecordPlace): boolean {
  return one.file === other.file && one.offset === other.offset;
}

/** A record that was written: its file, and the offset of its payload in it. */
export interface Placement {
  readonly file: string;
  readonly offset: number;
}

/** Bytes on disk: part of a segment or checkpoint, or a whole blob. */
export interface Place {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
  readonly blob: boolean;
}
