/** Messages of one key, correlation id or family as one timeline. */
import type { MessageDetail } from "#gateway";
import { msText, safeText } from "../format.ts";
import type { Terminal } from "../terminal.ts";
import { timeText } from "./show.ts";

export interface Happening {
  readonly at: number;
  readonly flow: string;
  readonly id: string;
  readonly what: "received" | "attempt" | "call" | "wait" | "awake" | "send" | "delivery" | "end";
  readonly text: string;
  readonly failed: boolean;
}

/** Everything that happened to the messages, in order. */
export function timelineOf(messages: readonly MessageDetail[]): Happening[] {
  const happenings = messages.flatMap((message): Happening[] => {
    const { flow, id } = message;
    const one = (at: number, what: Happening["what"], text: string, failed = false): Happening => ({ at, flow, id, what, text, failed });
    const cause = message.parents[0];
    const endedAt = message.receivedAt + message.durationMs;
    const end =
      message.error === null ? message.status : `${message.status}: ${message.error.code}: ${message.error.message.split("\n")[0] ?? ""}`;
    return [
      one(
        message.receivedAt,
        "received",
        `from ${message.source}${cause === undefined ? "" : `, caused by ${cause.flow} ${cause.id} (${cause.how})`}`,
      ),
      ...message.attempts.flatMap((attempt) => [
        one(attempt.startedAt, "attempt", `attempt ${attempt.attempt}, ${msText(attempt.durationMs)}`, attempt.error !== null),
        ...attempt.calls.map((call) =>
          one(
            call.askedAt,
            "call",
            `${call.operation} ${call.target} → ${call.error?.code ?? call.answer?.status ?? "no answer"}`,
            call.error !== null,
          ),
        ),
        ...attempt.waits.flatMap((wait) => [
          one(wait.at, "wait", waitText(wait)),
          ...(wait.endedAt === null ? [] : [one(wait.endedAt, "awake", wakeText(wait))]),
        ]),
        // Sends of earlier transactions have left, also where the last one failed.
        ...attempt.sends
          .filter(({ committedAt }) => attempt.error === null || committedAt < attempt.startedAt)
          .map(({ outlet, committedAt, dueAt }) =>
            one(committedAt, "send", `to ${outlet}${dueAt === null ? "" : `, not before ${timeText(dueAt)}`}`),
          ),
      ]),
      one(endedAt, "end", end, message.status !== "done"),
      ...message.outlets.map((delivery) =>
        one(
          delivery.at,
          "delivery",
          `${delivery.outlet}, attempt ${delivery.attempt}: ${delivery.status}${delivery.error === null ? "" : ` ${delivery.error.code}`}`,
          delivery.status !== "sent",
        ),
      ),
    ];
  });
  const order = new Map(happenings.map((each, index) => [each, index]));
  return happenings.sort((a, b) => a.at - b.at || (order.get(a) ?? 0) - (order.get(b) ?? 0));
}

type Wait = MessageDetail["attempts"][number]["waits"][number];

/** `for payment (4711) until 2026-…`. */
export function waitText({ name, key, until }: Wait): string {
  return `for ${name} (${key})${until === null ? "" : ` until ${timeText(until)}`}`;
}

/** `signal payment s1`, or the end of the time. */
export function wakeText({ name, signal }: Wait): string {
  return signal === null ? `time is over for ${name}` : `signal ${name} ${signal.id}`;
}

export function timelineText({ paint }: Terminal, happenings: readonly Happening[]): string {
  const start = happenings[0]?.at ?? 0;
  const width = Math.max(...happenings.map(({ flow }) => flow.length), 0);
  const lines = happenings.map(({ at, flow, id, what, text, failed }) => {
    const shown = `${what.padEnd(9)} ${safeText(text, 200)}`;
    const short = id.length > 24 ? `${id.slice(0, 23)}…` : id;
    return `${paint.dim(`+${msText(at - start).padStart(9)}`)}  ${safeText(flow).padEnd(width)}  ${short.padEnd(24)}  ${failed ? paint.red(shown) : shown}\n`;
  });
  return `${paint.dim(timeText(start))}\n${lines.join("")}`;
}
