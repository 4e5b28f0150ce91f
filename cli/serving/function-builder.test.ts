/** Builds and trials of strangers' flows for the page. */
import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { test } from "node:test";
import { isCoded } from "#base";
import { functionBuilder } from "./function-builder.ts";

const builder = functionBuilder("embedded");
const limits = { memory: 64 * 2 ** 20, cpu: 100, time: 5_000, sends: 10, log: 4096 };
const terms = { monitor: undefined, limits };
const message = { body: '{"n":2}', contentType: "application/json" };
const flowOf = (body: string): string =>
  `import { flow } from "mayfly";\nexport default flow<"erp">(async (msg, { to, log, state }) => {\n${body}\n});\n`;

test("a trial tells reply, sends, logs, state and the recording; its outlets answer nothing", async () => {
  const { bytes, sha256 } = await builder.build(
    flowOf('log.info("seen"); state.set("n", 1); to.erp.send("order"); return { twice: 2 * msg.json<{ n: number }>().n };'),
    "hello",
  );
  equal(sha256.length, 64);
  const trial = await builder.run(bytes, message, terms);
  deepEqual([trial.status, trial.error, trial.reply?.text], ["done", null, '{"twice":4}']);
  deepEqual([trial.sends.map(({ outlet, text }) => `${outlet}: ${text}`), trial.logs.map(({ text }) => text)], [["erp: order"], ["seen"]]);
  deepEqual(trial.state, { n: 1 });
  equal(trial.events[0], "deliver");
  match(trial.events.join("\n"), /→ send to erp, 5 bytes/);
  const asked = await builder.build(flowOf('return (await to.erp.request("x")).text();'), "asks");
  equal((await builder.run(asked.bytes, message, terms)).status, "failed");
  const fetched = await builder.build(flowOf('return (await fetch("http://127.0.0.1:1/")).status;'), "fetches");
  equal((await builder.run(fetched.bytes, message, terms)).error?.code, "MF_HOST_NOT_DECLARED");
});

test("a flow that does not end, or wants too much, ends its trial", async () => {
  const endless = await builder.build(flowOf("for (;;);"), "endless");
  equal((await builder.run(endless.bytes, message, terms)).error?.code, "MF_CPU_LIMIT");
  const many = await builder.build(flowOf('for (let i = 0; i < 20; i += 1) to.erp.send("x");'), "many");
  equal((await builder.run(many.bytes, message, terms)).status, "failed");
});

test("a build tells the place of what is wrong, and reads no file of the gateway's computer", { timeout: 120_000 }, async () => {
  await rejects(builder.build(flowOf("return msg.nothing();"), "hello"), (error) => isCoded(error) && /hello\.ts:3/.test(error.message));
  for (const path of ["/etc/passwd", "../../../../../../etc/passwd", "./other.json", "node:fs", "typescript"])
    await rejects(builder.build(`import x from ${JSON.stringify(path)};\n${flowOf("return String(x);")}`, "hello"), isCoded, path);
  await rejects(builder.build(`for (;;);\n${flowOf("return 1;")}`, "hello"), isCoded);
});
