/** A peer that is away makes messages wait, not die: attempts are for answers. */
import { connectors } from "#connectors";
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { logOutlet } from "../../connectors/log/outlet.ts";
import { type Outlet, type OutletDefinition, OutletError } from "../contract/outlet.ts";
import { until, withGateway } from "../testing/rig.ts";
import { done, fail, request, type Script, send, text, utf8 } from "../testing/scripted.ts";

interface Peer {
  /** The peer as the next attempts meet it: no connection, an answer that refuses, or nothing wrong. */
  mood: "away" | "refuses" | "well";
  attempts: number;
  readonly got: string[];
  readonly definition: OutletDefinition;
}

function newPeer(): Peer {
  const meet = (body: string): void => {
    peer.attempts += 1;
    if (peer.mood === "away") throw new OutletError("MF_NOT_CONNECTED", "not connected to peer", { retryable: true, unreached: true });
    if (peer.mood === "refuses") throw new OutletError("MF_REFUSED", "500", { retryable: true, status: 500 });
    peer.got.push(body);
  };
  const outlet: Outlet = {
    send: async (message) => meet(text(message.body)),
    request: async (message) => {
      meet(text(message.body));
      return { status: 200, contentType: "", headers: {}, body: utf8("answer") };
    },
    stop: async () => undefined,
    health: () => ({ ready: true, detail: "" }),
  };
  const definition = { ...(logOutlet as OutletDefinition), create: () => outlet };
  const peer: Peer = { mood: "away", attempts: 0, got: [], definition };
  return peer;
}

const flowOf = (settings: string): string => `flows: { f: { image: f.mfi, from: [{ http: { path: "/f", mode: accept } }], ${settings} } }`;

const sender: Script = (event) => (event.kind === "deliver" ? [send("out", text(event.body), event.key), done()] : undefined);

test("sends to a peer that is away outlive their attempts, and once it is back they go at once, of each key in order", async () => {
  const peer = newPeer();
  const yaml = flowOf(
    "key: 'header:k', to: { out: { log: {}, retry: { attempts: 2, backoff: 1ms..20ms }, breaker: { failures: 3, pause: 5ms } } }",
  );
  const run: Parameters<typeof withGateway>[2] = async ({ gateway, journal, logs }) => {
    const sent = Array.from({ length: 12 }, (_, n) => `${n % 3}.${n}`);
    for (const body of sent) await gateway.inject("f", { body: utf8(body), headers: { k: body.slice(0, 1) }, wait: false });
    await until(() => peer.attempts > 20);
    equal(journal.outboxDepth("f", "out"), 12);
    await until(() => gateway.ready().problems.some((problem) => /its circuit breaker stays open/.test(JSON.stringify(problem))));
    ok(logs.some(({ text: line }) => line.startsWith("the outlet's circuit breaker is open")));
    peer.mood = "well";
    await until(() => peer.got.length === 12);
    for (const key of ["0", "1", "2"])
      deepEqual(
        peer.got.filter((body) => body.startsWith(key)),
        sent.filter((body) => body.startsWith(key)),
      );
    equal(gateway.ready().ready, true);
  };
  await withGateway(yaml, { f: sender }, run, { ports: { connectors: { ...connectors, outlets: [peer.definition] } } });
});

test("what waits for a peer does not wait for its backoff once the peer is back", async () => {
  const peer = newPeer();
  const yaml = flowOf("concurrency: 8, to: { out: { log: {}, retry: { attempts: 2, backoff: 1ms..1h } } }");
  const run: Parameters<typeof withGateway>[2] = async ({ gateway }) => {
    for (let n = 0; n < 8; n += 1) await gateway.inject("f", { body: utf8(`${n}`), wait: false });
    await until(() => peer.attempts >= 60); // by now each waits for seconds
    peer.mood = "well";
    await gateway.inject("f", { body: utf8("next"), wait: false });
    await until(() => peer.got.length === 9);
  };
  await withGateway(yaml, { f: sender }, run, { ports: { connectors: { ...connectors, outlets: [peer.definition] } } });
});

test("answers use up attempts as ever, also after the peer was away", async () => {
  const peer = newPeer();
  const yaml = flowOf("to: { out: { log: {}, retry: { attempts: 2, backoff: 1ms..5ms } } }");
  const run: Parameters<typeof withGateway>[2] = async ({ gateway, deadLetters }) => {
    await gateway.inject("f", { body: utf8("x"), wait: false });
    await until(() => peer.attempts >= 5);
    peer.mood = "refuses";
    const [letter] = await until(async () => {
      const found = [];
      for await (const each of deadLetters.list("f")) found.push(each);
      return found.length > 0 && found;
    });
    equal(letter?.attempts.length, 2);
    deepEqual(
      letter?.attempts.map(({ failure }) => failure.code),
      ["MF_REFUSED", "MF_REFUSED"],
    );
  };
  await withGateway(yaml, { f: sender }, run, { ports: { connectors: { ...connectors, outlets: [peer.definition] } } });
});

test("waiting ends with retry.age", async () => {
  const peer = newPeer();
  const yaml = flowOf("to: { out: { log: {}, retry: { attempts: 2, backoff: 1ms..5ms, age: 100ms } } }");
  const run: Parameters<typeof withGateway>[2] = async ({ gateway, deadLetters, journal }) => {
    await gateway.inject("f", { body: utf8("x"), wait: false });
    await until(async () => {
      for await (const each of deadLetters.list("f")) return each.attempts.at(-1)?.failure.code === "MF_NOT_CONNECTED";
      return false;
    });
    await until(() => journal.outboxDepth("f", "out") === 0);
  };
  await withGateway(yaml, { f: sender }, run, { ports: { connectors: { ...connectors, outlets: [peer.definition] } } });
});

test("a flow whose request reaches nobody waits as well; one that fails by itself does not", async () => {
  const peer = newPeer();
  let runs = 0;
  const script: Script = (event) => {
    if (event.kind === "deliver") {
      runs += 1;
      return [request(1, "out", text(event.body))];
    }
    if (event.kind !== "resolve") return undefined;
    return event.error === undefined ? [done()] : [fail(event.error.code, event.error.message)];
  };
  const yaml = flowOf(
    "retry: { attempts: 2, backoff: 1ms..20ms }, to: { out: { log: {}, retry: { attempts: 1 }, breaker: { failures: 5, pause: 5ms } } }",
  );
  const run: Parameters<typeof withGateway>[2] = async ({ gateway, runner }) => {
    await gateway.inject("f", { body: utf8("x"), wait: false });
    await until(() => runs > 10);
    deepEqual(new Set(runner.delivered.map(({ attempt }) => attempt)), new Set([1]));
    peer.mood = "well";
    await until(() => peer.got.length === 1);
    peer.mood = "refuses";
    const before = runs;
    await gateway.inject("f", { body: utf8("y"), wait: false });
    await until(() => gateway.ready() && runner.delivered.at(-1)?.attempt === 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    equal(runs, before + 2);
  };
  await withGateway(yaml, { f: script }, run, { ports: { connectors: { ...connectors, outlets: [peer.definition] } } });
});

test("Retry-After: a request has the answer at once, and a send's circuit opens for retry.age at most", async () => {
  let asked = 0;
  const server = createServer((incoming, response) => {
    asked += 1;
    incoming.resume();
    response.writeHead(incoming.url === "/busy" ? 429 : 503, { "retry-after": "999999999" });
    response.end("later");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const script: Script = (event) => {
    if (event.kind === "deliver") return text(event.body) === "ask" ? [request(1, "busy")] : [send("down", text(event.body)), done("sent")];
    return event.kind === "resolve" ? [done(`${event.status} ${event.error?.code ?? ""}`)] : undefined;
  };
  const yaml = flowOf(
    `to: { busy: { http: { url: "${url}/busy" } }, down: { http: { url: "${url}/down" }, retry: { age: 10m }, breaker: { failures: 1, pause: 1s } } }`,
  );
  const run: Parameters<typeof withGateway>[2] = async ({ gateway, journal }) => {
    const outcome = await gateway.inject("f", { body: utf8("ask"), wait: true });
    equal(outcome.status === "done" && text(outcome.reply?.body ?? utf8("")), "429 ");
    equal(asked, 1);
    await gateway.inject("f", { body: utf8("go"), wait: false });
    await until(() => asked === 2);
    const problem = await until(() => gateway.ready().problems.find((each) => /circuit/.test(JSON.stringify(each))));
    match(JSON.stringify(problem), /"connector":"to.down".*open for (600|5\d\d) s more/);
    equal(journal.outboxDepth("f", "down"), 1);
  };
  await withGateway(yaml, { f: script }, run).finally(() => server.close());
});

test("an error of the program has one attempt, unless the flow asks for more", async () => {
  const flow = (name: string, more: string): string =>
    `${name}: { image: job.mfi, from: [ { http: { path: /${name}, mode: accept } } ], retry: { attempts: 3, backoff: 1ms..2ms${more} } }`;
  const job: Script = () => [
    { kind: "fail", code: "MF_FLOW_THREW", message: "TypeError: x", stack: undefined, retry: false, flaw: true, status: 0 },
  ];
  await withGateway(
    `flows:\n  ${flow("once", "")}\n  ${flow("more", ", programErrors: true")}\n`,
    { job },
    async ({ url, runner, deadLetters }) => {
      for (const [name, attempts] of [
        ["once", 1],
        ["more", 3],
      ] as const) {
        runner.delivered.length = 0;
        await fetch(`${url}/${name}`, { method: "POST", body: "x" });
        await until(async () => (await deadLetters.count(name)) === 1);
        deepEqual(
          runner.delivered.map(({ attempt }) => attempt),
          Array.from({ length: attempts }, (_, index) => index + 1),
        );
      }
    },
  );
});
