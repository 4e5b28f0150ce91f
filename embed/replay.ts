/** A recording, run again: the same result, and whether each step was the same bit for bit. */
import { decodeRecording, type Recording } from "#abi";
import { CodedError } from "#base";
import { Attempt } from "./attempt.ts";
import type { Image, Replay, RunResult } from "./embed.d.ts";
import { openMonitor, rulesOf } from "./host.ts";
import { imageFrom, knownImage } from "./images.ts";
import { CallResult } from "./result.ts";

function read(bytes: Uint8Array): Recording {
  const decoded = bytes instanceof Uint8Array ? decodeRecording(Uint8Array.from(bytes)) : undefined;
  if (decoded?.ok === true) return decoded.value;
  throw new CodedError(
    "MF_RECORDING_INVALID",
    `${decoded === undefined ? "the recording is not bytes" : decoded.error}: give the recording of a call as it was, with the version of Mayfly that made it`,
  );
}

export async function replay(given: Uint8Array, image?: Image | Uint8Array): Promise<Replay> {
  const recording = read(given);
  const { imageSha256, flow, deliver } = recording;
  const known = image === undefined ? knownImage(imageSha256) : imageFrom(image);
  const { headersOf, replayedLimits, replayRecording, sameStep } = await import("#replay");
  const { monitor, held } = openMonitor("embedded", 1);
  try {
    const loaded = await monitor.load(known.frozen);
    const limits = replayedLimits(recording);
    const headers = headersOf(recording);
    const attempt = new Attempt({
      deliver,
      headers,
      rules: rulesOf(flow, recording.limits, known.outlets ?? undefined),
      start: (event) => monitor.start(loaded, event, limits),
      perform: () => new Promise(() => undefined),
      memory: held,
      recorded: true,
    });
    let isSame = known.hash === imageSha256;
    const ended = await attempt.retell(recording, (index, outcome) => {
      const recorded = recording.steps[index];
      if (recorded === undefined || !sameStep(recorded, outcome)) isSame = false;
    });
    attempt.events.push(...recording.events);
    const result = new CallResult(
      { imageSha256: known.hash, flow, limits: recording.limits, deliver, state: stateOf(deliver.stateJson), places: known.places },
      attempt,
      ended,
    );
    if (isSame) return new Retold(result, true, []);
    const { identical, differences } = await replayRecording(monitor, loaded, recording);
    return new Retold(
      result,
      identical,
      differences.map(({ path, recorded, replayed }) => ({ path, recorded, replayed })),
    );
  } finally {
    await monitor.close();
  }
}

function stateOf(json: string | undefined): Readonly<Record<string, unknown>> | undefined {
  if (json === undefined) return undefined;
  try {
    const state: unknown = JSON.parse(json);
    return typeof state === "object" && state !== null ? (state as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

/** A result and how it compares. */
class Retold implements Replay {
  readonly status: RunResult["status"];
  readonly reply: RunResult["reply"];
  readonly sends: RunResult["sends"];
  readonly logs: RunResult["logs"];
  readonly droppedLogs: number;
  readonly state: RunResult["state"];
  readonly error: RunResult["error"];
  readonly cpuMs: number;
  readonly steps: number;
  readonly identical: boolean;
  readonly differences: Replay["differences"];
  readonly #result: RunResult;

  constructor(result: RunResult, identical: boolean, differences: Replay["differences"]) {
    ({
      status: this.status,
      reply: this.reply,
      sends: this.sends,
      logs: this.logs,
      droppedLogs: this.droppedLogs,
      state: this.state,
      error: this.error,
      cpuMs: this.cpuMs,
      steps: this.steps,
    } = result);
    this.identical = identical;
    this.differences = differences;
    this.#result = result;
  }

  get recording(): Uint8Array {
    return this.#result.recording;
  }
}
