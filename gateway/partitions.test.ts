/** Gateways that are nodes of one cluster: messages find their owner, partitions move between them, and nobody is told anything wrong. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { test } from "node:test";
import type { Event } from "#abi";
import { type Rig, until, withPeer } from "./testing/rig.ts";
import { done, fail, type Script, send, text } from "./testing/scripted.ts";
import { allPartitions as all, withTwo } from "./testing/two-nodes.ts";

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly retryAfter: string | null;
}

async function post({ url }: Rig, path: string, body: string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`${url}${path}`, { method: "POST", body, headers });
  return { status: response.status, body: await response.text(), retryAfter: response.headers.get("retry-after") };
}

const echo = `flows: { echo: { image: echo.mfi, key: "header:k", dedup: { window: 1h }, from: [ { http: { path: /echo } } ] } }`;
const answer =
  (name: string): Script =>
  (event) =>
    event.kind === "deliver" ? [done(`${name} ${text(event.body)}`)] : undefined;

test("a message is run by the owner of its key, whichever node took it, and its id is known to all", async () => {
  await withTwo(echo, [{ echo: answer("one") }, { echo: answer("two") }], async ({ rigs: [one, two], nodes }) => {
    const headers = { k: "a", "idempotency-key": "id-1" };
    deepEqual((await post(two, "/echo", "hi", headers)).body, "one hi");
    deepEqual((await post(one, "/echo", "hi", headers)).body, "one hi");
    equal(one.runner.delivered.length, 1);
    equal((await post(two, "/echo", "no key")).body, "one no key");
    for (const partition of all) {
      await nodes[0].release(partition);
      await nodes[1].take(partition);
    }
    deepEqual((await post(one, "/echo", "hi", headers)).body, "one hi", "a duplicate, from the journal that has moved");
    equal((await post(one, "/echo", "hi", { k: "a" })).body, "two hi");
    equal((await post(one, "/echo", "no key")).body, "two no key");
  });
});

test("while nobody has a partition its messages are refused with a date, others are not", async () => {
  await withTwo(echo, [{ echo: answer("one") }, { echo: answer("two") }], async ({ rigs: [one, two], nodes: [node] }) => {
    const partition = node.journal.partitionOf({ flow: "echo", key: "a", dedup: undefined });
    const other = ["b", "c", "d", "e", "f"].find((key) => node.journal.partitionOf({ flow: "echo", key, dedup: undefined }) !== partition);
    ok(partition !== undefined && other !== undefined);
    await node.release(partition);
    for (const rig of [one, two]) {
      const refused = await post(rig, "/echo", "hi", { k: "a" });
      deepEqual(
        [refused.status, (JSON.parse(refused.body) as { code?: string }).code, refused.retryAfter],
        [503, "MF_PARTITION_AWAY", "1"],
      );
      equal((await post(rig, "/echo", "hi", { k: other })).status, 200);
    }
  });
});

const jobs = (outlet: string): string =>
  `flows: { job: { image: job.mfi, key: '"all"', concurrency: 1, to: { out: { http: { url: "${outlet}" } } }, from: [ { http: { path: /jobs, mode: accept } }, { http: { path: /ask } } ] } }`;

/** Answers everything, and notes bodies with their idempotency keys. */
function noting(notes: string[]): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += String(chunk)));
    request.on("end", () => {
      notes.push(`${body} ${String(request.headers["idempotency-key"])}`);
      response.end();
    });
  };
}

test("a partition that is handed over finishes what runs; what waits goes on at the next owner, in order", async () => {
  const notes: string[] = [];
  await withPeer(noting(notes), async (peer) => {
    const slow: Script = (event: Event) => {
      if (event.kind === "deliver")
        return text(event.body) === "first"
          ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 150 }]
          : [send("out", text(event.body)), done("one")];
      return [send("out", "first"), done("one")];
    };
    const quick: Script = (event) => (event.kind === "deliver" ? [send("out", text(event.body)), done("two")] : undefined);
    await withTwo(jobs(peer), [{ job: slow }, { job: quick }], async ({ rigs: [one, two], nodes: [from, to] }) => {
      for (const body of ["first", "second", "third"]) equal((await post(two, "/jobs", body)).status, 202);
      await until(() => one.runner.running === 1);
      const partition = from.journal.partitionOf({ flow: "job", key: "all", dedup: undefined });
      ok(partition !== undefined);
      const released = from.release(partition);
      equal((await post(one, "/jobs", "refused")).status, 503);
      await released;
      await to.take(partition);
      await until(() => notes.length === 3);
      deepEqual(notes.map((note) => note.split(" ")[0]).sort(), ["first", "second", "third"]);
      deepEqual([one.runner.delivered.length, two.runner.delivered.map((event) => text(event.body))], [1, ["second", "third"]]);
      equal((await post(one, "/ask", "fourth")).body, "two");
    });
  });
});

test("a partition that is taken from a node that does not know: nothing it did counts, and its caller is told to come again", async () => {
  const notes: string[] = [];
  await withPeer(noting(notes), async (peer) => {
    const stuck: Script = (event) =>
      event.kind === "deliver" ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 200 }] : [send("out", "one"), done("one")];
    const quick: Script = (event) => (event.kind === "deliver" ? [send("out", `two-${text(event.body)}`), done("two")] : undefined);
    await withTwo(jobs(peer), [{ job: stuck }, { job: quick }], async ({ rigs: [one, two], nodes: [from, to] }) => {
      equal((await post(one, "/jobs", "kept")).status, 202);
      await until(() => one.runner.running === 1);
      const asked = post(one, "/ask", "asked");
      const partition = from.journal.partitionOf({ flow: "job", key: "all", dedup: undefined });
      ok(partition !== undefined);
      await to.take(partition);
      await until(() => two.runner.delivered.length > 0);
      await until(() => from.lost.length === 1);
      const told = await asked;
      deepEqual([told.status, (JSON.parse(told.body) as { code?: string }).code], [503, "MF_PARTITION_AWAY"]);
      await until(() => notes.length === 1);
      deepEqual(
        notes.map((note) => note.split(" ")[0]),
        ["two-kept"],
      );
      deepEqual(
        two.runner.delivered.map((event) => text(event.body)),
        ["kept"],
      );
      equal((await post(one, "/ask", "again")).body, "two");
    });
  });
});

test("a send that is under way when its partition goes is abandoned there, and sent by the next owner under the same key", async () => {
  const keys: string[] = [];
  let hold = true;
  const peer = (request: IncomingMessage, response: ServerResponse): void => {
    keys.push(String(request.headers["idempotency-key"]));
    request.resume();
    if (!hold) response.end();
  };
  await withPeer(peer, async (url) => {
    const script: Script = (event) => (event.kind === "deliver" ? [send("out", "x"), done("ok")] : undefined);
    await withTwo(jobs(url), [{ job: script }, { job: script }], async ({ rigs: [one], nodes: [from, to] }) => {
      equal((await post(one, "/jobs", "m")).status, 202);
      await until(() => keys.length === 1);
      hold = false;
      const partition = from.journal.partitionOf({ flow: "job", key: "all", dedup: undefined });
      ok(partition !== undefined);
      await from.journal.lose(partition);
      await to.take(partition);
      await until(() => keys.length === 2);
      equal(keys[0], keys[1]);
      await until(() => to.journal.outboxDepth("job", "out") === 0);
    });
  });
});

test("what one node of a cluster runs for a flow runs on the owner of the flow's partition, and moves with it", async () => {
  const yaml = `flows: { tick: { image: tick.mfi, from: [ { cron: { schedule: "* * * * * *" } } ] } }`;
  const script: Script = (event) => (event.kind === "deliver" ? [done()] : undefined);
  await withTwo(yaml, [{ tick: script }, { tick: script }], async ({ rigs: [one, two], nodes: [from, to] }) => {
    await until(() => one.runner.delivered.length > 0);
    equal(two.runner.delivered.length, 0);
    const partition = from.journal.partitionOfFlow("tick");
    await from.release(partition);
    const before = one.runner.delivered.length;
    await to.take(partition);
    await until(() => two.runner.delivered.length > 0);
    equal(one.runner.delivered.length, before);
    await to.release(partition);
    await from.take(partition);
    await until(() => one.runner.delivered.length > before);
  });
});

test("a dead letter is retried by the owner of its partition, whichever node is asked", async () => {
  let fails = true;
  const script =
    (name: string): Script =>
    (event) =>
      event.kind === "deliver" ? (fails ? [fail("E", "no", false)] : [done(name)]) : undefined;
  const yaml = `flows: { job: { image: job.mfi, key: "header:k", from: [ { http: { path: /jobs, mode: accept } } ] } }`;
  await withTwo(yaml, [{ job: script("one") }, { job: script("two") }], async ({ rigs: [one, two], shared }) => {
    equal((await post(two, "/jobs", "x", { k: "a" })).status, 202);
    const id = await until(async () => {
      for await (const letter of shared.deadLetters.list()) return letter.id;
      return undefined;
    });
    fails = false;
    const outcome = await two.gateway.retryDeadLetter(id, undefined, true);
    deepEqual(
      [outcome?.status, outcome !== undefined && "reply" in outcome ? text(outcome.reply?.body ?? new Uint8Array(0)) : ""],
      ["done", "one"],
    );
    equal(one.runner.delivered.length, 2);
    equal(await two.gateway.retryDeadLetter(id), undefined);
    equal(two.runner.delivered.length, 0);
  });
});

test("what no node of a cluster can do is refused at its start", async () => {
  const flow = (more = ""): string => `flows: { job: { image: job.mfi, ${more} from: [ { http: { path: /jobs } } ] } }`;
  const refused = [
    `${flow()}\nfunctions: { dir: ./fn }`,
    `${flow()}\napprovals: { url: "https://example.org" }`,
    flow("claimCheck: 1MiB,"),
  ];
  const isRefused = (error: { code?: string }): boolean => error.code === "MF_CLUSTER_UNSUPPORTED";
  for (const yaml of refused)
    await rejects(
      withTwo(yaml, [{}, {}], async () => undefined),
      isRefused,
      yaml,
    );
});
