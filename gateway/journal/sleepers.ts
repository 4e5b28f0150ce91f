/**
 * Sleeping messages, as a synchronous state machine without I/O: who is due next, who waits for what. Of each only a slot is here; the rest is
 * wherever the journal keeps it (`Stored`): in memory, or in a file at some place.
 *
 *   asleep ──wake──▶ leased ──commit──▶ asleep again, or gone
 *     ▲                │
 *     └─── release ────┘
 */
import { assert } from "#base";
import { storedBodyOf } from "../contract/stored-body.ts";
import type { Headers } from "../contract/message.ts";
import type { AttemptRecord, FencingToken, Lease, Sequence, SleeperInfo } from "./journal.ts";
import { type Holds, LazyHeap } from "./lazy-heap.ts";
import { count, firstAbove, waitKey } from "./signals.ts";
import { SleeperIds } from "./sleeper-ids.ts";

/** A message's lease that has its sleeper. */
export type SleepingLease = Lease & { readonly sleeper: NonNullable<Lease["sleeper"]> };

/** Attempts of the transaction that failed so far. */
export interface FailedAttempts {
  readonly attempt: number;
  readonly dueMs: number;
  readonly attempts: readonly AttemptRecord[];
}

export interface Slot<Stored> {
  readonly sequence: Sequence;
  readonly flow: string;
  readonly id: string;
  readonly imageSha256: string;
  readonly dueMs: number;
  /** Its waits, each as `waitKey` makes it. */
  readonly waits: readonly string[];
  /** Only those that name a stored body. */
  readonly headers: Headers | undefined;
  /** Files of its own. */
  readonly blobs: readonly string[];
  stored: Stored;
  failed: FailedAttempts | undefined;
  /** Due then, instead. */
  postponedMs: number | undefined;
  /** Of whoever has it; undefined while it is asleep. */
  token: FencingToken | undefined;
}

const none: readonly never[] = [];

/** The slot of a message that falls asleep. */
export function slotOf<Stored>(lease: SleepingLease, stored: Stored, blobs: readonly string[] = none): Slot<Stored> {
  const { sequence, message, sleeper, attempt, dueMs, attempts } = lease;
  const keys = sleeper.waits.map(({ name, key }) => waitKey(message.flow, name, key));
  return {
    sequence,
    flow: message.flow,
    id: message.id,
    imageSha256: sleeper.imageSha256,
    dueMs: sleeper.dueMs,
    waits: keys.length === 0 ? none : [...new Set(keys)],
    headers: storedBodyOf(message.headers) === undefined ? undefined : message.headers,
    blobs,
    stored,
    failed: attempt === 1 ? undefined : { attempt, dueMs, attempts },
    postponedMs: undefined,
    token: undefined,
  };
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

export class Sleepers<Stored> {
  readonly #slots = new Map<Sequence, Slot<Stored>>();
  /** Sleepers by what they wait for: one, or several in order. */
  readonly #byWait = new Map<string, Sequence | LazyHeap>();
  readonly #byFlow = new Map<string, LazyHeap>();
  readonly #byImage = new Map<string, number>();
  readonly #ids = new SleeperIds();
  readonly #names = new Names();
  /** Sequences in their order, for lists that are read page by page; undefined when somebody has come since. */
  #order: Float64Array | undefined;

  get size(): number {
    return this.#slots.size;
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

  slot(sequence: Sequence): Slot<Stored> | undefined {
    return this.#slots.get(sequence);
  }

  slots(): Iterable<Slot<Stored>> {
    return this.#slots.values();
  }

  /** Puts a message to sleep, or to sleep again. */
  put(given: Slot<Stored>): void {
    this.remove(given.sequence);
    const slot = { ...given, flow: this.#names.one(given.flow), imageSha256: this.#names.one(given.imageSha256) };
    this.#slots.set(slot.sequence, slot);
    this.#order = undefined;
    count(this.#byImage, slot.imageSha256, 1);
    let dates = this.#byFlow.get(slot.flow);
    if (dates === undefined) this.#byFlow.set(slot.flow, (dates = new LazyHeap()));
    dates.live += 1;
    this.#ids.add(slot.flow, slot.id, slot.sequence);
    for (const key of slot.waits) this.#enterWait(key, slot.sequence);
    this.#line(slot);
  }

  remove(sequence: Sequence): void {
    const slot = this.#slots.get(sequence);
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
    for (const key of slot.waits) {
      const line = this.#byWait.get(key);
      if (line instanceof LazyHeap) line.add(slot.sequence, 0, this.#waiting(key));
    }
  }

  #due(flow: string): Holds {
    return (number, dueMs) => {
      const slot = this.#slots.get(number as Sequence);
      return slot !== undefined && slot.token === undefined && slot.flow === flow && (slot.postponedMs ?? slot.dueMs) === dueMs;
    };
  }

  #waiting(key: string): Holds {
    return (number) => {
      const slot = this.#slots.get(number as Sequence);
      return slot !== undefined && slot.token === undefined && slot.waits.includes(key);
    };
  }

  /** Marks it as leased. */
  lease(sequence: Sequence, token: FencingToken): Slot<Stored> {
    const slot = this.#slots.get(sequence);
    assert(slot !== undefined && slot.token === undefined, "only who sleeps is woken");
    slot.token = token;
    return slot;
  }

  /** Notes a failed attempt, and the token of the one after it. */
  replace({ sequence, token, attempt, dueMs, attempts }: Lease): void {
    const slot = this.#slots.get(sequence);
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
    const slot = this.#slots.get(sequence);
    if (slot === undefined) return;
    slot.postponedMs = dueMs;
    if (slot.token === undefined) this.#byFlow.get(slot.flow)?.add(sequence, dueMs, this.#due(slot.flow));
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
    const line = this.#byWait.get(wait);
    if (line instanceof LazyHeap) return line.first(this.#waiting(wait)) as Sequence | undefined;
    return line !== undefined && this.#slots.get(line)?.token === undefined ? line : undefined;
  }

  /** True when a sleeper waits for it, asleep or leased. */
  isAwaited(flow: string, name: string, key: string): boolean {
    return this.#byWait.has(waitKey(flow, name, key));
  }

  find(id: string, flow: string | undefined): Sequence | undefined {
    return this.#ids.find(id, flow);
  }

  /** In the order of their sequences. */
  list(flow: string | undefined, after: Sequence | undefined, most: number): Slot<Stored>[] {
    const order = (this.#order ??= Float64Array.from(this.#slots.keys()).sort());
    const found: Slot<Stored>[] = [];
    for (let index = after === undefined ? 0 : firstAbove(order, after); index < order.length && found.length < most; index++) {
      const slot = this.#slots.get(order[index] as Sequence);
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
