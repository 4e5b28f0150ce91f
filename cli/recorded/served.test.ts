/** Messages that a gateway served, run again: over its endpoints, by the commands, and from its folder once it has stopped. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

const source = (factor: string, more = ""): string => `import { fail, flow } from "mayfly";
export default flow<"stock" | "bills">(async (msg, { to, log, state, sleep, values }) => {
  const order = msg.json<{ id: string; qty: number; card: string }>();
  if (order.qty < 0) fail("negative", { code: "ORDER_NEGATIVE", retry: false, status: 422 });
  const stock = (await to.stock.request({ id: order.id })).json<{ left: number }>();
  ${more}
  await sleep(3);
  log.info("order", { luck: Math.random(), card: order.card, key: values["key"] === "s3cret" });
  state.set("orders", (state.get<number>("orders") ?? 0) + 1);
  to.bills.send({ id: order.id, at: Date.now(), card: order.card }, { headers: { authorization: "Bearer " + msg.headers["authorization"] } });
  return { total: order.qty * ${factor}, left: stock.left, card: order.card };
});
`;

let folder: string;
let peer: Server;
let serving: Serving | undefined;
const at = (...names: string[]): string => join(folder, ...names);
const run = async (...values: string[]): ReturnType<typeof capture> => await capture([...values, "-c", at("mayfly.yaml")]);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-served-"));
  peer = createServer((_request, response) => response.setHeader("content-type", "application/json").end('{"left":9}'));
  await new Promise<void>((listening) => peer.listen(0, "127.0.0.1", listening));
  await mkdir(at("flows"));
  await writeFile(at("package.json"), "{}");
  await writeFile(at("flows", "orders.ts"), source("10"));
  await writeFile(
    at("mayfly.yaml"),
    `http: { port: 0 }
history: { redact: { paths: [/card] } }
flows:
  orders:
    flow: flows/orders.ts
    key: json:/id
    from: [{ http: { path: /orders } }]
    values: { key: s3cret }
    to:
      stock: { http: { url: "http://127.0.0.1:${(peer.address() as AddressInfo).port}/" } }
      bills: { file: { dir: ./bills, name: "{date}.jsonl", append: true } }
`,
  );
  serving = await serve({ file: at("mayfly.yaml"), logger: { ...silentLogger, child: () => silentLogger } });
  for (let qty = -2; qty < 8; qty++) await order(qty);
});
after(async () => {
  await serving?.stop();
  peer.close();
  await rm(folder, { recursive: true, force: true });
});

async function order(qty: number): Promise<void> {
  const headers = { "content-type": "application/json", authorization: "t0ken", "idempotency-key": `order-${qty}` };
  const response = await fetch(`${serving?.url}/orders`, {
    method: "POST",
    headers,
    body: JSON.stringify({ id: `o${qty % 3}`, qty, card: "4111" }),
  });
  await response.arrayBuffer();
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

test("every served message is identical on its image, done and failed alike, though its secrets were never written", async () => {
  const messages = await listed(10);
  equal(messages.length, 10);
  ok(messages.some(({ status }) => status !== "done"));
  for (const { id } of messages.slice(-3)) {
    const { code, out, err } = await run("replay", id, "--json");
    const result = JSON.parse(out) as { identical: boolean; differences: unknown[]; remarks: string[] };
    deepEqual([result.differences, result.identical, code, err], [[], true, 0, ""]);
    match(result.remarks.join(), /authorization, mayfly-value-key.*\/card/);
  }
});

test("the gateway replays as well: the same image, the newest after a reload, and a flow test", async () => {
  const [message] = await listed(10);
  const { id } = message as Listed;
  const client = await import("../admin.ts");
  const admin = await client.AdminClient.open({ config: at("mayfly.yaml") }, {});
  const path = `/api/messages/${encodeURIComponent(id)}`;
  const same = (await admin.get("POST", `${path}/replay?image=same`)) as { identical: boolean; monitor: string };
  deepEqual([same.identical, same.monitor], [true, "embedded"]);
  await writeFile(at("flows", "orders.ts"), source("11"));
  await serving?.reload();
  const newest = (await admin.get("POST", `${path}/replay?image=newest`)) as { identical: boolean; differences: { path: string }[] };
  deepEqual([newest.identical, newest.differences.map(({ path: each }) => each)], [false, ["reply.body.total"]]);
  equal(((await admin.get("POST", `${path}/replay`)) as { identical: boolean }).identical, true, "the image that ran is still kept");
  await writeFile(at("flows", "orders.ts"), source("10"));
  const pieces: Uint8Array[] = [];
  for await (const piece of await admin.pieces(`${path}/flow-test`)) pieces.push(piece);
  await writeFile(at("from-gateway.flow-test.yaml"), Buffer.concat(pieces));
  const tested = await capture(["test", at("from-gateway.flow-test.yaml")]);
  equal(tested.code, 0, tested.out + tested.err);
  const text = Buffer.concat(pieces).toString();
  equal(/4111|t0ken|s3cret/.test(text), false, "nothing secret is in it");
});

test("from the folder, with no gateway: replay, a test from the record, a backtest, and the build that changed it", async () => {
  const messages = await listed(10);
  await serving?.stop();
  serving = undefined;
  const [done] = messages.filter(({ status }) => status === "done") as [Listed];
  equal((await run("replay", done.id)).code, 0);
  const unknown = await run("replay", "nobody");
  deepEqual([unknown.code, /MF_MESSAGE_UNKNOWN/.test(unknown.err)], [2, true]);
  const written = await run("test", "--record", done.id, "-o", at("flows", "recorded.flow-test.yaml"));
  equal(written.code, 0, written.out + written.err);
  equal(/4111|t0ken|s3cret/.test(await readFile(at("flows", "recorded.flow-test.yaml"), "utf8")), false);

  const same = await run("backtest", at("flows", "orders.ts"), "--since", "24h", "--json");
  equal(same.code, 0, same.out + same.err);
  const all = JSON.parse(same.out) as Record<string, unknown>;
  deepEqual([all["messages"], all["same"], all["groups"]], [10, 10, []]);
  ok(Number(all["perSecond"]) > 0);

  await writeFile(at("flows", "orders.ts"), source("12", 'if (order.qty > 5) throw new TypeError("many");'));
  const changed = await run("backtest", at("flows", "orders.ts"), "--since", "24h", "--bisect", "--json");
  equal(changed.code, 1, changed.err);
  const {
    messages: count,
    different,
    failsNow,
    groups,
    bisect,
  } = JSON.parse(changed.out) as {
    messages: number;
    different: number;
    failsNow: number;
    groups: { shape: string; count: number }[];
    bisect: { images: { image: string; different: number }[]; first: string };
  };
  deepEqual([count, failsNow, different], [10, 2, 5]);
  deepEqual(
    groups.map(({ shape, count: of }) => [shape, of]),
    [
      ["reply.body.total changed", 5],
      ["MF_FLOW_THREW", 2],
    ],
  );
  deepEqual(
    bisect.images.map((each) => each.different > 0),
    [true, false, true],
    "built with 11, with 10 again, with 12",
  );
  equal(bisect.first, bisect.images[0]?.image);
  const shown = await run("backtest", at("flows", "orders.ts"), "--bisect");
  match(
    shown.out,
    /different 5 reply\.body\.total changed\n[\s\S]*fails now 2 MF_FLOW_THREW[\s\S]*images, oldest first[\s\S]*◀ the first that differs[\s\S]*10 messages: 3 the same, 5 different, 2 fail now/,
  );
  const none = await run("backtest", at("flows", "orders.ts"), "--flow", "other");
  deepEqual([none.code, /MF_BACKTEST_EMPTY/.test(none.err)], [2, true]);
});
