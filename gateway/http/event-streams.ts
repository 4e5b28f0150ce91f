/**
 * Server-sent events (HTML standard, 9.2) to whoever listens: bounded in number, and in what waits for a slow reader. A reader that does
 * not keep up misses events and is told how many.
 */
import type { ServerResponse } from "node:http";
import { gatewayLimits } from "../contract/limits.ts";
import { sendProblem } from "../contract/http/problem.ts";

interface Reader {
  readonly response: ServerResponse;
  missed: number;
}

export class EventStreams {
  readonly #readers = new Set<Reader>();
  #closed = false;

  get size(): number {
    return this.#readers.size;
  }

  /** Answers with a stream that begins with `first`, or with 503. */
  open(response: ServerResponse, first: () => readonly [event: string, data: unknown][]): void {
    if (this.#closed || this.#readers.size >= gatewayLimits.eventStreams)
      return sendProblem(response, {
        status: 503,
        code: this.#closed ? "MF_STOPPING" : "MF_EVENTS_LIMIT",
        detail: this.#closed
          ? "the gateway is stopping"
          : `${gatewayLimits.eventStreams} event streams are open, the most allowed: close one`,
        headers: { "retry-after": "5" },
      });
    const reader: Reader = { response, missed: 0 };
    this.#readers.add(reader);
    response.once("close", () => this.#readers.delete(reader));
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store", "x-content-type-options": "nosniff" });
    response.write("retry: 2000\n\n");
    for (const [event, data] of first()) response.write(frame(event, JSON.stringify(data)));
  }

  /** To all. `data` is asked for only when somebody listens. */
  send(event: string, data: () => unknown): void {
    if (this.#readers.size === 0) return;
    const text = frame(event, JSON.stringify(data()));
    for (const reader of this.#readers) {
      if (reader.response.writableLength > gatewayLimits.eventStreamBytes) {
        reader.missed += 1;
        continue;
      }
      if (reader.missed > 0) reader.response.write(frame("missed", JSON.stringify({ events: reader.missed })));
      reader.missed = 0;
      reader.response.write(text);
    }
  }

  /** Ends all, and every later one at once. */
  close(): void {
    this.#closed = true;
    for (const { response } of this.#readers) response.end(frame("end", "{}"));
  }
}

/** JSON has no line break of its own, so that one data line is enough. */
function frame(event: string, json: string): string {
  return `event: ${event}\ndata: ${json}\n\n`;
}
