/**
 * `serve` ends within `drain`, whatever a connector or its peer does, and says what it waited for: connectors whose steps never settle
 * or throw, peers that take TCP and say nothing or fall silent, messages that never end. Each in a process that serves for real.
 */
import { equal, match, ok } from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { packageRoot } from "#cli";

const at = (path: string): string => JSON.stringify(pathToFileURL(join(packageRoot, "dist", path)).href);

/** A connector that never ends the step it is told, `hang: { step: stop }`, and keeps the process alive by itself. */
const script = `
import { connectors } from ${at("connectors/mod.js")};
import { main } from ${at("cli/mod.js")};
const never = new Promise(() => undefined);
const described = { name: "hang", summary: "", description: "", example: "", schema: { type: "object", properties: { step: { type: "string" } } } };
setInterval(() => undefined, 1000);
const nothing = async () => undefined;
const health = () => ({ ready: true, detail: "" });
const create = ({ step }) => {
  let accept;
  const take = () => accept?.({ id: "taken", headers: {}, contentType: "", body: new Uint8Array(), replyWanted: false, keeper: "source" });
  return {
    start: async (given) => {
      accept = given;
      if (step === "message") void take();
      if (step !== "start") return;
      console.error("starting for ever");
      await never;
    },
    pause: () => { if (step === "pause") throw new Error("pause throws"); },
    resume: () => { if (step === "pause") throw new Error("resume throws"); },
    stop: async () => { if (step === "stop") await never; if (step === "throw") throw new Error("stop throws"); if (step === "drain") await Promise.all([take(), never]); },
    health,
  };
};
connectors.sources.push({ ...described, create });
connectors.outlets.push({ ...described, answers: true, create: ({ step }) => ({
  start: () => (step === "start" ? never : nothing()),
  send: () => (step === "send" ? never : nothing()),
  request: () => never,
  stop: () => (step === "stop" ? never : nothing()),
  health,
}) });
process.exitCode = await main(process.argv.slice(2));
`;

const flowText = `import { flow } from "mayfly";
export default flow(async (msg, { to, sleep }) => {
  if (msg.source === "hang") await sleep(9_000); // longer than drain, and short enough for the machine to stay in memory
  const all = to as Record<string, { send(body: string): void }>;
  all["out"]?.send("x");
  return "done";
});
`;

let folder: string;
let mute: Server;
/** Talks as Redis does, until a reader waits for entries: then it says no more. */
let silent: Server;
let isSilent = false;
const sockets = new Set<Socket>();
const children = new Set<ChildProcess>();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-drain-"));
  await writeFile(join(folder, "flow.ts"), flowText);
  await writeFile(join(folder, "serve.mjs"), script);
  mute = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  silent = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      if (bytes.includes("XREADGROUP")) isSilent = true;
      for (const _command of String(bytes).match(/^\*\d+\r$/gm) ?? [])
        if (!isSilent) socket.write(bytes.includes("\r\nID\r\n") ? ":7\r\n" : "+OK\r\n");
    });
  });
  for (const server of [mute, silent]) await once(server.listen(0, "127.0.0.1"), "listening");
});
after(async () => {
  for (const child of children) child.kill("SIGKILL");
  for (const socket of sockets) socket.destroy();
  for (const server of [mute, silent]) server.close();
  await rm(folder, { recursive: true, force: true });
});

interface End {
  readonly code: number | null;
  readonly tookMs: number;
  readonly said: string;
}

/** Serves the flow with these sources and outlets, tells it to stop once `ready` was said, and waits for its end. */
async function ended(name: string, from: string, to: string, { ready = /"msg":"ready"/, posts = 0 } = {}): Promise<End> {
  const yaml = `http: { port: 0, admin: { enabled: false } }
drain: 1s
log: { format: json }
flows: { tried: { flow: flow.ts, queue: 4, from: [ { http: { path: /x, mode: accept } }${from} ], to: {${to}} } }
`;
  await writeFile(join(folder, `${name}.yaml`), yaml);
  const child = spawn(process.execPath, ["serve.mjs", "serve", "-c", `${name}.yaml`], { cwd: folder, env: { ...process.env, CI: "1" } });
  children.add(child);
  const closed = once(child, "close");
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (said += text));
  const endMs = Date.now() + 60_000;
  while (!ready.test(said) && Date.now() < endMs && child.exitCode === null) await new Promise((done) => setTimeout(done, 20));
  match(said, ready);
  const url = /"url":"(http:[^"]+)"/.exec(said)?.[1];
  for (let count = 0; count < posts; count += 1)
    await (await fetch(`${url}/x`, { method: "POST", headers: { connection: "close" } })).text();
  const startedMs = performance.now();
  child.kill("SIGTERM");
  const guard = setTimeout(() => child.kill("SIGKILL"), 15_000);
  const [code] = (await closed) as [number | null];
  clearTimeout(guard);
  children.delete(child);
  return { code, tookMs: performance.now() - startedMs, said };
}

const hang = (step: string): string => `, { hang: { step: ${step} } }`;
/** Far beyond \`drain\`, so that a busy machine fails nothing; a process that hangs is killed, and its code is null. */
const limitMs = 14_000;

function check(end: End, told: RegExp | undefined): void {
  equal(end.code, 0, end.said);
  ok(end.tookMs < limitMs);
  if (told !== undefined) match(end.said, told);
}

test("a source whose start never ends", async () => {
  const end = await ended("start", hang("start"), "", { ready: /starting for ever/ });
  check(end, /MF_STOP_INCOMPLETE.*flows\.tried\.from\[1\] \(hang\): start/);
});

test("sources and outlets whose stop never ends or throws, that hand over messages meanwhile, whose pause throws", async () => {
  const from = ["stop", "throw", "drain", "pause"].map(hang).join("");
  const end = await ended("stop", from, "out: { hang: { step: stop }, concurrency: 1 }", { posts: 4 });
  check(end, /MF_STOP_INCOMPLETE/);
  for (const step of ["from\\[1\\]", "from\\[3\\]", "to\\.out"])
    match(end.said, new RegExp(`"code":"MF_STOP_INCOMPLETE".*flows\\.tried\\.${step} \\(hang\\): stop`));
});

test("a message and a send that never end are named, beside an outlet whose start never ends", async () => {
  const to = "out: { hang: { step: send } }, more: { hang: { step: start } }";
  const end = await ended("send", hang("message"), to, { posts: 1 });
  check(end, /returned to its sources or the journal: flows\.tried: 1 message; flows\.tried\.to\.out: 1 send/);
});

test("peers that take TCP and say nothing, and one that falls silent", async () => {
  const port = (mute.address() as AddressInfo).port;
  const from = [
    `amqp: { url: "amqp://127.0.0.1:${port}", queue: q }`,
    `nats: { url: "nats://127.0.0.1:${port}", subject: s }`,
    `jetstream: { url: "nats://127.0.0.1:${port}", stream: S, consumer: c }`,
    `mqtt: { url: "mqtt://127.0.0.1:${port}", topic: t }`,
    `redis: { url: "redis://127.0.0.1:${port}", stream: s }`,
    `redis: { url: "redis://127.0.0.1:${(silent.address() as AddressInfo).port}", stream: s }`,
    `postgres: { url: "postgres://127.0.0.1:${port}/d", table: t }`,
    `mysql: { url: "mysql://127.0.0.1:${port}/d", table: t }`,
  ];
  const to = `out: { http: { url: "http://127.0.0.1:${port}" } }, amqp: { amqp: { url: "amqp://127.0.0.1:${port}", queue: q } }`;
  const options = { ready: /"msg":"connected"/ };
  check(await ended("mute", from.map((each) => `, { ${each} }`).join(""), to, options), undefined);
});
