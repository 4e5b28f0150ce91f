/** Results of many messages: order, how many at once, slow takers, faults of the iterable, and who stops early. */
import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { test } from "node:test";
import type { Message, RunResult } from "./embed.d.ts";
import { hostOf } from "./testing/open.ts";

const numbered = (count: number): Message[] => Array.from({ length: count }, (_, n) => ({ body: { n } }));
const numberOf = (result: RunResult): unknown => (result.reply?.json() as { n?: unknown } | undefined)?.n;

async function all(results: AsyncIterable<RunResult>): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const result of results) found.push(result.error === undefined ? numberOf(result) : result.error.code);
  return found;
}

test("results come in the order of the messages, whatever takes how long", async (context) => {
  const host = await hostOf(
    context,
    `async (msg, { sleep }) => { const { n } = msg.json(); await sleep(n % 3 === 0 ? "20ms" : "1ms"); if (n === 5) fail("five"); return { n }; }`,
  );
  const expected = Array.from({ length: 40 }, (_, n) => n);
  const found = await all(host.runAll(numbered(40), { atOnce: 8 }));
  equal(typeof found[5], "string");
  found[5] = 5;
  deepEqual(found, expected);
  deepEqual(await all(host.runAll([])), []);
  const generator = (async function* () {
    for (const message of numbered(3)) yield message;
  })();
  deepEqual(await all(host.runAll(generator)), [0, 1, 2]);
});

test("no more messages are taken than results may follow, and the first result does not wait for the next message", async (context) => {
  const host = await hostOf(context, "(msg) => msg.json()");
  let taken = 0;
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const messages = (async function* () {
    for (const message of numbered(10)) {
      if (taken === 6) await held;
      taken += 1;
      yield message;
    }
  })();
  const results = host.runAll(messages, { atOnce: 3 });
  for (let n = 0; n < 6; n++) equal(numberOf((await results.next()).value as RunResult), n);
  ok(taken <= 6);
  release();
  deepEqual(await all(results), [6, 7, 8, 9]);
  let most = 0;
  const counted = (function* () {
    for (let n = 0; n < 20; n++) {
      most = n + 1;
      yield { body: { n } };
    }
  })();
  const slow = host.runAll(counted, { atOnce: 4 });
  await slow.next();
  await new Promise((resolve) => setImmediate(resolve));
  ok(most <= 5, `${most} messages were taken for one result`);
  await slow.return?.();
});

test("a fault of the iterable, or of a message, comes in its turn", async (context) => {
  const host = await hostOf(context, "(msg) => msg.json()");
  const broken = (function* () {
    yield* numbered(2);
    throw new Error("no more");
  })();
  const results = host.runAll(broken);
  deepEqual([numberOf((await results.next()).value as RunResult), numberOf((await results.next()).value as RunResult)], [0, 1]);
  await rejects(results.next(), /no more/);
  const wrong = host.runAll([...numbered(1), { nonsense: 1 } as never, ...numbered(1)]);
  equal(numberOf((await wrong.next()).value as RunResult), 0);
  await rejects(wrong.next(), { code: "MF_EMBED_OPTION" });
  deepEqual(await wrong.next(), { done: true, value: undefined });
  for (const options of [{ atOnce: 0 }, { atOnce: 1.5 }, { signal: 1 }, { other: 1 }])
    throws(() => host.runAll([], options as never), { code: "MF_EMBED_OPTION" });
  for (const messages of ["text", 1, null, {}]) throws(() => host.runAll(messages as never), { code: "MF_EMBED_OPTION" });
});

test("who stops early ends the calls under way, and a signal ends all", async (context) => {
  const host = await hostOf(context, `async (msg, { sleep }) => { if (msg.json().n > 0) await sleep("1h"); return msg.json(); }`);
  let returned = false;
  const messages = (function* () {
    try {
      yield* numbered(100);
    } finally {
      returned = true;
    }
  })();
  for await (const result of host.runAll(messages)) {
    equal(numberOf(result), 0);
    break;
  }
  ok(returned, "the iterable is told");
  const controller = new AbortController();
  const results = host.runAll(numbered(3), { signal: controller.signal });
  equal(numberOf((await results.next()).value as RunResult), 0);
  controller.abort();
  deepEqual(await all(results), ["MF_CANCELLED", "MF_CANCELLED"]);
  await host.close();
  throws(() => host.runAll([]), { code: "MF_EMBED_CLOSED" });
});
