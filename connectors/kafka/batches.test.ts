import { deepEqual, equal, rejects } from "node:assert/strict";
import { test } from "node:test";
import { Batches, type Produced } from "./batches.ts";

const record = (text: string, topic = "t"): Produced => ({ topic, value: Buffer.from(text), headers: new Map() });
const kept = new AbortController().signal;

/** A broker that answers when it is told to. */
class Broker {
  readonly requests: string[] = [];
  readonly lost: unknown[] = [];
  #answers: { resolve(): void; reject(error: unknown): void }[] = [];
  readonly batches = new Batches(
    (records) => {
      this.requests.push(records.map(({ topic, value }) => `${topic}:${value}`).join(" "));
      return new Promise((resolve, reject) => this.#answers.push({ resolve, reject }));
    },
    (error) => void this.lost.push(error),
  );

  async answer(error?: unknown): Promise<void> {
    const answer = this.#answers.shift();
    if (error === undefined) answer?.resolve();
    else answer?.reject(error);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("one request at a time, each with what came meanwhile for its topic", async () => {
  const broker = new Broker();
  const sent = ["a", "b", "c"].map((text) => broker.batches.send(record(text), kept));
  sent.push(broker.batches.send(record("d", "other"), kept));
  deepEqual(broker.requests, ["t:a"]);
  for (let answers = 0; answers < 3; answers += 1) await broker.answer();
  deepEqual(broker.requests, ["t:a", "t:b t:c", "other:d"]);
  await Promise.all(sent);
});

test("a record whose attempt has ended is not sent", async () => {
  const broker = new Broker();
  const first = broker.batches.send(record("a"), kept);
  const attempt = new AbortController();
  const ended = broker.batches.send(record("b"), attempt.signal);
  const third = broker.batches.send(record("c"), kept);
  attempt.abort(new Error("over"));
  await Promise.all([rejects(ended, /over/), broker.answer()]);
  await broker.answer();
  deepEqual(broker.requests, ["t:a", "t:c"]);
  await Promise.all([first, third]);
});

test("a refused record is alone in its failure; an error of nobody in particular is that of the connection", async () => {
  const broker = new Broker();
  const first = broker.batches.send(record("a"), kept);
  const [good, long] = ["good", "long"].map((text) => broker.batches.send(record(text), kept)) as [Promise<void>, Promise<void>];
  await broker.answer();
  const tooLarge = Object.assign(new Error("too large"), { apiId: "MESSAGE_TOO_LARGE" });
  await broker.answer(tooLarge); // of both
  await broker.answer();
  await Promise.all([rejects(long, /too large/), broker.answer(tooLarge)]);
  await Promise.all([first, good]);
  deepEqual([broker.requests, broker.lost], [["t:a", "t:good t:long", "t:good", "t:long"], []]);
  const unknown = new Error("no answer");
  const last = broker.batches.send(record("z"), kept);
  await Promise.all([rejects(last, unknown), broker.answer(unknown)]);
  equal(broker.lost[0], unknown);
});
