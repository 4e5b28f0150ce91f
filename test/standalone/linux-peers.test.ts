/** A service that is a Linux process, and peers that are odd, slow, many or rude: its answers beside the gateway's, and that it goes on. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import type { Effect, Event } from "#abi";
import type { Image } from "#image";
import { freePort } from "../../base/testing/free-port.ts";
import { withGateway } from "../../gateway/testing/rig.ts";
import { type LinuxService, linuxMissing, ServiceFolder } from "./linux-service.ts";
import { requestCases } from "./requests.ts";
import { answersIn, rawAnswers } from "./wire.ts";

const flow = `import { flow } from "mayfly";
export default flow((msg, { reply }) => {
  const size = Number(msg.query.size ?? 0);
  if (size > 0) return "z".repeat(size);
  reply(msg.text(), { contentType: "text/plain" });
});
`;
const paths = [
  { path: "/in", methods: ["POST"] },
  { path: "/items/:id", methods: ["GET", "PUT"] },
  { path: "/files/*", methods: ["GET"] },
];
const yaml = `flows: { orders: { image: orders.mfi, from: [ { http: { path: /in, bodyLimit: 1MB } }, { http: { path: "/items/:id", bodyLimit: 1MB, method: [GET, PUT] } }, { http: { path: "/files/*", bodyLimit: 1MB, method: GET } } ] } }`;

const echo = (event: Event): readonly Effect[] => [
  {
    kind: "done",
    reply: { status: 200, contentType: "text/plain", headersJson: "{}", body: event.kind === "deliver" ? event.body : new Uint8Array(0) },
  },
];

const request = (body: string, more = ""): string =>
  `POST /in HTTP/1.1\r\nHost: x\r\n${more}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

/** Everything that comes until so many whole answers are there, or the end. */
function answers(socket: Socket, count: number): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.setEncoding("latin1");
    socket.on("data", (more: string) => {
      text += more;
      if (answersIn(text).length >= count) resolve(text);
    });
    socket.once("close", () => resolve(text));
  });
}

describe("a Linux process that serves", { skip: linuxMissing() ?? false, timeout: 240_000 }, () => {
  let folder: ServiceFolder;
  let image: Image;
  let file: string;
  let service: LinuxService;

  before(async () => {
    folder = await ServiceFolder.create();
    image = await folder.image(flow);
    const route = { timeoutMs: 0, bodyLimit: 1_000_000, auth: undefined, idHeader: "idempotency-key", fullErrors: false };
    const routes = [...paths.map((each) => ({ ...route, ...each })), { ...route, path: "/big", methods: ["GET"] }];
    file = await folder.executable(image, { name: "orders", routes, concurrency: 64 });
    service = await (await folder.start(file)).serving();
  });
  after(async () => {
    const { code, err } = await service.stop();
    await folder.close();
    deepEqual([code, err], [0, ""]);
  });

  const serves = async (): Promise<void> => equal(await (await service.ask("/in", { method: "POST", body: "still" })).text(), "still");

  test("answers requests that servers disagree about as the gateway does, or refuses them", async () => {
    await withGateway(yaml, { orders: echo }, async ({ gateway }) => {
      for (const { name, bytes, stricter, byNode } of requestCases) {
        const methods = [bytes.trimStart().split(" ")[0] ?? ""];
        const sent = Buffer.from(bytes, "latin1");
        if (stricter !== undefined) {
          equal((await rawAnswers(service.port, sent, { answers: 1, closes: true, methods }))[0]?.status, 400, name);
          continue;
        }
        const theirs = await rawAnswers(gateway.address?.port ?? 0, sent, { answers: 1, closes: false, methods });
        const ours = await rawAnswers(service.port, sent, { answers: 1, closes: false, methods });
        if (byNode === true) equal(ours[0]?.status, theirs[0]?.status, name);
        else deepEqual(ours[0], theirs[0], name);
      }
    });
    await serves();
  });

  test("takes a request byte by byte, and several that come at once, in order", async () => {
    const slow = await service.connect();
    slow.setNoDelay();
    const one = answers(slow, 1);
    for (const byte of request("abc")) await new Promise((done) => slow.write(byte, done));
    match(await one, /\r\n\r\nabc$/);
    slow.destroy();

    const many = await service.connect();
    const bodies = Array.from({ length: 100 }, (_, index) => `${index}:${"b".repeat((index * 977) % 5000)}`);
    const all = answers(many, bodies.length);
    many.write(bodies.map((body) => request(body)).join(""));
    deepEqual(
      answersIn(await all).map(({ body }) => body),
      bodies,
    );
    many.destroy();
  });

  test("keeps an answer for a reader that is slow, and gives all of it", async () => {
    const socket = await service.connect();
    socket.pause();
    const size = 6_000_000;
    socket.write(`GET /big?size=${size} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    await serves();
    await serves();
    let count = 0;
    let head = "";
    await new Promise<void>((done) => {
      socket.on("data", (piece: Buffer) => {
        if (head === "") head = piece.toString("latin1").split("\r\n\r\n")[0] ?? "";
        count += piece.length;
      });
      socket.once("close", () => done());
      socket.resume();
    });
    match(head, new RegExp(`content-length: ${size}`));
    equal(count - head.length - 4, size);
  });

  test("serves a thousand connections at once", async () => {
    const sockets = await Promise.all(Array.from({ length: 1000 }, () => service.connect()));
    const all = sockets.map((socket) => answers(socket, 1));
    for (const [index, socket] of sockets.entries()) socket.write(request(`n${index}`));
    for (const [index, text] of (await Promise.all(all)).entries()) ok(text.endsWith(`\r\n\r\nn${index}`), text);
    for (const socket of sockets) socket.destroy();
    await serves();
  });

  test("is not disturbed by peers that end, reset or leave at any moment", async () => {
    const whole = request("abc".repeat(1000));
    const cuts = [0, 1, 10, 40, 70, 500, whole.length - 1, whole.length];
    for (const end of ["reset", "destroy", "half"] as const)
      await Promise.all(
        [...cuts, ...cuts].map(async (cut) => {
          const socket = await service.connect();
          const closed = new Promise((done) => socket.once("close", done));
          await new Promise((done) => socket.write(whole.slice(0, cut), done));
          if (end === "reset") socket.resetAndDestroy();
          else if (end === "destroy") socket.destroy();
          else socket.resume().end();
          await closed;
        }),
      );
    const half = await service.connect();
    const text = answers(half, 1);
    half.end(request("half"));
    match(await text, /\r\n\r\nhalf$/, "a peer that only sends no more has its answer");
    await serves();
  });

  test("refuses connections beyond its descriptors, and serves on", async () => {
    const port = await freePort();
    const small = await folder.run("sh", ["-c", `ulimit -n 60; exec ${file} -p ${port}`], port).serving();
    const tries = Array.from({ length: 40 }, () => small.connect());
    let refused = 0;
    await new Promise<void>((done) => {
      const count = (): void => (++refused === 20 ? done() : undefined);
      for (const each of tries) each.then((socket) => void socket.resume().once("close", count), count); // the reset may come that early
    });
    for (const each of await Promise.allSettled(tries)) if (each.status === "fulfilled") each.value.destroy();
    // It may take this connection before it knows that others have left.
    let answer: Response | undefined;
    for (let count = 0; answer === undefined && count < 100; count++)
      answer = await small.ask("/in", { method: "POST", body: "x" }).catch(() => undefined);
    equal(await answer?.text(), "x");
    equal((await small.stop()).code, 0);
  });

  test("does not wait for a reader of its log that is slow: it drops lines, and says how many", async () => {
    const chatty = await folder.executable(
      await folder.image(
        'import { flow } from "mayfly"; export default flow((msg, { log }) => { log.info("y".repeat(4000)); return "ok"; });',
      ),
    );
    const service = await (await folder.start(chatty)).serving();
    service.process.stdout?.pause();
    for (let count = 0; count < 300; count++) equal(await (await service.ask("/", { method: "POST" })).text(), "ok");
    service.process.stdout?.resume();
    await service.ask("/healthz");
    await service.logged("lines of the log were dropped");
    const lines = service.out.trimEnd().split("\n");
    for (const line of lines) JSON.parse(line);
    const kept = lines.filter((line) => line.includes("yyyy")).length;
    const dropped = Number(/"(\d+) lines of the log were dropped/.exec(service.out)?.[1]);
    equal(kept + dropped, 300);
    equal((await service.stop()).code, 0);
  });

  test("goes on when nobody reads its log", async () => {
    const quiet = await (await folder.start(file)).serving();
    quiet.process.stdout?.destroy();
    for (let count = 0; count < 20; count++) equal((await quiet.ask("/nowhere")).status, 404);
    quiet.process.kill("SIGTERM");
    equal(await new Promise((done) => quiet.process.once("exit", done)), 0);
  });
});
