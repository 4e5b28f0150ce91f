/** Event streams: the reader against any cutting of its bytes, and the source against a server that remembers, through a proxy. */
import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { installed } from "../testing/brokers.ts";
import { makeCertificates } from "../testing/certificates.ts";
import { Proxy } from "../testing/proxy.ts";
import { aWhile, configured, done, eventually, PretendedGateway, startSource, testContext, toldBy } from "../testing/rig.ts";
import { EventReader, type SseEvent } from "./events.ts";
import { sseSource } from "./source.ts";

const readAll = (pieces: readonly Uint8Array[], limit = 1_000): SseEvent[] => {
  const reader = new EventReader(limit, "");
  return pieces.flatMap((piece) => [...reader.read(piece)]);
};

describe("sse: reader", () => {
  test("fields, comments, ids and ends of lines are those of the specification", () => {
    const stream =
      "\ufeff: hello\r\ndata: a\r\ndata:b\r\n\r\nevent: price\rdata:  two spaces\rid: 1\r\rdata\n\nid\ndata: x\n\nid: 9\n\nretry: 5\nunknown: 1\ndata: ä\n\nid: b\u0001d\ndata: c\n\ndata: cut";
    const events = readAll([Buffer.from(stream)]).map(({ type, data, id, position }) => [type, data, id, position]);
    assert.deepEqual(events, [
      ["message", "a\nb", undefined, ""],
      ["price", " two spaces", "1", "1"],
      ["message", "", undefined, "1"],
      ["message", "x", undefined, ""],
      ["message", "ä", undefined, "9"],
      ["message", "c", undefined, "9"],
    ]);
  });

  test("however the bytes are cut, the events are the same", () => {
    const line = fc.constantFrom("data: ä€😀", "data", ":", "id: 1", "event: e", "", "", "x");
    const lines = fc.array(fc.tuple(line, fc.constantFrom("\n", "\r", "\r\n")), { maxLength: 40 });
    fc.assert(
      fc.property(lines, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (parts, cuts) => {
        const bytes = Buffer.from(parts.flat().join(""));
        const pieces: Uint8Array[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const length = cuts[turn % cuts.length] ?? 1;
          pieces.push(bytes.subarray(at, at + length));
          at += length;
        }
        assert.deepEqual(readAll(pieces), readAll([bytes]));
      }),
    );
  });

  test("events that are too long are left out, in one line or in many, and hold no memory", () => {
    const long = "x".repeat(500);
    const stream = `id: 1\ndata: ${"y".repeat(100_000)}\n\n${`data: ${long}\n`.repeat(3)}id: 2\n\ndata: ok\n\n`;
    const events = readAll(
      Array.from(Buffer.from(stream), (byte) => Uint8Array.of(byte)),
      1_000,
    );
    assert.deepEqual(
      events.map(({ data, id, isTooLong }) => [data, id, isTooLong]),
      [
        ["", "1", true],
        ["", "2", true],
        ["ok", undefined, false],
      ],
    );
  });
});

/** A server that remembers its events, and goes on after the id that it is given. */
class Feed {
  readonly requests: IncomingMessage[] = [];
  readonly events: string[] = [];
  readonly #open = new Set<ServerResponse>();
  /** Answers a request in another way; true if it did. */
  other: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;
  #server: Server = createServer();

  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    this.requests.push(request);
    if (this.other(request, response)) return;
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    response.flushHeaders();
    const last = Number(request.headers["last-event-id"] ?? 0);
    for (let index = last; index < this.events.length; index += 1) response.write(this.#text(index));
    this.#open.add(response);
    response.on("close", () => this.#open.delete(response));
  };

  async open(server: Server = createServer()): Promise<this> {
    this.#server = server.on("request", this.handle);
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    after(() => this.close());
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/feed`;
  }

  /** Bytes that nobody has read yet, beyond those in the sockets. */
  get waitingBytes(): number {
    return [...this.#open].reduce((sum, { writableLength }) => sum + writableLength, 0);
  }

  push(...data: readonly string[]): void {
    for (const each of data) {
      this.events.push(each);
      for (const response of this.#open) response.write(this.#text(this.events.length - 1));
    }
  }

  end(): void {
    for (const response of this.#open) response.end();
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #text(index: number): string {
    return `id: ${index + 1}\ndata: ${this.events[index]}\n\n`;
  }
}

/** The journal's memory of a source. */
function memory(): {
  readonly facts: Map<string, string>;
  read(name: string): Promise<string | undefined>;
  write(name: string, fact: string): Promise<void>;
} {
  const facts = new Map<string, string>();
  return { facts, read: async (name) => facts.get(name), write: async (name, fact) => void facts.set(name, fact) };
}

async function remembering(
  recall: ReturnType<typeof memory>,
  raw: object,
  gateway = new PretendedGateway(),
): Promise<{ readonly gateway: PretendedGateway; stop(): Promise<void> }> {
  const source = sseSource.create(configured(sseSource, raw), { ...testContext(16), recall });
  await source.start(gateway.accept);
  return { gateway, stop: () => source.stop() };
}

const numbers = (count: number, from = 0): string[] => Array.from({ length: count }, (_, index) => String(from + index));

describe("sse: source", { timeout: 60_000 }, () => {
  test("events are messages with their id and type; credentials and headers are sent, and shown nowhere", async () => {
    const feed = await new Feed().open();
    feed.other = (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write('event: other\ndata: no\n\nevent: price\nid: p1\ndata: {"a":1}\n\n');
      return true;
    };
    const { source, gateway, context } = await startSource(sseSource, {
      url: `${feed.url}?q=1`,
      bearer: "secret-1",
      headers: { "x-a": "b" },
      events: ["price"],
    });
    await eventually("it came", () => gateway.received.length === 1);
    const [incoming] = gateway.received;
    assert.deepEqual(
      [incoming?.id, incoming?.contentType, gateway.texts()[0], incoming?.keeper],
      ["p1", "application/json", '{"a":1}', "source"],
    );
    assert.deepEqual([incoming?.headers["sse-event"], incoming?.headers["sse-id"]], ["price", "p1"]);
    const [request] = feed.requests;
    assert.deepEqual(
      [request?.url, request?.headers.authorization, request?.headers["x-a"], request?.headers["last-event-id"]],
      ["/feed?q=1", "Bearer secret-1", "b", undefined],
    );
    assert.equal(source.health().ready, true);
    assert.ok(!JSON.stringify([context.lines, source.health(), incoming]).includes("secret-1"));
    await source.stop();
  });

  test("cut, ended and silent streams go on where the last event had ended: none is lost, and their order stays", async () => {
    const feed = await new Feed().open();
    const proxy = await Proxy.open({ host: "127.0.0.1", port: feed.port });
    const { source, gateway } = await startSource(sseSource, { url: `http://127.0.0.1:${proxy.port}/feed`, idleTimeout: "1s" });
    let pushed = 0;
    for (const trouble of ["cut", "end", "none", "stall", "cut"]) {
      feed.push(...numbers(10, pushed));
      pushed += 10;
      if (trouble === "cut") proxy.cut();
      if (trouble === "end") feed.end();
      if (trouble === "stall") {
        proxy.stall(true);
        await eventually("it counts as lost", () => !source.health().ready);
        proxy.stall(false);
      }
      await eventually(`all came, after ${trouble}`, () => new Set(gateway.texts()).size === pushed);
    }
    assert.deepEqual([...new Set(gateway.texts())], numbers(50));
    assert.ok(feed.requests.length >= 4);
    await source.stop();
    await proxy.close();
  });

  test("after a restart it goes on behind what had ended, and not behind what had not", async () => {
    const feed = await new Feed().open();
    const recall = memory();
    const gateway = new PretendedGateway();
    gateway.answer = (incoming, count) => (count === 3 ? gateway.hold(incoming) : done(incoming));
    const first = await remembering(recall, { url: feed.url }, gateway);
    feed.push(...numbers(6));
    await eventually("they came, and the second is kept", () => gateway.received.length === 6 && [...recall.facts.values()].join() === "2");
    const second = await remembering(recall, { url: feed.url });
    await eventually("the rest came again", () => second.gateway.received.length === 4);
    assert.deepEqual(
      second.gateway.received.map(({ id }) => id),
      ["3", "4", "5", "6"],
    );
    assert.equal(feed.requests.at(-1)?.headers["last-event-id"], "2");
    await eventually("all of them are kept", () => [...recall.facts.values()].join() === "6");
    await second.stop();
    gateway.answer = done;
    gateway.release();
    await first.stop();
  });

  test("a busy flow is sent no more than it can take, and what waits costs nothing", async () => {
    const feed = await new Feed().open();
    const { source, gateway } = await startSource(sseSource, { url: feed.url, prefetch: 4 });
    gateway.answer = gateway.hold;
    const long = numbers(400).map((each) => each.padEnd(65_536));
    feed.push(...long);
    await eventually("four are in hand", () => gateway.received.length === 4);
    await aWhile();
    const before = feed.waitingBytes;
    await aWhile();
    assert.ok(feed.waitingBytes > 0 && feed.waitingBytes === before, "the rest waits at the server");
    const releasing = setInterval(() => gateway.release(), 1);
    await eventually("all came", () => gateway.received.length === 400);
    clearInterval(releasing);
    gateway.answer = done;
    gateway.release();
    assert.equal(gateway.mostAtOnce, 4);
    assert.deepEqual(gateway.texts(), long);
    await source.stop();
  });

  test("without ids, events received before a loss are handed over", async () => {
    const feed = await new Feed().open();
    feed.other = (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(
        feed.requests.length === 1
          ? numbers(8)
              .map((each) => `data: ${each}\n\n`)
              .join("")
          : ": nothing\n\n",
      );
      return true;
    };
    const { source, gateway } = await startSource(sseSource, { url: feed.url, resume: false, prefetch: 8 });
    await eventually("all came", () => gateway.received.length === 8);
    assert.deepEqual([gateway.texts(), gateway.received[0]?.keeper, gateway.received[0]?.id], [numbers(8), "journal", undefined]);
    await source.stop();
  });

  test("too long events are left out and told; answers that are no stream have their codes", async () => {
    const feed = await new Feed().open();
    feed.push("x".repeat(3_000), "ok");
    const { source, gateway, context } = await startSource(sseSource, { url: feed.url, eventLimit: "1KiB" });
    await eventually("the second came", () => gateway.texts().join() === "ok");
    assert.deepEqual([context.counts.get("too_long"), context.lines.some(({ fields }) => fields["code"] === "MF_SSE_LIMIT")], [1, true]);
    await source.stop();
    for (const [status, type, code] of [
      [401, "text/plain", "MF_SSE_AUTH"],
      [204, "", "MF_SSE_STATUS"],
      [302, "", "MF_SSE_STATUS"],
      [200, "text/html", "MF_SSE_PROTOCOL"],
    ] as const) {
      feed.other = (_, response) => {
        response.writeHead(status, type === "" ? {} : { "content-type": type });
        response.end();
        return true;
      };
      await toldBy(sseSource, { url: feed.url }, code);
    }
    const { url } = feed;
    feed.close();
    await toldBy(sseSource, { url }, "MF_SSE_UNREACHABLE");
  });

  test("TLS: only an authority that is named is trusted", { skip: installed("openssl") ? false : "no openssl" }, async () => {
    const { dir } = await makeCertificates();
    after(() => rm(dir, { recursive: true }));
    const [cert, key] = await Promise.all(["server.pem", "server.key"].map((name) => readFile(join(dir, name))));
    const feed = await new Feed().open(createTlsServer({ cert: cert as Buffer, key: key as Buffer }));
    feed.push("secret");
    const url = `https://127.0.0.1:${feed.port}/feed`;
    await toldBy(sseSource, { url }, "MF_SSE_TLS");
    const { source, gateway } = await startSource(sseSource, { url, tls: { ca: join(dir, "ca.pem") } });
    await eventually("it came", () => gateway.texts().join() === "secret");
    await source.stop();
    assert.throws(() => sseSource.create(configured(sseSource, { url: "http://x", tls: {} }), testContext()), { code: "MF_CONFIG_TLS" });
  });
});
