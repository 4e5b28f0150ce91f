/**
 * Callers are told no peer's address, body or secret, through whichever outlet a flow asked, over HTTP and as a reply over a broker.
 * Every outlet meets a peer that is away, and one that answers in a tongue of its own.
 */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { type Clock, systemClock } from "#base";
import { replyOf } from "../connectors/shared/wire.ts";
import { told } from "./contract/failure.ts";
import type { Failure, FailureOrigin, Outcome } from "./contract/message.ts";
import { connectors } from "#connectors";
import { request, type Script, fail } from "./testing/scripted.ts";
import { withGateway } from "./testing/rig.ts";

/** Texts that no caller may be told. */
const secrets = /127\.0\.0\.1|localhost|ECONN|hunter2|operator|PEERBODY|nowhere\.invalid/;

/** Outlets by name, with credentials, at a port. */
const configurations: Readonly<Record<string, (port: number) => string>> = {
  http: (port) => `http: { url: "http://operator:hunter2@127.0.0.1:${port}/" }`,
  amqp: (port) => `amqp: { url: "amqp://operator:hunter2@127.0.0.1:${port}", queue: orders }`,
  amqp1: (port) => `amqp1: { url: "amqp://operator:hunter2@127.0.0.1:${port}", address: orders }`,
  nats: (port) => `nats: { url: "nats://127.0.0.1:${port}", username: operator, password: hunter2, subject: orders }`,
  jetstream: (port) => `jetstream: { url: "nats://127.0.0.1:${port}", username: operator, password: hunter2, subject: orders }`,
  mqtt: (port) => `mqtt: { url: "mqtt://operator:hunter2@127.0.0.1:${port}", topic: orders }`,
  redis: (port) => `redis: { url: "redis://operator:hunter2@127.0.0.1:${port}", stream: orders }`,
  postgres: (port) => `postgres: { url: "postgres://operator:hunter2@127.0.0.1:${port}/db", table: orders }`,
  grpc: (port) =>
    `grpc: { url: "grpc://127.0.0.1:${port}", proto: orders.proto, service: Orders, method: Create, auth: { basic: "operator:hunter2" } }`,
  kafka: (port) =>
    `kafka: { brokers: ["127.0.0.1:${port}"], sasl: { mechanism: PLAIN, username: operator, password: hunter2 }, topic: orders }`,
  sftp: (port) => `sftp: { host: 127.0.0.1, port: ${port}, user: operator, password: hunter2, hostKey: any, dir: orders, name: "{id}" }`,
  ftp: (port) => `ftp: { host: 127.0.0.1, port: ${port}, user: operator, password: hunter2, plain: true, dir: orders, name: "{id}" }`,
  s3: (port) => `s3: { endpoint: "http://127.0.0.1:${port}", bucket: orders, accessKeyId: operator, secretAccessKey: hunter2 }`,
  websocket: (port) => `websocket: { url: "ws://operator:hunter2@127.0.0.1:${port}/", reply: { id: json:/id } }`,
  mysql: (port) => `mysql: { url: "mysql://operator:hunter2@127.0.0.1:${port}/db", table: orders }`,
  smtp: (port) =>
    `smtp: { url: "smtp://127.0.0.1:${port}", username: operator, password: hunter2, from: a@b.example, to: c@d.example, subject: s }`,
};
const contract = 'syntax = "proto3"; message Order { string id = 1; } service Orders { rpc Create (Order) returns (Order); }';
/** A peer's own words, where its protocol has any. */
const babble: Readonly<Record<string, string>> = {
  websocket: "HTTP/1.1 500 PEERBODY\r\ncontent-length: 17\r\n\r\nPEERBODY hunter2\n",
  http: "HTTP/1.1 500 PEERBODY\r\ncontent-length: 17\r\n\r\nPEERBODY hunter2\n",
  s3: "HTTP/1.1 400 PEERBODY\r\ncontent-length: 73\r\n\r\n<Error><Code>PEERBODY</Code><Message>PEERBODY hunter2</Message></Error>\r\n",
  nats: "-ERR 'PEERBODY hunter2'\r\n",
  postgres: "E\0\0\0\x2cSFATAL\0VFATAL\0C28P01\0MPEERBODY hunter2\0\0",
  redis: "-ERR PEERBODY hunter2\r\n",
  smtp: "554 PEERBODY hunter2\r\n",
};
/** Those whose client speaks first. */
const answering = ["postgres", "redis"];
/** Outlets without a peer. */
const local = ["file", "flow", "log", "signal"];

test("the list below has every outlet there is", () => {
  deepEqual([...Object.keys(configurations), ...local].sort(), connectors.outlets.map(({ name }) => name).sort());
});

const asks: Script = (event) => {
  if (event.kind === "deliver") return [request(1, "out", "x", "request", 400)];
  if (event.kind !== "resolve") return [fail("MF_FLOW_STALLED", "nothing")];
  return [
    event.error === undefined
      ? fail("MF_RESPONSE_INVALID", "PEERBODY is no JSON", true)
      : fail(event.error.code, event.error.message, true),
  ];
};

/** No connector waits long for a peer. */
const hasty: Clock = { ...systemClock, after: (delayMs, task) => systemClock.after(Math.min(delayMs, 200), task) };

async function toldBy(configuration: string): Promise<{ readonly status: number; readonly text: string; readonly reply: string }> {
  let answer = { status: 0, text: "", reply: "" };
  const yaml = `flows: { ask: { image: ask.mfi, from: [ { http: { path: /ask } } ], to: { out: { ${configuration}, timeout: 300ms, retry: { attempts: 1 } } } } }`;
  await withGateway(
    yaml,
    { ask: asks },
    async ({ url, gateway }) => {
      const response = await fetch(`${url}/ask`, { method: "POST", body: "x" });
      const outcome: Outcome = await gateway.inject("ask", { body: new Uint8Array(1), wait: true });
      const reply = outcome.status === "accepted" || outcome.status === "refused" ? undefined : replyOf(outcome);
      answer = {
        status: response.status,
        text: await response.text(),
        reply: JSON.stringify([reply?.headers, Buffer.from(reply?.body ?? "").toString()]),
      };
    },
    { drain: "50ms", clock: hasty, before: (dir) => writeFile(join(dir, "orders.proto"), contract) },
  );
  return answer;
}

for (const [name, at] of Object.entries(configurations)) {
  test(`${name}: a peer that is away, and one that babbles secrets`, { timeout: 60_000 }, async () => {
    const away = await toldBy(at(9));
    ok(away.status >= 500, `${away.status}`);
    equal(secrets.exec(away.text + away.reply), null, away.text);
    const sockets = new Set<Socket>();
    const babbler = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      const said = babble[name] ?? "PEERBODY hunter2\r\n";
      if (answering.includes(name)) socket.on("data", () => socket.write(said));
      else socket.write(said);
    });
    await new Promise<void>((listening) => babbler.listen(0, "127.0.0.1", listening));
    try {
      const babbled = await toldBy(at((babbler.address() as AddressInfo).port));
      ok(babbled.status >= 500, `${babbled.status}`);
      equal(secrets.exec(babbled.text + babbled.reply), null, babbled.text);
    } finally {
      for (const socket of sockets) socket.destroy();
      babbler.close();
    }
  });
}

test("an answer the flow can't read is the peer's fault, and fetch tells no host", async () => {
  const yaml = `flows: { ask: { image: ask.mfi, hosts: ["127.0.0.1:9"], from: [ { http: { path: /ask, errors: full } } ] } }`;
  const fetches: Script = (event) =>
    event.kind === "deliver"
      ? [request(1, "http://127.0.0.1:9/", "", "fetch")]
      : event.kind === "resolve"
        ? [fail(event.error?.code ?? "", event.error?.message)]
        : [];
  await withGateway(yaml, { ask: fetches }, async ({ url }) => {
    const response = await fetch(`${url}/ask`, { method: "POST" });
    equal(response.status, 502);
    equal(secrets.exec(await response.text()), null);
  });
});

test("who is told what depends on where a failure comes from, and on nothing in its code", () => {
  const of = (origin: FailureOrigin, status: number, code = "MF_HTTP_FAILED"): Failure => ({
    origin,
    status,
    code,
    message: "words",
    retry: false,
  });
  for (const code of ["MF_HTTP_FAILED", "MF_FLOW_THREW", "ORDER_UNKNOWN", "MF_NOT_CONNECTED", ""]) {
    deepEqual(told(of("caller", 0, code)), { status: 400, code, message: "words" });
    deepEqual(told(of("gateway", 0, code)), { status: 500, code, message: "words" });
    deepEqual(told(of("flow", 422, code)), { status: 422, code, message: "words" });
    for (const errors of ["brief", "full"] as const)
      for (const status of [0, 502, 504]) match(told(of("peer", status, code), errors).message, /^a system that the flow called/);
    match(told(of("flow", 0, code)).message, /^the flow failed/);
    equal(told(of("flow", 0, code), "full").message, "words");
  }
  deepEqual(
    [told(of("peer", 0)).status, told(of("peer", 504)).status, told(of("flow", 0)).status, told(of("flow", 200)).status],
    [502, 504, 500, 500],
  );
});
