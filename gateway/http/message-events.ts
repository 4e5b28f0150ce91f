/** Ends of messages as events for whoever watches: so many a second, the rest is counted. */
import type { Clock } from "#base";
import { gatewayLimits } from "../contract/limits.ts";
import type { Witness, WitnessedEnd, WitnessedMessage } from "../contract/witness.ts";
import type { MessageSummary } from "../history/history.ts";
import type { EventStreams } from "./event-streams.ts";

export function summaryOfEnd(message: WitnessedMessage, { status, endedMs, attempts, last, failure }: WitnessedEnd): MessageSummary {
  const { id, flow, receivedMs, source, key = null, correlationId = null } = message;
  return {
    id,
    flow,
    status,
    receivedAt: receivedMs,
    durationMs: Math.max(endedMs - receivedMs, 0),
    attempts,
    source,
    key,
    correlationId,
    image: last?.deliver === undefined ? null : last.flow.image.sha256,
    error: failure === undefined ? null : { code: failure.code, message: failure.message },
  };
}

export class MessageEvents implements Witness {
  readonly #streams: EventStreams;
  readonly #clock: Clock;
  #second = 0;
  #sent = 0;
  #missed = 0;

  constructor(streams: EventStreams, clock: Clock) {
    this.#streams = streams;
    this.#clock = clock;
  }

  /** A message that began before anybody watched has no image in its event. */
  wants(): boolean {
    return this.#streams.size > 0;
  }

  attempted(): void {}

  delivered(): void {}

  ended(message: WitnessedMessage, end: WitnessedEnd): void {
    if (this.#streams.size === 0) return;
    const second = Math.floor(this.#clock.monotonicMs() / 1000);
    if (second !== this.#second) {
      if (this.#missed > 0) this.#streams.send("missed", () => ({ events: this.#missed }));
      this.#second = second;
      this.#sent = 0;
      this.#missed = 0;
    }
    if (this.#sent >= gatewayLimits.messageEventsPerSecond) {
      this.#missed += 1;
      return;
    }
    this.#sent += 1;
    this.#streams.send("message", () => summaryOfEnd(message, end));
  }
}
