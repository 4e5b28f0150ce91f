/** A broker that lies: nothing that it sends ends the process or takes its memory; the connector says what is wrong, and connects again. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import rhea, { type Container, type EventContext } from "rhea";
import { attemptOf, eventually, outgoing, startOutlet, startSource } from "../testing/rig.ts";
import { loadClient } from "./client.ts";
import { decodeMessage } from "./message.ts";
import { amqp1Outlet } from "./outlet.ts";
import { amqp1Source } from "./source.ts";

const config = (port: number): object => ({ url: `amqp://127.0.0.1:${port}`, auth: "anonymous", address: "orders" });
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

/** SASL's header, and its first frame: the mechanisms, as encoded. */
function offering(mechanisms: Buffer): Buffer {
  const list = Buffer.concat([hex("005340 c0"), Buffer.from([mechanisms.length + 1, 1]), mechanisms]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(8 + list.length);
  return Buffer.concat([hex("414d5150 03010000"), size, hex("02010000"), list]);
}

/** The answer to the first word of the client, and the code that tells of it. */
const lies: Readonly<Record<string, readonly [reply: Buffer, code: string]>> = {
  "another protocol": [Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"), "MF_AMQP1_PROTOCOL: "],
  "AMQP 0-9-1": [hex("414d5150 00000901"), "MF_AMQP1_PROTOCOL: "],
  "a frame of four gigabytes": [hex("414d5150 03010000 ffffffff 02010000"), "MF_AMQP1_PROTOCOL: "],
  "mechanisms: an array of four billion": [offering(hex("f000000005ffffffff45")), "MF_AMQP1_PROTOCOL: "],
  "a login that nobody asked for": [offering(Buffer.concat([hex("a308"), Buffer.from("KERBEROS")])), "MF_AMQP1_AUTH: "],
  nothing: [Buffer.alloc(0), "MF_AMQP1_UNREACHABLE: "],
};

/** A broker that the client library makes. */
async function listening(broker: Container): Promise<{ readonly port: number; close(): void }> {
  for (const event of ["disconnected", "error", "connection_error"]) broker.on(event, () => undefined);
  const server = broker.listen({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}

async function serving(answer: (socket: Socket) => void): Promise<{ readonly port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    socket.once("data", () => answer(socket));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

for (const [what, [reply, code]] of Object.entries(lies))
  test(`a broker that answers with ${what}`, { timeout: 30_000 }, async () => {
    const server = await serving((socket) => socket.end(reply));
    const { source } = await startSource(amqp1Source, config(server.port));
    assert.ok(source.health().detail.startsWith(code), source.health().detail);
    await source.stop();
    const { outlet } = await startOutlet(amqp1Outlet, config(server.port));
    await assert.rejects(outlet.send(outgoing("x"), attemptOf()), { retryable: true });
    await outlet.stop();
    await server.close();
  });

test("a broker that sends more than it has credit for, or ends the link, is left and met again", { timeout: 30_000 }, async () => {
  await loadClient();
  const broker = rhea.create_container();
  let links = 0;
  broker.on("sender_open", ({ sender }: EventContext) => {
    links += 1;
    if (links % 2 === 0) return sender?.close({ condition: "amqp:resource-locked", description: "another has it" });
    sender?.once("sendable", () => {
      for (let n = 0; n < 200; n += 1) {
        Object.assign(sender, { credit: 1_000 }); // as much as it likes
        sender.send({ body: `${n}` });
      }
    });
  });
  const { port, close } = await listening(broker);
  const { source, gateway, context } = await startSource(amqp1Source, config(port), 4);
  gateway.answer = gateway.hold;
  const told = (code: string): boolean => context.lines.some((line) => JSON.stringify(line).includes(code));
  await eventually("both are told", () => told("MF_AMQP1_PROTOCOL") && told("MF_AMQP1_LOCKED"));
  await eventually("and it comes again", () => links >= 3);
  assert.ok(gateway.mostAtOnce <= 4, `${gateway.mostAtOnce} at once`);
  gateway.release();
  await source.stop();
  close();
});

test("what a broker does with a message is told as it is, and says whether it is worth another attempt", { timeout: 30_000 }, async () => {
  await loadClient();
  const broker = rhea.create_container({ autoaccept: false });
  broker.on("receiver_open", ({ receiver }: EventContext) => {
    receiver?.set_target({ address: "orders" });
    const { local } = receiver as unknown as { readonly local: { readonly attach: object } };
    Object.assign(local.attach, { max_message_size: 10_000 });
  });
  broker.on("message", ({ message, delivery, connection }: EventContext) => {
    const text = Buffer.from(decodeMessage(message as unknown as Uint8Array).body).toString();
    const [what, condition = ""] = text.split(" ");
    if (what === "reject") delivery?.reject({ condition, description: "because" });
    else if (what === "release") delivery?.release();
    else if (what === "modify") delivery?.modified({ delivery_failed: true });
    else if (what === "settle") delivery?.update(true);
    else if (what === "end") connection.close({ condition: "amqp:internal-error", description: "because" });
    else delivery?.accept();
  });
  const { port, close } = await listening(broker);
  const { outlet } = await startOutlet(amqp1Outlet, config(port));
  const refused = (body: string, code: string, retryable: boolean): Promise<void> =>
    assert.rejects(outlet.send(outgoing(body), attemptOf()), { code, retryable }, body.slice(0, 50));
  await outlet.send(outgoing("take"), attemptOf());
  await refused("reject amqp:resource-limit-exceeded", "MF_AMQP1_REJECTED", true);
  await refused("reject amqp:link:message-size-exceeded", "MF_AMQP1_REJECTED", false);
  await refused("release", "MF_AMQP1_RELEASED", true);
  await refused("modify", "MF_AMQP1_RELEASED", true);
  await refused("settle", "MF_AMQP1_RELEASED", true);
  await refused("x".repeat(20_000), "MF_AMQP1_TOO_LARGE", false);
  await outlet.send(outgoing("take"), attemptOf());
  await refused("end", "MF_CONNECTION_LOST", true);
  assert.match(outlet.health().detail, /^MF_AMQP1_REFUSED: .*amqp:internal-error because/);
  await eventually("it is back", () => outlet.health().ready);
  await outlet.stop();
  close();
});

test("a send that was given up for want of credit is not sent when there is some", { timeout: 30_000 }, async () => {
  await loadClient();
  const broker = rhea.create_container({ credit_window: 0 });
  let link: EventContext["receiver"];
  const came: string[] = [];
  broker.on("receiver_open", ({ receiver }: EventContext) => {
    receiver?.set_target({ address: "orders" });
    link = receiver;
  });
  broker.on("message", ({ message }: EventContext) =>
    came.push(Buffer.from(decodeMessage(message as unknown as Uint8Array).body).toString()),
  );
  const { port, close } = await listening(broker);
  const { outlet } = await startOutlet(amqp1Outlet, config(port));
  for (const body of ["a", "b"])
    await assert.rejects(outlet.send(outgoing(body), attemptOf(body, 50)), { code: "MF_OUTLET_TIMEOUT", retryable: true });
  const sent = outlet.send(outgoing("c"), attemptOf("c"));
  link?.add_credit(10);
  await sent;
  assert.deepEqual(came, ["c"]);
  await outlet.stop();
  close();
});

test("a broker that makes no address for answers, and one that has no room", { timeout: 30_000 }, async () => {
  await loadClient();
  const broker = rhea.create_container();
  broker.on("receiver_open", ({ receiver }: EventContext) => receiver?.set_target({ address: "orders" }));
  broker.on("sender_open", ({ sender }: EventContext) =>
    sender?.close({ condition: "amqp:not-implemented", description: "no dynamic addresses" }),
  );
  const { port, close } = await listening(broker);
  const { outlet } = await startOutlet(amqp1Outlet, config(port));
  const asked = outlet.request?.({ ...outgoing("x"), method: "" }, attemptOf());
  await assert.rejects(asked ?? Promise.resolve(), { code: "MF_AMQP1_NO_REPLIES", retryable: false });
  await outlet.stop();
  broker.removeAllListeners("receiver_open");
  broker.on("receiver_open", ({ receiver }: EventContext) =>
    receiver?.close({ condition: "amqp:resource-limit-exceeded", description: "full" }),
  );
  const full = await startOutlet(amqp1Outlet, config(port));
  assert.match(full.outlet.health().detail, /^MF_AMQP1_FULL: /);
  await full.outlet.stop();
  close();
});

test("a client that is not installed is said with the command that installs it", async () => {
  const absent = Object.assign(new Error("Cannot find package 'rhea'"), { code: "ERR_MODULE_NOT_FOUND" });
  await assert.rejects(
    loadClient(() => Promise.reject(absent)),
    { code: "MF_AMQP1_CLIENT", message: /npm install rhea@3/ },
  );
  await assert.rejects(
    loadClient(() => Promise.reject(new SyntaxError("broken"))),
    SyntaxError,
  );
});
