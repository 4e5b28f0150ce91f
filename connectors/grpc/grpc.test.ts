/** gRPC sources and outlets against the library's own client and server, and against each other through a proxy that cuts, stalls and refuses. */
import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type * as Grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { freePort } from "../../base/testing/free-port.ts";
import type { Failure, Incoming, Outcome } from "../../gateway/contract/message.ts";
import type { Outlet } from "../../gateway/contract/outlet.ts";
import { installed } from "../testing/brokers.ts";
import { makeCertificates } from "../testing/certificates.ts";
import { contractFolder, expandedIn } from "../testing/grpc-contract.ts";
import { Proxy } from "../testing/proxy.ts";
import {
  attemptOf,
  done,
  eventually,
  outgoing,
  PretendedGateway,
  type RunningSource,
  sendSurely,
  startOutlet,
  startSource,
} from "../testing/rig.ts";
import { tlsCase } from "../testing/tls.case.ts";
import { loadGrpc, loadProtobuf } from "./client.ts";
import { grpcOutlet } from "./outlet.ts";
import { grpcSource } from "./source.ts";

const folder = await contractFolder();
const library = await loadGrpc();
const source = expandedIn(grpcSource, folder);
const outlet = expandedIn(grpcOutlet, folder);
const orders = { proto: "orders.proto", service: "shop.Orders" };
const { status: codes } = library;

/** The library's own view of the contract: an encoder that is not ours. */
const definitions = loadSync(["orders.proto"], { includeDirs: [folder], longs: String, enums: String });
const Orders = library.makeGenericClientConstructor(definitions["shop.Orders"] as Grpc.ServiceDefinition, "Orders");

interface Answered {
  readonly error: Grpc.ServiceError | null;
  readonly reply: Record<string, unknown> | undefined;
  readonly trailers: Grpc.Metadata | undefined;
}

interface Asked {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
  readonly started?: (call: Grpc.ClientUnaryCall) => void;
}

function ask(
  client: Grpc.Client,
  method: string,
  request: object,
  { metadata = {}, deadlineMs = 10_000, started }: Asked = {},
): Promise<Answered> {
  const given = new library.Metadata();
  for (const [name, value] of Object.entries(metadata)) given.add(name, value);
  return new Promise((resolve) => {
    let trailers: Grpc.Metadata | undefined;
    const unary = (client as unknown as Record<string, (...values: unknown[]) => Grpc.ClientUnaryCall>)[method];
    const call = unary?.call(
      client,
      request,
      given,
      { deadline: Date.now() + deadlineMs },
      (error: Grpc.ServiceError | null, reply: Answered["reply"]) =>
        setImmediate(() => resolve({ error, reply, trailers: error?.metadata ?? trailers })),
    );
    call?.on("status", (each) => (trailers = each.metadata));
    if (call !== undefined) started?.(call);
  });
}

const clients: Grpc.Client[] = [];
after(() => clients.forEach((each) => each.close()));
function clientOf(port: number, credentials = library.credentials.createInsecure(), options: Grpc.ClientOptions = {}): Grpc.Client {
  const client = new Orders(`127.0.0.1:${port}`, credentials, { "grpc.use_local_subchannel_pool": 1, ...options });
  clients.push(client);
  return client;
}

async function served(change: object = {}, gateway = new PretendedGateway()): Promise<RunningSource & { readonly port: number }> {
  const port = "port" in change ? (change.port as number) : await freePort();
  return { ...(await startSource(source, { ...orders, port, ...change }, 16, gateway)), port };
}

const json = (incoming: Incoming | undefined): Record<string, unknown> =>
  JSON.parse(Buffer.from(incoming?.body ?? []).toString()) as Record<string, unknown>;
const replied = (
  incoming: Incoming,
  body: unknown,
  more: { readonly status?: number; readonly headers?: Record<string, string> } = {},
): Outcome => ({
  status: "done",
  id: incoming.id ?? "made",
  reply: {
    status: 200,
    contentType: "application/json",
    headers: {},
    ...more,
    body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)),
  },
});
const dead = (failure: Partial<Failure>): Outcome => ({
  status: "dead",
  id: "7",
  kept: true,
  failure: { origin: "flow", code: "MF_TEST", message: "no", status: 0, retry: false, ...failure },
});

describe("grpc: source", { timeout: 60_000 }, () => {
  test("a call is a message of JSON, its reply the method's message; metadata goes both ways", async () => {
    const { gateway, port, source: running } = await served();
    gateway.answer = (incoming) =>
      replied(incoming, { id: "r1", lines: 2, text: "ä" }, { headers: { "x-own": "1", "x-bytes-bin": "AP8=" } });
    const metadata = { "idempotency-key": "k1", "x-trace": "t", "x-correlation-id": "c" };
    const { error, reply, trailers } = await ask(
      clientOf(port),
      "create",
      { id: "o1", totalCents: "5", items: [{ name: "x" }] },
      { metadata },
    );
    assert.equal(error, null);
    assert.deepEqual(reply, { id: "r1", lines: 2, text: "ä" });
    assert.deepEqual([trailers?.get("x-own"), trailers?.get("mayfly-message-id")], [["1"], ["k1"]]);
    assert.ok((trailers?.get("x-bytes-bin")[0] as Buffer).equals(Buffer.from([0, 255])));
    const [incoming] = gateway.received;
    assert.deepEqual([json(incoming)["id"], json(incoming)["totalCents"], json(incoming)["items"]], ["o1", "5", [{ name: "x", count: 0 }]]);
    const { id, idScope, sameRequest, correlationId, contentType, replyWanted, keeper, headers } = incoming as Incoming;
    assert.deepEqual(
      [id, idScope, sameRequest, correlationId, contentType, replyWanted, keeper],
      ["k1", "/shop.Orders/Create ", true, "c", "application/json", true, "source"],
    );
    assert.deepEqual(
      [headers["grpc-method"], headers["grpc-service"], headers["x-trace"], headers["grpc-timeout"]],
      ["Create", "shop.Orders", "t", undefined],
    );
    assert.equal(running.health().ready, true);
    await running.stop();
  });

  test("accept: an empty reply once the journal has it; of a duplicate as well", async () => {
    const { gateway, port, source: running } = await served({ mode: "accept" });
    gateway.answer = (_, count) => (count === 1 ? { status: "accepted", id: "1" } : { status: "duplicate", id: "1", reply: undefined });
    const client = clientOf(port);
    const first = await ask(client, "delete", { id: "a" });
    assert.deepEqual([first.error, first.reply], [null, {}]);
    assert.deepEqual([gateway.received[0]?.keeper, gateway.received[0]?.replyWanted], ["journal", false]);
    const second = await ask(client, "create", { id: "a" });
    assert.deepEqual([second.error, second.trailers?.get("mayfly-duplicate")], [null, ["true"]]);
    await running.stop();
  });

  test("outcomes have their status codes, and say no more than a caller may know", async () => {
    const { gateway, port, source: running, context } = await served();
    const cases: readonly [(incoming: Incoming) => Outcome, number, RegExp][] = [
      [(incoming) => replied(incoming, "gone", { status: 404 }), codes.NOT_FOUND, /^gone$/],
      [
        (incoming) => replied(incoming, "", { status: 200, headers: { "grpc-status": "ALREADY_EXISTS", "grpc-message": "twice" } }),
        codes.ALREADY_EXISTS,
        /^twice$/,
      ],
      [(incoming) => replied(incoming, "x", { headers: { "grpc-status": "99" } }), codes.UNKNOWN, /x/],
      [() => dead({ status: 422, message: "bad order" }), codes.INVALID_ARGUMENT, /^bad order$/],
      [() => dead({ message: "secret stack" }), codes.INTERNAL, /^the flow failed/],
      [() => dead({ origin: "peer", message: "password wrong at db:5432" }), codes.UNAVAILABLE, /^a system that the flow called failed/],
      [
        () => ({ status: "refused", id: undefined, code: "MF_QUEUE_FULL", message: "full", retryAfterMs: 1500 }),
        codes.UNAVAILABLE,
        /^full$/,
      ],
      [(incoming) => replied(incoming, { linez: 1 }), codes.INTERNAL, /does not fit the contract/],
      [(incoming) => replied(incoming, "no json"), codes.INTERNAL, /does not fit the contract/],
    ];
    const client = clientOf(port);
    for (const [answer, code, details] of cases) {
      gateway.answer = answer;
      const { error } = await ask(client, "create", {});
      assert.equal(error?.code, code, String(answer));
      assert.match(error?.details ?? "", details);
    }
    assert.equal(context.counts.get("reply_unsendable"), 2);
    assert.equal(context.lines.filter(({ fields }) => fields["code"] === "MF_REPLY_UNSENDABLE").length, 2);
    gateway.answer = () => ({ status: "refused", id: undefined, code: "MF_QUEUE_FULL", message: "full", retryAfterMs: 1500 });
    assert.deepEqual((await ask(client, "create", {})).trailers?.get("grpc-retry-pushback-ms"), ["1500"]);
    gateway.answer = (incoming) => ({ status: "done", id: incoming.id ?? "x", reply: undefined });
    assert.deepEqual((await ask(client, "create", {})).reply, {});
    await running.stop();
  });

  test("the caller's deadline and its cancelling reach the gateway", async () => {
    const { gateway, port, source: running } = await served();
    let left = 0;
    gateway.answer = (incoming) =>
      new Promise((resolve) => {
        if (incoming.caller !== undefined)
          incoming.caller.onLeave = () => {
            left += 1;
            resolve(dead({}));
          };
      });
    const client = clientOf(port);
    assert.equal((await ask(client, "create", {}, { deadlineMs: 200 })).error?.code, codes.DEADLINE_EXCEEDED);
    await eventually("the gateway knows", () => left === 1);
    const cancelled = ask(
      client,
      "create",
      {},
      { started: (call) => void eventually("it came", () => gateway.received.length === 2).then(() => call.cancel()) },
    );
    assert.equal((await cancelled).error?.code, codes.CANCELLED);
    await eventually("the gateway knows", () => left === 2);
    await running.stop();
  });

  test("bytes that are no message, and messages that are too long, are the caller's fault; compressed ones are bounded too", async () => {
    const { gateway, port, source: running, context } = await served({ bodyLimit: "64KiB" });
    const client = clientOf(port);
    const raw = await new Promise<Grpc.ServiceError | null>((resolve) =>
      client.makeUnaryRequest(
        "/shop.Orders/Create",
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        Buffer.from([0xff, 0xff]),
        (error) => resolve(error),
      ),
    );
    assert.deepEqual([raw?.code, raw?.metadata.get("mayfly-code")], [codes.INVALID_ARGUMENT, ["MF_GRPC_MESSAGE"]]);
    assert.equal((await ask(client, "create", { id: "x".repeat(70_000) })).error?.code, codes.RESOURCE_EXHAUSTED);
    const packing = clientOf(port, undefined, { "grpc.default_compression_algorithm": 2 });
    assert.equal((await ask(packing, "create", { id: "x".repeat(10_000_000) })).error?.code, codes.RESOURCE_EXHAUSTED);
    assert.equal((await ask(packing, "create", { id: "x".repeat(60_000) })).error, null);
    assert.equal(gateway.received.length, 1);
    assert.equal((await ask(client, "create", {})).error, null);
    await eventually("memory is given back", () => context.memory.uploads.takenBytes === 0);
    await running.stop();
  });

  test("without memory a call is told to come again", async () => {
    const { port, source: running, context } = await served();
    const { uploads } = context.memory;
    uploads.force(uploads.largestBytes);
    const client = clientOf(port);
    assert.equal((await ask(client, "create", {})).error?.code, codes.UNAVAILABLE);
    uploads.give(uploads.largestBytes);
    assert.equal((await ask(client, "create", {})).error, null);
    assert.equal(uploads.takenBytes, 0);
    await running.stop();
  });

  test("callers without the right credentials are refused before their message, and secrets reach no flow", async () => {
    const auth = [{ bearer: "token-1" }, { apiKey: { keys: { ada: "key-1" } } }];
    const { gateway, port, source: running } = await served({ auth });
    const client = clientOf(port);
    for (const metadata of [{}, { authorization: "Bearer wrong" }, { "x-api-key": "wrong" }, { authorization: "Bearer a.b.c" }]) {
      const { error } = await ask(client, "create", {}, { metadata });
      assert.deepEqual([error?.code, error?.metadata.get("mayfly-code")], [codes.UNAUTHENTICATED, ["MF_UNAUTHORIZED"]]);
    }
    assert.equal(gateway.received.length, 0);
    for (const metadata of [{ authorization: "Bearer token-1" }, { "x-api-key": "key-1" }])
      assert.equal((await ask(client, "create", {}, { metadata })).error, null);
    assert.deepEqual(
      gateway.received.map(({ idScope, headers }) => [idScope, headers["mayfly-caller"]]),
      [
        ["/shop.Orders/Create bearer", undefined],
        ["/shop.Orders/Create apiKey ada", "ada"],
      ],
    );
    assert.ok(!JSON.stringify(gateway.received.map(({ headers }) => headers)).includes("-1"));
    await running.stop();
  });

  test("sources share a port; a method belongs to one, and a stopped one can be taken over", async () => {
    const one = await served({ method: "Create" });
    const { port } = one;
    const two = await served({ method: ["Get"], port });
    await assert.rejects(served({ method: "Get", port }), {
      code: "MF_GRPC_PORT",
      message: /serves \/shop\.Orders\/Get for another source/,
    });
    await assert.rejects(served({ method: "Delete", port, bodyLimit: "1KiB" }), { code: "MF_GRPC_PORT", message: /other settings/ });
    const client = clientOf(port);
    assert.equal((await ask(client, "get", {})).error, null);
    assert.equal((await ask(client, "delete", {})).error?.code, codes.UNIMPLEMENTED);
    one.gateway.answer = one.gateway.hold;
    const under = ask(client, "create", {});
    await eventually("it is under way", () => one.gateway.received.length === 1);
    const stopping = one.source.stop();
    assert.equal((await ask(client, "create", {})).error?.code, codes.UNAVAILABLE);
    const three = await served({ method: "Create", port });
    assert.equal((await ask(client, "create", {})).error, null);
    assert.equal(three.gateway.received.length, 1);
    one.gateway.release();
    assert.equal((await under).error, null);
    await stopping;
    assert.equal((await ask(client, "create", {})).error, null);
    await two.source.stop();
    await three.source.stop();
    const again = await served({ port });
    await again.source.stop();
  });

  test("a port in use is told, and holds up no other start", async () => {
    const one = await served();
    await assert.rejects(served({ port: one.port, host: "localhost" }), { code: "MF_GRPC_PORT", message: /can't listen on/ });
    await one.source.stop();
  });

  test("TLS: a client certificate is asked for where an authority is named, and bad files are told", {
    skip: installed("openssl") ? false : "no openssl",
  }, async () => {
    const { dir } = await makeCertificates();
    after(() => rm(dir, { recursive: true }));
    const [ca, key, cert] = await Promise.all(["ca.pem", "client.key", "client.pem"].map((name) => readFile(join(dir, name))));
    const file = (name: string): string => join(dir, name);
    const { port, source: running } = await served({
      tls: { cert: file("server.pem"), key: file("server.key"), clientCa: file("ca.pem") },
    });
    const { createSsl } = library.credentials;
    assert.equal((await ask(clientOf(port, createSsl(ca, key, cert)), "create", {})).error, null);
    for (const credentials of [createSsl(ca), library.credentials.createInsecure()])
      assert.equal((await ask(clientOf(port, credentials), "create", {}, { deadlineMs: 2_000 })).error !== null, true);
    await running.stop();
    await assert.rejects(served({ tls: { cert: file("server.pem"), key: file("client.key") } }), { code: "MF_GRPC_TLS" });
    await assert.rejects(served({ tls: { cert: "absent.pem", key: "absent.key" } }), { code: "MF_TLS_FILE" });
  });
});

/** A server of the library, whose answers the test gives. */
class Peer {
  readonly received: { readonly request: Record<string, unknown>; readonly metadata: Grpc.Metadata }[] = [];
  answer: (call: Grpc.ServerUnaryCall<Record<string, unknown>, object>, callback: Grpc.sendUnaryData<object>) => void = (_, callback) =>
    callback(null, {});
  readonly #server = new library.Server();
  port = 0;

  async open(credentials = library.ServerCredentials.createInsecure(), port = 0): Promise<this> {
    const handle: Grpc.handleUnaryCall<Record<string, unknown>, object> = (call, callback) => {
      this.received.push({ request: call.request, metadata: call.metadata });
      this.answer(call, callback);
    };
    this.#server.addService(definitions["shop.Orders"] as Grpc.ServiceDefinition, { Create: handle, Get: handle, Delete: handle });
    this.port = await new Promise<number>((resolve, reject) =>
      this.#server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) => (error === null ? resolve(bound) : reject(error))),
    );
    return this;
  }

  async remove(): Promise<void> {
    this.#server.forceShutdown();
  }
}

describe("grpc: outlet", { timeout: 60_000 }, () => {
  let peer: Peer;
  before(async () => {
    peer = await new Peer().open();
  });
  after(() => peer.remove());
  const at = (change: object = {}): object => ({ url: `grpc://127.0.0.1:${peer.port}`, ...orders, method: "Create", ...change });
  const refusing = (code: number, metadata?: Grpc.Metadata): void => {
    peer.answer = (_, callback) => callback({ code, details: "because", ...(metadata === undefined ? {} : { metadata }) });
  };

  test("a send is a call, with its key, headers and credentials; a request has the reply as JSON", async () => {
    const { outlet: running } = await startOutlet(outlet, at({ metadata: { "x-fixed": "f" }, auth: { bearer: "t" } }));
    peer.answer = (_, callback) => {
      const trailers = new library.Metadata();
      trailers.add("x-own", "1");
      callback(null, { id: "r", lines: 3 }, trailers);
    };
    const attempt = attemptOf("key-1");
    await running.send(
      outgoing('{"id":"o","quantity":2}', { headers: { "x-a": ["1", "2"], "x-b-bin": "AP8=" }, correlationId: "c" }),
      attempt,
    );
    const { request, metadata } = peer.received.at(-1) as (typeof peer.received)[number];
    assert.deepEqual([request["id"], request["quantity"]], ["o", 2]);
    const values = ["idempotency-key", "x-fixed", "authorization", "x-a", "x-correlation-id"].map((name) => metadata.get(name).join("|"));
    assert.deepEqual(
      values,
      ["key-1", "f", "Bearer t", "1, 2", "c"].map((each, index) => (index === 3 ? metadata.get("x-a").join("|") : each)),
    );
    assert.deepEqual(metadata.get("x-a").join(",").replaceAll(" ", ""), "1,2");
    assert.ok((metadata.get("x-b-bin")[0] as Buffer).equals(Buffer.from([0, 255])));
    const answer = await running.request?.({ ...outgoing("{}"), method: "" }, attemptOf());
    assert.deepEqual(
      [answer?.status, answer?.headers["x-own"], JSON.parse(Buffer.from(answer?.body ?? []).toString())],
      [200, "1", { id: "r", lines: 3, text: "" }],
    );
    await running.stop();
  });

  test("status codes are retried or not, and a final one is an answer to a request", async () => {
    const { outlet: running } = await startOutlet(outlet, at());
    const pushback = new library.Metadata();
    pushback.add("grpc-retry-pushback-ms", "2500");
    for (const [code, retryable] of [
      [codes.UNAVAILABLE, true],
      [codes.RESOURCE_EXHAUSTED, true],
      [codes.ABORTED, true],
      [codes.INTERNAL, true],
      [codes.INVALID_ARGUMENT, false],
      [codes.ALREADY_EXISTS, false],
      [codes.UNAUTHENTICATED, false],
      [codes.UNIMPLEMENTED, false],
    ] as const) {
      refusing(code);
      await assert.rejects(
        running.send(outgoing("{}"), attemptOf()),
        { code: "MF_GRPC_STATUS", retryable, unreached: false },
        String(code),
      );
    }
    refusing(codes.UNAVAILABLE, pushback);
    await assert.rejects(running.send(outgoing("{}"), attemptOf()), { retryAfterMs: 2500, message: /UNAVAILABLE: because/ });
    await assert.rejects(running.request?.({ ...outgoing("{}"), method: "" }, attemptOf()) ?? Promise.resolve(), {
      code: "MF_GRPC_STATUS",
    });
    refusing(codes.NOT_FOUND);
    const answer = await running.request?.({ ...outgoing("{}"), method: "" }, attemptOf());
    assert.deepEqual(
      [answer?.status, answer?.headers["grpc-status"], Buffer.from(answer?.body ?? []).toString()],
      [404, "NOT_FOUND", '{"code":"NOT_FOUND","message":"because"}'],
    );
    assert.equal(running.health().ready, true);
    await running.stop();
  });

  test("bodies and headers that do not fit are final, and nothing is sent; of several methods the flow names one", async () => {
    const { outlet: running } = await startOutlet(outlet, at({ method: ["Create", "Get"] }));
    const before = peer.received.length;
    const path = { ":path": "/Get" };
    for (const [body, headers, code] of [
      ['{"quantity":"many"}', path, "MF_GRPC_JSON"],
      ["{", path, "MF_GRPC_JSON"],
      ["{}", {}, "MF_GRPC_METHOD"],
      ["{}", { ":path": "Delete" }, "MF_GRPC_METHOD"],
      ["{}", { ...path, "x-a": "ä" }, "MF_HEADER_INVALID"],
      ["{}", { ...path, "x a": "b" }, "MF_HEADER_INVALID"],
    ] as const)
      await assert.rejects(
        running.send(outgoing(body, { headers }), attemptOf()),
        { code, retryable: false },
        `${body} ${JSON.stringify(headers)}`,
      );
    assert.equal(peer.received.length, before);
    peer.answer = (call, callback) => callback(null, call.request);
    const answer = await running.request?.(
      { ...outgoing('{"number":"18446744073709551615"}', { headers: path }), method: "" },
      attemptOf(),
    );
    assert.equal((JSON.parse(Buffer.from(answer?.body ?? []).toString()) as { number: string }).number, "18446744073709551615");
    await running.stop();
  });

  test("the deadline goes along, and an attempt that ends cancels its call", async () => {
    const { outlet: running } = await startOutlet(outlet, at({ timeout: "200ms" }));
    let deadline: Grpc.Deadline | undefined;
    peer.answer = (call) => (deadline = call.getDeadline());
    await assert.rejects(running.send(outgoing("{}"), attemptOf()), {
      code: "MF_GRPC_STATUS",
      retryable: true,
      message: /DEADLINE_EXCEEDED/,
    });
    assert.ok(Number(deadline) < Number.POSITIVE_INFINITY);
    await running.stop();
    const { outlet: patient } = await startOutlet(outlet, at());
    let cancelled = false;
    const abort = new AbortController();
    peer.answer = (call) => {
      call.on("cancelled", () => (cancelled = true));
      abort.abort();
    };
    await assert.rejects(patient.send(outgoing("{}"), { ...attemptOf(), signal: abort.signal }));
    await eventually("the server knows", () => cancelled);
    await patient.stop();
  });

  test("an answer that is too long is refused, and memory is given back", async () => {
    const { outlet: running, context } = await startOutlet(outlet, at({ answerLimit: "1KiB" }));
    peer.answer = (_, callback) => callback(null, { text: "x".repeat(5_000) });
    await assert.rejects(running.send(outgoing("{}"), attemptOf()), { code: "MF_GRPC_STATUS", message: /RESOURCE_EXHAUSTED/ });
    assert.equal(context.memory.answers.takenBytes, 0);
    await running.stop();
  });

  test("cut, stalled and refused connections: sends are repeated until they are made, and health says so", async () => {
    const proxy = await Proxy.open({ host: "127.0.0.1", port: peer.port });
    peer.answer = (_, callback) => callback(null, {});
    const { outlet: running } = await startOutlet(outlet, { ...at({ timeout: "500ms" }), url: `grpc://127.0.0.1:${proxy.port}` });
    assert.equal(running.health().ready, true);
    proxy.cut();
    await sendSurely(running, outgoing('{"id":"after a cut"}'));
    peer.answer = () => proxy.cut();
    const cut = running.send(outgoing('{"id":"cut"}'), attemptOf());
    await assert.rejects(cut, { retryable: true, unreached: false });
    peer.answer = (_, callback) => callback(null, {});
    await sendSurely(running, outgoing('{"id":"again"}'));
    proxy.stall(true);
    await assert.rejects(running.send(outgoing("{}"), attemptOf()), { retryable: true });
    await eventually("the connection counts as lost", () => !running.health().ready);
    proxy.stall(false);
    await sendSurely(running, outgoing('{"id":"after a stall"}'));
    proxy.refuse(true);
    proxy.cut();
    await eventually("it is not ready", () => running.health().detail.startsWith("MF_GRPC_UNREACHABLE"));
    await assert.rejects(running.send(outgoing("{}"), attemptOf()), { code: "MF_GRPC_UNREACHABLE", unreached: true, retryable: true });
    proxy.refuse(false);
    await sendSurely(running, outgoing('{"id":"last"}'));
    assert.deepEqual(peer.received.slice(-1)[0]?.request["id"], "last");
    await running.stop();
    await proxy.close();
  });

  test("an outlet whose server comes later, and goes, finds it again", async () => {
    const port = await freePort();
    const { outlet: running } = await startOutlet(outlet, { ...at(), url: `grpc://127.0.0.1:${port}` });
    assert.match(running.health().detail, /^MF_GRPC_UNREACHABLE: .*ECONNREFUSED/);
    const late = await new Peer().open(undefined, port);
    await sendSurely(running, outgoing("{}"));
    await late.remove();
    const later = await new Peer().open(undefined, port);
    await sendSurely(running, outgoing("{}"));
    assert.equal(later.received.length, 1);
    await running.stop();
    await later.remove();
  });

  test("source and outlet speak to each other: nothing is lost over a connection that is cut again and again", async () => {
    const { gateway, port, source: running } = await served();
    gateway.answer = (incoming) => done(incoming);
    const proxy = await Proxy.open({ host: "127.0.0.1", port });
    const { outlet: sending } = await startOutlet(outlet, { ...at(), url: `grpc://127.0.0.1:${proxy.port}` });
    for (let index = 0; index < 30; index += 1) {
      const sent = sendSurely(sending, outgoing(JSON.stringify({ id: String(index) })));
      if (index % 7 === 3) proxy.cut();
      await sent;
    }
    const ids = gateway.received.map((each) => Number(json(each)["id"]));
    assert.deepEqual(
      [...new Set(ids)],
      Array.from({ length: 30 }, (_, index) => index),
    );
    await sending.stop();
    await running.stop();
    await proxy.close();
  });
});

test("grpc: a package that is not installed is told with the command", async () => {
  const absent = Object.assign(new Error("none"), { code: "ERR_MODULE_NOT_FOUND" });
  await assert.rejects(
    loadGrpc(() => Promise.reject(absent)),
    { code: "MF_GRPC_CLIENT", message: /npm install @grpc\/grpc-js@1 protobufjs@7/ },
  );
  assert.throws(
    () =>
      loadProtobuf(() => {
        throw Object.assign(new Error("none"), { code: "MODULE_NOT_FOUND" });
      }),
    { code: "MF_GRPC_CLIENT" },
  );
});

/** The outlet, with a body that is a message whatever the suite sends. */
function alwaysEmpty(running: Outlet): Outlet {
  const send = running.send.bind(running);
  running.send = (message, attempt) => send({ ...message, body: Buffer.from("{}") }, attempt);
  return running;
}

tlsCase({
  name: "grpc",
  skip: undefined,
  outlet: { ...outlet, create: (config, context) => alwaysEmpty(outlet.create(config, context)) },
  async open(dir) {
    const [ca, private_key, cert_chain] = await Promise.all(
      ["ca.pem", "server.key", "server.pem"].map((name) => readFile(join(dir, name))),
    );
    return await new Peer().open(
      library.ServerCredentials.createSsl(ca as Buffer, [{ private_key: private_key as Buffer, cert_chain: cert_chain as Buffer }], true),
    );
  },
  config: (port) => ({ url: `grpcs://127.0.0.1:${port}`, ...orders, method: "Create" }),
  code: "MF_GRPC_TLS",
});
