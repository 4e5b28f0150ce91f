/**
 * Rounds of messages that this node turned back because it does not own their partition. A later message of the same round is turned back as
 * well, also if the node owns the partition by then: it must not overtake those before it, which its sender sends again in the next round.
 */
import { forwardingLimits } from "./limits.ts";

export class TurnedBack {
  /** The round, by sender and partition; the longest unused first. */
  readonly #rounds = new Map<string, number>();

  note(life: string, partition: number, round: number): void {
    const name = `${life} ${partition}`;
    this.#rounds.delete(name);
    this.#rounds.set(name, round);
    if (this.#rounds.size <= forwardingLimits.turnedBack) return;
    const [oldest] = this.#rounds.keys();
    if (oldest !== undefined) this.#rounds.delete(oldest);
  }

  has(life: string, partition: number, round: number): boolean {
    return this.#rounds.get(`${life} ${partition}`) === round;
  }
}
