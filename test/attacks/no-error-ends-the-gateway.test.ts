/**
 * Nothing that a message, a machine or a peer does may end the gateway: callback after callback of its HTTP server, sources and outlets
 * is made to throw, in a real `serve`, and other requests are answered all the while. See gateway/testing/sabotage.ts.
 */
import { equal, match, ok } from "node:assert/strict";
import { once } from "node:events";
import { readdir, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { prng } from "#base";
import { packageRoot } from "#cli";
import { seed } from "../../base/testing/seed.ts";
import { SabotagedProcess } from "../../gateway/testing/sabotaged-process.ts";

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

let peer: Server;
let gateway: SabotagedProcess;

const post = (path: string, body: Uint8Array | string = "x", headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${gateway.url}${path}`, { method: "POST", body: body as string, headers, signal: AbortSignal.timeout(10_000) });

/** Sent on a new connection: one on which a callback threw may be broken, which harms its own client. Gives status and body. */
async function askAsStranger(): Promise<string> {
  const asked = request(`${gateway.url}/plain`, { method: "POST", agent: false, signal: AbortSignal.timeout(10_000) });
  asked.end("x");
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  return `${response.statusCode} ${(await response.setEncoding("utf8").toArray()).join("")}`;
}

before(async () => {
  peer = createServer((incoming, response) => {
    incoming.resume();
    response.setHeader("content-encoding", "gzip");
    response.end(gzipSync("fine"));
  });
  await new Promise<void>((done) => peer.listen(0, "127.0.0.1", done));
  const at = `http://127.0.0.1:${(peer.address() as AddressInfo).port}`;
  const yaml = `flows:
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
`;
  const callbacks = /\/dist\/(gateway\/(http|contract)\/|connectors\/|gateway\/[a-z-]+\.js|cli\/serving\/)/;
  gateway = await SabotagedProcess.start(
    join(packageRoot, "dist"),
    { "busy.ts": busy, "plain.ts": plain, "mayfly.yaml": yaml },
    { callbacks },
  );
});
after(async () => {
  await gateway.end();
  peer.close();
});

/** One of everything, until the n-th callback is called: bodies that are read whole, unpacked, unwrapped and stored; a client that leaves; a file. */
async function everything(n: number): Promise<void> {
  await writeFile(join(gateway.folder, "in", `${n}`), "x");
  const leaving = connect(Number(new URL(gateway.url).port), "127.0.0.1");
  leaving.on("error", () => undefined);
  leaving.write("POST /busy HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf");
  const all = Promise.allSettled([
    post("/busy", "x", { "accept-encoding": "gzip" }).then((response) => response.text()),
    post("/busy", gzipSync("x"), { "content-encoding": "gzip" }),
    post("/busy", "x".repeat(100_000)),
    post("/busy/accept", "{}", { "content-type": "application/cloudevents+json" }),
    post("/busy/accept"),
  ]);
  let settled = false;
  void all.then(() => (settled = true));
  // One that was struck may wait for its deadline: nobody waits for it.
  const isOver = async (): Promise<boolean> => settled && !(await readdir(join(gateway.folder, "in"))).includes(`${n}`);
  while (!(await isOver()) && (await gateway.tell("count")) < n) await new Promise((done) => setTimeout(done, 5));
  leaving.destroy();
}

test("whichever callback throws, others are answered", { timeout: 120_000 }, async () => {
  equal(await (await post("/plain")).text(), "plain");
  const stride = 3;
  let rounds = 0;
  for (let n = 1 + prng(seed).below(stride); n <= 120; n += stride) {
    await gateway.tell(`arm ${n}`);
    await everything(n);
    rounds += 1;
    const called = await gateway.tell("disarm");
    equal(await askAsStranger(), "200 plain", `callback ${n}`);
    if (called < n) break;
    ok(gateway.alive, `callback ${n}`);
  }
  ok(rounds > 10, `${rounds} rounds`);
  equal(await askAsStranger(), "200 plain");
});

test("what reaches the process is logged, counted and shown by /ready, and the gateway serves on", { timeout: 60_000 }, async () => {
  for (const line of ["throw", "reject", "reject nonsense"]) await gateway.tell(line);
  const response = await fetch(`${gateway.url}/ready`);
  equal(response.status, 503);
  match(await (await fetch(`${gateway.url}/metrics`)).text(), /mayfly_unexpected_errors_total [1-9]/);
  equal(await (await post("/plain")).text(), "plain");
  match(gateway.written, /MF_UNEXPECTED.*thrown into nowhere/);
  match(gateway.written, /MF_UNEXPECTED.*gateway\.mjs.*rejected into nowhere/);
});

test("it stops in order all the same", { timeout: 60_000 }, async () => {
  equal(await gateway.stop(), 0);
});
