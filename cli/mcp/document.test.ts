/** MCP.md: its settings start the server, its table has every tool with its permission. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport, type StdioServerParameters } from "@modelcontextprotocol/client/stdio";
import { packageRoot } from "#cli";
import { permissions, permissionsOf } from "./permissions.ts";
import { toolsFor } from "./server.ts";
import { type Shop, shop } from "./testing/shop.ts";

interface Settings {
  readonly type?: string;
  readonly command?: string;
  readonly args?: readonly string[];
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

let project: Shop;
let text: string;

before(async () => {
  project = await shop();
  text = await readFile(join(packageRoot, "docs", "MCP.md"), "utf8");
});
after(() => project?.remove());

function settings(): Settings[] {
  return [...text.matchAll(/^```json\n([^]*?)^```$/gm)].map(([, block = ""]) => {
    const { mcpServers, servers } = JSON.parse(block) as Record<string, { mayfly: Settings }>;
    return (mcpServers ?? servers)?.mayfly ?? {};
  });
}

test("the settings of clients that start the server start it, in the project or with its path", async () => {
  const started = settings().filter(({ command }) => command !== undefined);
  equal(started.length, 2);
  for (const { command, args = [] } of started) {
    deepEqual([command, args[0]], ["npx", "mayfly"]);
    const inProject = !args.includes("-c");
    const own = args.slice(1).map((each) => each.replace("${workspaceFolder}", project.folder));
    const parameters: StdioServerParameters = {
      command: process.execPath,
      args: [project.entry, ...own],
      cwd: inProject ? project.folder : packageRoot,
      stderr: "ignore",
    };
    const client = new Client({ name: "test", version: "1.0.0" });
    await client.connect(new StdioClientTransport(parameters));
    const { tools } = await client.listTools();
    equal(
      tools.some(({ name }) => name === "replay"),
      inProject,
    );
    await client.close();
  }
});

test("the settings over HTTP have the address and the header that the server has", () => {
  const [http] = settings().filter(({ type }) => type === "http");
  match(http?.url ?? "", /^http:\/\/127\.0\.0\.1:\d+\/mcp$/);
  match(http?.headers?.["Authorization"] ?? "", /^Bearer /);
});

test("the table has every tool and every permission", () => {
  const rows = [...text.matchAll(/^\| (`[^|]*`) \| ([^|]+) \|/gm)];
  const named = rows.flatMap(([, tools = "", needs = ""]) =>
    [...tools.matchAll(/`(\w+)`/g)].map(([, tool = ""]) => [tool, /`(\w+)`/.exec(needs)?.[1]]),
  );
  const all = toolsFor({ root: "/", config: "mayfly.yaml", allowed: permissionsOf(Object.keys(permissions)) });
  deepEqual(named.sort(), all.map(({ name, permission }) => [name, permission]).sort());
  for (const name of Object.keys(permissions)) ok(text.includes(`\`${name}\``), name);
});

test("a call that the client cancels ends the command that it runs", async () => {
  const entry = `import { writeFileSync } from "node:fs";
if (process.argv[2] === "mcp") {
  ${await readFile(project.entry, "utf8")}
} else {
  writeFileSync("began", String(process.pid));
  process.on("SIGTERM", () => { writeFileSync("stopped", ""); process.exit(0); });
  setInterval(() => {}, 1000);
}
`;
  await writeFile(project.entry, entry);
  const client = await project.client();
  const controller = new AbortController();
  const call = client.callTool({ name: "sleepers", arguments: {} }, { signal: controller.signal }).then(
    () => "answered",
    () => "cancelled",
  );
  const there = async (name: string): Promise<string> => {
    for (const untilMs = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 20)))
      try {
        return await readFile(project.at(name), "utf8");
      } catch (error) {
        if (Date.now() > untilMs) throw error;
      }
  };
  ok(Number(await there("began")) > 0);
  controller.abort();
  equal(await call, "cancelled");
  equal(await there("stopped"), "");
  ok((await client.listTools()).tools.length > 0, "the server goes on");
});
