/**
 * Answers to bad input, from end to end: one flow that does everything wrong, served with real machines beside one that does everything
 * right. Each fault has a code, tells the caller, and harms nobody else. (Configuration, the port, signals and the disk are not a message's
 * doing: cli/serve.test.ts and gateway/delivery/outcomes.test.ts.)
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fromUtf8 } from "#base";
import { serve, type Serving } from "#cli";
import { DeadLetters, silentLogger } from "#gateway";

const hostile = `import { flow } from "mayfly";

const wrongs: Record<string, (msg: any, context: any) => unknown> = {
  "throws": () => { throw new TypeError("by mistake"); },
  "throws nonsense": () => { throw { toString() { throw 1; } }; },
  "rejects unheard": () => { void Promise.reject(new Error("lost")); return new Promise((done) => setTimeout(done, 5)); },
  "waits for nothing": () => new Promise(() => {}),
  "loops": () => { for (;;); },
  "matches for ever": () => /^(a+)+$/.test("a".repeat(64) + "b"),
  "recurses": function again(): unknown { return [again()]; },
  "allocates": () => { const all: unknown[] = []; for (;;) all.push(new Array(1000).fill({})); },
  "sends a million": (_msg, { to }) => { for (let i = 0; i < 1e6; i++) to.peer.send("x"); },
  "logs ten megabytes": (_msg, { log }) => { for (let i = 0; i < 1000; i++) log.info("x".repeat(10_000)); return "logged"; },
  "replies with a cycle": () => { const a: Record<string, unknown> = {}; a["a"] = a; return a; },
  "replies with a BigInt": () => ({ id: 5n }),
  "sends to nowhere": (_msg, { to }) => to.nowhere.send("x"),
  "asks nowhere": (_msg, { to }) => to.nowhere.request("x"),
  "fetches from nowhere": () => fetch("https://nowhere.example/"),
  "waits for ever": (_msg, { to }) => to.silent.request("x"),
  "takes garbage": async (_msg, { to }) => (await to.garbage.request("x")).json(),
  "asks who is gone": (_msg, { to }) => to.gone.request("x"),
  "pollutes": (msg) => {
    const merge = (into: any, from: any): any => {
      for (const key in from) into[key] = typeof from[key] === "object" ? merge(into[key] ?? {}, from[key]) : from[key];
      return into;
    };
    merge({}, msg.json());
    return { polluted: ({} as any).polluted };
  },
  "is what it was": () => ({ polluted: ({} as any).polluted ?? "no" }),
};

export default flow({ limits: { cpu: "1s", time: "20s", memory: "8MiB" } }, (msg, context) => {
  const { what } = msg.json<{ what: string }>();
  return wrongs[what]!(msg, context);
});
`;

const gentle = `import { flow } from "mayfly";
export default flow<"peer">(async (msg, { to }) => {
  const answer = await to.peer.request(msg);
  return { asked: msg.text(), polluted: ({} as { polluted?: string }).polluted ?? "no", got: answer.text() };
});
`;

let peer: Server;
let folder: string;
let serving: Serving;

before(async () => {
  peer = createServer((request, response) => {
    if (request.url === "/silent") return;
    response.end(request.url === "/garbage" ? "{garbage" : "fine");
  });
  await new Promise<void>((done) => peer.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(peer.address() as AddressInfo).port}`;
  folder = await mkdtemp(join(tmpdir(), "mayfly-bad-input-"));
  await writeFile(join(folder, "hostile.ts"), hostile);
  await writeFile(join(folder, "gentle.ts"), gentle);
  await writeFile(
    join(folder, "mayfly.yaml"),
    `flows:
  hostile:
    flow: hostile.ts
    from: [ { http: { path: /hostile, bodyLimit: 64KiB } } ]
    to:
      peer: { http: { url: "${url}/" } }
      silent: { http: { url: "${url}/silent", timeout: 300ms }, retry: { attempts: 1 } }
      garbage: { http: { url: "${url}/garbage" } }
      gone: { http: { url: "http://127.0.0.1:9/" }, retry: { attempts: 1 } }
  gentle:
    flow: gentle.ts
    from: [ { http: { path: /gentle } } ]
    to: { peer: { http: { url: "${url}/" } } }
`,
  );
  serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0, environment: {}, logger: silentLogger });
});

after(async () => {
  await serving?.stop();
  peer.closeAllConnections();
  peer.close();
  await rm(folder, { recursive: true, force: true });
});

async function post(path: string, body: string): Promise<Response> {
  return await fetch(`${serving.url}${path}`, { method: "POST", headers: { "content-type": "application/json" }, body });
}

/** Sends the message among four of the neighbour's, which must all be answered as ever. */
async function amongNeighbours(body: string): Promise<Response> {
  const neighbour = async (name: string): Promise<void> => {
    const response = await post("/gentle", name);
    equal(response.status, 200);
    deepEqual(await response.json(), { asked: name, polluted: "no", got: "fine" });
  };
  const before = [neighbour("a"), neighbour("b")];
  const answer = post("/hostile", body);
  await Promise.all([...before, neighbour("c"), neighbour("d")]);
  const response = await answer;
  await neighbour("after");
  return response;
}

/** Bodies of what was given up, by the message's id. */
async function deadBodies(): Promise<ReadonlyMap<string, string>> {
  const deadLetters = new DeadLetters(join(folder, ".mayfly", "dead-letters"));
  const bodies = new Map<string, string>();
  for await (const { id, messageId } of deadLetters.list("hostile"))
    bodies.set(messageId, fromUtf8((await deadLetters.read(id))?.body ?? new Uint8Array(0)));
  return bodies;
}

const faults: readonly (readonly [what: string, status: number, code: string])[] = [
  ["throws", 500, "MF_FLOW_THREW"],
  ["throws nonsense", 500, "MF_FLOW_THREW"],
  ["rejects unheard", 500, "MF_UNHANDLED_REJECTION"],
  ["waits for nothing", 500, "MF_FLOW_STALLED"],
  ["loops", 500, "MF_CPU_LIMIT"],
  ["matches for ever", 500, "MF_CPU_LIMIT"],
  ["recurses", 500, "MF_STACK_OVERFLOW"],
  ["allocates", 500, "MF_MEMORY_LIMIT"],
  ["sends a million", 500, "MF_EFFECT_LIMIT"],
  ["replies with a cycle", 500, "MF_REPLY_UNSERIALISABLE"],
  ["replies with a BigInt", 500, "MF_REPLY_UNSERIALISABLE"],
  ["sends to nowhere", 500, "MF_OUTLET_UNKNOWN"],
  ["asks nowhere", 500, "MF_OUTLET_UNKNOWN"],
  ["fetches from nowhere", 500, "MF_HOST_NOT_DECLARED"],
  ["waits for ever", 504, "MF_OUTLET_TIMEOUT"],
  ["takes garbage", 502, "MF_RESPONSE_INVALID"],
  ["asks who is gone", 502, "MF_HTTP_FAILED"],
];

for (const [what, status, code] of faults) {
  test(`a flow that ${what}: ${code}, a dead letter, and nobody else harmed`, async () => {
    const body = JSON.stringify({ what });
    const response = await amongNeighbours(body);
    const problem = (await response.json()) as { code: string; id: string; detail: string };
    deepEqual([problem.code, response.status, response.headers.get("content-type")], [code, status, "application/problem+json"]);
    equal(problem.id, response.headers.get("mayfly-message-id"));
    ok(problem.detail.length > 20, problem.detail);
    ok(!/127\.0\.0\.1|ECONNREFUSED/.test(problem.detail), "where peers live is not the caller's business");
    equal((await deadBodies()).get(problem.id), body);
  });
}

test("what is the sender's fault is told the sender, and is no dead letter", async () => {
  const before = (await deadBodies()).size;
  for (const [body, status, code] of [
    ["{oops", 400, "MF_MESSAGE_INVALID"],
    ["", 400, "MF_MESSAGE_INVALID"],
    ["\xff\0", 400, "MF_MESSAGE_INVALID"],
    [JSON.stringify({ what: "x".repeat(70_000) }), 413, "MF_BODY_LIMIT"],
  ] as const) {
    const response = await amongNeighbours(body);
    deepEqual([response.status, ((await response.json()) as { code: string }).code], [status, code], body.slice(0, 20));
  }
  equal((await deadBodies()).size, before);
});

test("a log of ten megabytes is cut, and the message is done all the same", async () => {
  const response = await amongNeighbours(JSON.stringify({ what: "logs ten megabytes" }));
  deepEqual([response.status, await response.text()], [200, "logged"]);
});

test("a message that pollutes prototypes pollutes its own machine only", async () => {
  const polluting = await amongNeighbours('{"what":"pollutes","__proto__":{"polluted":"yes"}}');
  deepEqual(await polluting.json(), { polluted: "yes" });
  const next = await amongNeighbours(JSON.stringify({ what: "is what it was" }));
  deepEqual(await next.json(), { polluted: "no" });
});
