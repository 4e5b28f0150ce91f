/** Refusals of the gateway that protect it, each by its code: full queues, full outboxes, wrong states, unknown connectors. */
import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { test } from "node:test";
import { connectors } from "#connectors";
import { CodedError } from "#base";
import type { Headers, Outcome } from "./contract/message.ts";
import type { Accept } from "./contract/source.ts";
import { type DeadLetterFs, DeadLetters } from "./journal/dead-letters.ts";
import { gatewayLimits } from "./contract/limits.ts";
import { Router } from "./http/router.ts";
import { until, withGateway } from "./testing/rig.ts";
import { done, utf8 } from "./testing/scripted.ts";

const code = async (response: Promise<Response> | Response): Promise<string> => ((await (await response).json()) as { code: string }).code;

test("MF_GATEWAY_BUSY: messages pending over all flows are bounded", async () => {
  const yaml = "flows: { a: { image: hang.mfi, queue: 16384, from: [ { http: { path: /a } } ] }, b: { image: hang.mfi, queue: 16384 } }";
  await withGateway(
    yaml,
    { hang: () => undefined },
    async ({ gateway, url }) => {
      for (let n = 0; n < gatewayLimits.pendingTotal; n += 1) void gateway.inject("b", { body: utf8(""), wait: true });
      const response = await fetch(`${url}/a`, { method: "POST" });
      deepEqual([response.status, await code(response)], [503, "MF_GATEWAY_BUSY"]);
    },
    { drain: "50ms" },
  );
});

test("MF_OUTBOX_FULL: a flow whose outlet does not keep up takes no more", async () => {
  const yaml = "flows: { a: { image: a.mfi, from: [ { http: { path: /a } } ], to: { out: { log: {} } } } }";
  await withGateway(yaml, { a: () => [done("taken")] }, async ({ url, journal }) => {
    const answers: string[] = [];
    for (const depth of [gatewayLimits.outboxPerOutlet - 1, gatewayLimits.outboxPerOutlet]) {
      journal.outboxDepth = () => depth;
      const response = await fetch(`${url}/a`, { method: "POST" });
      answers.push(response.ok ? await response.text() : await code(response));
    }
    deepEqual(answers, ["taken", "MF_OUTBOX_FULL"]);
    journal.outboxDepth = () => 0;
  });
});

test("MF_CONNECTOR_UNKNOWN: a gateway that lacks the connector does not start", async () => {
  const yaml = "flows: { a: { image: a.mfi, from: [ { cron: { schedule: '* * * * *' } } ] } }";
  const ports = { connectors: { sources: [], outlets: [] } };
  await rejects(
    withGateway(yaml, {}, () => Promise.resolve(), { ports }),
    { code: "MF_CONNECTOR_UNKNOWN", message: /flows\.a\.from\[0\]/ },
  );
});

test("MF_GATEWAY_STATE, MF_RELOAD_RESTART: a gateway starts once; what only a restart changes is told at a reload", async () => {
  await withGateway("flows: {}", {}, async ({ gateway, config, logs }) => {
    await rejects(gateway.start(), { code: "MF_GATEWAY_STATE" });
    await gateway.reload(config("flows: {}\njournal: { dir: ./elsewhere }"));
    await until(() => logs.some(({ fields }) => fields["code"] === "MF_RELOAD_RESTART"));
  });
});

test("MF_ROUTE_TAKEN: a path is served once, and free again once it is given back", () => {
  const router = new Router();
  const remove = router.add("POST", "/a/:id", () => undefined);
  try {
    router.add("POST", "/a/:id", () => undefined);
    throw new Error("it was added twice");
  } catch (error) {
    equal((error as { code?: string }).code, "MF_ROUTE_TAKEN");
  }
  remove();
  router.add("POST", "/a/:id", () => undefined)();
});

test("MF_DEAD_LETTER_LIMIT: a flow has so many letters and no more", async () => {
  const readdir = async (): Promise<string[]> => Array.from({ length: gatewayLimits.deadLettersPerFlow }, (_, n) => `${n}.json`);
  const letters = new DeadLetters("/nowhere", { readdir } as unknown as DeadLetterFs);
  await rejects(letters.put({ flow: "a" } as never, utf8(""), "1"), { code: "MF_DEAD_LETTER_LIMIT", message: /mayfly dlq/ });
});

test("MF_INTERNAL: a handler that throws answers 500 without a word of why, and the log has it", async () => {
  const broken = {
    ...connectors.sources.find(({ name }) => name === "direct"),
    create: (_: unknown, { http }: { http: { add: (...given: unknown[]) => void } }) => {
      http.add("GET", "/broken", () => {
        throw new Error("secret");
      });
      return { start: async () => undefined, stop: async () => undefined, health: () => ({ ready: true, detail: "" }) };
    },
  } as never;
  const ports = { connectors: { ...connectors, sources: [broken] } };
  await withGateway(
    "flows: { a: { image: a.mfi, from: [ { direct: {} } ] } }",
    {},
    async ({ url, logs }) => {
      const response = await fetch(`${url}/broken`);
      const body = await response.text();
      deepEqual([response.status, (JSON.parse(body) as { code: string }).code, body.includes("secret")], [500, "MF_INTERNAL", false]);
      match(JSON.stringify(logs), /secret/);
    },
    { ports },
  );
});

test("MF_SOURCE_HEADER: a header that is no text makes its message a dead letter without it, and troubles no other", async () => {
  const accepts: Accept[] = [];
  const odd = {
    ...connectors.sources.find(({ name }) => name === "direct"),
    create: () => ({
      start: async (accept: Accept) => void accepts.push(accept),
      stop: async () => undefined,
      health: () => ({ ready: true, detail: "" }),
    }),
  } as never;
  const ports = { connectors: { ...connectors, sources: [odd] } };
  const yaml = "flows: { a: { image: a.mfi, from: [ { direct: {} } ], signals: { paid: { key: id, from: [ { direct: {} } ] } } } }";
  await withGateway(
    yaml,
    { a: () => [done()] },
    async ({ deadLetters }) => {
      for (const accept of accepts) {
        const give = (headers: object): Promise<Outcome> =>
          accept({ id: "i", headers: headers as Headers, contentType: "", body: utf8("x"), replyWanted: false, keeper: "journal" });
        for (const size of [1, undefined, null, {}, ["1", 2]]) {
          const outcome = await give({ good: "yes", size });
          deepEqual(outcome.status === "dead" && [outcome.failure.code, outcome.failure.origin, outcome.kept], [
            "MF_SOURCE_HEADER",
            "gateway",
            true,
          ]);
        }
        equal((await give({ good: ["1", "2"] })).status, "accepted");
      }
      const kept: unknown[] = [];
      for await (const { kind, headers } of deadLetters.list("a")) kept.push(kind, headers["good"], headers["size"]);
      deepEqual(kept, [...Array(5).fill(["message", "yes", undefined]), ...Array(5).fill(["signal", "yes", undefined])].flat());
    },
    { ports },
  );
});

test("MF_JOURNAL_RECORD: a message that the journal can't encode is refused, and the next is taken", async () => {
  await withGateway(
    "flows: { a: { image: a.mfi, from: [ { http: { path: /a, mode: accept } } ] } }",
    { a: () => [done()] },
    async ({ url, journal }) => {
      const accept = journal.accept.bind(journal);
      let isOdd = true;
      journal.accept = (message) => (isOdd ? Promise.reject(new CodedError("MF_JOURNAL_RECORD", "odd")) : accept(message));
      const answers: unknown[] = [];
      for (isOdd of [true, false, true, false]) {
        const response = await fetch(`${url}/a`, { method: "POST" });
        answers.push(response.ok ? response.status : `${response.status} ${await code(response)}`);
      }
      deepEqual(answers, ["500 MF_JOURNAL_RECORD", 202, "500 MF_JOURNAL_RECORD", 202]);
    },
  );
});

test("MF_STARTING: until all sources have their paths an unknown one is `later`, and `never` from then on", async () => {
  let go = (): void => undefined;
  const gate = new Promise<void>((resolve) => (go = resolve));
  const slow = {
    ...connectors.sources.find(({ name }) => name === "direct"),
    create: () => ({ start: () => gate, stop: async () => undefined, health: () => ({ ready: true, detail: "" }) }),
  } as never;
  const ports = { connectors: { ...connectors, sources: [slow] } };
  let asked: Promise<string> | undefined;
  const yaml = "http: { port: 18473 }\nflows: { a: { image: a.mfi, from: [ { direct: {} } ] } }";
  const early = until(async () => {
    const response = await fetch("http://127.0.0.1:18473/x").catch(() => undefined);
    return response === undefined ? undefined : (asked ??= code(response));
  });
  void early.then(() => go());
  await withGateway(
    yaml,
    {},
    async ({ url }) => {
      equal(await early, "MF_STARTING");
      equal(await code(fetch(`${url}/x`)), "MF_NOT_FOUND");
    },
    { ports },
  );
});
