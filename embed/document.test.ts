/** The code of docs/EMBED.md, run. */
import { deepEqual, equal } from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";
import Fastify from "fastify";
import { Hono } from "hono";
import * as library from "./mod.ts";
import { hostOf } from "./testing/open.ts";

const document = fileURLToPath(new URL("../../docs/EMBED.md", import.meta.url));
const blocks = [...(await readFile(document, "utf8")).matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, block = ""]) => block);

type Run = (...values: unknown[]) => Promise<unknown>;
const AsyncFunction = (async () => undefined).constructor as new (...text: string[]) => Run;

/** Runs a block with names in its scope; `then` is an expression for the result. */
async function run(block: string | undefined, names: Readonly<Record<string, unknown>>, then: string): Promise<unknown> {
  const { code } = await transform((block ?? "").replace(/^import .*$/m, ""), { loader: "ts" });
  const scope = { ...library, ...names };
  return new AsyncFunction(...Object.keys(scope), `${code}; return ${then};`)(...Object.values(scope));
}

test("there are as many blocks as are run", () => equal(blocks.length, 4));

test("a host runs a flow of a file", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-doc-"));
  const before = process.cwd();
  context.after(async () => {
    process.chdir(before);
    await rm(folder, { recursive: true });
  });
  await mkdir(join(folder, "flows"));
  const flow = 'async (msg, { to }) => ({ ...(await to.erp.request(msg.json())).json<object>(), tenant: msg.headers["x-tenant"] })';
  await writeFile(join(folder, "flows/orders.ts"), `import { flow } from "mayfly"; export default flow<"erp">(${flow});`);
  process.chdir(folder);
  const ask = (order: object) => Promise.resolve({ ...order, open: true });
  const found = await run(blocks[0], { ask, signal: undefined }, "[result.reply.json(), (await replay(result.recording)).identical]");
  deepEqual(found, [{ id: 4711, open: true, tenant: "acme" }, true]);
});

test("a sandbox prices a cart", async () => {
  const lines: string[] = [];
  const logger = { info: (text: string) => lines.push(text) };
  const customersCode = "async (cart) => { console.info('pricing'); return cart.cents * await stock(cart.sku); }";
  const cart = { sku: "a", cents: 5 };
  const count = (sku: string) => Promise.resolve(sku.length);
  equal(await run(blocks[1], { customersCode, cart, count, logger }, "(await price(cart)) + (await price.close(), 0)"), 5);
  deepEqual(lines, ["pricing", "pricing"]);
});

test("a host runs many messages", async (context) => {
  const host = await hostOf(context, '(msg) => (msg.json() === 2 ? fail("two") : msg.json())');
  const told: unknown[] = [];
  const report = (each: unknown): void => void told.push(each instanceof Error ? each.message : each);
  await run(blocks[2], { host, messages: [1, 2, 3].map((body) => ({ body })), report }, "1");
  deepEqual(told, [1, "two", 3]);
});

test("a host answers behind frameworks", async (context) => {
  const host = await hostOf(context, "async (msg, { to }) => { to.mail.send('hello'); return (await to.erp.request()).json(); }");
  const sent: string[] = [];
  const deliver = (sends: readonly { text(): string }[]): void => void sent.push(...sends.map((send) => send.text()));
  const fastify = Fastify();
  context.after(() => fastify.close());
  const hono = new Hono();
  const express = { post: () => undefined };
  await run(blocks[3], { host, fastify, hono, express, deliver, erp: () => ({ json: 7 }) }, "1");
  const url = await fastify.listen({ port: 0, host: "127.0.0.1" });
  equal(await (await fetch(`${url}/orders`, { method: "POST" })).json(), 7);
  equal(await (await hono.request("/orders", { method: "POST" })).json(), 7);
  deepEqual(sent, ["hello", "hello"]);
});
