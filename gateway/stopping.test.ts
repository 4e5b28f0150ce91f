/** A gateway that stops: what is under way ends, and nothing that was accepted is lost. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import * as nodeFs from "node:fs/promises";
import { type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DeadLetters } from "./journal/dead-letters.ts";
import { openJournal } from "./journal/log/mod.ts";
import { done, fail, type Script, send, text, utf8 } from "./testing/scripted.ts";
import { type Rig, until, withGateway, withPeer } from "./testing/rig.ts";

const echo = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo } } ] } }`;

test("stopping finishes what is under way, answers it, and refuses what comes", async () => {
  await withGateway(
    echo,
    { echo: (event) => (event.kind === "deliver" ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 50 }] : [done("finished")]) },
    async ({ url, gateway, runner }) => {
      const open = fetch(`${url}/echo`, { method: "POST" });
      await until(() => runner.running === 1);
      const stopped = gateway.stop();
      deepEqual([await (await open).text()], ["finished"]);
      await stopped;
      await rejects(fetch(`${url}/ping`));
    },
  );
});

test("stopping with a journal in memory keeps what could not be finished as dead letters", async () => {
  const yaml = `flows: { job: { image: job.mfi, concurrency: 1, from: [ { http: { path: /jobs, mode: accept } } ] } }`;
  await withGateway(
    yaml,
    { job: () => undefined },
    async ({ url, gateway, deadLetters, runner }) => {
      for (const body of ["1", "2"]) await (await fetch(`${url}/jobs`, { method: "POST", body })).text();
      await gateway.stop();
      const bodies: string[] = [];
      for await (const { id, failure } of deadLetters.list())
        bodies.push(`${text((await deadLetters.read(id))?.body ?? utf8(""))} ${failure.code}`);
      deepEqual(bodies.sort(), ["1 MF_STOPPED", "2 MF_STOPPED"]);
      equal(runner.delivered.length, 1);
    },
    { drain: "50ms" },
  );
});

test("what the journal takes while stopping has begun waits there: it does not overtake an older message of its key", async () => {
  const dir = await nodeFs.mkdtemp(join(tmpdir(), "mayfly-order-"));
  try {
    const deadLetters = new DeadLetters(join(dir, "dead"));
    const journal = openJournal(join(dir, "journal"), { deadLetters });
    const accept = journal.accept.bind(journal);
    let letGo = (): void => undefined;
    let holds = false;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    journal.accept = async (message) => {
      const accepted = await accept(message);
      holds = message.id === "late";
      if (holds) await held;
      return accepted;
    };
    const yaml = `flows: { job: { image: job.mfi, key: '"all"', retry: { backoff: 1h..2h }, from: [ { http: { path: /jobs, mode: accept } } ] } }`;
    const script: Script = (event) => (event.kind === "deliver" ? [text(event.body) === "early" ? fail("E", "later") : done()] : []);
    const run = async ({ url, gateway, runner, logs }: Rig): Promise<void> => {
      const post = async (id: string): Promise<number> =>
        (await fetch(`${url}/jobs`, { method: "POST", body: id, headers: { "idempotency-key": id } })).status;
      equal(await post("early"), 202);
      await until(() => logs.some((line) => line.fields["retryInMs"] !== undefined));
      const answer = post("late");
      await until(() => holds);
      const stopping = gateway.stop();
      letGo();
      equal(await answer, 202);
      await stopping;
      deepEqual(
        runner.delivered.map((event) => event.id),
        ["early"],
      );
    };
    await withGateway(yaml, { job: script }, run, { ports: { journal, deadLetters } });
  } finally {
    await nodeFs.rm(dir, { recursive: true, force: true });
  }
});

test("with the durable journal a stop leaves what was accepted to the next start: pending messages, sends, dedup windows", async () => {
  const dir = await nodeFs.mkdtemp(join(tmpdir(), "mayfly-durable-"));
  const seen: string[] = [];
  let down = true;
  const handle = (incoming: IncomingMessage, response: ServerResponse): void => {
    if (!down) seen.push(String(incoming.headers["idempotency-key"]));
    response.writeHead(down ? 503 : 200).end();
  };
  try {
    await withPeer(handle, async (peer) => {
      const yaml = `flows: { job: { image: job.mfi, concurrency: 1, dedup: { window: 1h }, from: [ { http: { path: /jobs, mode: accept } } ], to: { out: { http: { url: "${peer}" }, retry: { backoff: 5ms..10ms } } } } }`;
      const post = async (url: string, id: string): Promise<number> =>
        (await fetch(`${url}/jobs`, { method: "POST", body: id, headers: { "idempotency-key": id } })).status;
      const served = async (hang: boolean, run: (rig: Rig) => Promise<void>): Promise<void> => {
        const deadLetters = new DeadLetters(join(dir, "dead"));
        const journal = openJournal(join(dir, "journal"), { deadLetters });
        const script: Script = (event) =>
          event.kind !== "deliver" ? [] : hang && text(event.body) !== "first" ? undefined : [send("out", text(event.body)), done()];
        await withGateway(yaml, { job: script }, run, { drain: "30ms", ports: { journal, deadLetters } });
      };
      await served(true, async ({ url, runner }) => {
        deepEqual([await post(url, "first"), await post(url, "second"), await post(url, "third")], [202, 202, 202]);
        await until(() => runner.delivered.length === 2);
      });
      deepEqual(seen, []);
      down = false;
      await served(false, async ({ url, runner }) => {
        await until(() => seen.length === 3);
        deepEqual(
          runner.delivered.map((event) => event.id),
          ["second", "third"],
        );
        deepEqual([await post(url, "first"), await post(url, "third")], [202, 202]);
        equal(runner.delivered.length, 2);
      });
      equal(new Set(seen).size, 3);
    });
  } finally {
    await nodeFs.rm(dir, { recursive: true, force: true });
  }
});

test("a send to a flow that is stopping waits its turn: stopping ends, and the send is there at the next start", async () => {
  const yaml = `flows: { first: { image: first.mfi, from: [ { http: { path: /first } } ], to: { next: { flow: { name: second } } } }, second: { image: second.mfi } }`;
  const slow: Script = (event) =>
    event.kind === "deliver" ? [{ kind: "timer", timer: 1, dueMs: event.timeMs + 200 }] : [send("next", "late"), done("sent")];
  const dir = await nodeFs.mkdtemp(join(tmpdir(), "mayfly-durable-"));
  const deadLetters = new DeadLetters(join(dir, "dead"));
  const journal = openJournal(join(dir, "journal"), { deadLetters });
  try {
    await withGateway(
      yaml,
      { first: slow, second: () => [done()] },
      async ({ url, gateway, runner }) => {
        const reply = fetch(`${url}/first`, { method: "POST", body: "x" });
        await until(() => runner.running === 1);
        await gateway.stop();
        equal(await (await reply).text(), "sent");
      },
      { ports: { journal, deadLetters }, drain: "1s" },
    );
    const again = openJournal(join(dir, "journal"), { deadLetters });
    deepEqual((await again.recover()).outbox, [{ flow: "first", outlet: "next", entries: 1 }]);
    await again.close();
  } finally {
    await nodeFs.rm(dir, { recursive: true, force: true });
  }
});
