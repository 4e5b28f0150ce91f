/** `performance`: time is the event's, so it moves between steps only. */
import { native } from "../machine.ts";
import { timePart } from "../wire.ts";

let originMs = 0;

class Performance {
  /** When the message was delivered, in milliseconds since 1970. */
  get timeOrigin(): number {
    if (originMs === 0) originMs = native.number(timePart);
    return originMs;
  }

  now(): number {
    return Date.now() - this.timeOrigin;
  }

  toJSON(): object {
    return { timeOrigin: this.timeOrigin };
  }
}

export const performance: Performance = new Performance();

/** Remembers when the message was delivered, before the event that said so goes. */
export function holdTimeOrigin(): void {
  void performance.timeOrigin;
}
