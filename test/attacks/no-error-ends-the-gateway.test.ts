/**
 * Nothing that a message, a machine or a peer does may end the gateway: callback after callback of its HTTP server, sources and outlets
 * is made to throw, in a real `serve`, and other requests are answered all the while. See gateway/testing/sabotage.ts.
 */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { packageRoot } from "#cli";

const dist = (path: string): string => JSON.stringify(pathToFileURL(join(packageRoot, "dist", path)).href);

/** The gateway's process: sabotaged, and told through standard input which callback is to throw. */
const script = `
import { createInterface } from "node:readline";
import { arm, disarm, sabotage } from ${dist("gateway/testing/sabotage.js")};
sabotage(/\\/dist\\/(gateway\\/(http|sources|outlets|brokers)\\/|gateway\\/[a-z-]+\\.js|cli\\/serving\\/)/);
const { serve } = await import(${dist("cli/mod.js")});
const serving = await serve({ file: process.argv[2], port: 0 });
console.log("at " + serving.url);
createInterface({ input: process.stdin }).on("line", (line) => {
  const called = disarm();
  if (line === "throw") setTimeout(() => { throw new Error("thrown into nowhere"); });
  else if (line === "reject") void Promise.reject(new Error("rejected into nowhere"));
  else if (line === "reject nonsense") void Promise.reject(undefined);
  else if (line === "stop") void serving.stop().then(() => process.exit(0));
  console.log("called " + called);
  if (line.startsWith("arm ")) arm(Number(line.slice(4)));
});
`;

const busy = `import { flow } from "mayfly";
export default flow<"peer" | "file" | "next" | "out">(async (msg, { to, log }) => {
  log.info("busy");
  to.file.send("line");
  to.next.send("on");
  to.out.send("x");
  const answer = await to.peer.request("x");
  return "y".repeat(3000) + answer.text();
});
`;
const plain = `import { flow } from "mayfly";
export default flow((msg) => "plain");
`;

let folder: string;
let peer: Server;
let child: ChildProcess;
let url: string;
let out = "";
let all = "";

async function said(pattern: RegExp): Promise<RegExpExecArray> {
  for (;;) {
    const found = pattern.exec(out);
    if (found !== null) {
      out = out.slice(found.index + found[0].length);
      return found;
    }
    await once(child.stdout as NodeJS.ReadableStream, "data");
  }
}

async function tell(line: string): Promise<number> {
  child.stdin?.write(`${line}\n`);
  return Number((await said(/called (\d+)/))[1]);
}

const post = (path: string, body: Uint8Array | string = "x", headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${url}${path}`, { method: "POST", body: body as string, headers, signal: AbortSignal.timeout(10_000) });

before(async () => {
  peer = createServer((request, response) => {
    request.resume();
    response.setHeader("content-encoding", "gzip");
    response.end(gzipSync("fine"));
  });
  await new Promise<void>((done) => peer.listen(0, "127.0.0.1", done));
  const at = `http://127.0.0.1:${(peer.address() as AddressInfo).port}`;
  folder = await mkdtemp(join(tmpdir(), "mayfly-sabotage-"));
  await mkdir(join(folder, "in"));
  for (const [name, text] of Object.entries({ busy, plain })) await writeFile(join(folder, `${name}.ts`), text);
  await writeFile(join(folder, "gateway.mjs"), script);
  await writeFile(
    join(folder, "mayfly.yaml"),
    `flows:
  busy:
    flow: busy.ts
    claimCheck: 64KiB
    from:
      - http: { path: /busy, compress: true, bodyLimit: 1MiB }
      - http: { path: /busy/accept, mode: accept, cloudevents: true }
      - file: { dir: ./in, every: 50ms }
      - cron: { schedule: "* * * * * *" }
    to:
      peer: { http: { url: "${at}" }, timeout: 2s }
      out: { http: { url: "${at}", cloudevents: { mode: structured } } }
      file: { file: { dir: ./out, name: lines, append: true } }
      next: { flow: { name: plain } }
  plain: { flow: plain.ts, from: [ { http: { path: /plain } } ] }
log: { level: error }
drain: 1s
`,
  );
  child = spawn(process.execPath, ["gateway.mjs", "mayfly.yaml"], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out += text;
    all += text;
  });
  url = (await said(/at (http:\S+)/))[1] as string;
});
after(async () => {
  child.kill("SIGKILL");
  peer.close();
  await rm(folder, { recursive: true, force: true });
});

/** One of everything: bodies that are read whole, unpacked, unwrapped and stored; a client that leaves; a file. */
async function everything(round: number): Promise<void> {
  await writeFile(join(folder, "in", `${round}`), "x");
  const leaving = connect(Number(new URL(url).port), "127.0.0.1");
  leaving.on("error", () => undefined);
  leaving.write("POST /busy HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf");
  const all = Promise.allSettled([
    post("/busy", "x", { "accept-encoding": "gzip" }).then((response) => response.text()),
    post("/busy", gzipSync("x"), { "content-encoding": "gzip" }),
    post("/busy", "x".repeat(100_000)),
    post("/busy/accept", "{}", { "content-type": "application/cloudevents+json" }),
    post("/busy/accept"),
  ]);
  await Promise.race([all, new Promise((done) => setTimeout(done, 60))]);
  leaving.destroy();
}

test("whichever callback throws, others are answered", { timeout: 120_000 }, async () => {
  equal(await (await post("/plain")).text(), "plain");
  const stride = 3;
  let rounds = 0;
  for (let n = 1 + Math.floor(Math.random() * stride); n <= 120; n += stride) {
    await tell(`arm ${n}`);
    await everything(n);
    rounds += 1;
    const called = await tell("disarm");
    equal(await (await post("/plain")).text(), "plain");
    if (called < n) break;
    equal(child.exitCode, null, `callback ${n}`);
  }
  ok(rounds > 10, `${rounds} rounds`);
  equal(await (await post("/plain")).text(), "plain");
});

test("what reaches the process is logged, counted and shown by /ready, and the gateway serves on", { timeout: 60_000 }, async () => {
  for (const line of ["throw", "reject", "reject nonsense"]) await tell(line);
  const response = await fetch(`${url}/ready`);
  equal(response.status, 503);
  match(await (await fetch(`${url}/metrics`)).text(), /mayfly_unexpected_errors_total [1-9]/);
  equal(await (await post("/plain")).text(), "plain");
  match(all, /MF_UNEXPECTED.*thrown into nowhere/);
  match(all, /MF_UNEXPECTED.*gateway\.mjs.*rejected into nowhere/);
});

test("it stops in order all the same", { timeout: 60_000 }, async () => {
  const ended = once(child, "exit");
  child.stdin?.write("stop\n");
  deepEqual(await ended, [0, null]);
});
