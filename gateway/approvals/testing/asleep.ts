/** A real machine that is asleep on a question, for tests. */
import { ok } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DeliverEvent, defaultFlowLimits, type Event } from "#abi";
import { toUtf8 } from "#base";
import { connectors } from "#connectors";
import { buildImage } from "#image";
import { embeddedMonitor } from "#monitors";
import { readConfig } from "../../config/read.ts";
import type { Flow, Runner } from "../../contract/runner.ts";
import type { Sleeper } from "../../contract/sleep.ts";
import { type EffectHost, Effects } from "../../delivery/attempt/effects.ts";
import { sleeperOf } from "../../delivery/sleep/sleeper.ts";
import type { NewMessage } from "../../journal/journal.ts";
import type { Forked } from "../preview.ts";

const host: EffectHost = {
  log: () => undefined,
  logDropped: () => undefined,
  reserve: () => undefined,
  call: () => () => undefined,
  timer: () => () => undefined,
  wait: () => () => undefined,
};

export interface Asleep {
  readonly runner: Runner;
  readonly forked: Forked;
  close(): Promise<void>;
}

/** The flow `pay` in this source, after a message with this body and the key Ada. */
export async function fallAsleep(source: string, body: unknown): Promise<Asleep> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-asleep-"));
  const monitor = embeddedMonitor({ workers: 1 });
  try {
    await writeFile(join(folder, "pay.ts"), source);
    const image = await monitor.load((await buildImage(join(folder, "pay.ts"), { check: false })).image);
    const yaml = `flows: { pay: { flow: pay.ts, from: [{ http: { path: /pay } }], key: "json:/name", history: { redact: { paths: [/token, /iban] } } } }`;
    const config = readConfig(yaml, join(folder, "mayfly.yaml"), { ...connectors, environment: {} }).flows["pay"];
    ok(config !== undefined);
    const flow: Flow = {
      name: "pay",
      image,
      limits: { ...defaultFlowLimits, cpuMs: 100 },
      share: { name: "pay", weight: 1 },
      outlets: ["book", "bank"],
      retriesProgramErrors: false,
      sleepMostMs: 30 * 86_400_000,
      config,
    };
    const nowMs = Date.now();
    const deliver: DeliverEvent = {
      kind: "deliver",
      timeMs: nowMs,
      seed: new Uint8Array(32),
      id: "m1",
      source: "http",
      attempt: 1,
      key: "Ada",
      headersJson: "{}",
      stateJson: undefined,
      body: toUtf8(JSON.stringify(body)),
    };
    const effects = new Effects(flow, { key: "Ada", headers: {}, latin1Reply: false, callerWaits: false }, host);
    effects.began(nowMs);
    const machine = monitor.start(image, deliver);
    effects.outcome(await machine.first);
    ok(effects.end?.kind === "asleep", JSON.stringify(effects.end));
    const events: Event[] = [...machine.events];
    machine.end();
    const asleep = { flow: "pay", imageSha256: image.sha256, limits: flow.limits, events, steps: [], nowMs };
    const sleeper: Sleeper = sleeperOf({ ...asleep, sleepMostMs: flow.sleepMostMs, transactions: 0 }, effects.end);
    const message = { flow: "pay", id: "m1", key: "Ada", headers: {} } as unknown as NewMessage;
    const forked: Forked = { flow, message, sleeper, state: { version: 1, json: '{"open":true}' } };
    return { runner: monitor, forked, close: () => monitor.close() };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
