/**
 * Memory is bounded where it is taken: in a container of 400 MB every way to fill it is tried, one after the other, and meanwhile another
 * flow is asked. The gateway stands, the other flow answers, and afterwards the budget is whole again.
 */
import { ok } from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, before, type TestContext, test } from "node:test";
import { gzipSync } from "node:zlib";
import { Container, neighbourFlow } from "./container.ts";

const mb = 1_000_000;
const mib = 2 ** 20;
const limits = 'limits: { memory: "64MiB", cpu: "5s" }';

const files = (peer: string): Readonly<Record<string, string>> => ({
  "neighbour.ts": neighbourFlow,
  "waiting.ts": `import { flow } from "mayfly";
export default flow({ ${limits} }, async (msg, { to }) => {
  const held = new Uint8Array(12 << 20).fill(1);
  const answer = await to.peer.request("x");
  return String(held.length + answer.bytes.length);
});`,
  "asking.ts": `import { flow } from "mayfly";
export default flow({ ${limits} }, async (msg, { to }) => String((await to.peer.request("x")).bytes.length));`,
  "sending.ts": `import { flow } from "mayfly";
export default flow({ ${limits} }, (msg, { to }) => { to.peer.send(new Uint8Array(8 << 20)); });`,
  "replying.ts": `import { flow } from "mayfly";
export default flow({ ${limits} }, () => new Uint8Array(8 << 20));`,
  "slow.ts": `import { flow } from "mayfly"; export default flow({ limits: { time: "60s" } }, async (msg, { sleep }) => { await sleep(9_000); await sleep(9_000); });`,
  "mayfly.yaml": `flows:
  neighbour: { flow: neighbour.ts, from: [ { http: { path: /neighbour } } ] }
  accepting: { flow: slow.ts, from: [ { http: { path: /accepting, mode: accept } } ] }
  taking: { flow: slow.ts, from: [ { http: { path: /taking } } ] }
  waiting: { flow: waiting.ts, from: [ { http: { path: /waiting } } ], to: { peer: { http: { url: "${peer}/silent" } } } }
  asking: { flow: asking.ts, from: [ { http: { path: /asking } } ], to: { peer: { http: { url: "${peer}/large" } } } }
  sending: { flow: sending.ts, from: [ { http: { path: /sending } } ], to: { peer: { http: { url: "${peer}/silent" } } } }
  replying: { flow: replying.ts, from: [ { http: { path: /replying } } ] }
`,
});

let peer: Server;
let container: Container | string;
let url = "";
const sockets: Socket[] = [];

before(async () => {
  const large = Buffer.alloc(15 * mib, "x");
  peer = createServer((request, response) => {
    request.resume();
    if (request.url === "/large") response.end(large);
  });
  await new Promise<void>((done) => peer.listen(0, "127.0.0.1", done));
  container = await Container.start(400 * mb, files(`http://127.0.0.1:${(peer.address() as AddressInfo).port}`));
  if (typeof container !== "string") url = await container.url();
});

after(async () => {
  for (const socket of sockets) socket.destroy();
  if (typeof container === "object") await container.remove();
  peer.closeAllConnections();
  peer.close();
});

/** A connection that sends this and reads nothing unless told to; what comes back is not waited for. */
function open(text: string | Buffer, reads = true): Socket {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.on("error", () => undefined);
  if (reads) socket.resume();
  else socket.pause();
  socket.write(text);
  sockets.push(socket);
  return socket;
}

function request(path: string, length: number, more = ""): string {
  return `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n${more}\r\n`;
}

function attack(what: string, run: () => Promise<void> | void): void {
  test(what, async (t: TestContext) => {
    if (typeof container === "string") return t.skip(container);
    await run();
    await container.neighbourAnswers(6);
    for (const socket of sockets.splice(0)) socket.destroy();
    await container.neighbourAnswers(2);
    ok(container.alive, container.output.slice(-2000));
    t.diagnostic(`peak ${Math.round(container.peakBytes() / mb)} MB, ${await container.takenBytes()} bytes still taken`);
  });
}

attack("120 bodies of 8 MiB, sent but for the last byte", () => {
  const part = Buffer.alloc(8 * mib - 1, "x");
  for (let n = 0; n < 120; n += 1) {
    const socket = open(request("/taking", 8 * mib));
    socket.write(part);
  }
});

attack("30 bodies of unknown length that come in tiny chunks", () => {
  const chunks = Buffer.from("1\r\nx\r\n".repeat(200_000));
  for (let n = 0; n < 30; n += 1) open("POST /taking HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").write(chunks);
});

attack("400 small bodies of gzip that unfold to 8 MiB each, in both modes", async () => {
  const bomb = gzipSync(Buffer.alloc(8 * mib));
  for (const path of ["/accepting", "/taking"])
    for (let n = 0; n < 200; n += 1) open(Buffer.concat([Buffer.from(request(path, bomb.length, "content-encoding: gzip\r\n")), bomb]));
});

attack("40 machines of 12 MiB that wait for a peer that never answers", () => {
  for (let n = 0; n < 40; n += 1) open(request("/waiting", 0));
});

attack("32 answers of 15 MiB at once", () => {
  for (let n = 0; n < 32; n += 1) open(request("/asking", 0));
});

attack("24 sends of 8 MiB to a peer that does not take them", () => {
  for (let n = 0; n < 24; n += 1) open(request("/sending", 0));
});

attack("24 replies of 8 MiB that nobody reads", () => {
  for (let n = 0; n < 24; n += 1) open(request("/replying", 0), false);
});
