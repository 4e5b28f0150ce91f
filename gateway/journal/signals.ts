/** Signals that are kept for their waits, as a synchronous state machine without I/O. */
import type { KeptSignal, SignalHead, SignalNumber } from "./journal.ts";

/** Of a record, with its headers and names. */
const headBytes = 512;

/** The identity by which a wait and a signal are matched. */
export function waitKey(flow: string, name: string, key: string): string {
  return `${flow}\0${name}\0${key}`;
}

export class KeptSignals {
  readonly #signals = new Map<SignalNumber, KeptSignal>();
  /** Signals by their wait, the oldest first. */
  readonly #signalsByWait = new Map<string, SignalNumber[]>();
  readonly #signalsByFlow = new Map<string, number>();
  #bytes = 0;
  readonly #recordedBytes: (body: Uint8Array) => number;
  readonly #counted: (signal: KeptSignal, sign: 1 | -1) => void;

  /** `recordedBytes`: of a body, in the record of its signal. `counted`: called for each that comes, and for each that goes. */
  constructor(recordedBytes: (body: Uint8Array) => number, counted: (signal: KeptSignal, sign: 1 | -1) => void) {
    this.#recordedBytes = recordedBytes;
    this.#counted = counted;
  }

  get size(): number {
    return this.#signals.size;
  }

  /** Of their records, as an estimate: bodies with files of their own are left out. */
  get bytes(): number {
    return this.#bytes;
  }

  sizeOf(flow: string): number {
    return this.#signalsByFlow.get(flow) ?? 0;
  }

  keep(signal: KeptSignal): void {
    this.#signals.set(signal.number, signal);
    this.#bytes += headBytes + this.#recordedBytes(signal.body);
    this.#enterWait(waitKey(signal.flow, signal.name, signal.key), signal.number);
    count(this.#signalsByFlow, signal.flow, 1);
    this.#counted(signal, 1);
  }

  take(number: SignalNumber): void {
    const signal = this.#signals.get(number);
    if (signal === undefined) return;
    this.#signals.delete(number);
    this.#bytes -= headBytes + this.#recordedBytes(signal.body);
    this.#leaveWait(waitKey(signal.flow, signal.name, signal.key), number);
    count(this.#signalsByFlow, signal.flow, -1);
    this.#counted(signal, -1);
  }

  signal(number: SignalNumber): KeptSignal | undefined {
    return this.#signals.get(number);
  }

  /** The oldest for such a wait that fits. */
  first(flow: string, name: string, key: string, fits: (head: SignalHead) => boolean): KeptSignal | undefined {
    for (const number of this.#signalsByWait.get(waitKey(flow, name, key)) ?? []) {
      const signal = this.#signals.get(number);
      if (signal !== undefined && fits(signal)) return signal;
    }
    return undefined;
  }

  kept(): Iterable<KeptSignal> {
    return this.#signals.values();
  }

  #enterWait(key: string, number: SignalNumber): void {
    const line = this.#signalsByWait.get(key);
    if (line === undefined) this.#signalsByWait.set(key, [number]);
    else line.splice(firstAbove(line, number), 0, number);
  }

  #leaveWait(key: string, number: SignalNumber): void {
    const line = this.#signalsByWait.get(key);
    if (line === undefined) return;
    line.splice(firstAbove(line, number) - 1, 1);
    if (line.length === 0) this.#signalsByWait.delete(key);
  }
}

/** Index of the first number above one, in numbers that grow. */
export function firstAbove(numbers: ArrayLike<number>, above: number): number {
  let [from, to] = [0, numbers.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((numbers[middle] as number) <= above) from = middle + 1;
    else to = middle;
  }
  return from;
}

export function count(map: Map<string, number>, key: string, by: number): void {
  const now = (map.get(key) ?? 0) + by;
  if (now === 0) map.delete(key);
  else map.set(key, now);
}
