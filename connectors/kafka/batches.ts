/** Records on their way into produce requests: one request at a time, each with all that came during the one before. */
import { protocolErrorOf } from "./client.ts";
import { kafkaLimits } from "./limits.ts";

export interface Produced {
  readonly topic: string;
  readonly key?: Buffer;
  /** Absent: a tombstone. */
  readonly value?: Buffer;
  readonly headers: Map<Buffer, Buffer>;
  readonly partition?: number;
}

interface Waiting {
  readonly record: Produced;
  readonly signal: AbortSignal;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Errors of one record that the broker refuses; the others of its batch are sent again without it. */
const ofOneRecord = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD", "INVALID_TIMESTAMP", "CORRUPT_MESSAGE"]);
/** Errors of a topic. */
const ofOneTopic = new Set(["UNKNOWN_TOPIC_OR_PARTITION", "INVALID_TOPIC_EXCEPTION", "TOPIC_AUTHORIZATION_FAILED"]);

export class Batches {
  readonly #produce: (records: readonly Produced[]) => Promise<void>;
  readonly #lost: (error: unknown) => void;
  #waiting: Waiting[] = [];
  #running = false;

  /** `lost`: the broker did not answer, so that nothing is known of the batch. */
  constructor(produce: (records: readonly Produced[]) => Promise<void>, lost: (error: unknown) => void) {
    this.#produce = produce;
    this.#lost = lost;
  }

  /** Resolves when the broker has stored it. One whose attempt was ended before its request began is left out: it comes with the next attempt. */
  send(record: Produced, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, signal, bytes: bytesOf(record), resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      const batch = this.#nextBatch();
      const wanted = batch.filter(({ signal }) => !signal.aborted);
      for (const { reject, signal } of batch) if (signal.aborted) reject(signal.reason);
      if (wanted.length > 0) await this.#send(wanted);
    }
    this.#running = false;
  }

  /** Of one topic, so that the errors of a topic are those of all in the batch. */
  #nextBatch(): Waiting[] {
    const topic = this.#waiting[0]?.record.topic;
    const batch: Waiting[] = [];
    let bytes = 0;
    const rest: Waiting[] = [];
    for (const each of this.#waiting) {
      const fits = batch.length === 0 || (batch.length < kafkaLimits.batchMessages && bytes + each.bytes <= kafkaLimits.batchBytes);
      if (each.record.topic !== topic || !fits) rest.push(each);
      else {
        batch.push(each);
        bytes += each.bytes;
      }
    }
    this.#waiting = rest;
    return batch;
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    try {
      await this.#produce(batch.map(({ record }) => record));
      for (const { resolve } of batch) resolve();
    } catch (error) {
      const name = protocolErrorOf(error);
      if (name !== undefined && ofOneRecord.has(name) && batch.length > 1) {
        for (const each of batch) await this.#send([each]);
        return;
      }
      for (const { reject } of batch) reject(error);
      if (name === undefined || !(ofOneRecord.has(name) || ofOneTopic.has(name))) this.#lost(error);
    }
  }
}

function bytesOf({ key, value, headers }: Produced): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, text] of headers) bytes += name.length + text.length;
  return bytes;
}
