/** `onDead: hold`: nothing of a key overtakes its dead letter until somebody retries or drops it, also after a restart. */
import { connectors } from "#connectors";
import { deepEqual, equal, match, ok } from "node:assert/strict";
import * as nodeFs from "node:fs/promises";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type DeadLetterFs, DeadLetters } from "../journal/dead-letters.ts";
import { openJournal } from "../journal/log/mod.ts";
import { logOutlet } from "../../connectors/log/outlet.ts";
import { type OutletDefinition, OutletError } from "../contract/outlet.ts";
import { type Rig, until, withGateway } from "../testing/rig.ts";
import { done, fail, type Script, send, text, utf8 } from "../testing/scripted.ts";

/** Bodies are `KEY NUMBER`; those in `bad` are refused, by the flow or by the peer. */
interface World {
  readonly bad: Set<string>;
  readonly ran: string[];
  readonly got: string[];
  readonly script: Script;
  readonly outlet: OutletDefinition;
}

function newWorld(...bad: readonly string[]): World {
  const world: World = {
    bad: new Set(bad),
    ran: [],
    got: [],
    script: (event) => {
      if (event.kind !== "deliver") return [];
      const body = text(event.body);
      if (world.bad.has(body)) return [fail("MF_BAD", "no", false)];
      world.ran.push(body);
      return [send("out", body, event.key), done()];
    },
    outlet: {
      ...(logOutlet as OutletDefinition),
      create: () => ({
        send: async (message) => {
          const body = text(message.body);
          if (world.bad.has(`out ${body}`)) throw new OutletError("MF_REFUSED", "no", { retryable: false });
          world.got.push(body);
        },
        stop: async () => undefined,
        health: () => ({ ready: true, detail: "" }),
      }),
    },
  };
  return world;
}

const flow = (more: string, outlet = ""): string =>
  `flows: { f: { image: f.mfi, from: [ { http: { path: /f } } ], to: { out: { log: {} ${outlet} } } ${more} } }`;
const keyed = ", key: 'header:k'";

const give = async ({ gateway }: Rig, ...bodies: readonly string[]): Promise<void> => {
  for (const body of bodies) {
    const key = body.split(" ")[0] ?? "";
    await gateway.inject("f", { body: utf8(body), headers: key === "-" ? {} : { k: key }, wait: false });
  }
};

const letterOf = async ({ deadLetters }: Pick<Rig, "deadLetters">): Promise<string> =>
  until(async () => {
    for await (const { id } of deadLetters.list("f")) return id;
    return undefined;
  });

const of = (bodies: readonly string[], key: string): string[] => bodies.filter((body) => body.startsWith(key));

function withWorld(world: World, yaml: string, run: (rig: Rig) => Promise<void>, ports: object = {}): Promise<void> {
  return withGateway(yaml, { f: world.script }, run, {
    drain: "200ms",
    ports: { connectors: { ...connectors, outlets: [world.outlet] }, ...ports },
  });
}

test("a flow holds the messages of a dead one's key, in order, and those of no other", async () => {
  const world = newWorld("a 1");
  await withWorld(world, flow(`${keyed}, onDead: hold`), async (rig) => {
    await give(rig, "a 0", "a 1", "a 2", "b 1", "a 3", "b 2", "- 1");
    const letter = await letterOf(rig);
    await until(() => world.got.length === 4);
    await give(rig, "a 4", "b 3");
    await until(() => world.got.includes("b 3"));
    deepEqual([of(world.ran, "a"), of(world.ran, "b"), of(world.ran, "-")], [["a 0"], ["b 1", "b 2", "b 3"], ["- 1"]]);
    const asked = await fetch(`${rig.url}/f`, { method: "POST", body: "a 5", headers: { k: "a" } });
    deepEqual([asked.status, ((await asked.json()) as { code: string }).code], [503, "MF_FLOW_HELD"]);
    equal((await fetch(`${rig.url}/f`, { method: "POST", body: "b 4", headers: { k: "b" } })).ok, true);
    match(await (await fetch(`${rig.url}/metrics`)).text(), /mayfly_flow_holds\{flow="f"\} 1/);
    equal((await rig.deadLetters.letter(letter))?.holds, true);
    equal(rig.gateway.ready().ready, true, "one key is held, and the flow works");
    await until(() => rig.logs.some(({ text: line }) => line.startsWith("the dead letter holds back messages of its key until")));
    const again = await rig.gateway.retryDeadLetter(letter);
    equal(again?.status, "dead", "it fails as before");
    deepEqual(of(world.ran, "a"), ["a 0"]);
    world.bad.clear();
    const next = await letterOf(rig);
    equal((await rig.gateway.retryDeadLetter(next))?.status, "done");
    await until(() => of(world.got, "a").length === 5);
    deepEqual(of(world.got, "a"), ["a 0", "a 1", "a 2", "a 3", "a 4"]);
    equal(await rig.deadLetters.count("f"), 0);
    match(await (await fetch(`${rig.url}/metrics`)).text(), /mayfly_flow_holds\{flow="f"\} 0/);
  });
});

test("a letter that is dropped lets go, also when it is dropped from its folder", async () => {
  for (const dropped of ["by the gateway", "from the folder"]) {
    const world = newWorld("a 1");
    await withWorld(world, flow(`${keyed}, onDead: hold`), async (rig) => {
      await give(rig, "a 1", "a 2");
      const letter = await letterOf(rig);
      if (dropped === "from the folder") await new DeadLetters(join(rig.dir, "dead")).remove(letter);
      else equal((await rig.admin(`/-/dead-letters/${letter}`, { method: "DELETE" })).status, 200);
      await until(() => world.got.length === 1);
      deepEqual(world.got, ["a 2"], dropped);
    });
  }
});

test("a letter that is dropped while it is retried does not let its followers overtake it", async () => {
  const world = newWorld("a 1");
  let go = false;
  const script: Script = (event, memory) => {
    if (event.kind === "wake")
      return go ? world.script(memory.get("deliver") as typeof event, memory) : [{ kind: "timer", timer: 0, dueMs: event.timeMs + 10 }];
    if (event.kind === "deliver" && event.source === "dead-letter") {
      memory.set("deliver", event);
      return [{ kind: "timer", timer: 0, dueMs: event.timeMs + 10 }];
    }
    return world.script(event, memory);
  };
  await withWorld({ ...world, script }, flow(`${keyed}, onDead: hold`), async (rig) => {
    await give(rig, "a 1", "a 2");
    const letter = await letterOf(rig);
    world.bad.clear();
    const retried = rig.gateway.retryDeadLetter(letter);
    await until(() => rig.runner.running === 1);
    await rig.deadLetters.remove(letter);
    await until(async () => /mayfly_flow_holds\{flow="f"\} 0/.test(await (await fetch(`${rig.url}/metrics`)).text()));
    deepEqual(world.ran, []);
    go = true;
    equal((await retried)?.status, "done");
    await until(() => world.got.length === 2);
    deepEqual(world.ran, ["a 1", "a 2"]);
  });
});

test("a letter that is retried as soon as it can be seen holds what is behind it", async () => {
  const world = newWorld("a 1");
  let synced = (): void => undefined;
  const gate = new Promise<void>((resolve) => (synced = resolve));
  // The letter's files are there, and their folder is not yet synced: the flow has not been told that the message is buried.
  const fs: DeadLetterFs = {
    ...(nodeFs as unknown as DeadLetterFs),
    open: async (path, flags, mode) => {
      if (flags === "r") await gate;
      return await (nodeFs as unknown as DeadLetterFs).open(path, flags, mode);
    },
  };
  const run: Parameters<typeof withGateway>[2] = async (rig) => {
    await give(rig, "a 1", "a 2");
    const letter = await letterOf(rig);
    world.bad.clear();
    const retried = rig.gateway.retryDeadLetter(letter);
    await until(() => world.ran.length > 0);
    synced();
    equal((await retried)?.status, "done");
    await until(() => world.got.length === 2);
    deepEqual(world.ran, ["a 1", "a 2"]);
  };
  const ports = { connectors: { ...connectors, outlets: [world.outlet] } };
  await withGateway(flow(`${keyed}, onDead: hold`), { f: world.script }, run, { drain: "200ms", fs, ports });
});

test("a dead letter without a key holds the whole flow, and /ready says so", async () => {
  const world = newWorld("- 1");
  await withWorld(world, flow(`${keyed}, onDead: hold`), async (rig) => {
    await give(rig, "- 1");
    const letter = await letterOf(rig);
    await until(() => rig.logs.some(({ text: line }) => line.startsWith("the dead letter holds back the flow until")));
    await until(() => !rig.gateway.ready().ready);
    await give(rig, "a 1", "- 2", "a 2");
    match(JSON.stringify(rig.gateway.ready().problems), /a dead letter without a key holds back all messages/);
    equal((await fetch(`${rig.url}/f`, { method: "POST", body: "x" })).status, 503);
    deepEqual(world.ran, []);
    world.bad.clear();
    equal((await rig.gateway.retryDeadLetter(letter))?.status, "done");
    await until(() => world.got.length === 4);
    equal(world.ran[0], "- 1");
    deepEqual(of(world.ran, "a"), ["a 1", "a 2"]);
    ok(rig.gateway.ready().ready);
  });
});

test("an outlet holds the sends of a dead one's key, and tries it again before them", async () => {
  const world = newWorld("out a 1");
  await withWorld(world, flow(keyed, ", onDead: hold"), async (rig) => {
    await give(rig, "a 0", "a 1", "a 2", "b 1", "a 3");
    const letter = await letterOf(rig);
    await until(() => of(world.ran, "a").length === 4 && world.got.includes("b 1"));
    await give(rig, "b 2");
    await until(() => world.got.includes("b 2"));
    deepEqual(of(world.got, "a"), ["a 0"]);
    match(await (await fetch(`${rig.url}/metrics`)).text(), /mayfly_outlet_holds\{flow="f",outlet="out"\} 1/);
    const again = await rig.gateway.retryDeadLetter(letter);
    equal(again?.status === "dead" && again.failure.code, "MF_REFUSED");
    deepEqual(of(world.got, "a"), ["a 0"]);
    world.bad.clear();
    equal((await rig.gateway.retryDeadLetter(letter))?.status, "done");
    await until(() => of(world.got, "a").length === 4);
    deepEqual(of(world.got, "a"), ["a 0", "a 1", "a 2", "a 3"]);
  });
});

test("a dead send without a key holds the whole outlet", async () => {
  const world = newWorld("out - 1");
  await withWorld(world, flow("", ", onDead: hold, concurrency: 1"), async (rig) => {
    await give(rig, "- 1", "- 2", "- 3");
    const letter = await letterOf(rig);
    await until(() => !rig.gateway.ready().ready);
    await give(rig, "- 4");
    await until(() => rig.journal.outboxDepth("f", "out") === 3);
    deepEqual(world.got, []);
    world.bad.clear();
    equal((await rig.gateway.retryDeadLetter(letter))?.status, "done");
    await until(() => world.got.length === 4);
    deepEqual([world.got[0], world.got.slice(1).sort()], ["- 1", ["- 2", "- 3", "- 4"]]);
  });
});

test("what is held stays so over a restart, and a configuration that says `continue` lets go", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-hold-"));
  const world = newWorld("a 1", "out b 1");
  const served = async (yaml: string, run: (rig: Rig) => Promise<void>): Promise<void> => {
    const deadLetters = new DeadLetters(join(dir, "dead"));
    const journal = openJournal(join(dir, "journal"), { deadLetters });
    await withWorld(world, yaml, (rig) => run({ ...rig, deadLetters }), { journal, deadLetters });
  };
  const held = flow(`${keyed}, onDead: hold`, ", onDead: hold");
  try {
    await served(held, async (rig) => {
      await give(rig, "a 1", "a 2", "b 1", "b 2", "c 1");
      await until(async () => (await rig.deadLetters.count("f")) === 2);
      await until(() => world.got.includes("c 1"));
    });
    await served(held, async (rig) => {
      await give(rig, "a 3", "b 3", "c 2");
      await until(() => world.got.includes("c 2") && of(world.ran, "b").length === 3);
      deepEqual([of(world.ran, "a"), of(world.got, "b")], [[], []]);
      world.bad.clear();
      for await (const { id, kind } of rig.deadLetters.list("f"))
        if (kind === "message") equal((await rig.gateway.retryDeadLetter(id))?.status, "done");
      await until(() => of(world.got, "a").length === 3);
      deepEqual(of(world.got, "a"), ["a 1", "a 2", "a 3"]);
      deepEqual(of(world.got, "b"), []);
    });
    await served(flow(keyed), async (rig) => {
      await until(() => of(world.got, "b").length === 2);
      deepEqual(of(world.got, "b"), ["b 2", "b 3"]);
      equal(await rig.deadLetters.count("f"), 1);
    });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
