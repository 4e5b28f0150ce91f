/** Recordings of calls, run again. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import type { Message, RunOptions, RunResult } from "./embed.d.ts";
import { build } from "./images.ts";
import { replay } from "./replay.ts";
import { hostOf } from "./testing/open.ts";

const handler = `async (msg, { to, log, state, sleep }) => {
  log.info("at " + Date.now(), { random: Math.random(), id: crypto.randomUUID() });
  state.set("n", (state.get("n") ?? 0) + 1);
  const what = msg.text();
  if (what === "loop") for (;;);
  const [a, b] = await Promise.all([to.a.request({ what }), to.b.request({ what }).catch((e) => ({ text: () => e.code }))]);
  await sleep(5);
  to.out.send(a.text() + b.text());
  if (what === "throw") throw new Error("no");
  if (what === "stay") await to.never.request();
  return a.text() + b.text() + Math.random();
}`;

/** Members that a replay gives again. */
function shown({ status, reply, sends, logs, state, error, steps, droppedLogs }: RunResult): object {
  return {
    status,
    reply: reply === undefined ? undefined : { ...reply },
    sends: sends.map((send) => ({ ...send })),
    logs,
    state,
    error: error === undefined ? undefined : [error.code, error.message, error.stack, error.at, error.retry, error.status],
    steps,
    droppedLogs,
  };
}

test("a replay gives the same result, however the call ended", async (context) => {
  const host = await hostOf(context, handler, { limits: { time: "3s", cpu: "50ms" } });
  const outlets = {
    a: () => ({ text: "A" }),
    b: () => Promise.reject(new Error("gone")),
    never: () => new Promise<undefined>(() => undefined),
  };
  const call = async (body: string, message: Message = {}, options: RunOptions = {}): Promise<RunResult> =>
    host.run({ body, key: "k", state: { n: 4 }, ...message }, { outlets, ...options });
  const results = [
    await call("fine"),
    await call("throw"),
    await call("stay"),
    await call("loop"),
    await call("no outlets", {}, { outlets: {} }),
  ];
  const controller = new AbortController();
  results.push(
    await call(
      "stay",
      {},
      { outlets: { ...outlets, never: () => (controller.abort(), new Promise<undefined>(() => undefined)) }, signal: controller.signal },
    ),
  );
  deepEqual(
    results.map(({ status, error }) => error?.code ?? status),
    ["done", "MF_FLOW_THREW", "MF_TIME_LIMIT", "MF_CPU_LIMIT", "MF_OUTLET_UNKNOWN", "MF_CANCELLED"],
  );
  for (const result of results) {
    const again = await replay(result.recording);
    deepEqual(shown(again), shown(result));
    equal(again.identical, true, JSON.stringify(again.differences));
    deepEqual(again.differences, []);
    deepEqual(shown(await replay(again.recording, host.image.bytes)), shown(result));
  }
});

test("another image shows where it differs", async (context) => {
  const host = await hostOf(context, "() => ({ a: 1 })");
  const other = await hostOf(context, "() => ({ a: 2 })");
  const { recording } = await host.run();
  const again = await replay(recording, other.image);
  equal(again.identical, false);
  deepEqual(again.differences, [{ path: "reply.body.a", recorded: 1, replayed: 2 }]);
  deepEqual(again.reply?.json(), { a: 2 });
});

test("a malformed recording, and an image that is not here", async (context) => {
  const host = await hostOf(context, "() => 1");
  const { recording } = await host.run();
  for (const bytes of [new Uint8Array(0), recording.subarray(0, -1), "x" as never])
    await rejects(replay(bytes, host.image), { code: "MF_RECORDING_INVALID" });
  const strange = Buffer.from(recording);
  const at = strange.indexOf(host.image.hash.slice(0, 16));
  ok(at > 0);
  strange.write("00", at);
  await rejects(replay(strange), { code: "MF_EMBED_IMAGE" });
});

test("the caller's bytes are its own: changing them later changes no recording", async (context) => {
  const host = await hostOf(context, "async (msg, { to }) => (await to.a.request()).text() + msg.text()");
  const body = new TextEncoder().encode("abc");
  const answer = new TextEncoder().encode("def");
  const result = await host.run({ body }, { outlets: { a: () => ({ body: answer, contentType: "text/plain" }) } });
  body.fill(0);
  answer.fill(0);
  equal((await replay(result.recording)).reply?.text(), "defabc");
});

test("a replay asks nobody", async (context) => {
  const host = await hostOf(context, "async (msg, { to }) => (await to.a.request()).text()");
  let asked = 0;
  const { recording } = await host.run({}, { outlets: { a: () => ({ text: String(++asked) }) } });
  equal((await replay(recording, await build(host.image.bytes))).reply?.text(), "1");
  equal(asked, 1);
});
