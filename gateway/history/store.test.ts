/** The store of recordings: search, details, lineage, rules, and retention by size. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "#base";
import type { Headers } from "#abi";
import type { HistoryRules } from "../contract/config.ts";
import { openHistory } from "./mod.ts";
import { HistoryStore } from "./store.ts";
import { attemptMade, deliveryMade, endMade, failed, type Made, messageMade, rules } from "./testing/messages.ts";

interface StoreRig {
  readonly folder: string;
  readonly store: HistoryStore;
  readonly warnings: string[];
}

const mib = 2 ** 20;

async function withStore(
  run: (rig: StoreRig) => Promise<void>,
  options: { readonly rules?: HistoryRules; readonly sizeBytes?: number; readonly keepMs?: number } = {},
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-history-"));
  const folder = join(dir, "history");
  const warnings: string[] = [];
  const told = (_fields: object, text: string): void => void warnings.push(text);
  const flow = { history: options.rules ?? rules } as never;
  const store = new HistoryStore({
    folder,
    keepMs: options.keepMs ?? 1e15,
    sizeBytes: options.sizeBytes ?? 64 * mib,
    flows: { orders: flow, billing: flow },
    clock: systemClock,
    logger: { debug: () => undefined, info: () => undefined, warn: told, error: told },
  });
  try {
    await run({ folder, store, warnings });
  } finally {
    await store.close();
    await rm(dir, { recursive: true, force: true });
  }
}

const put = (store: HistoryStore, made: Made): void => store.ended(messageMade(made), endMade(made));

test("messages are listed newest first, by flow, status, code, id, key, correlation id, time, header and text, page by page", async () => {
  await withStore(async ({ store, folder }) => {
    const headers: Headers = { "x-tenant": "acme" };
    put(store, { id: "a", receivedMs: 1000, key: "k1", body: "one lamp" });
    put(store, { id: "b", receivedMs: 3000, key: "k2", correlationId: "c-7", headers });
    put(store, { id: "c", receivedMs: 2000, failure: failed, letter: "orders/1" });
    put(store, { id: "d", flow: "billing", receivedMs: 4000, failure: failed, key: "k1" });
    await store.flush();
    for (const reader of [store.reader, openHistory(folder)]) {
      const ids = async (query: object): Promise<string> =>
        (await reader.list({ limit: 10, ...query })).messages.map(({ id }) => id).join("");
      equal(await ids({}), "dbca");
      equal(await ids({ flow: "orders" }), "bca");
      equal(await ids({ status: "dead" }), "c");
      equal(await ids({ status: "failed" }), "d");
      equal(await ids({ code: "OUT_OF_STOCK" }), "dc");
      equal(await ids({ key: "k1" }), "da");
      equal(await ids({ id: "b" }), "b");
      equal(await ids({ correlationId: "c-7" }), "b");
      equal(await ids({ text: "lamp" }), "a");
      equal(await ids({ text: "nothing of this" }), "");
      equal(await ids({ header: { name: "X-Tenant", value: "acme" } }), "b");
      equal(await ids({ header: { name: "x-other", value: "acme" } }), "");
      equal(await ids({ sinceMs: 2000, untilMs: 4000 }), "bc");
      const first = await reader.list({ limit: 3 });
      const second = await reader.list({ limit: 3, cursor: first.next });
      deepEqual([first.messages.length, second.messages.map(({ id }) => id), second.next], [3, ["a"], undefined]);
      await reader.close();
    }
  });
});

test("a message is shown whole: attempts, calls with answers, logs, sends, state, reply, deliveries", async () => {
  await withStore(async ({ store }) => {
    const made: Made = {
      id: "4711",
      body: '{"order":1}',
      key: "k",
      headers: { "x-a": "1", authorization: "Bearer s3cret" },
      attempt: 2,
      events: [
        { kind: "resolve", timeMs: 1004, call: 1, error: undefined, status: 200, headersJson: '{"x":"y"}', body: Buffer.from("42") },
      ],
      steps: [
        {
          status: "waiting",
          cpuMs: 1,
          effects: [
            { kind: "log", level: "info", text: "asked", fieldsJson: undefined },
            {
              kind: "call",
              call: 1,
              operation: "request",
              target: "prices",
              method: "GET",
              contentType: "",
              headersJson: '{"Authorization":"Bearer other"}',
              timeoutMs: 0,
              body: new Uint8Array(0),
            },
          ],
        },
        {
          status: "done",
          cpuMs: 2,
          effects: [
            { kind: "state", name: "count", valueJson: "3" },
            { kind: "send", outlet: "billing", key: undefined, contentType: "text/plain", headersJson: "{}", body: Buffer.from([0xff]) },
            { kind: "done", reply: { status: 0, contentType: "text/plain", headersJson: "{}", body: Buffer.from("ok") } },
          ],
        },
      ],
    };
    store.attempted(messageMade(made), attemptMade({ ...made, attempt: 1, events: [], steps: [], failure: failed }));
    put(store, made);
    store.delivered(deliveryMade("4711", { status: "retry", failure: failed }));
    store.delivered(deliveryMade("4711", { attempt: 2, startedMs: 1040, endedMs: 1041 }));
    const detail = await store.reader.show("4711");
    ok(detail);
    equal(detail.attempts.length, 2);
    const [first, last] = detail.attempts;
    deepEqual([first?.attempt, first?.error?.code, last?.attempt, last?.error], [1, "OUT_OF_STOCK", 2, null]);
    deepEqual(detail.body, { text: '{"order":1}' });
    deepEqual(detail.headers, { "x-a": "1", authorization: "[redacted]" });
    equal(detail.contentType, "text/plain");
    deepEqual(detail.redacted, { headers: ["authorization"], paths: [], bodies: "all" });
    deepEqual(last?.calls[0]?.answer, { status: 200, headers: { x: "y" }, body: { text: "42" } });
    deepEqual(last?.calls[0]?.headers, { Authorization: "[redacted]" });
    deepEqual([last?.calls[0]?.askedAt, last?.calls[0]?.answeredAt], [1000, 1004]);
    deepEqual(last?.sends[0]?.body, { base64: "/w==" });
    deepEqual([last?.reply?.status, last?.reply?.body, last?.state], [200, { text: "ok" }, { count: 3 }]);
    deepEqual(
      last?.logs.map(({ text }) => text),
      ["asked"],
    );
    deepEqual(
      last?.steps.map(({ event, status }) => [event, status]),
      [
        ["deliver", "waiting"],
        ["resolve", "done"],
      ],
    );
    deepEqual(
      detail.outlets.map(({ attempt, status, error }) => [attempt, status, error?.code]),
      [
        [1, "retry", "OUT_OF_STOCK"],
        [2, "sent", undefined],
      ],
    );
    const recorded = await store.reader.recording("4711");
    equal(recorded?.recording.deliver.attempt, 2);
    equal((await store.reader.recording("4711", { attempt: 1 }))?.recording.deliver.attempt, 1);
    equal(await store.reader.show("4712"), undefined);
  });
});

test("parents and children are linked both ways", async () => {
  await withStore(async ({ store }) => {
    put(store, { id: "p" });
    put(store, { id: "c1", flow: "billing", headers: { "mayfly-parent": "send orders p" } });
    put(store, { id: "c2", receivedMs: 2000, headers: { "mayfly-parent": "resubmit orders p" } });
    const parent = await store.reader.show("p");
    deepEqual(parent?.children, [
      { flow: "billing", id: "c1", how: "send" },
      { flow: "orders", id: "c2", how: "resubmit" },
    ]);
    deepEqual((await store.reader.show("c1"))?.parents, [{ flow: "orders", id: "p", how: "send" }]);
  });
});

test("rules: failures only, a sample whole or not at all, no bodies, nothing", async () => {
  await withStore(
    async ({ store }) => {
      put(store, { id: "a" });
      put(store, { id: "b", failure: failed });
      equal((await store.reader.list({ limit: 9 })).messages.length, 1);
    },
    { rules: { ...rules, record: "failures" } },
  );
  await withStore(
    async ({ store }) => {
      for (let index = 0; index < 1000; index++) put(store, { id: `m${index}` });
      const { length } = (await store.reader.list({ limit: 1000 })).messages;
      ok(length > 50 && length < 200, `${length} of 1000`);
    },
    { rules: { ...rules, record: "sample", sample: 0.1 } },
  );
  await withStore(
    async ({ store }) => {
      put(store, { id: "a", body: "private", headers: { "x-a": "1" } });
      const detail = await store.reader.show("a");
      deepEqual([detail?.body, detail?.headers], [{ omitted: 7 }, {}]);
    },
    { rules: { ...rules, bodies: "none" } },
  );
});

test("size: the oldest segments go, and the folder stays within its bound", async () => {
  await withStore(
    async ({ store, folder }) => {
      for (let index = 0; index < 8000; index++) {
        put(store, { id: `m${index}`, receivedMs: 1000 + index, body: "x".repeat(1000) });
        if (index % 200 === 0) await store.flush();
      }
      await store.flush();
      let bytes = 0;
      for (const name of await readdir(folder)) bytes += (await stat(join(folder, name))).size;
      ok(bytes < 5 * mib, `${bytes} bytes`);
      const { messages } = await store.reader.list({ limit: 10_000 });
      equal(messages[0]?.id, "m7999");
      ok(messages.length > 1000 && messages.length < 6000, `${messages.length} messages`);
      equal((await store.reader.list({ limit: 1, id: "m0" })).messages.length, 0);
      equal((await store.reader.list({ limit: 1, id: "m7500" })).messages[0]?.id, "m7500");
    },
    { sizeBytes: 4 * mib },
  );
});
