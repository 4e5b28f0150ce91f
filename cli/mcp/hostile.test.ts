/** Arguments, records and clients that mean harm: schemas, paths, bounds of results, cancelled calls, clients that go away. */
import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { realpathSync } from "node:fs";
import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import * as sdk from "@modelcontextprotocol/server";
import fc from "fast-check";
import { boundedJson, partOf, visibleJson } from "./bounded.ts";
import { Calls, type ToolAnswer } from "./calls.ts";
import { mcpLimits } from "./limits.ts";
import { outputIn, pathIn } from "./paths.ts";
import { permissions, permissionsOf } from "./permissions.ts";
import { loadSdk, toolsFor } from "./server.ts";
import { type Shop, shop, told } from "./testing/shop.ts";
import type { Project, Tool } from "./tool.ts";

let project: Shop;
let all: Project;

before(async () => {
  project = await shop();
  all = { root: project.folder, config: "mayfly.yaml", allowed: permissionsOf(Object.keys(permissions)) };
  await mkdir(project.at("flows", "deep"));
  await symlink("..", project.at("flows", "up"));
  await symlink("/", project.at("flows", "rooted"));
});
after(() => project?.remove());

test("whatever a path is made of, it is refused or names something in the project", () => {
  const piece = fc.constantFrom("flows", "up", "rooted", "deep", "..", ".", "", "orders.ts", "etc", "passwd", "mayfly.yaml", "~", "x\\y");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), fc.boolean(), (pieces, rooted) => {
      const given = (rooted ? "/" : "") + pieces.join("/");
      try {
        const real = realpathSync(project.at(pathIn(project.folder, given)));
        ok(real === project.folder || real.startsWith(`${project.folder}/`), given);
      } catch (error) {
        equal((error as { code?: string }).code, "MF_MCP_PATH", String(error));
      }
    }),
    { numRuns: 2_000 },
  );
  throws(() => outputIn(project.folder, "flows/rooted/tmp/x.mfi", ".mfi"), { code: "MF_MCP_PATH" });
  equal(outputIn(project.folder, "flows/up/x.mfi", ".mfi"), "x.mfi");
});

test("arguments that pass a tool's schema make a command whose values are no options, or a coded error", async () => {
  const validators = toolsFor(all).map((tool) => ({
    tool,
    schema: { type: "object", properties: tool.properties, required: tool.required ?? [], additionalProperties: false },
  }));
  const hostile = fc.oneof(
    fc.constantFrom(
      "--config=/etc/passwd",
      "-c",
      "--",
      "--gateway=http://evil.example",
      "-o",
      "$(id)",
      "a\nb",
      "../..",
      "sha256:00000000",
      "1h",
      "2026-01-01",
    ),
    fc.string({ unit: "grapheme", maxLength: 30 }),
    fc.integer(),
    fc.constantFrom(null, true, [], {}),
    fc.array(fc.constantFrom("--json", "flows/orders.ts", "..", "x"), { maxLength: 3 }),
  );
  for (const { tool, schema } of validators) {
    const standard = sdk.fromJsonSchema(schema as Parameters<typeof sdk.fromJsonSchema>[0]);
    const names = Object.keys(tool.properties);
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.constantFrom(...names, "other"), hostile), async (given) => {
        const checked = await standard["~standard"].validate(given);
        if (checked.issues !== undefined) return;
        let line: Awaited<ReturnType<Tool["command"]>>;
        try {
          line = await tool.command(checked.value as Record<string, unknown>, all);
        } catch (error) {
          match((error as { code?: string }).code ?? String(error), /^MF_(MCP_(PATH|DENIED)|TEST_NOT_FOUND)$/);
          return;
        }
        const end = line.values.indexOf("--");
        const options = end < 0 ? line.values : line.values.slice(0, end);
        for (const value of options.filter((each) => each.startsWith("-")))
          ok(
            /^--(config=mayfly\.yaml$|json$|edit=-$|[a-z]+=)/.test(value) && !/^--(gateway|token|profile)\b/.test(value),
            `${tool.name}: ${value}`,
          );
        equal(options.filter((each) => each.startsWith("--config=")).length <= 1, true);
        ok(!line.values.some((value) => value.includes("\0")));
      }),
      { numRuns: 200 },
    );
  }
});

test("results are bounded, say what was cut, and hide no character, whatever was recorded", () => {
  fc.assert(
    fc.property(
      fc.jsonValue({ maxDepth: 6 }),
      fc.string({ unit: "binary", maxLength: 400 }),
      fc.integer({ min: 300, max: 4_000 }),
      (value, text, most) => {
        const whole = { value, text, long: text.repeat(20), list: Array(300).fill(text.slice(0, 20)) };
        let bounded;
        try {
          bounded = boundedJson(whole, most);
        } catch (error) {
          equal((error as { code?: string }).code, "MF_MCP_LENGTH");
          return;
        }
        const { json, cut } = bounded;
        ok(json.length <= most);
        ok(!/[\p{Cf}\p{Cc}\p{Cs}\u2028\u2029]/u.test(json), json);
        const again = JSON.parse(json) as typeof whole;
        if (cut.length === 0) deepEqual(again, JSON.parse(JSON.stringify(whole)));
        else
          ok(
            cut.every((place) => place.startsWith("/") || place.startsWith("and ")),
            cut.join(),
          );
      },
    ),
    { numRuns: 300 },
  );
  equal(JSON.parse(visibleJson("a\u200bb\u{e0041}\u2028")), "a\u200bb\u{e0041}\u2028");
});

test("a part is found by its pointer, and read on from an offset", () => {
  const message = { body: { text: "0123456789" }, attempts: [{ logs: ["a/b"] }], "a/b~c": 7 };
  deepEqual(
    [partOf(message, "/body/text", 4), partOf(message, "/attempts/0/logs/0", 0), partOf(message, "/a~1b~0c", 0), partOf(message, "", 0)],
    ["456789", "a/b", 7, message],
  );
  for (const pointer of ["/none", "/body/text/0", "/__proto__", "/attempts/length", "/attempts/1"])
    throws(() => partOf(message, pointer, 0), { code: "MF_MCP_POINTER" });
});

/** Runs a script in place of `mayfly`. */
async function callsOf(script: string): Promise<{ readonly calls: Calls; call(signal?: AbortSignal): Promise<ToolAnswer> }> {
  const entry = project.at(`fake-${Math.abs(script.length)}-${(await readdir(project.folder)).length}.mjs`);
  await writeFile(entry, script);
  const calls = new Calls({ project: all, entry, env: { PATH: process.env["PATH"] } });
  const tool = toolsFor(all).find(({ name }) => name === "sleepers") as Tool;
  return { calls, call: (signal = new AbortController().signal) => calls.call(tool, {}, signal) };
}

test("a command that crashes, babbles, floods or is killed is an error, and nothing else", async () => {
  const scripts: readonly [string, RegExp][] = [
    ['process.stdout.write("no json"); process.exitCode = 0;', /"no json"/],
    ["throw new Error('crashed\\u202e here')", /crashed/],
    ['process.kill(process.pid, "SIGKILL");', /^MF_MCP_COMMAND: the command ended with a signal/],
    ['process.stdout.write("x".repeat(33 * 2 ** 20)); setInterval(() => {}, 1000);', /^MF_MCP_LENGTH: /],
    [
      'console.log(JSON.stringify({ error: { code: "MF_X", message: "first\\nsecond" } })); process.exitCode = 2;',
      /^MF_X: first\\nsecond$/,
    ],
  ];
  for (const [script, says] of scripts) match((await (await callsOf(script)).call()).text, says);
});

test("more calls than places all end, each with its answer", async () => {
  const { call } = await callsOf('console.log("[1]");');
  const answers = await Promise.all(Array.from({ length: mcpLimits.callsAtOnce + 3 }, () => call()));
  ok(
    answers.every(({ text, isError }) => !isError && text.endsWith("\n[1]")),
    JSON.stringify(answers),
  );
});

test("a cancelled call ends its process, also one that ignores SIGTERM; the next one has its place", async () => {
  const { call } = await callsOf(
    `import { writeFileSync } from "node:fs"; process.on("SIGTERM", () => {}); writeFileSync(${JSON.stringify(project.at("pid"))} + process.pid, ""); setInterval(() => {}, 1000);`,
  );
  const controllers = Array.from({ length: mcpLimits.callsAtOnce + mcpLimits.callsWaiting }, () => new AbortController());
  const answers = controllers.map(({ signal }) => call(signal));
  match((await call()).text, /^MF_MCP_BUSY: /);
  const pids = async (): Promise<number[]> =>
    (await readdir(project.folder)).flatMap((name) => (/^pid\d+$/.test(name) ? [Number(name.slice(3))] : []));
  const untilMs = Date.now() + 30_000;
  while ((await pids()).length < mcpLimits.callsAtOnce && Date.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 20));
  for (const controller of controllers.toReversed()) controller.abort();
  for (const { text, isError } of await Promise.all(answers)) ok(isError && text.startsWith("MF_MCP_CANCELLED: "), text);
  equal((await pids()).length, mcpLimits.callsAtOnce, "those that waited never began");
  for (const pid of await pids()) throws(() => process.kill(pid, 0), { code: "ESRCH" });
});

test("a client that closes its end, in the middle of a call, ends the server", async () => {
  const child = spawn(process.execPath, [project.entry, "mcp"], { cwd: project.folder, stdio: ["pipe", "pipe", "ignore"] });
  const send = (message: object): void => void child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  const clientInfo = { name: "test", version: "1" };
  send({ id: 1, method: "initialize", params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo } });
  child.stdout.setEncoding("utf8");
  match(String(await once(child.stdout, "data")), /"name":"mayfly"/);
  send({ method: "notifications/initialized" });
  child.stdin.write("{ not json\n");
  send({ id: 2, method: "tools/call", params: { name: "search_messages", arguments: {} } });
  child.stdin.end();
  deepEqual(await once(child, "exit"), [0, null]);
});

test("what a schema refuses is told with its reason, over the protocol too", async () => {
  const client = await project.client();
  for (const values of [{ limit: 1000 }, { since: "yesterday" }, { flow: "--config=x" }, { unknown: 1 }, { text: "a\0b" }]) {
    const { isError, text } = await told(client, "search_messages", values).catch((error: Error) => ({
      isError: true,
      text: error.message,
    }));
    ok(isError && /limit|since|flow|additional properties|text/.test(text), text);
  }
  match((await told(client, "show_message", { id: "--config=/etc/passwd" })).text, /^MF_(MESSAGE_UNKNOWN|HISTORY)/);
  match((await told(client, "trace", { key: "a", correlation: "b" })).text, /^MF_USAGE: give one of/);
});

test("the library that is missing is named with the command that installs it", async () => {
  const missing = Object.assign(new Error("no"), { code: "ERR_MODULE_NOT_FOUND" });
  await loadSdk(() => Promise.reject(missing)).then(
    () => ok(false),
    ({ code, message }: { code: string; message: string }) => {
      equal(code, "MF_MCP_SDK");
      match(message, /npm install @modelcontextprotocol\/server@2/);
    },
  );
});
