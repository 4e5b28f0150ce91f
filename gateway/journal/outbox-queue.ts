/**
 * The committed sends of one outlet that its peer has not taken yet.
 *
 *   ready (Map, in order) ──lease──▶ leased ──settle / bury──▶ gone
 *     ▲   ▲                            │  └─ release ─▶ ready
 *     │   └── due ── deferred ◀─ defer ┘
 *     └── the next of its key, when the one before is gone: waiting behind it until then
 */
import { assert } from "#base";
import type { AttemptRecord, EntryNumber, OutboxEntry } from "./journal.ts";

interface Slot {
  entry: OutboxEntry;
  state: "ready" | "leased" | "deferred" | "behind";
  dueMs: number;
  /** Deferred without an attempt that counts: it goes as soon as the peer is back. */
  released: boolean;
}

export class OutboxQueue {
  readonly #slots = new Map<EntryNumber, Slot>();
  /** Unleased, due entries that are the first of their key. */
  readonly #ready = new Map<EntryNumber, Slot>();
  readonly #deferred = new Map<EntryNumber, Slot>();
  /** Unsettled entries of one key, oldest first. Only keyed entries are in here. */
  readonly #byKey = new Map<string, EntryNumber[]>();

  get size(): number {
    return this.#slots.size;
  }

  add(entry: OutboxEntry): void {
    const slot: Slot = { entry, state: "ready", dueMs: 0, released: false };
    this.#slots.set(entry.number, slot);
    if (entry.key !== undefined) {
      const line = this.#byKey.get(entry.key);
      if (line === undefined) this.#byKey.set(entry.key, [entry.number]);
      else {
        line.push(entry.number);
        slot.state = "behind";
        return;
      }
    }
    this.#ready.set(entry.number, slot);
  }

  lease(most: number, nowMs: number): OutboxEntry[] {
    for (const [number, slot] of this.#deferred) {
      if (slot.dueMs > nowMs) continue;
      this.#deferred.delete(number);
      slot.state = "ready";
      this.#ready.set(number, slot);
    }
    const leased: OutboxEntry[] = [];
    for (const [number, slot] of this.#ready) {
      if (leased.length >= most) break;
      this.#ready.delete(number);
      slot.state = "leased";
      leased.push(slot.entry);
    }
    return leased;
  }

  /** True when `entry` is the newest attempt and is leased. */
  holds(entry: OutboxEntry): boolean {
    const slot = this.#slots.get(entry.number);
    return slot !== undefined && slot.state === "leased" && slot.entry.attempt === entry.attempt;
  }

  remove(number: EntryNumber): void {
    const slot = this.#slots.get(number);
    if (slot === undefined) return;
    this.#slots.delete(number);
    this.#ready.delete(number);
    this.#deferred.delete(number);
    const key = slot.entry.key;
    if (key === undefined) return;
    const line = this.#byKey.get(key);
    assert(line !== undefined, "a keyed entry stands in its key's line");
    line.splice(line.indexOf(number), 1);
    const next = line[0];
    if (next === undefined) {
      this.#byKey.delete(key);
      return;
    }
    const nextSlot = this.#slots.get(next);
    if (nextSlot?.state !== "behind") return;
    nextSlot.state = "ready";
    this.#ready.set(next, nextSlot);
  }

  defer(number: EntryNumber, attempts: readonly AttemptRecord[], dueMs: number): void {
    const slot = this.#slots.get(number);
    if (slot === undefined) return;
    slot.entry = { ...slot.entry, attempt: slot.entry.attempt + 1, attempts };
    slot.state = "deferred";
    slot.dueMs = dueMs;
    slot.released = false;
    this.#ready.delete(number); // not leased when a durable journal reads its log back
    this.#deferred.set(number, slot);
  }

  /** Adds an entry of a snapshot, which may be deferred. */
  restore(entry: OutboxEntry, dueMs: number): void {
    this.add(entry);
    const slot = this.#slots.get(entry.number);
    if (dueMs === 0 || slot?.state !== "ready") return;
    slot.state = "deferred";
    slot.dueMs = dueMs;
    this.#ready.delete(entry.number);
    this.#deferred.set(entry.number, slot);
  }

  get(number: EntryNumber): OutboxEntry | undefined {
    return this.#slots.get(number)?.entry;
  }

  release(number: EntryNumber, dueMs = 0): void {
    const slot = this.#slots.get(number);
    if (slot === undefined || slot.state !== "leased") return;
    slot.state = "deferred"; // lease() puts deferred ones that are due back first
    slot.dueMs = dueMs;
    slot.released = true;
    this.#deferred.set(number, slot);
  }

  /** Released entries are due now. */
  hasten(): void {
    for (const slot of this.#deferred.values()) if (slot.released) slot.dueMs = 0;
  }

  nextMs(): number | undefined {
    if (this.#ready.size > 0) return 0;
    let next: number | undefined;
    for (const slot of this.#deferred.values()) if (next === undefined || slot.dueMs < next) next = slot.dueMs;
    return next;
  }

  /** Every unsettled entry, oldest first, and when it is due; for a journal that writes snapshots. */
  *entries(): Iterable<readonly [entry: OutboxEntry, dueMs: number]> {
    for (const slot of this.#slots.values()) yield [slot.entry, slot.dueMs];
  }
}
