/**
 * Sleeping messages, as a synchronous state machine without I/O: who is due next, who waits for what. Of each only a slot is here; the rest is
 * wherever the journal keeps it (`Stored`): in memory, or in a file at some place.
 *
 *   asleep ──wake──▶ leased ──commit──▶ asleep again, or gone
 *     ▲                │
 *     └─── release ────┘
 */
import { assert } from "#base";
import type { FencingToken, Lease, Sequence, SleeperInfo } from "./journal.ts";
import { type Holds, LazyHeap } from "./lazy-heap.ts";
import { count, firstAbove, waitKey } from "./signals.ts";
import { type PackedSnapshot, PackedSlots, type SlotPack } from "./packed-slots.ts";
import { SleeperIds } from "./sleeper-ids.ts";
import type { SleepingLease, Slot } from "./slot.ts";

/** Sleepers as they were at one moment. Objects are references, the rest is read when it is asked for. */
export interface SleepersSnapshot<Stored> {
  readonly slots: readonly Slot<Stored>[];
  readonly packed: PackedSnapshot<Stored>;
}

/** Texts that many slots have: one of each is kept. */
class Names {
  readonly #names = new Map<string, string>();

  one(name: string): string {
    const known = this.#names.get(name);
    if (known === undefined) this.#names.set(name, name);
    return known ?? name;
  }
}

/**
 * A slot is an object, or bytes of a pack (packed-slots.ts) until it is woken, changed or ended. `byFlow` has both; `byWait` and `ids` have a packed
 * slot as soon as somebody looks for what it waits for, or for its id.
 */
export class Sleepers<Stored> {
  readonly #slots = new Map<Sequence, Slot<Stored>>();
  readonly #packed: PackedSlots<Stored>;
  /** Sleepers by what they wait for: one, or several in order. */
  readonly #byWait = new Map<string, Sequence | LazyHeap>();
  readonly #byFlow = new Map<string, LazyHeap>();
  readonly #byImage = new Map<string, number>();
  readonly #ids = new SleeperIds();
  readonly #names = new Names();
  /** Sequences in their order, for lists that are read page by page; undefined when somebody has come since. */
  #order: Float64Array | undefined;

  constructor(packed = new PackedSlots<Stored>()) {
    this.#packed = packed;
  }

  get size(): number {
    return this.#slots.size + this.#packed.size;
  }

  /** Of the texts of their waits, and of the whole slot where it is packed. */
  get textBytes(): number {
    let bytes = this.#packed.bytes;
    for (const { waits } of this.#slots.values()) for (const wait of waits) bytes += wait.length;
    return bytes;
  }

  sizeOf(flow: string): number {
    return this.#byFlow.get(flow)?.live ?? 0;
  }

  /** Sleepers by flow. */
  *byFlow(): Iterable<readonly [flow: string, sleepers: number]> {
    for (const [flow, { live }] of this.#byFlow) if (live > 0) yield [flow, live];
  }

  /** Sleepers by the hash of the image they sleep in. */
  byImage(): ReadonlyMap<string, number> {
    return this.#byImage;
  }

  /** For whoever changes it or keeps it. */
  slot(sequence: Sequence): Slot<Stored> | undefined {
    return this.#slots.get(sequence) ?? this.#unpack(sequence);
  }

  /** To be read at once: it may be a copy. */
  look(sequence: Sequence): Slot<Stored> | undefined {
    return this.#slots.get(sequence) ?? this.#packed.slot(sequence);
  }

  /** Of whoever has it. */
  tokenOf(sequence: Sequence): FencingToken | undefined {
    return this.#slots.get(sequence)?.token;
  }

  /** To be read at once: some are copies. */
  *slots(): Iterable<Slot<Stored>> {
    yield* this.#packed.snapshot().slots();
    yield* this.#slots.values();
  }

  /** The same, of those that name a stored body or have files of their own. */
  *marked(): Iterable<Slot<Stored>> {
    yield* this.#packed.marked();
    for (const slot of this.#slots.values()) if (slot.headers !== undefined || slot.blobs.length > 0) yield slot;
  }

  snapshot(): SleepersSnapshot<Stored> {
    return { slots: [...this.#slots.values()], packed: this.#packed.snapshot() };
  }

  /** Puts a message to sleep, or to sleep again. */
  put(given: Slot<Stored>): void {
    this.remove(given.sequence);
    const slot = { ...given, flow: this.#names.one(given.flow), imageSha256: this.#names.one(given.imageSha256) };
    this.#slots.set(slot.sequence, slot);
    this.#order = undefined;
    count(this.#byImage, slot.imageSha256, 1);
    this.#datesOf(slot.flow).live += 1;
    this.#unpackId(slot.flow, slot.id); // those that were here before it come first
    this.#ids.add(slot.flow, slot.id, slot.sequence);
    for (const key of slot.waits) this.#enterWait(key, slot.sequence);
    this.#line(slot);
  }

  /** Puts all of a pack to sleep, from this one on. */
  putPack(pack: SlotPack<Stored>, from = 0): void {
    this.#order = undefined;
    const add = this.#packed.adding(pack);
    let flow: string | undefined;
    let holds: Holds | undefined;
    for (let at = from; at < pack.length; at++) {
      const sequence = pack.sequence(at);
      this.remove(sequence);
      add(at);
      count(this.#byImage, pack.imageSha256(at), 1);
      if (holds === undefined || pack.flow(at) !== flow) holds = this.#due((flow = pack.flow(at)));
      const dates = this.#datesOf(flow);
      dates.live += 1;
      dates.add(sequence, pack.dueMs(at), holds);
    }
  }

  remove(sequence: Sequence): void {
    const slot = this.slot(sequence);
    if (slot === undefined) return;
    this.#slots.delete(sequence);
    this.#ids.remove(slot.flow, slot.id, sequence);
    count(this.#byImage, slot.imageSha256, -1);
    const dates = this.#byFlow.get(slot.flow);
    if (dates !== undefined) dates.live -= 1;
    if (dates?.live === 0) this.#byFlow.delete(slot.flow);
    for (const key of slot.waits) {
      const line = this.#byWait.get(key);
      if (line instanceof LazyHeap) line.live -= 1;
      if (line === sequence || (line instanceof LazyHeap && line.live === 0)) this.#byWait.delete(key);
    }
  }

  /** Makes an object of a packed slot, which is found as such from now on. */
  #unpack(sequence: Sequence): Slot<Stored> | undefined {
    const slot = this.#packed.slot(sequence);
    if (slot === undefined) return undefined;
    this.#unpackId(slot.flow, slot.id);
    for (const key of slot.waits) this.#unpackWait(slot.flow, key);
    this.#packed.take(sequence);
    const own = { ...slot, flow: this.#names.one(slot.flow), imageSha256: this.#names.one(slot.imageSha256) };
    this.#slots.set(sequence, own);
    return own;
  }

  #unpackId(flow: string, id: string): void {
    for (const sequence of this.#packed.takeNamed(flow, id)) this.#ids.add(flow, id, sequence);
  }

  #unpackWait(flow: string, key: string): void {
    for (const [sequence, each] of this.#packed.takeWaiting(flow, key)) {
      this.#enterWait(each, sequence);
      this.#lineUp(each, sequence);
    }
  }

  #datesOf(flow: string): LazyHeap {
    let dates = this.#byFlow.get(flow);
    if (dates === undefined) this.#byFlow.set(flow, (dates = new LazyHeap()));
    return dates;
  }

  #enterWait(key: string, sequence: Sequence): void {
    const line = this.#byWait.get(key);
    if (line === undefined) this.#byWait.set(key, sequence);
    else if (line instanceof LazyHeap) line.live += 1;
    else {
      const several = new LazyHeap();
      several.live = 2;
      several.add(line, 0, this.#waiting(key));
      this.#byWait.set(key, several);
    }
  }

  /** Puts a slot that is asleep where it is looked for. */
  #line(slot: Slot<Stored>): void {
    this.#byFlow.get(slot.flow)?.add(slot.sequence, slot.postponedMs ?? slot.dueMs, this.#due(slot.flow));
    for (const key of slot.waits) this.#lineUp(key, slot.sequence);
  }

  #lineUp(key: string, sequence: Sequence): void {
    const line = this.#byWait.get(key);
    if (line instanceof LazyHeap) line.add(sequence, 0, this.#waiting(key));
  }

  #due(flow: string): Holds {
    return (number, dueMs) => {
      const slot = this.#slots.get(number as Sequence);
      if (slot === undefined) return this.#packed.isDue(number as Sequence, flow, dueMs);
      return slot.token === undefined && slot.flow === flow && (slot.postponedMs ?? slot.dueMs) === dueMs;
    };
  }

  #waiting(key: string): Holds {
    return (number) => {
      const slot = this.look(number as Sequence);
      return slot !== undefined && slot.token === undefined && slot.waits.includes(key);
    };
  }

  /** Marks it as leased. */
  lease(sequence: Sequence, token: FencingToken): Slot<Stored> {
    const slot = this.slot(sequence);
    assert(slot !== undefined && slot.token === undefined, "only who sleeps is woken");
    slot.token = token;
    return slot;
  }

  /** Notes a failed attempt, and the token of the one after it. */
  replace({ sequence, token, attempt, dueMs, attempts }: Lease): void {
    const slot = this.slot(sequence);
    assert(slot !== undefined, "a sleeper that is given a new lease is there");
    slot.failed = { attempt, dueMs, attempts };
    if (slot.token !== undefined) slot.token = token;
  }

  release(sequence: Sequence): void {
    const slot = this.#slots.get(sequence);
    if (slot?.token === undefined) return;
    slot.token = undefined;
    this.#line(slot);
  }

  postpone(sequence: Sequence, dueMs: number): void {
    const slot = this.slot(sequence);
    if (slot === undefined) return;
    slot.postponedMs = dueMs;
    if (slot.token === undefined) this.#byFlow.get(slot.flow)?.add(sequence, dueMs, this.#due(slot.flow));
  }

  /** A sleeper is stored elsewhere from now on: `to` gives where, undefined if it stays. True if it was changed. */
  move(sequence: Sequence, to: (from: Stored) => Stored | undefined): boolean {
    const slot = this.#slots.get(sequence);
    if (slot === undefined) return this.#packed.move(sequence, to);
    const stored = to(slot.stored);
    if (stored === undefined) return false;
    slot.stored = stored;
    return true;
  }

  /** Sleepers of a flow that are due and not leased, the longest due first. */
  due(flow: string, nowMs: number, most: number): Sequence[] {
    return (this.#byFlow.get(flow)?.upTo(nowMs, most, this.#due(flow)) ?? []) as Sequence[];
  }

  /** When the next of a flow is due. */
  nextMs(flow: string): number | undefined {
    return this.#byFlow.get(flow)?.firstMs(this.#due(flow));
  }

  /** The sleeper that waits for it longest and is asleep. */
  waiterFor(flow: string, name: string, key: string): Sequence | undefined {
    const wait = waitKey(flow, name, key);
    this.#unpackWait(flow, wait);
    const line = this.#byWait.get(wait);
    if (line instanceof LazyHeap) return line.first(this.#waiting(wait)) as Sequence | undefined;
    return line !== undefined && this.#slots.get(line)?.token === undefined ? line : undefined;
  }

  /** True when a sleeper waits for it, asleep or leased. */
  isAwaited(flow: string, name: string, key: string): boolean {
    const wait = waitKey(flow, name, key);
    this.#unpackWait(flow, wait);
    return this.#byWait.has(wait);
  }

  find(id: string, flow: string | undefined): Sequence | undefined {
    for (const each of flow === undefined ? this.#byFlow.keys() : [flow]) this.#unpackId(each, id);
    return this.#ids.find(id, flow);
  }

  /** In the order of their sequences; to be read at once, since some are copies. */
  list(flow: string | undefined, after: Sequence | undefined, most: number): Slot<Stored>[] {
    const order = (this.#order ??= Float64Array.from([...this.#slots.keys(), ...this.#packed.sequences()]).sort());
    const found: Slot<Stored>[] = [];
    for (let index = after === undefined ? 0 : firstAbove(order, after); index < order.length && found.length < most; index++) {
      const slot = this.look(order[index] as Sequence);
      if (slot !== undefined && (flow === undefined || slot.flow === flow)) found.push(slot);
    }
    return found;
  }
}

export function sleeperInfo({ sequence, message, sleeper }: SleepingLease, { token, failed }: Slot<unknown>): SleeperInfo {
  const { imageSha256, sinceMs, dueMs, waits, timers, transactions } = sleeper;
  const { id, flow, key, receivedMs } = message;
  const attempt = failed?.attempt ?? 1;
  const awake = token !== undefined;
  return { sequence, id, flow, key, receivedMs, imageSha256, sinceMs, dueMs, waits, timers, transactions, attempt, awake };
}

/** The lease of a slot, from the one it was put to sleep with. */
export function leaseOf(lease: SleepingLease, { failed }: Slot<unknown>, token: FencingToken): SleepingLease {
  return failed === undefined ? { ...lease, token } : { ...lease, token, ...failed };
}
