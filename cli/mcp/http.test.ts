/** `mayfly mcp --http` as a process: the token, pages of others, what is malformed, clients that leave. */
import { equal, match, ok } from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { capture } from "#cli";
import { mcpLimits } from "./limits.ts";
import { type Shop, shop, told } from "./testing/shop.ts";

let project: Shop;
let child: ChildProcess;
let ended: Promise<unknown>;
let url: URL;

before(async () => {
  project = await shop();
  const serving = await project.serve();
  await project.send({ id: "4711", customer: {} });
  await serving.stop();
  const env = { ...process.env, SHOP_TOKEN: "t-17", SHOP_SECRET: "hunter2" };
  child = spawn(process.execPath, [project.entry, "mcp", "--http", "0", "--allow", "replay,backtest"], { cwd: project.folder, env });
  ended = once(child, "exit");
  url = await new Promise((resolve, reject) => {
    let said = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      const found = /at (http:\S+);/.exec(said)?.[1];
      if (found !== undefined) resolve(new URL(found));
    });
    child.once("exit", () => reject(new Error(said)));
  });
  child.stderr?.destroy(); // nobody reads its remarks: it goes on
});
after(async () => {
  child?.kill("SIGTERM");
  await ended;
  await project?.remove();
});

interface Answer {
  readonly status: number;
  readonly text: string;
}

function ask(headers: Readonly<Record<string, string>>, body: string | Uint8Array = "{}", more: object = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method: "POST", headers: { "content-type": "application/json", ...headers }, ...more }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

const token = { authorization: "Bearer t-17", accept: "application/json, text/event-stream" };

for (const mode of ["legacy", "auto"] as const)
  test(`the SDK's client finds the failed message with the token (${mode})`, async () => {
    const client = new Client({ name: "test", version: "1.0.0" }, { versionNegotiation: { mode } });
    await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers: { authorization: "Bearer t-17" } } }));
    const { json } = await told(client, "search_messages", { status: "dead" });
    const [message] = (json as { messages: { id: string; key: string }[] }).messages;
    equal(message?.key, "4711");
    match((await told(client, "replay", { id: message?.id })).text, /"identical":true/);
    equal(
      (await client.listTools()).tools.some(({ name }) => name === "resubmit"),
      false,
    );
    await client.close();
  });

test("without the token nobody is told anything; with it no page of another origin and no borrowed name", async () => {
  for (const headers of [{}, { authorization: "Bearer wrong" }, { authorization: "Basic dDp0LTE3" }, { authorization: "Bearer t-17x" }]) {
    const { status, text } = await ask(headers as Record<string, string>);
    equal(status, 401);
    match(text, /MF_ADMIN_DENIED/);
  }
  match((await ask({ ...token, host: "rebound.example:80" })).text, /MF_HOST_DENIED/);
  for (const origin of ["https://evil.example", "null", "http://127.0.0.1:1"])
    match((await ask({ ...token, origin })).text, /MF_ORIGIN_DENIED/);
  equal((await ask({ ...token, origin: url.origin })).status, 400, "its own origin may ask");
  match((await ask(token, "{}", { path: "/" })).text, /MF_NOT_FOUND/);
});

test("what is malformed or too long is refused, and the server goes on", async () => {
  for (const body of ["", "[", "[]", "null", "4", '{"jsonrpc":"2.0"}', '{"jsonrpc":"2.0","id":1,"method":"nothing"}', "\0\0"]) {
    const { status } = await ask(token, body);
    ok(status >= 200 && status < 500, `${body}: ${status}`);
  }
  equal((await ask({ ...token, "content-type": "text/plain" })).status, 415);
  match((await ask(token, Buffer.alloc(mcpLimits.requestBytes + 1, 32))).text, /MF_MCP_LENGTH/);
  equal((await ask(token, "", { method: "DELETE" })).status, 405);
  const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
  match((await ask({ ...token, "mcp-protocol-version": "2025-06-18" }, ping)).text, /"result":\{\}/);
});

test("clients that leave in the middle of a call free its place", async () => {
  const call = JSON.stringify({
    jsonrpc: "2.0",
    id: 7,
    method: "tools/call",
    params: { name: "search_messages", arguments: { text: "x" } },
  });
  const leave = async (): Promise<void> => {
    const asked = request(url, {
      method: "POST",
      headers: { ...token, "content-type": "application/json", "mcp-protocol-version": "2025-06-18" },
    });
    asked.on("error", () => undefined);
    asked.end(call);
    await once(asked, "finish");
    asked.destroy();
  };
  await Promise.all(Array.from({ length: mcpLimits.callsAtOnce + mcpLimits.callsWaiting }, leave));
  const { text } = await ask({ ...token, "mcp-protocol-version": "2025-06-18" }, call);
  match(text, /messages/);
  ok(!text.includes("MF_MCP_BUSY"), text);
});

test("a port that is taken, and a configuration without a token", async () => {
  const config = ["-c", project.at("mayfly.yaml")];
  match(
    (await capture(["mcp", ...config, "--http", url.port, "--token", "x"])).err,
    /^MF_MCP_PORT: port \d+ of 127\.0\.0\.1 can't be listened on/,
  );
  const { err } = await capture(["mcp", ...config, "--http", "0"], { env: { SHOP_TOKEN: "" } });
  match(err, /^MF_MCP_TOKEN: /);
});
