/** A message's life as rows of a chart: source, attempts with their steps and calls, commit, deliveries. */
import type { Attempt, Call, Delivery, Detail, Log, Wait } from "./types.ts";

export type Tone = "ok" | "bad" | "warn" | "calm";

export type Part =
  | { readonly kind: "source" }
  | { readonly kind: "attempt"; readonly attempt: Attempt }
  | { readonly kind: "step"; readonly attempt: Attempt; readonly index: number }
  | { readonly kind: "call"; readonly call: Call }
  | { readonly kind: "wait"; readonly wait: Wait }
  | { readonly kind: "logs"; readonly logs: readonly Log[] }
  | { readonly kind: "commit"; readonly attempt: Attempt }
  | { readonly kind: "delivery"; readonly delivery: Delivery };

export interface Row {
  readonly id: string;
  readonly depth: 0 | 1;
  readonly label: string;
  readonly note: string;
  readonly tone: Tone;
  readonly at: number;
  /** Undefined: a moment. */
  readonly endAt: number | undefined;
  readonly part: Part;
}

export interface Timeline {
  readonly rows: readonly Row[];
  readonly startAt: number;
  readonly endAt: number;
}

const events: Readonly<Record<string, string>> = {
  deliver: "message in",
  resolve: "answer in",
  wake: "timer",
  signal: "signal in",
  resume: "woken",
  cancel: "cancelled",
};

function stepRow(attempt: Attempt, index: number): Row | undefined {
  const step = attempt.steps[index];
  if (step === undefined) return undefined;
  const failed = step.status === "failed" || step.status === "broken";
  return {
    id: `step-${attempt.attempt}-${index}`,
    depth: 1,
    label: `step ${index + 1}`,
    note: `${events[step.event] ?? step.event} → ${step.status ?? "no answer"}`,
    tone: failed ? "bad" : "calm",
    at: step.at,
    endAt: step.at + step.cpuMs,
    part: { kind: "step", attempt, index },
  };
}

function callRow(attempt: Attempt, call: Call): Row {
  const answer =
    call.answer === null ? (call.error?.code ?? "no answer") : call.answer.status === 0 ? "answered" : String(call.answer.status);
  return {
    id: `call-${attempt.attempt}-${call.call}`,
    depth: 1,
    label: `${call.operation} ${call.target}`,
    note: `${call.method === "" ? "" : `${call.method} → `}${answer}`,
    tone: call.error !== null ? "bad" : (call.answer?.status ?? 0) >= 400 ? "warn" : "ok",
    at: call.askedAt,
    endAt: call.answeredAt ?? undefined,
    part: { kind: "call", call },
  };
}

/** `payment (4711)`, with what ended it. */
function waitRow(attempt: Attempt, wait: Wait, index: number): Row {
  const how = wait.endedAt === null ? "open" : wait.signal === null ? "time is over" : `signal ${wait.signal.id}`;
  return {
    id: `wait-${attempt.attempt}-${index}`,
    depth: 1,
    label: `wait ${wait.name}`,
    note: `${wait.key} → ${how}`,
    tone: wait.endedAt === null ? "calm" : wait.signal === null ? "warn" : "ok",
    at: wait.at,
    endAt: wait.endedAt ?? undefined,
    part: { kind: "wait", wait },
  };
}

function attemptRows(attempt: Attempt, last: boolean): Row[] {
  const endAt = attempt.startedAt + attempt.durationMs;
  const failed = attempt.error !== null;
  const head: Row = {
    id: `attempt-${attempt.attempt}`,
    depth: 0,
    label: `attempt ${attempt.attempt}`,
    note: failed ? (attempt.error?.code ?? "") : `${attempt.steps.length} ${attempt.steps.length === 1 ? "step" : "steps"}`,
    tone: failed ? "bad" : "ok",
    at: attempt.startedAt,
    endAt,
    part: { kind: "attempt", attempt },
  };
  const inner = [
    ...attempt.steps.flatMap((_, index) => stepRow(attempt, index) ?? []),
    ...attempt.calls.map((call) => callRow(attempt, call)),
    ...attempt.waits.map((wait, index) => waitRow(attempt, wait, index)),
  ].sort((a, b) => a.at - b.at);
  const logs: Row[] =
    attempt.logs.length === 0
      ? []
      : [
          {
            id: `logs-${attempt.attempt}`,
            depth: 1,
            label: "log",
            note: `${attempt.logs.length} ${attempt.logs.length === 1 ? "line" : "lines"}`,
            tone: attempt.logs.some(({ level }) => level === "error")
              ? "bad"
              : attempt.logs.some(({ level }) => level === "warn")
                ? "warn"
                : "calm",
            at: endAt,
            endAt: undefined,
            part: { kind: "logs", logs: attempt.logs },
          },
        ];
  const changed = Object.keys(attempt.state).length;
  const outcome = [
    ...(attempt.reply === null ? [] : [`reply ${attempt.reply.status}`]),
    ...(attempt.sends.length === 0 ? [] : [`${attempt.sends.length} ${attempt.sends.length === 1 ? "send" : "sends"}`]),
    ...(changed === 0 ? [] : [`${changed} state ${changed === 1 ? "name" : "names"}`]),
  ];
  const commit: Row[] =
    failed || !last
      ? []
      : [
          {
            id: "commit",
            depth: 0,
            label: "commit",
            note: outcome.join(" · ") || "nothing to send",
            tone: "ok",
            at: endAt,
            endAt: undefined,
            part: { kind: "commit", attempt },
          },
        ];
  return [head, ...inner, ...logs, ...commit];
}

const tones: Readonly<Record<Delivery["status"], Tone>> = { sent: "ok", retry: "warn", waiting: "warn", dead: "bad" };

export function timelineOf(message: Detail): Timeline {
  const source: Row = {
    id: "source",
    depth: 0,
    label: message.source,
    note: "received",
    tone: "calm",
    at: message.receivedAt,
    endAt: undefined,
    part: { kind: "source" },
  };
  const deliveries = message.outlets.map(
    (delivery, index): Row => ({
      id: `delivery-${index}`,
      depth: 0,
      label: `→ ${delivery.outlet}`,
      note: `${delivery.status}${delivery.attempt > 1 ? `, attempt ${delivery.attempt}` : ""}`,
      tone: tones[delivery.status] ?? "calm",
      at: delivery.at,
      endAt: delivery.at + delivery.durationMs,
      part: { kind: "delivery", delivery },
    }),
  );
  const attempts = message.attempts.flatMap((attempt, index) => attemptRows(attempt, index === message.attempts.length - 1));
  const rows = [source, ...attempts, ...deliveries];
  const times = rows.flatMap(({ at, endAt }) => [at, endAt ?? at]).filter(Number.isFinite);
  const startAt = Math.min(...times);
  return { rows, startAt, endAt: Math.max(...times, startAt + 1) };
}
