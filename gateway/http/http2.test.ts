/** HTTP/2 on the TLS port: requests are the messages that HTTP/1.1 would have made, answers the same, and every bound holds. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { request } from "node:https";
import { type ClientHttp2Session, connect, constants, type OutgoingHttpHeaders } from "node:http2";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { installed } from "../../connectors/testing/brokers.ts";
import { makeCertificates } from "../../connectors/testing/certificates.ts";
import type { Effect } from "#abi";
import { type Clock, systemClock } from "#base";
import { gatewayLimits } from "../contract/limits.ts";
import { type Rig, until, withGateway } from "../testing/rig.ts";
import { done, type Script, text, utf8 } from "../testing/scripted.ts";

const skip = installed("openssl") ? false : "no openssl";
let dir = "";
let ca: Buffer;
before(async () => {
  if (skip !== false) return;
  ({ dir } = await makeCertificates());
  ca = await readFile(join(dir, "ca.pem"));
});
after(async () => {
  if (dir !== "") await rm(dir, { recursive: true });
});

interface Tls extends Rig {
  readonly port: number;
  readonly session: ClientHttp2Session;
}

async function withTls(
  script: Script,
  run: (rig: Tls) => Promise<void>,
  route = "{ path: /echo }",
  clock: Clock = systemClock,
): Promise<void> {
  const yaml = `http: { port: 0, tls: { cert: ${join(dir, "server.pem")}, key: ${join(dir, "server.key")} } }
flows: { echo: { image: echo.mfi, from: [ { http: ${route} } ] } }`;
  await withGateway(
    yaml,
    { echo: script },
    async (rig) => {
      const port = Number(new URL(rig.url).port);
      const session = connect(`https://127.0.0.1:${port}`, { ca });
      session.on("error", () => undefined);
      try {
        await run({ ...rig, port, session });
      } finally {
        session.destroy();
      }
    },
    { clock },
  );
}

interface Answer {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
  /** Code of the RST_STREAM frame that ended it. */
  readonly reset: number;
}

async function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string | Buffer): Promise<Answer> {
  const stream = session.request({ ":method": "POST", ":path": "/echo", ...headers }, { endStream: body === undefined });
  stream.on("error", () => undefined);
  let [told, answer] = [{}, ""];
  stream.on("response", (given) => (told = given));
  stream.setEncoding("latin1").on("data", (part: string) => (answer += part));
  if (body !== undefined) stream.end(body);
  await new Promise((resolve) => stream.once("close", resolve));
  return { headers: told, body: answer, reset: stream.rstCode };
}

test("a request is a message as HTTP/1.1 would have brought it, and the reply its response", { skip }, async () => {
  const reply: Effect = {
    kind: "done",
    reply: {
      status: 201,
      contentType: "text/plain",
      headersJson: '{"set-cookie":["a=1","b=2"],"x-a":"b","connection":"close"}',
      body: utf8("hi"),
    },
  };
  await withTls(
    () => [reply],
    async ({ session, port, runner }) => {
      const answer = await ask(
        session,
        { ":path": "/echo?x=1", "content-type": "text/plain", "x-many": ["1", "2"], cookie: "a=1; b=2" },
        "hello",
      );
      equal(answer.headers[":status"], 201);
      equal(answer.body, "hi");
      deepEqual([answer.headers["set-cookie"], answer.headers["x-a"], answer.headers["connection"]], [["a=1", "b=2"], "b", undefined]);
      equal(answer.headers["content-length"], "2");
      const [delivered] = runner.delivered;
      equal(text(delivered?.body ?? new Uint8Array(0)), "hello");
      deepEqual(JSON.parse(delivered?.headersJson ?? "{}"), {
        host: `127.0.0.1:${port}`,
        "content-type": "text/plain",
        "x-many": ["1", "2"],
        cookie: "a=1; b=2",
        "mayfly-method": "POST",
        "mayfly-path": "/echo",
        "mayfly-query": "x=1",
      });
    },
    "{ path: /echo, cors: { origins: ['https://shop.example'] } }",
  );
});

test("no body, HEAD, an unknown path and a wrong method are answered, on one connection with many at once", { skip }, async () => {
  await withTls(
    (event) => [done(event.kind === "deliver" ? `${event.body.length}` : "")],
    async ({ session }) => {
      equal((await ask(session, {})).body, "0");
      const head = await ask(session, { ":method": "HEAD" });
      deepEqual([head.headers[":status"], head.headers["content-length"], head.body], [200, "1", ""]);
      equal((await ask(session, { ":path": "/nothing" })).headers[":status"], 404);
      const wrong = await ask(session, { ":method": "DELETE" });
      deepEqual([wrong.headers[":status"], wrong.headers["allow"]], [405, "GET, HEAD, OPTIONS, POST"]);
      const lengths = Array.from({ length: 300 }, (_, index) => index * 7);
      const answers = await Promise.all(lengths.map((length) => ask(session, {}, "x".repeat(length))));
      deepEqual(
        answers.map(({ body }) => Number(body)),
        lengths,
      );
    },
    "{ path: /echo, method: [GET, POST] }",
  );
});

test("clients that choose HTTP/1.1 get it, beside the others", { skip }, async () => {
  await withTls(
    () => [done("hi")],
    async ({ session, port }) => {
      equal((await ask(session, {}, "x")).body, "hi");
      const asked = request({ port, host: "127.0.0.1", path: "/echo", method: "POST", ca, agent: false }).end("x");
      const [response] = (await once(asked, "response")) as [import("node:http").IncomingMessage];
      deepEqual([response.httpVersion, response.statusCode], ["1.1", 200]);
      response.resume();
    },
  );
});

test("a body beyond the limit is refused before it has come, and headers that stand once stand once", { skip }, async () => {
  await withTls(
    () => [done("hi")],
    async ({ session, runner }) => {
      const endless = session.request({ ":method": "POST", ":path": "/echo" });
      endless.on("error", () => undefined);
      endless.write(Buffer.alloc(48 * 1024)); // and no end
      endless.resume();
      await once(endless, "close");
      equal(endless.rstCode, constants.NGHTTP2_NO_ERROR);
      const long = await ask(session, {}, Buffer.alloc(64 * 1024, 120));
      deepEqual([long.headers[":status"], (JSON.parse(long.body) as { code: string }).code], [413, "MF_BODY_LIMIT"]);
      const other = await ask(session, { ":authority": "a.example", host: "evil.example" }, "x");
      deepEqual([other.headers[":status"], (JSON.parse(other.body) as { code: string }).code], [400, "MF_REQUEST_INVALID"]);
      const many = Object.fromEntries(Array.from({ length: gatewayLimits.httpHeaders + 1 }, (_, index) => [`x-${index}`, "1"]));
      ok(![200, 204].includes(Number((await ask(session, many)).headers[":status"])), "too many headers are refused");
      const huge = await ask(session, { "x-huge": "x".repeat(2 * gatewayLimits.httpHeadersBytes) });
      ok(Number(huge.headers[":status"] ?? 431) >= 400, "headers beyond the limit are refused");
      equal(runner.delivered.length, 0);
    },
    "{ path: /echo, bodyLimit: 16KiB }",
  );
});

test("bodies of megabytes come and go in pieces; a reader that stops holds up its own stream only", { skip }, async () => {
  const body = Buffer.from(Array.from({ length: 3_000_000 }, (_, index) => 97 + (index % 26)));
  await withTls(
    (event) => [done(event.kind === "deliver" ? text(event.body) : "")],
    async ({ session }) => {
      const stopped = session.request({ ":method": "POST", ":path": "/echo" });
      stopped.end(body);
      await once(stopped, "response");
      equal((await ask(session, {}, body)).body, body.toString());
      let late = "";
      for await (const part of stopped) late += String(part);
      equal(late, body.toString());
    },
  );
});

test("a request that does not end in time is cut off", { skip }, async () => {
  const due: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    after: (ms, task) => (ms === gatewayLimits.httpRequestMs ? (due.push(task), () => undefined) : systemClock.after(ms, task)),
  };
  await withTls(
    () => [done("hi")],
    async ({ session, runner }) => {
      const slow = session.request({ ":method": "POST", ":path": "/echo" });
      slow.on("error", () => undefined);
      slow.write("x");
      await until(() => due.length === 1);
      due[0]?.();
      await new Promise((resolve) => slow.once("close", resolve));
      equal(slow.rstCode, constants.NGHTTP2_CANCEL);
      equal((await ask(session, {}, "x")).body, "hi");
      equal(runner.delivered.length, 1);
    },
    "{ path: /echo }",
    clock,
  );
});

test("a caller that resets its stream has left; the flow is told, and others on the connection are not", { skip }, async () => {
  let reason = "";
  await withTls(
    (event) => {
      if (event.kind === "cancel") ({ reason } = event);
      return event.kind === "deliver" && text(event.body) === "wait"
        ? [{ kind: "timer", timer: 1, dueMs: event.timeMs + 60_000 }]
        : [done("hi")];
    },
    async ({ session, runner }) => {
      const stream = session.request({ ":method": "POST", ":path": "/echo" });
      stream.on("error", () => undefined);
      stream.end("wait");
      await until(() => runner.delivered.length === 1);
      stream.close(constants.NGHTTP2_CANCEL);
      equal(await until(() => reason !== "" && reason), "the caller left");
      equal((await ask(session, {}, "x")).body, "hi");
    },
  );
});

test("a stop answers what is under way, and takes no further request on the connection", { skip }, async () => {
  await withTls(
    (event) => (event.kind === "deliver" ? [{ kind: "timer", timer: 1, dueMs: event.timeMs + 300 }] : [done("late")]),
    async ({ session, gateway, runner }) => {
      const goaway = once(session, "goaway");
      const first = ask(session, {}, "x");
      await until(() => runner.delivered.length === 1);
      const stopped = gateway.stop();
      await goaway;
      equal((await first).body, "late");
      await stopped;
    },
  );
});

test("frames that are no HTTP/2 end their connection only", { skip }, async () => {
  const { connect: connectTls } = await import("node:tls");
  await withTls(
    () => [done("hi")],
    async ({ session, port }) => {
      const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
      for (const bytes of [
        "GET / HTTP/1.1\r\n\r\n",
        "\0".repeat(100),
        `${preface}${"\xff".repeat(64)}`,
        `${preface}\0\0\x04\x08\0\0\0\0\0\0\0\0\0`,
      ]) {
        const socket = connectTls({ port, host: "127.0.0.1", ca, ALPNProtocols: ["h2"] });
        socket.on("error", () => undefined);
        await once(socket, "secureConnect");
        equal(socket.alpnProtocol, "h2");
        socket.resume().write(bytes, "latin1");
        await once(socket, "close");
      }
      match((await ask(session, {}, "x")).body, /hi/);
    },
  );
});
