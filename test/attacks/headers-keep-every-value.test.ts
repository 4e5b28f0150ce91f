/** A header that its sender repeats keeps all its values, in order, wherever the message goes: nothing is joined, dropped or overwritten. */
import { deepEqual, equal, match } from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { serve } from "#cli";
import { silentLogger } from "#gateway";

const flow = `import { flow } from "mayfly";
export default flow<"peer">(async (msg, { to, reply, fetch }) => {
  const seen = { text: msg.headers["x-many"], list: msg.headerValues("X-Many"), none: msg.headerValues("x-none"), one: msg.headerValues("x-one") };
  switch (msg.headers["x-do"]) {
    case "send": return to.peer.send("as it came", { headers: msg.headers });
    case "copy": return to.peer.send("changed", { headers: { ...msg.headers, "x-one": "other", "X-Do": "copied", "x-list": ["a", "b, c"] } });
    case "pairs": return to.peer.send("pairs", { headers: [["x-a", "1"], ["X-A", "2"], ["x-b", "3"]] });
    case "request": {
      const answer = await to.peer.request("ask", { headers: { "x-list": ["q1", "q2"] } });
      return { text: answer.headers["set-cookie"], list: answer.headerValues("set-cookie"), json: JSON.parse(JSON.stringify(answer)).headers["set-cookie"] };
    }
    case "fetch": {
      const headers = new Headers([["x-list", "f1"], ["x-list", "f2"]]);
      const response = await fetch(msg.headers["x-url"]!, { headers });
      return { list: response.headers.getSetCookie(), pairs: [...response.headers].filter(([name]) => name === "set-cookie"), vary: response.headers.get("vary"), length: response.headers.get("content-length") };
    }
    case "reply": return reply("three", { headers: { "set-cookie": ["a=1; Path=/", "b=2", "c=3, with a comma"] } });
    case "response": return new Response("two", { headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["content-type", "text/x-two"]] });
    case "forward": {
      const response = await fetch(msg.headers["x-url"]!);
      return new Response(await response.text(), { headers: response.headers });
    }
    case "wide": return reply("x", { headers: { "x-wide": "日本" } });
    case "half": return to.peer.send("x", { headers: { "x-half": "\\ud800" } });
    case "break": return to.peer.send("x", { headers: { "x-list": ["fine", "a\\r\\nx-injected: 1"] } });
    default: return seen;
  }
});`;

let folder: string;
let serving: Awaited<ReturnType<typeof serve>>;
let peerUrl: string;
const asked: IncomingMessage[] = [];
const peer = createServer((incoming, response) => {
  incoming.resume();
  if (incoming.method === "POST") asked.push(incoming);
  response
    .writeHead(200, [
      "Set-Cookie",
      "s=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
      "set-cookie",
      "t=2",
      "vary",
      "a",
      "vary",
      "b",
      "content-length",
      "2",
    ])
    .end("ok");
});

before(async () => {
  await once(peer.listen(0, "127.0.0.1"), "listening");
  const host = `127.0.0.1:${(peer.address() as AddressInfo).port}`;
  peerUrl = `http://${host}/`;
  folder = await mkdtemp(join(tmpdir(), "mayfly-headers-"));
  await writeFile(join(folder, "each.ts"), flow);
  await writeFile(
    join(folder, "mayfly.yaml"),
    `flows:
  each:
    flow: each.ts
    from: [{ http: { path: / } }, { http: { path: /later, mode: accept } }]
    to: { peer: { http: { url: "${peerUrl}" } } }
    hosts: ["${host}"]
http: { port: 0 }
journal: { dir: ${join(folder, "journal")} }
`,
  );
  serving = await serve({ file: join(folder, "mayfly.yaml"), logger: silentLogger });
});
after(async () => {
  await serving.stop();
  peer.closeAllConnections();
  peer.close();
  await rm(folder, { recursive: true, force: true });
});

interface Told {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
}

async function ask(headers: Record<string, string | readonly string[]>, path = "/"): Promise<Told> {
  const asking = request(new URL(path, serving.url), { method: "POST", headers: headers as Record<string, string | string[]> }).end();
  const [response] = (await once(asking, "response")) as [IncomingMessage];
  let body = "";
  for await (const part of response) body += String(part);
  return { status: response.statusCode ?? 0, headers: response.rawHeaders, body };
}

/** Values of the lines of one header, in order. */
function lines(raw: readonly string[], name: string): string[] {
  return raw.filter((_value, at) => at % 2 === 1 && raw[at - 1]?.toLowerCase() === name);
}

async function sent(): Promise<IncomingMessage> {
  while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  return asked.shift() as IncomingMessage;
}

const many = ["one", "two, with a comma", "one"];

test("a flow sees each value of a repeated header, and one text of all", async () => {
  const { body } = await ask({ "x-many": many, "x-one": "a, b" });
  deepEqual(JSON.parse(body), { text: many.join(", "), list: many, none: [], one: ["a, b"] });
});

test("a repeated header goes on as it came: at once, from the journal, copied, and as pairs", async () => {
  for (const path of ["/", "/later"]) {
    equal((await ask({ "x-do": "send", "x-many": many }, path)).status, path === "/" ? 204 : 202);
    deepEqual(lines((await sent()).rawHeaders, "x-many"), many);
  }
  await ask({ "x-do": "copy", "x-many": many, "x-one": ["1", "2"], constructor: ["c", "d"] });
  const { rawHeaders } = await sent();
  deepEqual(
    ["x-many", "x-one", "x-do", "x-list", "constructor"].map((name) => lines(rawHeaders, name)),
    [many, ["other"], ["copied"], ["a", "b, c"], ["c", "d"]],
  );
  await ask({ "x-do": "pairs" });
  const pairs = (await sent()).rawHeaders;
  deepEqual([lines(pairs, "x-a"), lines(pairs, "x-b")], [["1", "2"], ["3"]]);
});

const cookies = ["s=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "t=2"];

test("the cookies of an answer are a list, to request and to fetch", async () => {
  deepEqual(JSON.parse((await ask({ "x-do": "request" })).body), { text: cookies.join(", "), list: cookies, json: cookies });
  deepEqual(lines((await sent()).rawHeaders, "x-list"), ["q1", "q2"]);
  deepEqual(JSON.parse((await ask({ "x-do": "fetch", "x-url": peerUrl })).body), {
    list: cookies,
    pairs: cookies.map((cookie) => ["set-cookie", cookie]),
    vary: "a, b",
    length: "2",
  });
});

test("a reply sets several cookies, whichever way the flow gives it", async () => {
  deepEqual(lines((await ask({ "x-do": "reply" })).headers, "set-cookie"), ["a=1; Path=/", "b=2", "c=3, with a comma"]);
  const response = await ask({ "x-do": "response" });
  deepEqual([lines(response.headers, "set-cookie"), lines(response.headers, "content-type")], [["a=1", "b=2"], ["text/x-two"]]);
  deepEqual(lines((await ask({ "x-do": "forward", "x-url": peerUrl })).headers, "set-cookie"), cookies);
});

test("cookies of a request stay one text, and a header of one value can't come twice", async () => {
  await ask({ "x-do": "send", cookie: ["a=1", "b=2"] });
  deepEqual(lines((await sent()).rawHeaders, "cookie"), ["a=1; b=2"]);
  for (const name of ["Content-Type", "authorization", "HOST"]) {
    const socket = connect(Number(new URL(serving.url).port), "127.0.0.1");
    socket.end(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n${name}: a\r\n${name.toLowerCase()}: b\r\n\r\n`);
    let answer = "";
    for await (const part of socket) answer += String(part);
    match(answer, /^HTTP\/1\.1 400 .*MF_REQUEST_INVALID/s, name);
  }
});

test("HTTP refuses what it can't carry before anything is sent; halves of characters and line breaks go nowhere", async () => {
  const wide = await ask({ "x-do": "wide" });
  deepEqual([wide.status, JSON.parse(wide.body).code], [500, "MF_HEADER_INVALID"]);
  for (const what of ["half", "break"]) {
    const refused = await ask({ "x-do": what });
    deepEqual([refused.status, JSON.parse(refused.body).code], [500, "MF_ARGUMENT"], what);
  }
  equal(asked.length, 0);
});
