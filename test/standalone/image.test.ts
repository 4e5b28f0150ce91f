/** Real images behind the guest's small gateway: from a request's bytes to a flow in the engine, and back, in virtual time. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { defaultFlowLimits, type DeliverEvent, type StepOutcome } from "#abi";
import { buildImage } from "#image";
import { embeddedMonitor } from "#monitors";
import { bodyOf, jobEnd, type Peer, plainFlow, ServiceBench, type StepResult, statusOf } from "../../kernel/net/testing/service.ts";

const flow = `import { flow } from "mayfly";
export default flow(async (msg, { to, reply, sleep, log }) => {
  const { kind, sku } = msg.json();
  log.info("got", { kind });
  if (kind === "crash") throw new TypeError("oops");
  if (kind === "spin") for (;;);
  if (kind === "sleep") await sleep(300);
  if (kind === "price") {
    const answer = await to.prices.request(undefined, { method: "GET", path: sku });
    to.audit.send({ sku, status: answer.status });
    return { sku, price: answer.json().price, query: msg.query.q };
  }
  reply({ kind, now: Date.now(), random: Math.random() }, { status: 201, headers: { "x-kind": kind } });
});
`;

let folder = "";
let monitor: ReturnType<typeof embeddedMonitor>;
let image: Awaited<ReturnType<typeof monitor.load>>;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-guest-"));
  await writeFile(join(folder, "shop.ts"), flow);
  monitor = embeddedMonitor({ workers: 1 });
  image = await monitor.load((await buildImage(join(folder, "shop.ts"), { check: false })).image);
});

after(async () => {
  await monitor.close();
  await rm(folder, { recursive: true, force: true });
});

type Machine = ReturnType<typeof monitor.start>;

const ends: Readonly<Record<string, number>> = { MF_CPU_LIMIT: jobEnd.interrupted, MF_MEMORY_LIMIT: jobEnd.noMemory };

function resultOf(outcome: StepOutcome): StepResult {
  if (outcome.status !== "broken") return outcome.effects;
  return { end: ends[outcome.failure.code] ?? jobEnd.lied, effects: outcome.effects };
}

/** Runs the service's jobs in the monitor until there are no more. */
async function runJobs(bench: ServiceBench, machines: Map<number, Machine>): Promise<void> {
  for (let job = bench.takeJob(); job !== undefined; job = bench.takeJob()) {
    const { slot, event } = job;
    let outcome: StepOutcome;
    if (event.kind === "deliver") {
      const machine = monitor.start(image, event satisfies DeliverEvent, { ...defaultFlowLimits, cpuMs: 300 });
      machines.set(slot, machine);
      outcome = await machine.first;
    } else outcome = await (machines.get(slot) as Machine).step(event);
    bench.finishJob(slot, resultOf(outcome));
    bench.work();
  }
}

const outlet = {
  scheme: "http",
  host: "10.0.2.2",
  port: 80,
  method: "POST",
  timeoutMs: 1000,
  attempts: 3,
  backoffMs: { least: 100, most: 200 },
  retryAgeMs: 60_000,
  basic: undefined,
  headers: {},
} as const;

function post(body: object, query = ""): string {
  const text = JSON.stringify(body);
  return `POST /${query} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
}

test("flows reply, sleep, ask and send; what crashes or spins harms its own message only", { timeout: 120_000 }, async () => {
  const bench = await ServiceBench.create({
    run: undefined,
    service: {
      outlets: [
        { ...outlet, name: "prices", path: "/prices" },
        { ...outlet, name: "audit", path: "/audit" },
      ],
      routes: plainFlow.routes.map((route) => ({ ...route, fullErrors: true })),
    },
    names: { "10.0.2.2": 0x0a000202 },
  });
  const machines = new Map<number, Machine>();
  const begin = async (body: object, query?: string): Promise<Peer> => {
    const peer = bench.open();
    ok(peer !== undefined);
    bench.send(peer, post(body, query));
    await runJobs(bench, machines);
    return peer;
  };
  const sleeper = await begin({ kind: "sleep" });
  const plain = await begin({ kind: "plain" });
  const crash = await begin({ kind: "crash" });
  const spin = await begin({ kind: "spin" });
  const price = await begin({ kind: "price", sku: "a-1" }, "?q=%C3%A9");
  equal(statusOf(plain.text), 201);
  match(plain.text, /\r\nx-kind: plain\r\ncontent-type: application\/json\r\n/);
  equal(statusOf(crash.text), 500);
  match(bodyOf(crash.text), /oops/);
  match(bodyOf(spin.text), /"code":"MF_CPU_LIMIT"/);
  equal(sleeper.text, "");
  bench.pass(301);
  await runJobs(bench, machines);
  const { now } = JSON.parse(bodyOf(plain.text)) as { now: number };
  const slept = JSON.parse(bodyOf(sleeper.text)) as { now: number; random: number };
  ok(slept.now - now >= 300);
  const [asked] = bench.connected;
  ok(asked !== undefined);
  bench.connect(asked);
  match(asked.text, /^GET \/prices\/a-1 HTTP\/1\.1\r\n/);
  bench.send(asked, 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"price": 7}');
  await runJobs(bench, machines);
  equal(price.text, "");
  const audit = bench.connected[1];
  ok(audit !== undefined);
  bench.connect(audit);
  match(audit.text, /^POST \/audit HTTP\/1\.1\r\n[^]*\r\n\r\n\{"sku":"a-1","status":200\}$/);
  bench.send(audit, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
  deepEqual(JSON.parse(Buffer.from(bodyOf(price.text), "latin1").toString()), { sku: "a-1", price: 7, query: "é" });
  match(bench.host.console, /"fields":\{"kind":"price"\},"msg":"got"/);
});
