/** Forwarding over a real server: the owner ends, is slow, or can't be heard; two nodes ask at once; bodies are longer than `max_payload`. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { after, test } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { systemClock } from "#base";
import type { ForwardedMessage, Outcome, Partition } from "#gateway";
import { Proxy } from "../../connectors/testing/proxy.ts";
import { NatsServers } from "../testing/nats-servers.ts";
import { forwardingLimits } from "./limits.ts";
import { type Forwarding, natsWire, openForwarding } from "./mod.ts";

const servers = await NatsServers.start({ count: 1 });
const skip = typeof servers === "string" ? servers : false;
const limits = { ...forwardingLimits, probeMs: 50, silentMs: 1_000, callerPatienceMs: 500 };

after(async () => {
  if (typeof servers !== "string") await servers.remove();
});

interface Node {
  readonly forwarding: Forwarding;
  readonly connection: NatsConnection;
  readonly ran: { readonly id: string; readonly body: Uint8Array }[];
  end(): Promise<void>;
}

let lives = 0;

async function open(name: string, { owner = "owner", port = 0, work = async () => {} }: OpenOptions = {}): Promise<Node> {
  if (typeof servers === "string") throw new Error(servers);
  const connection = await connect({ servers: `127.0.0.1:${port === 0 ? servers.at(0).port : port}`, reconnect: false });
  const ran: Node["ran"] = [];
  const forwarding = openForwarding({
    ...{ wire: natsWire(connection), clock: systemClock, cluster: "c", node: name, life: `${name}${++lives}`, limits },
    ownerOf: () => owner,
  });
  const message = async (_: string, { id = "", body }: ForwardedMessage): Promise<Outcome> => {
    ran.push({ id, body });
    await work();
    return { status: "done", id, reply: { status: 200, contentType: "application/octet-stream", headers: {}, body } };
  };
  forwarding.serve({ message, signal: async () => ({ status: "kept", id: "s", waiting: true }), ask: async (question) => question });
  await connection.flush();
  const end = async (): Promise<void> => {
    forwarding.close();
    await connection.close();
  };
  return { forwarding, connection, ran, end };
}

interface OpenOptions {
  readonly owner?: string;
  /** Of a proxy; default: the server's. */
  readonly port?: number;
  /** The work of one message. */
  readonly work?: () => Promise<void>;
}

function send({ forwarding }: Node, id: string, body: Uint8Array = Buffer.from(id)): Promise<Outcome> {
  const message = { id, headers: { a: ["1", "2"] }, contentType: "", body, replyWanted: true, keeper: "source" } as const;
  return forwarding.message({ partition: 0 as Partition, flow: "f", message, origin: { source: "http", place: "/" } });
}

/** A promise and its end. */
function gate(): { readonly passed: Promise<void>; readonly pass: () => void } {
  let pass = (): void => {};
  const passed = new Promise<void>((resolve) => (pass = resolve));
  return { passed, pass };
}

const codeOf = (outcome: Outcome): string => (outcome.status === "refused" ? outcome.code : outcome.status);

test("two nodes hand on messages, of any length, and get their own answers, in order", { skip }, async () => {
  const [owner, one, two] = [await open("owner"), await open("one"), await open("two")];
  try {
    const long = Buffer.alloc(5_000_000, "long");
    const bodies = [Buffer.from("1"), long, Buffer.alloc(0), Buffer.from("4")];
    const sent = [one, two].flatMap((node, at) => bodies.map((body, index) => send(node, `${at}/${index}`, body)));
    for (const [index, outcome] of (await Promise.all(sent)).entries()) {
      ok(outcome.status === "done");
      equal(Buffer.compare(outcome.reply?.body ?? Buffer.alloc(0), bodies[index % 4] as Buffer), 0);
    }
    for (const at of [0, 1])
      deepEqual(
        owner.ran.filter(({ id }) => id.startsWith(`${at}/`)).map(({ id }) => id),
        [0, 1, 2, 3].map((index) => `${at}/${index}`),
      );
  } finally {
    for (const node of [one, two, owner]) await node.end();
  }
});

test("the owner ends while it works: the caller is told to send again", { skip }, async () => {
  const begun = gate();
  const never = gate();
  const owner = await open("owner", { work: () => (begun.pass(), never.passed) });
  const node = await open("one");
  try {
    const sent = send(node, "m");
    await begun.passed;
    await owner.connection.close();
    equal(codeOf(await sent), "MF_PARTITION_AWAY");
  } finally {
    await node.end();
    never.pass();
    await owner.end();
  }
});

test("an owner that is slower than any interval still answers", { skip }, async () => {
  const done = gate();
  const owner = await open("owner", { work: () => done.passed });
  const node = await open("one");
  try {
    const sent = send(node, "m");
    const timer = setTimeout(done.pass, limits.silentMs * 2);
    equal(codeOf(await sent), "done");
    clearTimeout(timer);
  } finally {
    await node.end();
    await owner.end();
  }
});

test("the answer is lost with the owner's connection: the caller is told to send again, and the message ran once", { skip }, async () => {
  if (typeof servers === "string") throw new Error(servers);
  const proxy = await Proxy.open(servers.at(0));
  const begun = gate();
  const done = gate();
  const owner = await open("owner", { port: proxy.port, work: () => (begun.pass(), done.passed) });
  const node = await open("one");
  try {
    const sent = send(node, "m");
    await begun.passed;
    proxy.stall(true);
    done.pass();
    equal(codeOf(await sent), "MF_PARTITION_AWAY");
    equal(owner.ran.length, 1);
  } finally {
    await node.end();
    proxy.cut();
    await owner.end();
    await proxy.close();
  }
});

test("nobody is there: refused at once, and nothing waits for it", { skip }, async () => {
  const node = await open("one", { owner: "nobody" });
  try {
    equal(codeOf(await send(node, "m")), "MF_PARTITION_AWAY");
    equal(await node.forwarding.ask("nobody", "?"), undefined);
  } finally {
    await node.end();
  }
});

test("questions and signals reach the node they are for; bytes that are no frame reach nobody", { skip }, async () => {
  const [owner, node] = [await open("owner"), await open("one")];
  try {
    node.connection.publish("mayfly.c.ask.owner", Buffer.from("hello"), { reply: "mayfly.c.answer.x.c.1" });
    node.connection.publish("mayfly.c.ask.owner", Buffer.from("MYF\u0001\u0000"));
    deepEqual(await node.forwarding.ask("owner", { n: 1 }), { n: 1 });
    const signal = { flow: "f", name: "n", key: "k", source: "api", headers: {}, contentType: "", body: Buffer.from("b") };
    deepEqual(await node.forwarding.signal({ partition: 0 as Partition, signal }), { status: "kept", id: "s", waiting: true });
  } finally {
    await node.end();
    await owner.end();
  }
});
