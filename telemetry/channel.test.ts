import { deepEqual, equal, match } from "node:assert/strict";
import { test } from "node:test";
import { Channel, type Thread } from "./channel.ts";
import { telemetryLimits } from "./limits.ts";
import type { FromThread, LogRecord, ToThread } from "./records.ts";

const line: LogRecord = { timeMs: 0, level: "info", text: "x", fields: "{}" };

class FakeThread implements Thread {
  readonly got: ToThread[] = [];
  readonly #listeners = new Map<string, (value: never) => void>();
  postMessage(message: ToThread): void {
    this.got.push(message);
  }
  on(event: string, listener: (value: never) => void): void {
    this.#listeners.set(event, listener);
  }
  emit(event: string, value: unknown): void {
    this.#listeners.get(event)?.(value as never);
  }
  answer(error: string | undefined): void {
    for (const message of this.got.splice(0))
      if (message.kind === "batch")
        this.emit("message", { signal: message.signal, items: message.items.length, error } satisfies FromThread);
  }
  async terminate(): Promise<void> {}
  unref(): void {}
}

function world() {
  const threads: FakeThread[] = [];
  const said: string[] = [];
  const timers = new Set<() => void>();
  const say = (_fields: object, text: string): void => void said.push(text);
  const channel = new Channel({
    clock: {
      now: () => 0,
      monotonicMs: () => 0,
      after: (_ms, task) => {
        timers.add(task);
        return () => void timers.delete(task);
      },
    },
    logger: { debug: say, info: say, warn: say, error: say },
    startThread: () => {
      const thread = new FakeThread();
      threads.push(thread);
      return thread;
    },
  });
  const later = (): void => {
    for (const task of [...timers]) {
      timers.delete(task);
      task();
    }
  };
  return { channel, threads, said, later };
}

test("what does not fit is dropped and counted, and said once until the collector takes something again", () => {
  const { channel, threads, said } = world();
  for (let n = 0; n < telemetryLimits.waiting + 10; n++) channel.give("logs", line);
  deepEqual(channel.counts.logs, { exported: 0, dropped: 10 });
  equal(said.length, 1);
  match(said[0] ?? "", /log lines are dropped/);
  threads[0]?.answer(undefined);
  deepEqual(channel.counts.logs, { exported: telemetryLimits.waiting, dropped: 10 });
  match(said[1] ?? "", /takes log lines again/);
  channel.give("logs", line);
  equal(said.length, 2);
});

test("a refused batch is counted, and said once", () => {
  const { channel, threads, said, later } = world();
  for (let round = 0; round < 3; round++) {
    channel.give("logs", line);
    later();
    threads[0]?.answer("no");
  }
  deepEqual(channel.counts.logs, { exported: 0, dropped: 3 });
  equal(said.length, 1);
});

test("a thread that is lost is started again, what it had is counted, and its late words are not", () => {
  const { channel, threads, said, later } = world();
  channel.give("logs", line);
  later();
  threads[0]?.emit("error", new Error("out of memory"));
  threads[0]?.emit("exit", 1);
  deepEqual(channel.counts.logs, { exported: 0, dropped: 1 });
  equal(said.filter((text) => text.includes("out of memory")).length, 1);
  channel.give("logs", line);
  later();
  equal(threads.length, 2);
  channel.give("logs", line);
  later();
  threads[1]?.answer(undefined);
  equal(channel.counts.logs.exported, 2);
});

test("a stop gives what waits to the thread, and counts what it did not export in time", async () => {
  const { channel, threads, later } = world();
  channel.give("logs", line);
  const stopped = channel.stop(1_000);
  deepEqual(
    threads[0]?.got.map(({ kind }) => kind),
    ["batch", "end"],
  );
  later(); // the time is over
  await stopped;
  deepEqual(channel.counts.logs, { exported: 0, dropped: 1 });
});
