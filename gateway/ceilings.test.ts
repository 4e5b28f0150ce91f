import { deepEqual, equal, match } from "node:assert/strict";
import { test } from "node:test";
import { defaultFlowLimits } from "#abi";
import { done, type Script } from "./testing/scripted.ts";
import { withGateway } from "./testing/rig.ts";

const answer: Script = () => [done("fine")];
const own = `limits: { cpu: 1h, time: 2h, memory: 32MiB, sends: 20, log: 1KiB }`;
const flow = (more: string): string => `flows: { a: { image: a.mfi, from: [ { http: { path: /a } } ], ${more} } }\n`;

test("no limit of a flow is above its ceiling, and the log says which were", async () => {
  await withGateway(`${flow(own)}ceilings: { memory: 16MiB, sends: 30 }`, { a: answer }, async ({ url, runner, logs, gateway, config }) => {
    await fetch(`${url}/a`, { method: "POST" });
    const capped = { memoryBytes: 16 * 2 ** 20, cpuMs: 10_000, timeMs: 3_600_000, sends: 20, logBytes: 1024 };
    deepEqual(runner.limits, [capped]);
    const warned = logs.filter(({ text }) => text.includes("ceilings.")).map(({ level, text }) => `${level} ${text}`);
    equal(warned.length, 3);
    match(warned.join("\n"), /^warn limits\.memory of the flow a is above ceilings\.memory/);
    await gateway.reload(config(`${flow(own)}ceilings: { cpu: 2h, time: 1m }`));
    await fetch(`${url}/a`, { method: "POST" });
    deepEqual(runner.limits[1], { ...capped, memoryBytes: 32 * 2 ** 20, cpuMs: 3_600_000, timeMs: 60_000 });
  });
});

test("an image's own limits are bounded too, and those below a ceiling are left alone", async () => {
  await withGateway(`${flow("concurrency: 1")}ceilings: { cpu: 100ms }`, { a: answer }, async ({ url, runner }) => {
    await fetch(`${url}/a`, { method: "POST" });
    deepEqual(runner.limits, [{ ...defaultFlowLimits, cpuMs: 100 }]);
  });
});

test("a flow's weight goes to the runner, with one share for all its messages", async () => {
  await withGateway(flow("weight: 3"), { a: answer }, async ({ url, runner }) => {
    for (let i = 0; i < 2; i++) await fetch(`${url}/a`, { method: "POST" });
    deepEqual(runner.shares, [runner.shares[0], runner.shares[0]]);
    deepEqual(runner.shares[0], { name: "a", weight: 3 });
  });
});
