/** Machines in the caller's thread: the same effects as in a worker, forks that know nothing of each other, steps that are stopped. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { defaultFlowLimits, type DeliverEvent, encodeEffects, type Event, type StepOutcome } from "#abi";
import { toUtf8 } from "#base";
import { buildImage, type Image } from "#image";
import { embeddedMonitor, type InlineImage, InlineMachines } from "#monitors";

const source = `import { flow } from "mayfly";
export default flow(async (msg, { to, log }) => {
  if (msg.text() === "loop") for (;;);
  const seen = [msg.id, Math.random()];
  for (let turn = 0; turn < 3; turn++) seen.push((await to.a.request({ turn })).text());
  to.b.send(seen);
});`;

let folder: string;
let image: Image;
let loaded: InlineImage;
const machines = new InlineMachines();
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-inline-"));
  await writeFile(join(folder, "flow.ts"), source);
  ({ image } = await buildImage(join(folder, "flow.ts"), { check: false }));
  loaded = machines.load(image);
});
after(() => rm(folder, { recursive: true, force: true }));

const deliver = (body: string): DeliverEvent => ({
  kind: "deliver",
  timeMs: 1000,
  seed: new Uint8Array(32).fill(7),
  id: "m",
  source: "test",
  attempt: 1,
  key: undefined,
  headersJson: "{}",
  stateJson: undefined,
  body: toUtf8(body),
});
const answer = (call: number, text: string): Exclude<Event, DeliverEvent> => ({
  kind: "resolve",
  timeMs: 1000 + call,
  call,
  error: undefined,
  status: 200,
  headersJson: "{}",
  body: toUtf8(text),
});

const shown = ({ status, effects }: StepOutcome): unknown[] => [status, Buffer.from(encodeEffects(effects)).toString("latin1")];

test("steps have the effects that a worker's machine has; a fork leaves the machine it was made of as it was", async () => {
  const first = machines.step(loaded, undefined, deliver("x"), defaultFlowLimits);
  const run = (texts: string): unknown[] => {
    let at = first;
    return [...texts].map((text, index) => {
      at = machines.step(loaded, at.machine, answer(index + 1, text), defaultFlowLimits);
      return shown(at.outcome);
    });
  };
  const monitor = embeddedMonitor({ workers: 1 });
  try {
    const known = await monitor.load(image);
    for (const texts of ["abc", "xyz", "aac", "abc"]) {
      const machine = monitor.start(known, deliver("x"), defaultFlowLimits);
      deepEqual(shown(await machine.first), shown(first.outcome));
      const steps: unknown[] = [];
      for (const [index, text] of [...texts].entries()) {
        steps.push(shown(await machine.step(answer(index + 1, text))));
      }
      deepEqual(run(texts), steps, texts);
    }
  } finally {
    await monitor.close();
  }
});

test("a step is stopped at its CPU limit, and the next machine is whole", () => {
  const { outcome, machine } = machines.step(loaded, undefined, deliver("loop"), { ...defaultFlowLimits, cpuMs: 20 });
  equal(outcome.status, "broken");
  ok(outcome.status === "broken" && outcome.failure.code === "MF_CPU_LIMIT");
  equal(machine, undefined);
  equal(machines.step(loaded, undefined, deliver("x"), defaultFlowLimits).outcome.status, "waiting");
});
