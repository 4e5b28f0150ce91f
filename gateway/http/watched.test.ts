/** The endpoints behind the page, against a gateway that serves. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gatewayLimits } from "../contract/limits.ts";
import { done, fail, send } from "../testing/scripted.ts";
import { type Rig, until, withGateway, withPeer } from "../testing/rig.ts";

const yaml = `http: { port: 0, admin: { port: 0, token: secret } }
flows:
  shop:
    image: shop.mfi
    retry: { attempts: 1 }
    from: [ { http: { path: /shop, mode: accept } } ]
    to: { next: { flow: { name: stock } }, erp: { http: { url: "http://user:pass@127.0.0.1:1/erp" }, retry: { attempts: 1 } } }
  stock: { image: stock.mfi, retry: { attempts: 1 } }`;

const scripts = { shop: () => [send("next", "x"), done()], stock: () => [fail("OUT_OF_STOCK", "none left")] };

interface Json {
  readonly [name: string]: unknown;
}

async function get(rig: Rig, path: string): Promise<Json> {
  return (await (await rig.admin(path)).json()) as Json;
}

async function post(rig: Rig, path: string, body: unknown): Promise<Json> {
  return (await (await rig.admin(path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) })).json()) as Json;
}

async function bury(rig: Rig, count: number): Promise<void> {
  const before = await rig.deadLetters.count("stock");
  for (let index = 0; index < count; index += 1) await fetch(`${rig.url}/shop`, { method: "POST", body: `order ${index}` });
  await until(async () => (await rig.deadLetters.count("stock")) === before + count);
}

test("without the token there is neither a figure nor an event", async () => {
  await withGateway(yaml, scripts, async ({ gateway }) => {
    const at = `http://127.0.0.1:${gateway.admin.address?.port}`;
    const paths = ["overview", "map", "flows", "flows/shop", "connectors", "dead-letters", "dead-letters/groups", "events"];
    for (const path of [
      ...paths.map((each) => ["GET", each] as const),
      ["POST", "dead-letters/retry"] as const,
      ["POST", "dead-letters/drop"] as const,
    ]) {
      const answer = await fetch(`${at}/api/${path[1]}`, { method: path[0], ...(path[0] === "POST" ? { body: '{"flow":"stock"}' } : {}) });
      equal(answer.status, 401, path[1]);
      equal(/shop|stock/.test(await answer.text()), false);
    }
    equal((await fetch(`${at}/api/overview?token=secret`)).status, 401, "a token in a URL does not count");
  });
});

test("overview, map, flows and connectors say what has happened", async () => {
  await withGateway(yaml, scripts, async (rig) => {
    await bury(rig, 3);
    const overview = await until(async () => {
      const now = await get(rig, "/api/overview");
      return (now["past"] as { received: number[] }).received.length > 0 ? now : undefined;
    });
    deepEqual([overview["state"], overview["deadLetters"], overview["flowCount"]], ["running", 3, 2]);
    const graph = (await get(rig, "/api/map")) as unknown as { nodes: Json[]; edges: Json[] };
    deepEqual(graph.nodes.map(({ id }) => id).sort(), ["flow:shop", "flow:stock", "outlet:shop:erp", "source:shop:from[0]"]);
    ok(graph.edges.some(({ from, to }) => from === "flow:shop" && to === "flow:stock"));
    const shop = await get(rig, "/api/flows/shop");
    deepEqual([shop["received"], shop["done"], shop["dead"]], [3, 3, 0]);
    const stock = (await get(rig, "/api/flows/stock")) as unknown as { failures: Json[]; past: { failed: number[] } };
    deepEqual(stock.failures, [{ code: "OUT_OF_STOCK", count: 3, at: "attempt" }]);
    equal((await rig.admin("/api/flows/none")).status, 404);
    const { connectors } = (await get(rig, "/api/connectors")) as unknown as { connectors: Json[] };
    deepEqual(
      connectors.map(({ flow, direction, connector }) => `${String(flow)} ${String(direction)} ${String(connector)}`),
      ["shop from http", "shop to flow", "shop to http"],
    );
    equal(JSON.stringify(connectors).includes("pass"), false, "no credentials");
  });
});

test("a peer that fails is named with its last error; a problem says since when", async () => {
  await withPeer(
    (_request, response) => void response.writeHead(500).end("no"),
    async (peer) => {
      const failing = `flows: { shop: { image: shop.mfi, from: [ { http: { path: /shop, mode: accept } } ], to: { erp: { http: { url: "${peer}" }, breaker: { failures: 1, pause: 1h } } } } }`;
      await withGateway(failing, { shop: () => [send("erp", "x"), done()] }, async (rig) => {
        await get(rig, "/api/overview");
        await fetch(`${rig.url}/shop`, { method: "POST" });
        const problem = await until(async () => ((await get(rig, "/api/overview"))["problems"] as Json[])[0]);
        deepEqual([problem["flow"], problem["connector"]], ["shop", "to.erp"]);
        match(String(problem["detail"]), /circuit breaker/);
        const later = await until(async () => {
          const { now, problems } = (await get(rig, "/api/overview")) as unknown as { now: number; problems: Json[] };
          return now > (problem["since"] as number) ? problems[0] : undefined;
        });
        equal(later["since"], problem["since"]);
        const { connectors } = (await get(rig, "/api/connectors")) as unknown as { connectors: Json[] };
        const erp = connectors.find(({ direction }) => direction === "to");
        equal((erp?.["circuit"] as Json)["state"], "open");
        match(String((erp?.["lastError"] as Json)["message"]), /500|circuit/);
      });
    },
  );
});

test("dead letters come in groups and pages; a dry run does nothing; retry and drop take what was selected", async () => {
  let heals = false;
  const script = { shop: scripts.shop, stock: () => (heals ? [done()] : [fail("OUT_OF_STOCK", "none left")]) };
  await withGateway(yaml, script, async (rig) => {
    await bury(rig, 5);
    const { groups } = (await get(rig, "/api/dead-letters/groups")) as unknown as { groups: Json[] };
    deepEqual(
      groups.map(({ flow, code, count }) => [flow, code, count]),
      [["stock", "OUT_OF_STOCK", 5]],
    );
    const ids: string[] = [];
    for (let cursor = ""; ; ) {
      const page = (await get(rig, `/api/dead-letters?limit=2${cursor}`)) as unknown as { letters: { id: string }[]; next: string | null };
      ids.push(...page.letters.map(({ id }) => id));
      if (page.next === null) break;
      cursor = `&cursor=${encodeURIComponent(page.next)}`;
    }
    deepEqual([ids.length, new Set(ids).size], [5, 5]);
    const preview = await post(rig, "/api/dead-letters/drop", { flow: "stock", code: "OUT_OF_STOCK", dryRun: true });
    deepEqual([preview["count"], preview["dryRun"], await rig.deadLetters.count("stock")], [5, true, 5]);
    const dropped = await post(rig, "/api/dead-letters/drop", { ids: [ids[0], "stock/none"] });
    deepEqual([dropped["dropped"], dropped["failures"]], [1, 1]);
    heals = true;
    const retried = await post(rig, "/api/dead-letters/retry", { flow: "stock", code: "OUT_OF_STOCK" });
    deepEqual([retried["failures"], retried["left"]], [0, 0]);
    await until(async () => (await rig.deadLetters.count("stock")) === 0);
  });
});

test("a selection that names nothing, or names it wrongly, selects nothing", async () => {
  await withGateway(yaml, scripts, async (rig) => {
    await bury(rig, 1);
    const wrong = [
      "",
      "[]",
      "null",
      "{",
      "{}",
      '{"dryRun":false}',
      '{"flow":""}',
      '{"flow":"../x"}',
      '{"flow":7}',
      '{"all":true}',
      '{"ids":"stock/x"}',
      '{"ids":[7]}',
      '{"ids":["../../x/y"]}',
      '{"flow":"stock","dryRun":"no"}',
      '{"__proto__":{}}',
    ];
    for (const body of wrong) equal((await post(rig, "/api/dead-letters/drop", body))["code"], "MF_SELECTION_INVALID", body);
    equal(await rig.deadLetters.count("stock"), 1);
  });
});

interface Stream {
  readonly status: number;
  /** Names of the events so far. */
  readonly names: string[];
  readonly ended: Promise<void>;
  close(): void;
}

async function listen(url: string): Promise<Stream> {
  const controller = new AbortController();
  const response = await fetch(url, { headers: { authorization: "Bearer secret" }, signal: controller.signal });
  const names: string[] = [];
  const read = async (): Promise<void> => {
    let rest = "";
    for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
      rest += Buffer.from(part).toString();
      for (const [, name = ""] of rest.matchAll(/^event: (\w+)\ndata: \{.*\}\n\n/gm)) names.push(name);
      rest = rest.slice(rest.lastIndexOf("\n\n") + 2);
    }
  };
  return { status: response.status, names, ended: read().catch(() => undefined), close: () => controller.abort() };
}

test("events: an overview at once and each second; the stream ends with the gateway, and no more than its bound are open", async () => {
  const streams: Stream[] = [];
  await withGateway(yaml, scripts, async ({ gateway }) => {
    const url = `http://127.0.0.1:${gateway.admin.address?.port}/api/events`;
    while (streams.every(({ status }) => status === 200)) streams.push(await listen(url));
    deepEqual([streams.length, streams.at(-1)?.status], [gatewayLimits.eventStreams + 1, 503]);
    const [first] = streams as [Stream];
    await until(() => first.names.length >= 2);
    deepEqual(first.names.slice(0, 2), ["overview", "overview"]);
    for (const stream of streams.slice(1)) stream.close();
    const again = await until(async () => {
      const stream = await listen(url);
      return stream.status === 200 ? stream : undefined;
    });
    await until(() => again.names.length > 0);
  });
  await streams[0]?.ended;
  equal(streams[0]?.names.at(-1), "end");
});

test("the requests of docs/DASHBOARD.md are answered", async () => {
  const document = readFileSync(fileURLToPath(new URL("../../../docs/DASHBOARD.md", import.meta.url)), "utf8");
  const lines = [...document.matchAll(/^curl .*"authorization: Bearer \$MAYFLY_TOKEN" http:\/\/127\.0\.0\.1:9090(\S+)(?: -d '(.*)')?$/gm)];
  equal(lines.length, document.match(/^curl /gm)?.length);
  await withGateway(yaml, scripts, async (rig) => {
    for (const [line, path = "", body] of lines) {
      const answer = await rig.admin(path, body === undefined ? {} : { method: "POST", body });
      equal(answer.status, 200, line);
    }
  });
});
