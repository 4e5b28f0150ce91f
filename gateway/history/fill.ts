/** Writes a store without a gateway: for the bench and for tests of many messages. */
import { defaultFlowLimits, type DeliverEvent, type Effect } from "#abi";
import type { HistoryRules } from "../contract/config.ts";
import type { Flow } from "../contract/runner.ts";
import { Batches } from "./batches.ts";
import { endedEntry } from "./facts.ts";
import { historyLimits } from "./limits.ts";
import { Redactor } from "./redact.ts";
import { HistoryWriter } from "./writer.ts";

/** A message that ended well at its first attempt. */
export interface FilledMessage {
  readonly image: string;
  readonly flow: string;
  readonly deliver: DeliverEvent;
  readonly logs: readonly string[];
  readonly reply: string;
}

const rules: HistoryRules = { record: "all", sample: 1, bodies: "all", redact: { headers: [], paths: [] } };

/** Writes so many messages, in the order of their numbers, into a folder of at most a terabyte. */
export async function writeHistory(
  folder: string,
  count: number,
  message: (index: number) => FilledMessage,
  segmentBytes: number = historyLimits.sizeBytes / historyLimits.segments,
): Promise<void> {
  const writer = new HistoryWriter(folder, { keepMs: Number.MAX_SAFE_INTEGER, sizeBytes: 2 ** 40 }, { now: Date.now, segmentBytes });
  writer.open();
  const batches = new Batches({
    after: () => () => undefined,
    hand: (bytes, length, entries) => {
      writer.append(Buffer.from(bytes, 0, length), entries);
      batches.written(length, bytes);
    },
  });
  const redactor = new Redactor(rules);
  for (let index = 0; index < count; index++) {
    const { image, flow: name, deliver, logs, reply } = message(index);
    const { id, key, timeMs, source, body } = deliver;
    const flow = { name, image: { name, sha256: image }, limits: defaultFlowLimits } as unknown as Flow;
    const lines = logs.map((text) => ({ kind: "log", level: "info", text, fieldsJson: undefined }) as const);
    const done: Effect = {
      kind: "done",
      reply: { status: 200, contentType: "application/json", headersJson: "{}", body: Buffer.from(reply) },
    };
    const steps = [{ status: "done", effects: [...lines, done], cpuMs: 0.05 }] as const;
    const attempt = {
      attempt: 1,
      flow,
      startedMs: timeMs,
      endedMs: timeMs + 1,
      deliver,
      events: [],
      steps,
      calls: [],
      logs: lines,
      failure: undefined,
      reply: undefined,
    };
    const witnessed = {
      flow: name,
      id,
      source,
      headers: {},
      contentType: "application/json",
      body,
      key,
      correlationId: undefined,
      receivedMs: timeMs,
    };
    const end = { status: "done", last: attempt, attempts: 1, endedMs: timeMs + 1, failure: undefined, letter: undefined } as const;
    batches.add(endedEntry(witnessed, end, redactor));
    if (index % historyLimits.filledAtOnce === 0) batches.flush();
  }
  batches.flush();
  writer.close();
}
