/** Messages that slept in a gateway, on record as one life: shown, run again, compared, made tests of; without their secrets. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

const source = (text: string): string => `import { flow } from "mayfly";
export default flow<"stock" | "bills">(async (msg, { to, log, state, wait, values }) => {
  const order = msg.json<{ id: string; card: string }>();
  const stock = (await to.stock.request({ id: order.id })).json<{ left: number }>();
  state.set("orders", (state.get<number>("orders") ?? 0) + 1);
  to.bills.send({ id: order.id, text: "please pay" });
  const paid = await wait<{ amount: number; card: string }>("payment", { key: order.id, timeout: "2d" });
  log.info("paid", { luck: Math.random(), amount: paid?.json().amount, card: paid?.json().card, key: values["key"] === "s3cret" });
  const receipt = await wait("receipt", { key: order.id, timeout: "1d" });
  if (receipt?.text() === "fail") throw Object.assign(new Error("no receipt"), { code: "NO_RECEIPT" });
  to.bills.send({ id: order.id, text: "${text}", left: stock.left, orders: state.get("orders") });
});
`;

let folder: string;
let peer: Server;
let serving: Serving | undefined;
const at = (...names: string[]): string => join(folder, ...names);
const run = async (...values: string[]): ReturnType<typeof capture> => await capture([...values, "-c", at("mayfly.yaml")]);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-slept-"));
  peer = createServer((_request, response) => response.setHeader("content-type", "application/json").end('{"left":9}'));
  await new Promise<void>((listening) => peer.listen(0, "127.0.0.1", listening));
  await mkdir(at("flows"));
  await writeFile(at("package.json"), "{}");
  await writeFile(at("flows", "saga.ts"), source("thank you"));
  await writeFile(
    at("mayfly.yaml"),
    `http: { port: 0 }
history: { redact: { paths: [/card] } }
flows:
  saga:
    flow: flows/saga.ts
    key: json:/id
    retry: { attempts: 1 }
    from: [{ http: { path: /orders, mode: accept } }]
    signals:
      payment: { from: [{ http: { path: "/payments/:order" } }], key: "path:order" }
      receipt: { from: [{ http: { path: "/receipts/:order" } }], key: "path:order" }
    values: { key: s3cret }
    to:
      stock: { http: { url: "http://127.0.0.1:${(peer.address() as AddressInfo).port}/" } }
      bills: { file: { dir: ./bills, name: "{date}.jsonl", append: true } }
`,
  );
  serving = await serve({ file: at("mayfly.yaml"), logger: { ...silentLogger, child: () => silentLogger } });
  for (const [id, receipt] of [
    ["a", "here"],
    ["b", "fail"],
  ] as const) {
    await post("orders", JSON.stringify({ id, card: "4111-1111" }), { "idempotency-key": `order-${id}` });
    await post(`payments/${id}`, '{"amount":12,"card":"4222-2222"}', { "idempotency-key": `payment-${id}`, authorization: "t0ken" });
    await post(`receipts/${id}`, receipt, { "idempotency-key": `receipt-${id}`, "content-type": "text/plain" });
  }
});
after(async () => {
  await serving?.stop();
  peer.close();
  await rm(folder, { recursive: true, force: true });
});

async function post(path: string, body: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const typed = { "content-type": "application/json", ...headers };
  const response = await fetch(`${serving?.url}/${path}`, { method: "POST", headers: typed, body });
  equal(response.status, 202, await response.text());
}

interface Listed {
  readonly id: string;
  readonly status: string;
}

async function listed(count: number): Promise<readonly Listed[]> {
  const untilMs = Date.now() + 20_000;
  for (;;) {
    const { messages } = JSON.parse((await run("messages", "ls", "--json")).out) as { messages: Listed[] };
    if (messages.length >= count || Date.now() > untilMs) return messages;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("the record has the whole life: waits, what ended them, sends with the commit they left with", async () => {
  const messages = await listed(2);
  deepEqual(messages.map(({ id, status }) => [id, status]).sort(), [
    ["order-a", "done"],
    ["order-b", "dead"],
  ]);
  const { out } = await run("messages", "show", "order-a", "--json");
  const { attempts } = JSON.parse(out) as {
    attempts: {
      waits: { name: string; key: string; signal: { id: string; body: { text: string }; headers: Record<string, string> } | null }[];
      steps: { event: string }[];
      sends: { committedAt: number }[];
    }[];
  };
  equal(attempts.length, 1, out);
  const [attempt] = attempts;
  deepEqual(
    attempt?.waits.map(({ name, key, signal }) => [name, key, signal?.id]),
    [
      ["payment", "a", "payment-a"],
      ["receipt", "a", "receipt-a"],
    ],
  );
  equal(attempt?.waits[0]?.signal?.body.text, '{"amount":12,"card":"[redacted]"}');
  equal(attempt.waits[0].signal.headers["authorization"], "[redacted]");
  equal(attempt.steps.filter(({ event }) => event === "resume").length, 2);
  ok((attempt.sends[0]?.committedAt ?? 0) <= (attempt.sends[1]?.committedAt ?? 0));
  const shown = await run("messages", "show", "order-a");
  match(shown.out, /wait {2}for payment \(a\) until .* → signal payment-a/);
  const traced = await run("trace", "--key", "a");
  match(traced.out, /wait {6}for payment \(a\) until/);
  match(traced.out, /awake {5}signal payment payment-a/);
});

test("a life is identical on its image, done and dead alike, though its secrets were never written", async () => {
  for (const { id } of await listed(2)) {
    const { code, out, err } = await run("replay", id, "--json");
    const result = JSON.parse(out) as { identical: boolean; differences: unknown[] };
    deepEqual([result.differences, result.identical, code, err], [[], true, 0, ""], id);
  }
});

test("a record becomes a flow test with its signals, and a backtest finds what another image does", async () => {
  await listed(2);
  for (const id of ["order-a", "order-b"]) {
    const written = await run("test", "--record", id, "-o", at("flows", "recorded.flow-test.yaml"));
    equal(written.code, 0, written.out + written.err);
  }
  const text = await readFile(at("flows", "recorded.flow-test.yaml"), "utf8");
  match(text, /signals:\n\s+- name: payment\n\s+key: a/);
  equal(/4111-1|4222-2|t0ken|s3cret/.test(text), false, "nothing secret is in it");
  const same = await run("backtest", at("flows", "saga.ts"), "--since", "24h", "--json");
  equal(same.code, 0, same.out + same.err);
  await writeFile(at("flows", "saga.ts"), source("thanks"));
  const other = await run("backtest", at("flows", "saga.ts"), "--since", "24h", "--json");
  equal(other.code, 1);
  const { groups } = JSON.parse(other.out) as { groups: { shape: string; count: number }[] };
  deepEqual(
    groups.map(({ shape, count }) => [shape, count]),
    [["sends[].body.text changed", 1]],
  );
});
