/** Sleepers and signals at the endpoints: search, pages, secrets, refusals, reload, dead letters of signals, metrics. */
import { deepEqual, equal, match } from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Effect } from "#abi";
import { gatewayLimits } from "../contract/limits.ts";
import { type Rig, until, withGateway } from "../testing/rig.ts";
import { done, log, type Script, send, text, utf8 } from "../testing/scripted.ts";

const dayMs = 86_400_000;

/** Waits for `payment` under the message's body as key, then sends what it got. */
const pays: Script = (event, memory) => {
  switch (event.kind) {
    case "deliver": {
      memory.set("key", text(event.body));
      const wait: Effect = {
        kind: "wait",
        wait: 1,
        name: "payment",
        key: text(event.body),
        dueMs: event.timeMs + dayMs,
        questionJson: undefined,
      };
      return [log("waits"), wait];
    }
    case "signal":
      return [send("out", `${String(memory.get("key"))} ${event.id === undefined ? "late" : text(event.body)}`), done()];
    default:
      return [];
  }
};
/** Signals what its message says: KEY BODY. */
const tells: Script = (event) => {
  if (event.kind !== "deliver") return [];
  const [key = "", body = ""] = text(event.body).split(" ");
  return [send("paid", body, key), done()];
};

const yaml = (more = "", key = "path:order"): string => `flows:
  orders:
    image: orders.mfi
    from: [ { http: { path: /orders, mode: accept } } ]
    signals: { payment: { from: [ { http: { path: "/payments/:order" } } ], key: "${key}" } }
    to: { out: { file: { dir: "./out", name: "{id}.txt" } } }
    ${more}
  bank: { image: bank.mfi, from: [ { http: { path: /bank, mode: accept } } ], to: { paid: { signal: { flow: orders, name: payment } } } }`;

interface Row {
  readonly id: string;
  readonly waits: readonly { readonly key: string }[];
}
interface Page {
  readonly sleepers: readonly Row[];
  readonly next: string | null;
}

async function put(url: string, key: string, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(`${url}/orders`, { method: "POST", body: key, headers });
  return ((await response.json()) as { id: string }).id;
}

async function json<T>(answer: Promise<{ json(): Promise<unknown> }>): Promise<T> {
  return (await (await answer).json()) as T;
}

const keysOf = ({ sleepers }: Page): string[] => sleepers.flatMap(({ waits }) => waits.map(({ key }) => key));
const asleep = (journal: Rig["journal"], count: number): Promise<unknown> => until(() => journal.sleeperCount("orders").sleepers === count);

test("sleepers are found by flow, wait, key, state and time, page by page; a life shows no secret", { timeout: 20_000 }, async () => {
  await withGateway(
    yaml(),
    { orders: pays, bank: tells },
    async ({ url, admin, journal }) => {
      const ids: string[] = [];
      for (const key of ["a", "b", "c", "d", "e"]) ids.push(await put(url, key, { authorization: "Bearer hunter2" }));
      await asleep(journal, 5);
      const first = await json<Page>(admin("/api/sleepers?most=2"));
      const second = await json<Page>(admin(`/api/sleepers?most=3&after=${first.next}`));
      deepEqual(
        [keysOf(first), keysOf(second)],
        [
          ["a", "b"],
          ["c", "d", "e"],
        ],
      );
      const found = async (query: string): Promise<string[]> => keysOf(await json<Page>(admin(`/api/sleepers?${query}`)));
      deepEqual(await found("key=c&wait=payment&flow=orders&state=asleep&since=1h&until=2d"), ["c"]);
      for (const none of ["wait=other", "state=stuck", "until=1h", `since=${Date.now() + dayMs}`, "flow=bank"])
        deepEqual(await found(none), [], none);
      equal((await admin("/api/sleepers?state=dead")).status, 400);
      const shown = await (await admin(`/api/sleepers/${ids[0]}`)).text();
      match(shown, /"text":"a"/);
      match(shown, /"text":"waits"/);
      equal(shown.includes("hunter2"), false);
      const unknown = await admin("/api/sleepers/nobody");
      deepEqual([unknown.status, ((await unknown.json()) as { code: string }).code], [404, "MF_SLEEPER_UNKNOWN"]);
    },
    { history: true },
  );
});

test("signals are kept, recognised and refused with a code and a status of their own", { timeout: 20_000 }, async () => {
  await withGateway(yaml("sleep: { early: refuse }"), { orders: pays, bank: tells }, async ({ url, admin, journal, gateway }) => {
    await put(url, "a");
    await asleep(journal, 1);
    const give = async (path: string, body = "1", init: Record<string, string> = {}): Promise<[number, unknown]> => {
      const response = await fetch(`${url}${path}`, { method: "POST", body, headers: init });
      return [response.status, ((await response.json()) as { code?: string; waiting?: boolean; status?: unknown }).code ?? "taken"];
    };
    deepEqual(await give("/payments/early"), [409, "MF_SIGNAL_UNCLAIMED"]);
    deepEqual(await give("/payments/a", "x".repeat(gatewayLimits.signalBytes + 1)), [413, "MF_SIGNAL_TOO_LARGE"]);
    await admin("/api/flows/orders/pause", { method: "POST" });
    deepEqual(await give("/payments/a"), [503, "MF_FLOW_PAUSED"]);
    await admin("/api/flows/orders/drain", { method: "POST" });
    deepEqual(await give("/payments/a"), [202, "taken"]); // kept for whoever sleeps on meanwhile
    await admin("/api/flows/orders/resume", { method: "POST" });
    await asleep(journal, 0);
    const keyless = await admin("/api/flows/orders/signals/payment", { method: "POST", body: "1" });
    deepEqual([keyless.status, ((await keyless.json()) as { code: string }).code], [400, "MF_SIGNAL_NO_KEY"]);
    const unknown = await admin("/api/flows/ordres/signals/payment?key=a", { method: "POST", body: "1" });
    deepEqual([unknown.status, ((await unknown.json()) as { code: string }).code], [404, "MF_FLOW_UNKNOWN"]);
    const measured = await gateway.measurements();
    const value = (name: string, by?: string): number | undefined =>
      measured.find((each) => each.name === name)?.values.find(({ labels }) => labels["flow"] === "orders" && labels["by"] === by)?.value;
    deepEqual([value("mayfly_sleepers"), value("mayfly_sleepers_slept_total"), value("mayfly_sleepers_woken_total", "signal")], [0, 1, 1]);
    deepEqual([value("mayfly_signals_received_total"), value("mayfly_signals_kept")], [1, 0]);
  });
});

test("another flow's outlet signals; a reload takes a route of signals away and brings another", { timeout: 20_000 }, async () => {
  await withGateway(yaml(), { orders: pays, bank: tells }, async ({ url, journal, gateway, config }) => {
    await put(url, "a");
    await put(url, "b");
    await asleep(journal, 2);
    await fetch(`${url}/bank`, { method: "POST", body: "a 5" });
    await asleep(journal, 1);
    const moved = yaml().replace("/payments/:order", "/paid/:order");
    await gateway.reload(config(moved));
    equal((await fetch(`${url}/payments/b`, { method: "POST", body: "6" })).status, 404);
    equal((await fetch(`${url}/paid/b`, { method: "POST", body: "6" })).status, 202);
    await asleep(journal, 0);
  });
});

test("a dead letter of a signal is a signal again, once, and holds back no message", { timeout: 20_000 }, async () => {
  await withGateway(yaml("onDead: hold"), { orders: pays, bank: tells }, async ({ url, admin, journal, deadLetters }) => {
    const failure = { origin: "gateway", code: "MF_SIGNAL_UNCLAIMED", message: "nobody", retry: false, status: 404 } as const;
    const letter = {
      kind: "signal",
      flow: "orders",
      signal: "payment",
      messageId: "s1",
      source: "http",
      headers: {},
      contentType: "",
      key: "a",
      receivedMs: 1,
      buriedMs: 2,
      failure,
      attempts: [],
    } as const;
    const id = await deadLetters.put(letter, utf8("7"), "one");
    await put(url, "a");
    await asleep(journal, 1);
    const retried = await json<{ status: string }>(admin(`/-/dead-letters/${id}/retry`, { method: "POST" }));
    equal(retried.status, "accepted");
    await asleep(journal, 0);
    equal((await admin(`/-/dead-letters/${id}`)).status, 404);
    equal(await deadLetters.put(letter, utf8("7"), "one"), id); // a crash before the letter was removed
    deepEqual((await json<{ status: string }>(admin(`/-/dead-letters/${id}/retry`, { method: "POST" }))).status, "duplicate");
    equal(journal.sleeperCount("orders").signals, 0);
  });
});

test("signals come from any source: files, one that has no key becomes a dead letter", { timeout: 20_000 }, async () => {
  const files = yaml()
    .replace('{ http: { path: "/payments/:order" } }', "{ file: { dir: ./in, every: 50ms } }")
    .replace("path:order", "json:/order");
  const before = (dir: string): Promise<void> => mkdir(join(dir, "in")).then(() => undefined);
  await withGateway(
    files,
    { orders: pays, bank: tells },
    async ({ dir, url, journal, deadLetters, gateway }) => {
      await put(url, "a");
      await asleep(journal, 1);
      await writeFile(join(dir, "in", "none.json"), '{"amount":1}');
      await writeFile(join(dir, "in", "one.json"), '{"order":"a"}');
      await asleep(journal, 0);
      const [letter] = await until(async () => {
        const found = [];
        for await (const each of deadLetters.list("orders")) found.push(each);
        return found.length > 0 ? found : undefined;
      });
      deepEqual([letter?.kind, letter?.signal, letter?.source, letter?.failure.code], ["signal", "payment", "file", "MF_SIGNAL_NO_KEY"]);
      const { problems } = gateway.ready();
      deepEqual(problems, []);
    },
    { before },
  );
});
