/**
 * The committed sends of one outlet that its peer has not taken yet.
 *
 *   ready (Map, in order) ──lease──▶ leased ──settle / bury──▶ gone
 *     ▲   ▲                            │  └─ release ─▶ ready
 *     │   └── due ── deferred ◀─ defer ┘
 *     └── the next of its key, when the one before is gone: waiting behind it until then
 *
 *   delayed: committed for a later date. Nothing waits for it; when the date is there it goes to the end of its key's line.
 */
import { assert, CellMap } from "#base";
import { DueHeap } from "./due-heap.ts";
import type { AttemptRecord, EntryNumber, OutboxEntry } from "./journal.ts";

interface Slot {
  entry: OutboxEntry;
  state: "ready" | "leased" | "deferred" | "behind" | "delayed";
  /** When it is deferred, by the monotonic clock. */
  dueMs: number;
  /** Deferred without an attempt that counts: it goes as soon as the peer is back. */
  released: boolean;
}

export class OutboxQueue {
  readonly #slots = new CellMap<EntryNumber, Slot>();
  /** Unleased, due entries that are the first of their key. */
  readonly #ready = new CellMap<EntryNumber, Slot>();
  readonly #deferred = new CellMap<EntryNumber, Slot>();
  /** Unsettled entries of one key, oldest first. Only keyed entries are in here. */
  readonly #byKey = new Map<string, EntryNumber[]>();

  /** Delayed entries by their date, and ones that are delayed no longer. */
  readonly #dates = new DueHeap();
  #delayed = 0;
  readonly #counted: (entry: OutboxEntry, sign: 1 | -1) => void;

  /** `counted`: called for each entry that comes, and for each that goes. */
  constructor(counted: (entry: OutboxEntry, sign: 1 | -1) => void = () => undefined) {
    this.#counted = counted;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Of these, entries whose date is not there yet. */
  get delayed(): number {
    return this.#delayed;
  }

  add(entry: OutboxEntry): void {
    this.#counted(entry, 1);
    if (entry.dueMs === undefined) return this.#enter({ entry, state: "ready", dueMs: 0, released: false });
    this.#slots.set(entry.number, { entry, state: "delayed", dueMs: 0, released: false });
    this.#dates.add(entry.number, entry.dueMs);
    this.#delayed += 1;
  }

  /** Puts an entry at the end of its key's line. */
  #enter(slot: Slot): void {
    const { entry } = slot;
    slot.state = "ready";
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

  /** Takes the delayed entries whose date is there into their lines. */
  #enterDue(dateMs: number): void {
    for (let firstMs = this.#dates.firstMs; firstMs !== undefined && firstMs <= dateMs; firstMs = this.#dates.firstMs) {
      const number = this.#dates.take() as EntryNumber;
      const slot = this.#slots.get(number);
      if (slot?.state !== "delayed") continue;
      this.#delayed -= 1;
      this.#slots.delete(number); // its place in a snapshot is that in its line
      this.#enter(slot);
    }
  }

  /** `nowMs` by the monotonic clock, `dateMs` by the wall clock. */
  lease(most: number, nowMs: number, dateMs: number): OutboxEntry[] {
    this.#enterDue(dateMs);
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
    this.#counted(slot.entry, -1);
    this.#slots.delete(number);
    this.#ready.delete(number);
    this.#deferred.delete(number);
    if (slot.state === "delayed") return void this.#undelay(); // settled in a log that is read back
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

  /** Dates of entries that are gone are dropped as they come; once all are gone they go at once. */
  #undelay(): void {
    this.#delayed -= 1;
    if (this.#delayed === 0) while (this.#dates.size > 0) this.#dates.take();
  }

  /** In a log that is read back: it was the first of its line when it was leased, whenever that was. */
  #enterFirst(slot: Slot): void {
    const { number, key } = slot.entry;
    this.#undelay();
    if (key === undefined) return;
    const line = this.#byKey.get(key);
    const before = this.#slots.get(line?.[0] ?? (0 as EntryNumber));
    if (before?.state === "ready") {
      before.state = "behind";
      this.#ready.delete(before.entry.number);
    }
    if (line === undefined) this.#byKey.set(key, [number]);
    else line.unshift(number);
  }

  defer(number: EntryNumber, attempts: readonly AttemptRecord[], dueMs: number): void {
    const slot = this.#slots.get(number);
    if (slot === undefined) return;
    if (slot.state === "delayed") this.#enterFirst(slot);
    slot.entry = { ...slot.entry, attempt: slot.entry.attempt + 1, attempts };
    slot.state = "deferred";
    slot.dueMs = dueMs;
    slot.released = false;
    this.#ready.delete(number); // not leased when a durable journal reads its log back
    this.#deferred.set(number, slot);
  }

  /** Adds an entry of a snapshot, which may be deferred; `entered`: its date was there already. */
  restore(entry: OutboxEntry, dueMs: number, entered: boolean): void {
    if (!entered) return this.add(entry);
    this.#counted(entry, 1);
    this.#enter({ entry, state: "ready", dueMs: 0, released: false });
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

  /** When the next delayed one is due, by the wall clock; undefined for none. */
  nextDateMs(): number | undefined {
    return this.#delayed === 0 ? undefined : this.#dates.firstMs;
  }

  /** Every unsettled entry, oldest first, when it is due, and whether it is in its line; for a journal that writes snapshots. */
  *entries(): Iterable<readonly [entry: OutboxEntry, dueMs: number, entered: boolean]> {
    for (const slot of this.#slots.values()) yield [slot.entry, slot.dueMs, slot.state !== "delayed"];
  }
}
