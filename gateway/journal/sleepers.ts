/**
 * Sleeping messages and the signals that are kept for them, as a synchronous state machine without I/O: who is due next, who waits for what.
 *
 *   asleep ──wake──▶ leased ──commit──▶ asleep again, or gone
 *     ▲                │
 *     └─── release ────┘
 */
import { assert } from "#base";
import type { KeptSignal, Lease, Sequence, SignalNumber, SleeperInfo } from "./journal.ts";

/** A message's lease that has its sleeper. */
export type SleepingLease = Lease & { readonly sleeper: NonNullable<Lease["sleeper"]> };

interface Sleeping {
  lease: SleepingLease;
  leased: boolean;
  /** That of its sleeper, unless it was postponed. */
  dueMs: number;
  /** As it was put to sleep. */
  readonly bytes: number;
}

/** The identity by which a wait and a signal are matched. */
export function waitKey(flow: string, name: string, key: string): string {
  return `${flow}\0${name}\0${key}`;
}

export class Sleepers {
  readonly #sleeping = new Map<Sequence, Sleeping>();
  /** Sleepers by what they wait for, and signals by what they are for. */
  readonly #byWait = new Map<string, Set<Sequence>>();
  readonly #byImage = new Map<string, number>();
  readonly #byFlow = new Map<string, number>();
  readonly #signals = new Map<SignalNumber, KeptSignal>();
  readonly #signalsByWait = new Map<string, Set<SignalNumber>>();
  readonly #signalsByFlow = new Map<string, number>();

  #bytes = 0;

  get size(): number {
    return this.#sleeping.size;
  }

  /** Of sleepers and signals, as an estimate, those with files of their own left out. */
  get bytes(): number {
    return this.#bytes;
  }

  get signals(): number {
    return this.#signals.size;
  }

  sizeOf(flow: string): number {
    return this.#byFlow.get(flow) ?? 0;
  }

  signalsOf(flow: string): number {
    return this.#signalsByFlow.get(flow) ?? 0;
  }

  /** Puts a message to sleep, or to sleep again. */
  put(lease: SleepingLease): void {
    this.remove(lease.sequence);
    const bytes = sleeperBytes(lease);
    this.#sleeping.set(lease.sequence, { lease, leased: false, dueMs: lease.sleeper.dueMs, bytes });
    this.#bytes += bytes;
    const { flow } = lease.message;
    for (const wait of lease.sleeper.waits) addTo(this.#byWait, waitKey(flow, wait.name, wait.key), lease.sequence);
    count(this.#byImage, lease.sleeper.imageSha256, 1);
    count(this.#byFlow, flow, 1);
  }

  remove(sequence: Sequence): void {
    const found = this.#sleeping.get(sequence);
    if (found === undefined) return;
    this.#sleeping.delete(sequence);
    this.#bytes -= found.bytes;
    const { message, sleeper } = found.lease;
    for (const wait of sleeper.waits) removeFrom(this.#byWait, waitKey(message.flow, wait.name, wait.key), sequence);
    count(this.#byImage, sleeper.imageSha256, -1);
    count(this.#byFlow, message.flow, -1);
  }

  get(sequence: Sequence): SleepingLease | undefined {
    return this.#sleeping.get(sequence)?.lease;
  }

  isLeased(sequence: Sequence): boolean {
    return this.#sleeping.get(sequence)?.leased === true;
  }

  /** Marks it as leased, under this lease. */
  lease(lease: SleepingLease): void {
    const found = this.#sleeping.get(lease.sequence);
    assert(found !== undefined && !found.leased, "only who sleeps is woken");
    found.lease = lease;
    found.leased = true;
  }

  replace(lease: SleepingLease): void {
    const found = this.#sleeping.get(lease.sequence);
    assert(found !== undefined, "a sleeper that is given a new lease is there");
    found.lease = lease;
  }

  release(sequence: Sequence): void {
    const found = this.#sleeping.get(sequence);
    if (found !== undefined) found.leased = false;
  }

  postpone(sequence: Sequence, dueMs: number): void {
    const found = this.#sleeping.get(sequence);
    if (found !== undefined) found.dueMs = dueMs;
  }

  /** Sleepers of a flow that are due and not leased, the longest due first. */
  due(flow: string, nowMs: number, most: number): Sequence[] {
    return this.#asleep(flow)
      .filter(({ dueMs }) => dueMs <= nowMs)
      .sort((a, b) => a.dueMs - b.dueMs || a.lease.sequence - b.lease.sequence)
      .slice(0, most)
      .map(({ lease }) => lease.sequence);
  }

  /** When the next of a flow is due. */
  nextMs(flow: string): number | undefined {
    const dues = this.#asleep(flow).map(({ dueMs }) => dueMs);
    return dues.length === 0 ? undefined : Math.min(...dues);
  }

  #asleep(flow: string): Sleeping[] {
    return [...this.#sleeping.values()].filter(({ lease, leased }) => !leased && lease.message.flow === flow);
  }

  /** The sleeper that waits for it longest and is asleep. */
  waiterFor(flow: string, name: string, key: string): Sequence | undefined {
    let first: Sequence | undefined;
    for (const sequence of this.#byWait.get(waitKey(flow, name, key)) ?? [])
      if (!this.isLeased(sequence) && (first === undefined || sequence < first)) first = sequence;
    return first;
  }

  find(id: string, flow: string | undefined): Sequence | undefined {
    for (const { lease } of this.#sleeping.values())
      if (lease.message.id === id && (flow === undefined || lease.message.flow === flow)) return lease.sequence;
    return undefined;
  }

  /** In the order of their sequences. */
  list(flow: string | undefined, after: Sequence | undefined, most: number): SleeperInfo[] {
    return [...this.#sleeping.values()]
      .filter(({ lease }) => (flow === undefined || lease.message.flow === flow) && (after === undefined || lease.sequence > after))
      .sort((a, b) => a.lease.sequence - b.lease.sequence)
      .slice(0, most)
      .map(({ lease, leased }) => sleeperInfo(lease, leased));
  }

  /** Sleepers by flow. */
  byFlow(): ReadonlyMap<string, number> {
    return this.#byFlow;
  }

  /** Sleepers by the hash of the image they sleep in. */
  byImage(): ReadonlyMap<string, number> {
    return this.#byImage;
  }

  keep(signal: KeptSignal): void {
    this.#signals.set(signal.number, signal);
    this.#bytes += headBytes + signal.body.length;
    addTo(this.#signalsByWait, waitKey(signal.flow, signal.name, signal.key), signal.number);
    count(this.#signalsByFlow, signal.flow, 1);
  }

  take(number: SignalNumber): void {
    const signal = this.#signals.get(number);
    if (signal === undefined) return;
    this.#signals.delete(number);
    this.#bytes -= headBytes + signal.body.length;
    removeFrom(this.#signalsByWait, waitKey(signal.flow, signal.name, signal.key), number);
    count(this.#signalsByFlow, signal.flow, -1);
  }

  signal(number: SignalNumber): KeptSignal | undefined {
    return this.#signals.get(number);
  }

  /** Kept for such a wait, the oldest first. */
  signalsFor(flow: string, name: string, key: string): KeptSignal[] {
    const numbers = [...(this.#signalsByWait.get(waitKey(flow, name, key)) ?? [])].sort((a, b) => a - b);
    return numbers.flatMap((number) => this.#signals.get(number) ?? []);
  }

  kept(): Iterable<KeptSignal> {
    return this.#signals.values();
  }

  leases(): Iterable<SleepingLease> {
    return [...this.#sleeping.values()].map(({ lease }) => lease);
  }
}

/** Of a record, with its headers and names. */
const headBytes = 512;

function sleeperBytes({ message, sleeper }: SleepingLease): number {
  return 2 * headBytes + message.body.length + sleeper.recording.length + (sleeper.pages?.length ?? 0);
}

export function sleeperInfo({ sequence, message, attempt, sleeper }: SleepingLease, awake: boolean): SleeperInfo {
  const { imageSha256, sinceMs, dueMs, waits, timers, transactions } = sleeper;
  const { id, flow, key, receivedMs } = message;
  return { sequence, id, flow, key, receivedMs, imageSha256, sinceMs, dueMs, waits, timers, transactions, attempt, awake };
}

function addTo<Key, Value>(map: Map<Key, Set<Value>>, key: Key, value: Value): void {
  const found = map.get(key);
  if (found === undefined) map.set(key, new Set([value]));
  else found.add(value);
}

function removeFrom<Key, Value>(map: Map<Key, Set<Value>>, key: Key, value: Value): void {
  const found = map.get(key);
  found?.delete(value);
  if (found?.size === 0) map.delete(key);
}

function count(map: Map<string, number>, key: string, by: number): void {
  const now = (map.get(key) ?? 0) + by;
  if (now === 0) map.delete(key);
  else map.set(key, now);
}
