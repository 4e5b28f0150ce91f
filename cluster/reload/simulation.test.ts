/** Reloads in virtual time: messages that are late or lost, slow stores, nodes and coordinators that end, stop and are cut off. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { CodedError, prng, type Prng } from "#base";
import { type ClusterReload, silentLogger } from "#gateway";
import { seed } from "../../base/testing/seed.ts";
import { ManualClock } from "../../gateway/testing/manual-clock.ts";
import { SimulatedStore } from "../testing/simulated-store.ts";
import type { ReloadQuestion } from "./coordinator.ts";
import { ClusterReloads } from "./reload.ts";

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Probes find out a node that does not work on a question: see cluster/forwarding. */
const silentMs = 4_000;

interface Node {
  readonly name: string;
  readonly life: string;
  readonly reloads: ClusterReloads;
  isAlive: boolean;
  hasLease: boolean;
  /** In its mayfly.yaml; undefined: a broken one. */
  file: string | undefined;
  served: string;
  /** Prepared, and neither committed nor abandoned. */
  held: number;
  failsToSwap: boolean;
  buildMs: number | undefined;
}

class World {
  readonly clock = new ManualClock();
  readonly random: Prng;
  readonly store: SimulatedStore;
  readonly nodes = new Map<string, Node>();
  readonly cut = new Set<string>();
  /** Revisions that nodes have swapped to, in order. */
  readonly swaps: { readonly node: string; readonly revision: string }[] = [];
  /** One question or answer of so many is lost; 0: none. */
  lostOneIn = 0;
  mostDelayMs = 30;
  mostBuildMs = 500;
  #lives = 0;
  #ids = 0;

  constructor(from: number) {
    this.random = prng(from);
    this.store = new SimulatedStore(this.clock, this.random);
  }

  async start(name: string, file: string | undefined = "one"): Promise<Node> {
    const life = `${name}.${this.#lives++}`;
    const store = this.store.of(name);
    const put: typeof store.put = async (key, value, expected) => {
      const asked = this.nodes.get(name)?.life === life ? store.put(key, value, expected) : new Promise<never>(() => undefined);
      const sequence = await asked;
      return this.nodes.get(name)?.life === life ? sequence : await new Promise<never>(() => undefined);
    };
    const reloads = new ClusterReloads({
      ...{ store: { put }, clock: this.clock, logger: silentLogger, node: name, life },
      nodes: () =>
        [...this.nodes.values()]
          .filter(({ isAlive, hasLease }) => isAlive && hasLease)
          .map((each) => ({ name: each.name, life: each.life })),
      ask: (to, question, mostMs) => this.#ask(name, to, question, mostMs),
      newId: () => `r${this.#ids++}`,
    });
    const node: Node = {
      name,
      life,
      reloads,
      isAlive: true,
      hasLease: true,
      file,
      served: file ?? "",
      held: 0,
      failsToSwap: false,
      buildMs: undefined,
    };
    this.nodes.set(name, node);
    await store.watch((key, value, sequence, isPresent) => (node.isAlive ? reloads.saw(key, value, sequence, isPresent) : undefined));
    reloads.serve({ revision: () => node.served, prepare: () => this.#prepare(node) });
    return node;
  }

  node(name: string): Node {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(name);
    return node;
  }

  kill(name: string): void {
    this.node(name).isAlive = false;
    this.store.kill(name);
    this.nodes.delete(name);
  }

  isolate(name: string, isCut: boolean): void {
    this.store.cut(name, isCut);
    if (isCut) this.cut.add(name);
    else this.cut.delete(name);
  }

  after(mostMs: number): Promise<void> {
    return new Promise((resolve) => this.clock.after(this.random.below(mostMs), resolve));
  }

  async #prepare(node: Node): ReturnType<Parameters<ClusterReloads["serve"]>[0]["prepare"]> {
    await (node.buildMs === undefined
      ? this.after(this.mostBuildMs)
      : new Promise<void>((resolve) => this.clock.after(node.buildMs ?? 0, resolve)));
    const revision = node.file;
    if (revision === undefined) throw new CodedError("MF_CONFIG_INVALID", "it is broken");
    node.held += 1;
    return {
      revision,
      commit: async () => {
        node.held -= 1;
        if (!node.isAlive) return;
        node.served = revision;
        this.swaps.push({ node: node.name, revision });
        await this.after(50);
        if (node.failsToSwap) throw new CodedError("MF_TEST", "a port is taken");
      },
      abandon: async () => void (node.held -= 1),
    };
  }

  async #ask(from: string, to: string, question: ReloadQuestion, mostMs: number): Promise<unknown> {
    const { life } = this.node(from);
    const isLost = (): boolean =>
      this.nodes.get(from)?.life !== life ||
      this.cut.has(from) ||
      this.cut.has(to) ||
      (this.lostOneIn > 0 && this.random.below(this.lostOneIn) === 0);
    const asked = async (): Promise<unknown> => {
      await this.after(this.mostDelayMs);
      const node = this.nodes.get(to);
      const silence = (): Promise<undefined> => new Promise((resolve) => this.clock.after(silentMs, () => resolve(undefined)));
      if (node === undefined || isLost()) return await silence();
      const answer = await node.reloads.answer(question);
      await this.after(this.mostDelayMs);
      return isLost() || !node.isAlive ? await silence() : JSON.parse(JSON.stringify(answer));
    };
    return await Promise.race([asked(), new Promise((resolve) => this.clock.after(mostMs, () => resolve(undefined)))]);
  }

  async pass(ms: number, until?: () => boolean): Promise<void> {
    const untilMs = this.clock.monotonicMs() + ms;
    await settled();
    while (this.clock.monotonicMs() < untilMs && until?.() !== true) {
      const nextMs = Math.min(this.clock.nextMs ?? untilMs, untilMs);
      this.clock.advance(Math.max(nextMs - this.clock.monotonicMs(), 0));
      await settled();
    }
  }

  async reload(at: string): Promise<ClusterReload> {
    const asked = this.begin(at);
    await this.pass(600_000, () => asked.result !== undefined);
    return asked.result as ClusterReload;
  }

  begin(at: string): { result: ClusterReload | undefined } {
    const asked: { result: ClusterReload | undefined } = { result: undefined };
    void this.node(at)
      .reloads.reload()
      .then((result) => (asked.result = result));
    return asked;
  }

  get served(): string[] {
    return [...this.nodes.values()].map(({ served }) => served);
  }
}

async function world(from = seed): Promise<World> {
  const made = new World(from);
  for (const name of ["a", "b", "c"]) await made.start(name);
  return made;
}

function write(of: World, file: string | undefined, ...names: readonly string[]): void {
  for (const name of names.length === 0 ? of.nodes.keys() : names) of.node(name).file = file;
}

test("all nodes swap to one revision, whichever is asked", async () => {
  for (const at of ["a", "b", "c"]) {
    const w = await world();
    write(w, "two");
    const { result, revision, code, nodes } = await w.reload(at);
    deepEqual([result, revision, code], ["committed", "two", undefined]);
    deepEqual(
      nodes.map(({ node, state }) => `${node} ${state}`),
      ["a swapped", "b swapped", "c swapped"],
    );
    deepEqual(w.served, ["two", "two", "two"]);
  }
});

test("a node with a broken file, another file, or no answer: none swaps, each is named, and a later reload works", async () => {
  const w = await world();
  const refused = async (code: string, states: readonly string[]): Promise<void> => {
    const { result, code: said, nodes } = await w.reload("a");
    deepEqual([result, said, nodes.map(({ state }) => state)], ["refused", code, states]);
    await w.pass(60_000);
    deepEqual([w.swaps, [...w.nodes.values()].map(({ held }) => held)], [[], [0, 0, 0]]);
  };
  write(w, "two");
  write(w, undefined, "b");
  await refused("MF_CLUSTER_RELOAD_REFUSED", ["prepared", "refused", "prepared"]);
  write(w, "other", "b");
  await refused("MF_CLUSTER_RELOAD_DIFFERS", ["prepared", "prepared", "prepared"]);
  w.isolate("c", true);
  await refused("MF_CLUSTER_RELOAD_SILENT", ["prepared", "prepared", "silent"]);
  w.isolate("c", false);
  write(w, "two");
  equal((await w.reload("c")).result, "committed");
  deepEqual(w.served, ["two", "two", "two"]);
});

test("of two reloads at once one is refused with a code", async () => {
  for (let round = 0; round < 20; round++) {
    const w = await world(seed + round);
    write(w, "two");
    const first = w.begin("a");
    await w.pass(w.random.below(60));
    const second = w.begin("b");
    await w.pass(600_000, () => first.result !== undefined && second.result !== undefined);
    const results = [first.result, second.result].map((each) => each?.code ?? each?.result);
    ok(results.includes("committed") && results.includes("MF_CLUSTER_RELOAD_BUSY"), results.join());
  }
});

test("a coordinator that ends, or is cut off before its decision: nodes forget, and another reload goes on", async () => {
  const w = await world();
  write(w, "two");
  w.node("a").buildMs = 5_000;
  w.begin("a");
  await w.pass(3_000);
  deepEqual([w.node("b").held, w.node("c").held], [1, 1]);
  w.kill("a");
  await w.pass(120_000);
  deepEqual([w.swaps.length, w.node("b").held, w.node("c").held], [0, 0, 0]);
  equal((await w.reload("b")).result, "committed");
});

test("a node that was away for the decision swaps when it sees it, and one with another file says that it can't", async () => {
  const w = await world();
  write(w, "two");
  w.node("a").buildMs = 5_000;
  const asked = w.begin("a");
  await w.pass(3_000); // c is prepared, and has said so
  w.isolate("c", true);
  await w.pass(600_000, () => asked.result !== undefined);
  const { result, code, nodes } = asked.result as ClusterReload;
  deepEqual([result, code, nodes.map(({ state }) => state)], ["committed", "MF_CLUSTER_RELOAD_FAILED", ["swapped", "swapped", "failed"]]);
  await w.pass(120_000); // it forgets what it has prepared
  deepEqual([w.node("c").held, w.served], [0, ["two", "two", "one"]]);
  w.isolate("c", false);
  await w.pass(10_000);
  deepEqual(w.served, ["two", "two", "two"]);
  const late = await w.start("d", "old");
  await w.pass(10_000);
  deepEqual([late.served, late.held], ["old", 0]);
});

test("a node that comes during the reload is asked as well; one that goes is not waited for", async () => {
  const w = await world();
  write(w, "two");
  w.mostBuildMs = 5_000;
  const asked = w.begin("a");
  await w.pass(100);
  await w.start("d", "one");
  w.kill("c");
  await w.pass(600_000, () => asked.result !== undefined);
  equal(asked.result?.code, "MF_CLUSTER_RELOAD_DIFFERS");
  deepEqual(w.swaps, []);
});

test("a decision that comes too late is refused: the nodes have ended the reload before", async () => {
  const w = await world();
  write(w, "two");
  const a = w.node("a");
  a.buildMs = 6_000;
  const asked = w.begin("a");
  await w.pass(1_000);
  a.hasLease = false; // as of a node that was stopped for a while
  await w.pass(3_000);
  a.hasLease = true;
  await w.pass(60_000);
  deepEqual([asked.result?.code, w.swaps, w.served], ["MF_CLUSTER_RELOAD_OVER", [], ["one", "one", "one"]]);
});

test("a node without a lease, which was not counted, does not swap to another revision than the committed one", async () => {
  const w = await world();
  write(w, "two");
  write(w, "other", "c");
  w.node("a").buildMs = 1_000;
  const asked = w.begin("a");
  await w.pass(700);
  deepEqual([w.node("c").held, asked.result], [1, undefined]);
  w.node("c").hasLease = false;
  await w.pass(60_000);
  deepEqual([asked.result?.result, w.served, w.node("c").held], ["committed", ["two", "two", "one"], 0]);
});

test("a node that can't carry out what it agreed to is named, and the others have swapped", async () => {
  const w = await world();
  write(w, "two");
  w.node("b").failsToSwap = true;
  const { result, code, nodes } = await w.reload("a");
  deepEqual([result, code, nodes[1]?.state, nodes[1]?.message], ["committed", "MF_CLUSTER_RELOAD_FAILED", "failed", "a port is taken"]);
});

test("under any loss, delay and death one reload never commits two revisions, and none swaps in a refused one", async () => {
  let committed = 0;
  for (let round = 0; round < 150; round++) {
    const w = await world(seed + round);
    w.lostOneIn = [0, 0, 6, 15][w.random.below(4)] as number;
    w.store.lostOneIn = [0, 4, 10][w.random.below(3)] as number;
    w.mostDelayMs = [10, 500, 5_000][w.random.below(3)] as number;
    w.mostBuildMs = [10, 2_000, 30_000][w.random.below(3)] as number;
    const text = `round ${round}, seed ${seed}`;
    for (let reload = 0; reload < 3; reload++) {
      const file = `${reload}`;
      const mixed = w.random.below(3) === 0;
      for (const node of w.nodes.values()) node.file = mixed && w.random.below(2) === 0 ? `${file}-other` : file;
      const files = new Set([...w.nodes.values()].map((each) => each.file));
      const before = w.swaps.length;
      const names = [...w.nodes.keys()];
      const asked = w.begin(names[w.random.below(names.length)] as string);
      let isRestarted = false;
      const faults = w.random.below(3);
      for (let fault = 0; fault < faults; fault++) {
        await w.pass(w.random.below(20_000));
        const name = [...w.nodes.keys()][w.random.below(w.nodes.size)] as string;
        const kind = w.random.below(3);
        if (kind === 0) {
          isRestarted = true;
          w.kill(name);
          await w.start(name, w.random.below(2) === 0 ? file : "old");
        } else w.isolate(name, kind === 1);
      }
      await w.pass(400_000);
      for (const name of w.nodes.keys()) w.isolate(name, false);
      await w.pass(60_000);
      const swaps = new Set(w.swaps.slice(before).map(({ revision }) => revision));
      ok(swaps.size <= 1, `${text}: ${[...swaps].join()} by one reload`);
      const isRefused = asked.result?.result === "refused" || (files.size > 1 && !isRestarted);
      // An older commit may be taken up late.
      for (const revision of swaps) ok(!isRefused || !revision.startsWith(file), `${text}: ${revision} by ${JSON.stringify(asked.result)}`);
      if (asked.result?.result === "committed") {
        committed += 1;
        for (const node of w.nodes.values()) if (node.file === file) equal(node.served, file, `${text}: ${node.name} has missed it`);
      }
      for (const node of w.nodes.values()) equal(node.held, 0, `${text}: ${node.name} still holds what it has prepared`);
    }
  }
  ok(committed > 40, `${committed} were committed`);
});
