/** Sleepers at a segment's end, and where each was. Packed slots are read when they are asked for: a million objects are never there at once. */
import type { AttemptRecord, Sequence } from "../journal.ts";
import type { CapturedSlot } from "../format/asleep-pack.ts";
import type { PackedSnapshot } from "../packed-slots.ts";
import type { SleepersSnapshot } from "../sleepers.ts";
import type { RecordPlace } from "./places.ts";

export interface SleeperPlace {
  readonly sequence: Sequence;
  readonly place: RecordPlace;
}

/** Where each is. */
export function* placesOf({ slots, packed }: SleepersSnapshot<RecordPlace>): Iterable<SleeperPlace> {
  for (const [sequence, place] of packed.stored()) yield { sequence, place };
  for (const { sequence, stored } of slots) yield { sequence, place: stored };
}

export class CapturedSleepers implements Iterable<CapturedSlot> {
  readonly #slots: readonly CapturedSlot[];
  readonly #packed: PackedSnapshot<RecordPlace>;
  readonly #burying: ReadonlyMap<Sequence, AttemptRecord>;

  constructor({ slots, packed }: SleepersSnapshot<RecordPlace>, burying: ReadonlyMap<Sequence, { readonly record: AttemptRecord }>) {
    this.#burying = new Map([...burying].map(([sequence, { record }]) => [sequence, record]));
    this.#slots = slots.map((slot) => ({ slot, place: slot.stored, failed: slot.failed, burying: burying.get(slot.sequence)?.record }));
    this.#packed = packed;
  }

  *[Symbol.iterator](): Iterator<CapturedSlot> {
    for (const slot of this.#packed.slots())
      yield { slot, place: slot.stored, failed: slot.failed, burying: this.#burying.get(slot.sequence) };
    yield* this.#slots;
  }

  *places(): Iterable<SleeperPlace> {
    for (const [sequence, place] of this.#packed.stored()) yield { sequence, place };
    for (const { slot, place } of this.#slots) yield { sequence: slot.sequence, place };
  }
}
