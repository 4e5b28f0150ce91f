/** The parts of the delivery core, under a clock of our own. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { CodedError, prng } from "#base";
import fc from "fast-check";
import type { OutletConfig } from "../contract/config.ts";
import { gatewayLimits } from "../contract/limits.ts";
import { OutletError, type Outlet } from "../contract/outlet.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { utf8 } from "../testing/scripted.ts";
import { backoffMs } from "../contract/backoff.ts";
import { type Deadline, Deadlines } from "./deadlines.ts";
import { Deque } from "./deque.ts";
import { isHeaderValue } from "../contract/http/headers.ts";
import { deliverHeadersJson, parseHeaders } from "./attempt/headers.ts";
import { parseKey } from "./admission/keys.ts";
import { OutletChannel } from "./outbox/outlet-channel.ts";
import { contradicts, dedupIdOf, identityOf } from "../journal/dedup-id.ts";
import { cleanId, MessageIds, SeedPool, systemEntropy } from "./seeds.ts";

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("deadlines expire in order and once, whatever is removed in between", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ limitMs: fc.integer({ min: 1, max: 500 }), removed: fc.boolean() }), { maxLength: 40 }), (items) => {
      const clock = new ManualClock(0);
      const deadlines = new Deadlines(clock);
      const expired: number[] = [];
      const made = items.map(({ limitMs, removed }, index) => {
        const item: Deadline & { removed: boolean; at: number } = {
          deadlineMs: limitMs,
          before: undefined,
          after: undefined,
          removed,
          at: 0,
          expired: () => (expired.push(index), (item.at = clock.now())),
        };
        deadlines.add(item);
        return item;
      });
      for (const item of made) if (item.removed) deadlines.remove(item);
      for (const item of made) if (item.removed) deadlines.remove(item); // twice does no harm
      clock.advance(600);
      deepEqual(
        expired.map((index) => items[index]?.limitMs).join(),
        items
          .filter((item) => !item.removed)
          .map((item) => item.limitMs)
          .sort((a, b) => a - b)
          .join(),
      );
      for (const item of made) if (!item.removed) ok(item.at >= item.deadlineMs && item.at <= item.deadlineMs + 10);
      equal(clock.waiting, 0);
    }),
  );
});

test("a deque is a queue", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 5000 }), (pushes) => {
      const deque = new Deque<number>();
      const model: number[] = [];
      for (const [index, push] of pushes.entries()) {
        if (push) {
          deque.push(index);
          model.push(index);
        } else equal(deque.shift(), model.shift());
        equal(deque.length, model.length);
      }
    }),
    { numRuns: 50 },
  );
});

test("backoff grows from the least to the most, and is never more than doubled by jitter", () => {
  const random = prng(7);
  for (let attempt = 1; attempt < 100; attempt += 1) {
    const wait = backoffMs(attempt, { least: 100, most: 5000 }, random);
    const whole = Math.min(5000, 100 * 2 ** (attempt - 1));
    ok(wait >= whole / 2 && wait <= whole, `${attempt}: ${wait}`);
  }
});

test("seeds are 32 bytes, fresh each time, also over a refill; ids are unique and fit for headers", () => {
  let fill = 0;
  const pool = new SeedPool((bytes) => bytes.fill(++fill));
  const seeds = Array.from({ length: 300 }, () => pool.next()); // kept, as a machine that waits keeps its own
  ok(seeds.every((seed) => seed.length === 32));
  deepEqual([seeds[0]?.[0], seeds[255]?.[0], seeds[256]?.[0]], [1, 1, 2]);
  let filled = 0;
  const ids = new MessageIds((bytes) => bytes.fill(++filled));
  const made = Array.from({ length: 257 }, () => ids.next());
  ok(made.every((id) => /^mf-[A-Za-z0-9_-]{22}$/.test(id)));
  deepEqual([made[0] === made[255], made[0] === made[256]], [true, false]); // all of one refill here; the system's are all different
  equal(new Set(Array.from({ length: 1000 }, () => new MessageIds(systemEntropy).next())).size, 1000);
});

test("a sender's id stays one id: no two become one, and none is one of the gateway's", () => {
  equal(cleanId(""), undefined);
  deepEqual(["order-17", "a b\n", "100%", "\u00e9", "\ud800", "mf-x", "~"].map(cleanId), [
    "order-17",
    "a%20b%0a",
    "100%25",
    "%e9",
    "%ud800",
    "%6df-x",
    "~",
  ]);
  const odd = fc.string({
    unit: fc.constantFrom("a", "%", "2", "0", " ", "m", "f", "-", "~", "\u00e9", "\ud800", "\u0100"),
    maxLength: 12,
  });
  const padded = fc
    .tuple(odd, fc.constantFrom(0, 180, 190, 199, 200, 201), odd)
    .map(([front, more, back]) => front + "x".repeat(more) + back);
  const seen = new Map<string, string>();
  fc.assert(
    fc.property(padded, (id) => {
      const clean = cleanId(id);
      if (clean === undefined) return id === "";
      // The attack on a hash: what a long id became is another's own id.
      for (const each of [id, clean]) {
        const become = cleanId(each) ?? "";
        if (become.length > 200 || !/^[\x21-\x7e]+$/.test(become) || become.startsWith("mf-")) return false;
        if ((seen.get(become) ?? each) !== each) return false;
        seen.set(become, each);
      }
      return true;
    }),
    { numRuns: 2000 },
  );
});

test("what duplicates are found by holds place, scope and id, none of which can pass for another", () => {
  const of = (place: string, scope: string, id: string, fingerprint?: string): string => dedupIdOf({ place, scope, id, fingerprint });
  const long = "x".repeat(2000);
  const all = [
    of("a", "b", "c"),
    of("a b", "", "c"),
    of("a", "b c", ""),
    of('a","b', "", "c"),
    of("a", "b", long),
    of("a", "b", `${long}y`),
    of("a", "b", "c\0d"),
  ];
  equal(new Set(all.map(identityOf)).size, all.length);
  ok(all.every((id) => id.length <= 512 && !id.includes("\0")));
  const [plain, one, other] = [of("a", "b", "c"), of("a", "b", "c", "1"), of("a", "b", "c", "2")];
  deepEqual([identityOf(one), identityOf(other)], [plain, plain]);
  deepEqual(
    [contradicts(one, other), contradicts(one, one), contradicts(plain, one), contradicts(one, plain)],
    [true, false, false, false],
  );
});

test("key expressions: what they take, and that nothing makes them throw", () => {
  const message = {
    headers: { "x-k": "h" },
    contentType: "application/json",
    body: utf8('{"a":{"b/c":[1,{"d":"deep"}]},"n":null}'),
    id: "i",
    key: "pk",
    replyWanted: false,
    keeper: "source" as const,
  };
  const take = (expression: string): string | undefined => {
    const parsed = parseKey(expression);
    return parsed.ok ? parsed.value(message) : `refused: ${parsed.error.slice(0, 9)}`;
  };
  deepEqual(
    [
      "header:X-K",
      "header:none",
      "header:content-type",
      "json:/a/b~1c/1/d",
      "json:/a/b~1c",
      "json:/n",
      "json:/a/x",
      "json:/__proto__",
      "id",
      "key",
      '"all"',
    ].map(take),
    ["h", undefined, "application/json", "deep", '[1,{"d":"deep"}]', undefined, undefined, undefined, "i", "pk", "all"],
  );
  equal(take("nonsense"), "refused: must be h");
  fc.assert(
    fc.property(fc.string(), fc.uint8Array(), (expression, body) => {
      const parsed = parseKey(expression);
      if (parsed.ok) ok((parsed.value({ ...message, body })?.length ?? 0) <= 256);
    }),
  );
});

test("headers of a machine are read or refused, never trusted", () => {
  deepEqual(parseHeaders('{"X-A":"b"}'), { "x-a": "b" });
  deepEqual(parseHeaders('{"X-A":["b","c"],"x-a":"d","constructor":["e"],"none":[],"wide":"\u0100 \ud83d\ude00"}'), {
    "x-a": ["b", "c", "d"],
    constructor: "e",
    wide: "\u0100 \u{1f600}",
  });
  for (const bad of [
    "[",
    "[]",
    "null",
    '"x"',
    '{"a":1}',
    '{"a":{}}',
    '{"a\\n":"x"}',
    '{"a":"\\r\\n"}',
    '{"":"x"}',
    '{"a":"\\ud83d"}',
    '{"a":"\\udc00\\ud83d"}',
    '{"a":["x","\\n"]}',
    '{"a":["x",1]}',
    '{"a":[["x"]]}',
    '{"a":"\\u007f"}',
    '{"__proto__":"x"}',
  ])
    equal(typeof parseHeaders(bad), "string", bad);
  equal(typeof parseHeaders('{"a":"\\u0100"}', isHeaderValue), "string", "beyond HTTP");
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => ["string", "object"].includes(typeof parseHeaders(text))));
  deepEqual(JSON.parse(deliverHeadersJson({ headers: {}, contentType: 'a"b', correlationId: "c" })), {
    "content-type": 'a"b',
    "mayfly-correlation-id": "c",
  });
  deepEqual(JSON.parse(deliverHeadersJson({ headers: { x: "y" }, contentType: "t" })), { x: "y", "content-type": "t" });
});

const config: OutletConfig = {
  connector: "test",
  config: {},
  retry: { attempts: 5, backoff: { least: 100, most: 1000 }, age: 60_000 },
  concurrency: 2,
  rate: undefined,
  timeout: 1000,
  breaker: undefined,
  onDead: "continue",
};

function channelOf(
  clock: ManualClock,
  answer: (attempt: number) => Promise<void>,
  change: Partial<OutletConfig> = {},
): { channel: OutletChannel; attempts: number[] } {
  const attempts: number[] = [];
  const outlet: Outlet = {
    send: (_message, { attempt }) => (attempts.push(attempt), answer(attempts.length)),
    request: async (_message, { attempt }) => (
      attempts.push(attempt), await answer(attempts.length), { status: 200, contentType: "", headers: {}, body: utf8("ok") }
    ),
    health: () => ({ ready: true, detail: "" }),
    stop: async () => undefined,
  };
  return {
    channel: new OutletChannel({ flow: "f", name: "out", outlet, config: { ...config, ...change }, clock, random: prng(1) }),
    attempts,
  };
}

const asked = {
  messageId: "m",
  flow: "f",
  outlet: "out",
  key: undefined,
  contentType: "",
  headers: {},
  body: utf8(""),
  correlationId: undefined,
  timeMs: 0,
  method: "",
};

test("MF_OUTLET_BUSY: requests that wait for a place at one outlet are bounded", async () => {
  const clock = new ManualClock();
  const { channel } = channelOf(clock, () => new Promise<void>(() => undefined), { concurrency: 1, timeout: 1e9 });
  const { signal } = new AbortController();
  const request = (): Promise<unknown> => channel.request(asked, "k", 0, signal);
  for (let waiting = 0; waiting <= gatewayLimits.outletWaiters; waiting += 1) void request();
  let refused: unknown;
  void request().catch((error: unknown) => (refused = error));
  for (let turn = 0; refused === undefined && turn < 20; turn += 1) {
    clock.advance(60_000); // it is tried again before it is given up
    await settled();
  }
  match((refused as Error).message, /4096 requests wait for the outlet out.*raise its concurrency/);
  equal((refused as CodedError).code, "MF_OUTLET_BUSY");
});
const never = new AbortController().signal;

test("requests beyond the outlet's concurrency wait their turn", async () => {
  const clock = new ManualClock();
  const finish: (() => void)[] = [];
  const { channel, attempts } = channelOf(clock, () => new Promise((resolve) => finish.push(resolve)));
  const all = [1, 2, 3, 4, 5].map((n) => channel.request(asked, `k${n}`, 0, never));
  await settled();
  equal(attempts.length, 2);
  for (let done = 0; done < 5; done += 1) {
    await settled();
    ok(channel.underWay <= 2);
    finish.shift()?.();
  }
  equal((await Promise.all(all)).length, 5);
  equal(channel.underWay, 0);
});

test("an outlet that never answers is given up after its timeout, and its place is free again", async () => {
  const clock = new ManualClock();
  const { channel, attempts } = channelOf(clock, () => new Promise(() => undefined), { retry: { ...config.retry, attempts: 1 } });
  const asking = channel.request(asked, "k", 0, never);
  await settled();
  clock.advance(999);
  await settled();
  equal(channel.underWay, 1);
  clock.advance(1);
  await rejects(asking, { code: "MF_OUTLET_TIMEOUT", retryable: true });
  deepEqual([channel.underWay, attempts], [0, [1]]);
});

test("a request is tried again after a retryable error, not before Retry-After, and not after a final one", async () => {
  const clock = new ManualClock();
  const { channel, attempts } = channelOf(clock, (count) =>
    count === 1
      ? Promise.reject(new OutletError("BUSY", "", { retryable: true, retryAfterMs: 5000 }))
      : count === 2
        ? Promise.reject(new OutletError("NO", "", { retryable: false }))
        : Promise.resolve(),
  );
  const asking = channel.request(asked, "k", 0, never);
  const failed = rejects(asking, { code: "NO" });
  await settled();
  clock.advance(4999);
  await settled();
  equal(attempts.length, 1);
  clock.advance(1);
  await failed;
  deepEqual(attempts, [1, 2]);
});

test("the circuit opens after failures in a row, fails at once while open, lets one through, and closes on success", async () => {
  const clock = new ManualClock();
  let down = true;
  const { channel, attempts } = channelOf(clock, () => (down ? Promise.reject(new CodedError("MF_DOWN", "")) : Promise.resolve()), {
    breaker: { failures: 3, pause: 1000 },
    retry: { ...config.retry, attempts: 1 },
  });
  for (let failure = 0; failure < 3; failure += 1) await rejects(channel.request(asked, "k", 0, never), { code: "MF_DOWN" });
  await rejects(channel.request(asked, "k", 0, never), { code: "MF_CIRCUIT_OPEN" });
  equal(attempts.length, 3);
  clock.advance(1000);
  await rejects(channel.request(asked, "k", 0, never), { code: "MF_DOWN" });
  await rejects(channel.request(asked, "k", 0, never), { code: "MF_CIRCUIT_OPEN" });
  equal(attempts.length, 4);
  clock.advance(1000);
  down = false;
  equal((await channel.request(asked, "k", 0, never)).status, 200);
  equal((await channel.request(asked, "k", 0, never)).status, 200);
});

test("a rate is kept: a second's worth at once, then as time goes by", async () => {
  const clock = new ManualClock();
  const { channel, attempts } = channelOf(clock, () => Promise.resolve(), { rate: 10, concurrency: 100 });
  const all = Array.from({ length: 25 }, (_, n) => channel.request(asked, `k${n}`, 0, never));
  await settled();
  equal(attempts.length, 10);
  for (let step = 0; step < 50; step += 1) {
    clock.advance(10);
    await settled();
  }
  equal(attempts.length, 15);
  for (let step = 0; step < 150; step += 1) {
    clock.advance(10);
    await settled();
  }
  equal((await Promise.all(all)).length, 25);
});

test("a message that is cancelled leaves its place in the line to the next", async () => {
  const clock = new ManualClock();
  const finish: (() => void)[] = [];
  const { channel } = channelOf(clock, () => new Promise((resolve) => finish.push(resolve)), { concurrency: 1 });
  const leaving = new AbortController();
  const first = channel.request(asked, "1", 0, never);
  const second = channel.request(asked, "2", 0, leaving.signal);
  const third = channel.request(asked, "3", 0, never);
  await settled();
  leaving.abort();
  finish.shift()?.();
  await rejects(second, { code: "MF_OUTLET_ABANDONED" });
  await settled();
  finish.shift()?.();
  deepEqual([(await first).status, (await third).status], [200, 200]);
});

test("values of the configuration reach the machine as headers, and no sender can bring any", () => {
  const message = {
    headers: { a: "1", "mayfly-value-secret": "forged", "mayfly-value-other": "forged" },
    contentType: "text/plain",
    correlationId: undefined,
  };
  deepEqual(JSON.parse(deliverHeadersJson(message, { "mayfly-value-secret": "s" })), {
    a: "1",
    "content-type": "text/plain",
    "mayfly-value-secret": "s",
  });
  deepEqual(JSON.parse(deliverHeadersJson(message)), { a: "1", "content-type": "text/plain" });
});
