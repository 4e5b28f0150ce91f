/** New code over recorded messages of the reference flow: the same image, and one whose every reply differs. */
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { defaultFlowLimits, type Recording } from "#abi";
import { fromUtf8 } from "#base";
import { openHistory, type RecordedMessage, writeHistory } from "#gateway";
import { buildImage } from "#image";
import { embeddedMonitor, type LoadedImage, type Monitor } from "#monitors";
import { type Backtest, backtest } from "#replay";
import { type Row, say } from "./rows.ts";
import { deliverOrder, referenceFlow } from "./start.ts";

/** A recording of one order, as the gateway keeps it. */
async function recordOrder(monitor: Monitor, image: LoadedImage): Promise<RecordedMessage> {
  const deliver = deliverOrder();
  const outcome = await monitor.start(image, deliver).first;
  const recording: Recording = {
    imageSha256: image.sha256,
    flow: "reference",
    limits: defaultFlowLimits,
    deliver,
    events: [],
    steps: [{ ...outcome, failure: undefined, pages: 0 }],
    redaction: undefined,
  };
  const summary = {
    id: deliver.id,
    flow: "reference",
    status: "done",
    receivedAt: deliver.timeMs,
    durationMs: 1,
    attempts: 1,
    source: "bench",
    key: null,
    correlationId: null,
    image: image.sha256,
    error: null,
  } as const;
  return { summary, recording };
}

/** The recording, as often as asked for. */
async function* repeated(message: RecordedMessage, count: number): AsyncGenerator<RecordedMessage> {
  for (let index = 0; index < count; index++) yield message;
}

/** The same message so often in a folder of history, as `mayfly backtest` reads it. */
async function fromFolder(monitor: Monitor, image: LoadedImage, { recording }: RecordedMessage, count: number): Promise<Backtest> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-bench-backtest-"));
  const done = recording.steps[0]?.effects.at(-1);
  const reply = done?.kind === "done" && done.reply !== undefined ? fromUtf8(done.reply.body) : "";
  try {
    await writeHistory(folder, count, (index) => ({
      image: image.sha256,
      flow: "reference",
      deliver: { ...recording.deliver, id: `bench-${index}` },
      logs: [],
      reply,
    }));
    const reader = openHistory(folder);
    const messages = reader.recordings({ flow: "reference", limit: Number.POSITIVE_INFINITY });
    const result = await backtest(monitor, image, messages, { limits: defaultFlowLimits });
    await reader.close();
    return result;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function backtestRows(quick: boolean): Promise<Row[]> {
  const suite = "backtest";
  const count = quick ? 20_000 : 100_000;
  say("backtest of the reference flow");
  const monitor = embeddedMonitor({ workers: availableParallelism() });
  try {
    const image = await monitor.load((await buildImage(referenceFlow, { check: false })).image);
    const message = await recordOrder(monitor, image);
    const run = async (recorded: RecordedMessage, messages: number): Promise<Backtest> =>
      await backtest(monitor, image, repeated(recorded, messages), { limits: defaultFlowLimits });
    await run(message, count / 4);
    const same = await run(message, count);
    const step = message.recording.steps[0] as Recording["steps"][number];
    const other = {
      ...step,
      effects: step.effects.map((effect) =>
        effect.kind === "done" && effect.reply !== undefined
          ? { ...effect, reply: { ...effect.reply, body: Buffer.from('{"id":7,"total":1}') } }
          : effect,
      ),
    };
    const different = await run({ ...message, recording: { ...message.recording, steps: [other] } }, count / 4);
    const kept = await fromFolder(monitor, image, message, count);
    if (same.same !== count || kept.same !== count || different.different !== count / 4)
      throw new Error("the backtest of the reference flow is wrong");
    return [
      {
        suite,
        name: "recorded messages through the same code",
        value: same.perSecond,
        unit: "messages/s",
        aim: "≥ 20,000",
        met: same.perSecond >= 20_000,
      },
      {
        suite,
        name: "the same, read from a folder of history",
        value: kept.perSecond,
        unit: "messages/s",
        aim: "≥ 20,000",
        met: kept.perSecond >= 20_000,
      },
      { suite, name: "recorded messages that all differ", value: different.perSecond, unit: "messages/s" },
    ];
  } finally {
    await monitor.close();
  }
}
