/** `mayfly deploy` and its kin as processes: what was deployed outlives kill -9, and what is wrong is told before anything is uploaded. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { capture, packageRoot } from "#cli";

const entry = pathToFileURL(join(packageRoot, "dist", "cli", "mod.js")).href;
const script = `const { main } = await import(${JSON.stringify(entry)}); process.exitCode = await main(process.argv.slice(2));\n`;
let folder: string;
const servers: Server[] = [];

interface Server {
  readonly child: ChildProcess;
  readonly url: string;
  readonly ended: Promise<unknown>;
}

/** Serves the folder, once it is ready. */
async function startServer(): Promise<Server> {
  const child = spawn(process.execPath, [join(folder, "mayfly.mjs"), "serve", "-p", "0", "--json"], {
    cwd: folder,
    env: { ...process.env, CI: "1" },
  });
  const ended = new Promise((done) => child.on("close", done));
  const server = { child, ended, url: "" };
  servers.push(server);
  let out = "";
  const url = await new Promise<string>((resolve, reject) => {
    const read = (text: string): void => {
      out += text;
      const found = /"url":"(http:[^"]+)".*"msg":"ready"/.exec(out)?.[1];
      if (found !== undefined) resolve(found);
    };
    child.stdout?.setEncoding("utf8").on("data", read);
    child.stderr?.setEncoding("utf8").on("data", read);
    void ended.then(() => reject(new Error(`the gateway ended: ${out}`)));
  });
  return Object.assign(server, { url });
}

async function end({ child, ended }: Server, signal: NodeJS.Signals): Promise<void> {
  child.kill(signal);
  await ended;
}

/** Runs a command with --json. */
async function run(...words: string[]): Promise<{ readonly code: number; readonly value: Record<string, unknown> }> {
  const { code, out } = await capture([...words, "--json", "-c", join(folder, "mayfly.yaml")]);
  return { code, value: JSON.parse(out) as Record<string, unknown> };
}

const errorCode = ({ error }: Record<string, unknown>): string | undefined => (error as { code?: string } | undefined)?.code;

async function write(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text);
  return join(folder, name);
}

const flowOf = (word: string): string => `import { flow } from "mayfly";\nexport default flow((msg) => "${word} " + msg.text());\n`;
const post = async (url: string, body: string): Promise<string> =>
  await (await fetch(url, { method: "POST", body, headers: { connection: "close" } })).text();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-functions-"));
  await write("mayfly.mjs", script);
  await write("mayfly.yaml", "functions: {}\nflows: {}\n");
  await mkdir(join(folder, "node_modules"));
  await symlink(packageRoot, join(folder, "node_modules", "mayfly"));
});
afterEach(async () => {
  for (const server of servers.splice(0)) await end(server, "SIGKILL");
});
after(() => rm(folder, { recursive: true, force: true }));

test("what was deployed outlives kill -9, with its versions and secrets; a deploy uploads what the gateway lacks", async () => {
  const flow = await write("hello.ts", flowOf("one"));
  const first = await startServer();
  const one = (await run("deploy", flow, "--no-check")).value;
  deepEqual([one["version"], one["uploaded"], one["urls"]], [1, true, [`${first.url}/hello`]]);
  equal((await run("deploy", flow, "--no-check")).value["uploaded"], false);
  equal(await post(`${first.url}/hello`, "you"), "one you");
  await write("hello.ts", flowOf("two"));
  equal((await run("deploy", flow, "--no-check")).value["version"], 2);
  equal(await post(`${first.url}/hello`, "you"), "two you");
  const piped = await capture(["secrets", "set", "KEY", "-c", join(folder, "mayfly.yaml")], { stdin: "hunter2\n" });
  equal(piped.code, 0, piped.err);
  await end(first, "SIGKILL");
  const second = await startServer();
  equal(await post(`${second.url}/hello`, "you"), "two you");
  deepEqual((await run("secrets", "ls")).value, { secrets: ["KEY"] });
  equal((await run("functions", "rollback", "hello")).value["live"], 1);
  await end(second, "SIGKILL");
  const third = await startServer();
  equal(await post(`${third.url}/hello`, "you"), "one you");
  equal((await run("functions", "rm", "hello")).code, 0);
  deepEqual((await run("functions", "ls")).value, { functions: [] });
  await end(third, "SIGTERM");
  const fourth = await startServer();
  equal((await fetch(`${fourth.url}/hello`, { headers: { connection: "close" } })).status, 404);
});

test("what is wrong is told with its place and a code, and nothing is deployed", async () => {
  const server = await startServer();
  try {
    const broken = await run(
      "deploy",
      await write("broken.ts", 'import { flow } from "mayfly";\nexport default flow((msg) => msg.txet());\n'),
    );
    equal(broken.code, 2);
    match(JSON.stringify(broken.value), /broken\.ts:2:\d+/);
    await write("bad.mayfly.yaml", "limits:\n  cpu: soon\n");
    const bad = await run("deploy", await write("bad.ts", flowOf("bad")), "--no-check");
    deepEqual([bad.code, errorCode(bad.value)], [2, "MF_CONFIG_INVALID"]);
    match(JSON.stringify(bad.value), /bad\.mayfly\.yaml:2:8/);
    equal(errorCode((await run("deploy", join(folder, "none.ts"))).value) === undefined, false);
    equal(errorCode((await run("functions", "show", "none")).value), "MF_FUNCTION_UNKNOWN");
    equal(errorCode((await run("functions", "canary", "none", "1")).value), "MF_USAGE");
    deepEqual((await run("functions", "ls")).value, { functions: [] });
    const { value } = await run("usage");
    equal((value["tenants"] as unknown[]).length, 1);
  } finally {
    await end(server, "SIGTERM");
  }
  equal(errorCode((await run("functions", "ls")).value), "MF_GATEWAY_UNREACHABLE");
});

test("a gateway without functions says how to have them", async () => {
  await write("mayfly.yaml", "flows: {}\n");
  const server = await startServer();
  try {
    const { code, value } = await run("deploy", await write("hello.ts", flowOf("one")), "--no-check");
    equal(code, 2);
    ok(/functions/.test(JSON.stringify(value)), JSON.stringify(value));
    equal(errorCode(value), "MF_FUNCTIONS_OFF");
  } finally {
    await end(server, "SIGTERM");
  }
});
