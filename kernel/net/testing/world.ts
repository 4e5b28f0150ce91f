/** Virtual time: a queue of what happens when, and links that delay, lose, repeat, reorder and damage frames under a seed. */
import type { Prng } from "#base";

interface Due {
  readonly atUs: number;
  readonly order: number;
  readonly run: () => void;
}

/** A stack, or another that is polled. */
export interface Polled {
  nowUs: number;
  poll(): number;
}

export class World {
  nowUs = 1_000_000;
  readonly #queue: Due[] = []; // a binary heap
  readonly #polled: { readonly host: Polled; nextUs: number }[] = [];
  #order = 0;

  add(host: Polled): void {
    this.#polled.push({ host, nextUs: this.nowUs });
  }

  at(delayUs: number, run: () => void): void {
    const due = { atUs: this.nowUs + Math.max(0, delayUs), order: this.#order++, run };
    const queue = this.#queue;
    let at = queue.length;
    queue.push(due);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(due, queue[parent] as Due)) break;
      queue[at] = queue[parent] as Due;
      at = parent;
    }
    queue[at] = due;
  }

  #pop(): Due | undefined {
    const queue = this.#queue;
    const first = queue[0];
    const last = queue.pop();
    if (first === undefined || last === undefined || queue.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= queue.length) break;
      if (child + 1 < queue.length && isBefore(queue[child + 1] as Due, queue[child] as Due)) child++;
      if (!isBefore(queue[child] as Due, last)) break;
      queue[at] = queue[child] as Due;
      at = child;
    }
    queue[at] = last;
    return first;
  }

  /** Polls every host that is due, and after every event all of them, as drivers do. */
  #poll(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const each of this.#polled) {
      each.host.nowUs = this.nowUs;
      each.nextUs = each.host.poll();
      next = Math.min(next, each.nextUs);
    }
    return next;
  }

  /** Runs until that time, or until nothing is due any more. */
  run(untilUs: number): void {
    for (;;) {
      const polled = this.#poll();
      const event = this.#queue[0]?.atUs ?? Number.POSITIVE_INFINITY;
      const next = Math.min(polled, event);
      if (next > untilUs) break;
      this.nowUs = Math.max(this.nowUs, next);
      if (event > next) continue;
      while ((this.#queue[0]?.atUs ?? Number.POSITIVE_INFINITY) <= this.nowUs) {
        for (const each of this.#polled) each.host.nowUs = this.nowUs;
        this.#pop()?.run();
      }
    }
    if (untilUs !== Number.POSITIVE_INFINITY) this.nowUs = untilUs;
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order);
}

/** Chances of each frame, 0 to 1. */
export interface LinkFaults {
  readonly lost: number;
  readonly repeated: number;
  readonly damaged: number;
  /** Chance to be late by up to `lateUs`, behind frames that were sent after it. */
  readonly late: number;
  readonly lateUs: number;
  readonly delayUs: number;
}

export const soundLink: LinkFaults = { lost: 0, repeated: 0, damaged: 0, late: 0, lateUs: 0, delayUs: 200 };

/** One direction of a wire. */
export function link(world: World, random: Prng, faults: LinkFaults, deliver: (frame: Uint8Array) => void): (frame: Uint8Array) => void {
  const send = (frame: Uint8Array): void => {
    if (random.float() < faults.lost) return;
    let delay = faults.delayUs;
    if (random.float() < faults.late) delay += random.below(faults.lateUs);
    let bytes = frame;
    if (random.float() < faults.damaged) {
      bytes = frame.slice();
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
    }
    world.at(delay, () => deliver(bytes));
  };
  return (frame) => {
    send(frame);
    if (random.float() < faults.repeated) send(frame);
  };
}
