/** Functions in memory: started once by many callers, taken out again when others are in demand, never in the middle of something. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { defaultFlowLimits } from "#abi";
import { CodedError, prng } from "#base";
import { connectors } from "#connectors";
import { seed } from "../../base/testing/seed.ts";
import { silentLogger } from "../logger.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { readFragment } from "./fragment.ts";
import { functionLimits } from "./limits.ts";
import { FunctionLogs } from "./logs.ts";
import type { FlowHost } from "./ports.ts";
import { type Loaded, ServedFunctions } from "./served.ts";
import { onlyTenant } from "./tenants.ts";

const tenant = onlyTenant({ memory: 2 ** 28, cpu: 1e4, time: 1e6, sends: 1e3, log: 1e5 }).need("");
const secrets = { value: () => ({ ok: false, error: "there are no secrets" }) as const };
const share = { name: "functions", weight: 1 };

function loaded(name: string, fragment = ""): Loaded {
  const config = readFragment(fragment, { tenant, name, share }, { connectors, base: "/", secrets });
  return { config, image: { image: { name, sha256: name }, outlets: undefined, limits: defaultFlowLimits } };
}

class World {
  readonly clock = new ManualClock();
  readonly served = new Map<string, { isIdle: boolean }>();
  readonly images = new Map<string, number>();
  starts = 0;
  failing = false;
  fragment = "";
  readonly functions: ServedFunctions;

  constructor(most = 3) {
    const host: FlowHost = {
      hasFlow: () => false,
      paths: () => [],
      keptBy: () => ({ state: 0, messages: 0, deadLetters: 0 }),
      asleepIn: () => [],
      start: async (flow) => {
        this.starts += 1;
        await new Promise((resolve) => setImmediate(resolve));
        if (this.failing) throw new CodedError("MF_TEST", "it can't be started");
        ok(!this.served.has(flow), "a function is served once");
        const state = { isIdle: true };
        this.served.set(flow, state);
        return Object.assign(state, { pending: 0, figures: { received: 0, done: 0, dead: 0, cpuMs: 0 } });
      },
      replace: async (flow) => {
        if (this.failing) throw new CodedError("MF_TEST", "it can't be swapped");
        ok(this.served.has(flow));
      },
      end: async (flow) => {
        await new Promise((resolve) => setImmediate(resolve));
        ok(this.served.get(flow)?.isIdle, "nothing is under way");
        this.served.delete(flow);
      },
    };
    this.functions = new ServedFunctions({
      clock: this.clock,
      host,
      images: { unload: ({ sha256 }) => void this.images.set(sha256, (this.images.get(sha256) ?? 0) - 1) },
      logger: silentLogger,
      logs: new FunctionLogs(this.clock),
      load: async ({ name }) => this.load(name),
      leaving: () => undefined,
      most,
    });
  }

  load(name: string): Loaded | undefined {
    if (name === "gone") return undefined;
    this.images.set(name, (this.images.get(name) ?? 0) + 1);
    return loaded(name, this.fragment);
  }

  async call(name: string): Promise<string | undefined> {
    const own = { tenant: "", name };
    return this.functions.called(own) ? undefined : (await this.functions.wake(own))?.code;
  }
}

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

test("many callers of a function start it once; one that is gone is served to nobody", async () => {
  const world = new World();
  deepEqual(
    await Promise.all(Array.from({ length: 50 }, () => world.call("a"))),
    Array.from({ length: 50 }, () => undefined),
  );
  equal(world.starts, 1);
  equal(await world.call("gone"), undefined);
  deepEqual([...world.served.keys()], ["a"]);
});

test("a function that can't be started says so, is not tried again at once, and its image is unloaded", async () => {
  const world = new World();
  world.failing = true;
  equal(await world.call("a"), "MF_FUNCTION_START");
  equal(await world.call("a"), "MF_FUNCTION_START");
  equal(world.starts, 1);
  equal(world.images.get("a"), 0);
  world.failing = false;
  world.clock.advance(functionLimits.startAgainMs + 1);
  equal(await world.call("a"), undefined);
  world.failing = true;
  await rejects(world.functions.replace({ tenant: "", name: "a" }, world.load("a") as Loaded), { code: "MF_TEST" });
  equal(world.images.get("a"), 1, "the image before is still loaded");
});

test("functions that were not called for the longest time leave memory, but for those that were called lately, work, or run by themselves", async () => {
  const world = new World(3);
  world.fragment = 'from: [{ cron: { schedule: "0 0 * * *" } }]';
  await world.call("resident");
  world.fragment = "";
  for (const name of ["busy", "old", "older"]) await world.call(name);
  await settled();
  equal(world.served.size, 4, "all were called lately");
  const busy = world.served.get("busy") as { isIdle: boolean };
  busy.isIdle = false;
  world.clock.advance(functionLimits.lately + 1);
  await world.call("older");
  await world.call("new");
  await settled();
  deepEqual([...world.served.keys()], ["resident", "busy", "older", "new"]);
  equal(world.images.get("old"), 0);
  equal(await world.call("old"), undefined, "it starts again");
});

test("at random: what is called is served, and images are loaded as often as functions are served", async () => {
  const random = prng(seed);
  const world = new World(4);
  for (let turn = 0; turn < 400; turn += 1) {
    const names = Array.from({ length: 1 + random.below(3) }, () => `f${random.below(30)}`);
    await Promise.all(names.map((name) => world.call(name)));
    if (random.below(3) === 0) world.clock.advance(functionLimits.lately + 1);
  }
  world.clock.advance(functionLimits.lately + 1);
  await world.call("last");
  await settled();
  equal(world.served.size, 4);
  const counts = [...world.images].filter(([, count]) => count !== 0);
  deepEqual(counts.map(([name, count]) => `${name} ${count}`).sort(), [...world.served.keys()].map((name) => `${name} 1`).sort());
});

test("once it is closed nothing starts", async () => {
  const world = new World();
  const under = world.call("a");
  await world.functions.close();
  await under;
  equal(await world.call("b"), "MF_STOPPING");
});
