/** Recordings for tests: a machine is driven with stubs, and what it got and did is kept as the gateway keeps it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CallEffect, defaultFlowLimits, type DeliverEvent, type Event, type Recording, type StepOutcome } from "#abi";
import { toUtf8 } from "#base";
import { answered, failedCall, peersFault } from "#gateway";
import { buildImage, type Image } from "#image";
import type { LoadedImage, Machine, Monitor } from "#monitors";
import { Drive, type TimedAnswer } from "../drive.ts";
import type { GivenSignal } from "../signals.ts";

export async function imageOf(source: string, name = "flow"): Promise<Image> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-replay-"));
  try {
    await writeFile(join(folder, `${name}.ts`), source);
    return (await buildImage(join(folder, `${name}.ts`), { check: false })).image;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export const startMs = Date.UTC(2026, 10, 3, 4, 5, 6, 789);

export function delivered(body: string | Uint8Array, more: Partial<DeliverEvent> = {}): DeliverEvent {
  return {
    kind: "deliver",
    timeMs: startMs,
    seed: Uint8Array.from({ length: 32 }, (_, index) => index * 7 + 1),
    id: "message-1",
    source: "test",
    attempt: 1,
    key: undefined,
    headersJson: '{"content-type":"application/json"}',
    stateJson: undefined,
    body: typeof body === "string" ? toUtf8(body) : body,
    ...more,
  };
}

/** An answer as an outlet gives it, after so many milliseconds. */
export function answer(
  body: unknown,
  delayMs = 12,
  headers: Readonly<Record<string, string>> = { "content-type": "application/json" },
): TimedAnswer {
  const bytes = typeof body === "string" ? toUtf8(body) : toUtf8(JSON.stringify(body));
  return { answer: answered({ status: 200, contentType: "", headers, body: bytes }), delayMs };
}

export function refusal(code: string, delayMs = 3): TimedAnswer {
  return { answer: failedCall(code, "the peer says no", peersFault), delayMs };
}

/** Runs the message and keeps the attempt. */
export async function record(
  monitor: Monitor,
  image: LoadedImage,
  deliver: DeliverEvent,
  answerTo: (call: CallEffect) => TimedAnswer = () => answer({}),
  signals: readonly GivenSignal[] = [],
  callerWaits = false,
): Promise<Recording> {
  const events: Exclude<Event, DeliverEvent>[] = [];
  const outcomes: StepOutcome[] = [];
  const drive = new Drive({
    deliver,
    headers: JSON.parse(deliver.headersJson) as Record<string, string>,
    limits: defaultFlowLimits,
    rules: {
      name: image.name,
      limits: defaultFlowLimits,
      outlets: undefined,
      retriesProgramErrors: false,
      sleepMostMs: 30 * 24 * 3_600_000,
    },
    answer: answerTo,
    // Timers of a real clock are a little late.
    wake: (_timer, dueMs) => ({ atMs: dueMs + 3, order: 1 }),
    timeout: (_wait, dueMs) => ({ atMs: dueMs + 4, order: 1 }),
    signals,
    callerWaits,
    logged: () => undefined,
    stepped: (outcome) => void outcomes.push(outcome),
  });
  await drive.run((event) => {
    const machine = monitor.start(image, event, defaultFlowLimits);
    const step: Machine["step"] = (next) => {
      events.push(next);
      return machine.step(next);
    };
    return { first: machine.first, step, end: () => machine.end() };
  });
  return {
    imageSha256: image.sha256,
    flow: image.name,
    limits: defaultFlowLimits,
    deliver,
    events,
    steps: outcomes.map(({ status, effects, failure, cpuMs }) => ({ status, effects, failure, cpuMs, pages: 0 })),
    redaction: undefined,
  };
}
