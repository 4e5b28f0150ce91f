/** A network between nodes in virtual time: in order between two of them, each message at most once, with a delay of its own. */
import type { Clock, Prng } from "#base";
import type { Arrived, Wire } from "../forwarding/wire.ts";

interface Subscriber {
  readonly node: string;
  readonly subject: string;
  readonly take: (message: Arrived) => void;
}

export class SimulatedNetwork {
  readonly #clock: Clock;
  readonly #random: Prng;
  readonly #mostDelayMs: number;
  readonly #subscribers = new Set<Subscriber>();
  /** When the last message from one node to another arrives. */
  readonly #lastMs = new Map<string, number>();
  readonly #cut = new Set<string>();
  /** Wires of processes that have not ended, by node. */
  readonly #alive = new Map<string, object>();
  /** Messages that were dropped. */
  dropped = 0;
  /** Drops a message; false for one that arrives. */
  loses: (from: string, subject: string) => boolean = () => false;

  constructor(clock: Clock, random: Prng, mostDelayMs = 20) {
    this.#clock = clock;
    this.#random = random;
    this.#mostDelayMs = mostDelayMs;
  }

  /** `node` and the others reach each other no more, and neither side is told; or they do again. */
  cut(node: string, isCut: boolean): void {
    if (isCut) this.#cut.add(node);
    else this.#cut.delete(node);
  }

  /** Its process ends: its subscriptions end, and it sends nothing any more. */
  kill(node: string): void {
    this.#alive.delete(node);
    for (const each of this.#subscribers) if (each.node === node) this.#subscribers.delete(each);
  }

  wire(node: string, mostBytes = 4_096): Wire {
    const process = {};
    this.#alive.set(node, process);
    return {
      mostBytes,
      publish: (subject, data, reply) => {
        if (this.#alive.get(node) === process) this.#publish(node, subject, data, reply);
        return true;
      },
      subscribe: (subject, take) => {
        const subscriber = { node, subject, take };
        this.#subscribers.add(subscriber);
        return () => this.#subscribers.delete(subscriber);
      },
    };
  }

  #publish(from: string, subject: string, data: Uint8Array, reply: string | undefined): void {
    if (this.#cut.has(from) || this.loses(from, subject)) return void (this.dropped += 1);
    const to = this.#listener(subject);
    if (to === undefined) {
      if (reply !== undefined)
        this.#arrive("server", from, () => this.#give({ data: new Uint8Array(0), nobody: true, subject: reply, reply: undefined }));
      return;
    }
    this.#arrive(from, to.node, () => this.#give({ data: new Uint8Array(data), nobody: false, subject, reply }));
  }

  #arrive(from: string, to: string, give: () => void): void {
    const way = `${from} ${to}`;
    const atMs = Math.max(this.#clock.monotonicMs() + this.#random.below(this.#mostDelayMs), this.#lastMs.get(way) ?? 0);
    this.#lastMs.set(way, atMs);
    this.#clock.after(atMs - this.#clock.monotonicMs(), () => {
      if (this.#cut.has(to)) this.dropped += 1;
      else give();
    });
  }

  #give(message: Arrived): void {
    this.#listener(message.subject)?.take(message);
  }

  #listener(subject: string): Subscriber | undefined {
    for (const each of this.#subscribers)
      if (each.subject === subject || (each.subject.endsWith(">") && subject.startsWith(each.subject.slice(0, -1)))) return each;
    return undefined;
  }
}
