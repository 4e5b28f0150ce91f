/** Signals that are kept for their waits, as a synchronous state machine without I/O. */
import type { KeptSignal, SignalNumber } from "./journal.ts";

/** Of a record, with its headers and names. */
const headBytes = 512;

/** The identity by which a wait and a signal are matched. */
export function waitKey(flow: string, name: string, key: string): string {
  return `${flow}\0${name}\0${key}`;
}

export class KeptSignals {
  readonly #signals = new Map<SignalNumber, KeptSignal>();
  readonly #signalsByWait = new Map<string, Set<SignalNumber>>();
  readonly #signalsByFlow = new Map<string, number>();
  #bytes = 0;

  get size(): number {
    return this.#signals.size;
  }

  /** As an estimate, those with files of their own left out. */
  get bytes(): number {
    return this.#bytes;
  }

  sizeOf(flow: string): number {
    return this.#signalsByFlow.get(flow) ?? 0;
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

export function count(map: Map<string, number>, key: string, by: number): void {
  const now = (map.get(key) ?? 0) + by;
  if (now === 0) map.delete(key);
  else map.set(key, now);
}
