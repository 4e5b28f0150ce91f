/** The examples of docs/CONNECTOR-HOWTO.md are the files that are compiled and tested here. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { attemptOf, eventually, outgoing, PretendedGateway, sendSurely, startOutlet, startSource } from "../testing/rig.ts";
import { lineOutlet } from "../testing/line-outlet.ts";
import { lineSource } from "../testing/line-source.ts";

function root(): string {
  let dir = process.cwd();
  while (!existsSync(join(dir, "docs", "CONNECTOR-HOWTO.md")) && dirname(dir) !== dir) dir = dirname(dir);
  return dir;
}

for (const file of ["line-client.ts", "line-outlet.ts", "line-source.ts"]) {
  test(`${file} in the documentation is the one that is compiled`, () => {
    const source = readFileSync(join(root(), "connectors/testing", file), "utf8");
    const document = readFileSync(join(root(), "docs/CONNECTOR-HOWTO.md"), "utf8");
    assert.ok(document.includes(`\`\`\`ts\n${source}\`\`\``), `copy connectors/testing/${file} into docs/CONNECTOR-HOWTO.md`);
  });
}

interface LineServer {
  readonly port: number;
  /** Resets all connections. */
  cut(): void;
  write(line: string): void;
}

/** `hear` gets each line, and a way to answer it. */
async function lineServer(hear: (line: string, write: (line: string) => void) => void): Promise<LineServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    createInterface(socket)
      .on("error", () => {})
      .on("line", (line) => hear(line, (answer) => socket.write(`${answer}\n`)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => sockets.forEach((socket) => socket.resetAndDestroy()),
    write: (line) => sockets.forEach((socket) => socket.write(`${line}\n`)),
  };
}

test("the outlet sends, is refused, loses its connection and comes back", { timeout: 20_000 }, async () => {
  const bodies: string[] = [];
  const server = await lineServer((line, write) => {
    const body = Buffer.from((JSON.parse(line) as { readonly body: string }).body, "base64").toString();
    bodies.push(body);
    if (body !== "silence") write(body === "bad" ? "no" : "ok");
  });
  const { outlet } = await startOutlet(lineOutlet, { port: server.port });
  await outlet.send(outgoing("good"), attemptOf());
  await assert.rejects(outlet.send(outgoing("bad"), attemptOf()), { code: "MF_LINE_REFUSED", retryable: false });
  const unanswered = assert.rejects(outlet.send(outgoing("silence"), attemptOf()), { code: "MF_CONNECTION_LOST", retryable: true });
  await eventually("it is there", () => bodies.includes("silence"));
  server.cut();
  await unanswered;
  await sendSurely(outlet, outgoing("again"));
  assert.deepEqual(bodies, ["good", "bad", "silence", "again"]);
  await outlet.stop();
});

test("the source answers after the outcome, gets a message again over the next connection, and gives back what waits at its stop", {
  timeout: 20_000,
}, async () => {
  const heard: string[] = [];
  const line = (id: string): string => `${id} ${Buffer.from(`body of ${id}`).toString("base64")}`;
  const server = await lineServer((text, write) => {
    heard.push(text);
    if (text.startsWith("take")) write(line("1"));
  });
  const gateway = new PretendedGateway();
  gateway.answer = gateway.hold;
  const { source } = await startSource(lineSource, { port: server.port, prefetch: 4 }, 2, gateway);
  await eventually("a message", () => gateway.received.length === 1);
  assert.deepEqual(heard, ["take 2"]);
  assert.deepEqual(gateway.texts(), ["body of 1"]);

  server.cut();
  await eventually("it comes again", () => gateway.received.length === 2);
  gateway.release(1); // the outcome of the lost connection, over which nothing can be acknowledged
  gateway.release(1);
  await eventually("an answer", () => heard.length === 3);
  assert.deepEqual(heard, ["take 2", "take 2", "ok 1"]);

  server.write(line("2"));
  server.write(line("3"));
  server.write(line("4"));
  await eventually("two messages with the gateway", () => gateway.received.length === 4);
  const stopped = source.stop();
  await eventually("the one that waits is given back", () => heard.includes("back 4"));
  gateway.release();
  await stopped;
  await eventually("the others are answered", () => heard.length === 6);
  assert.deepEqual(heard.slice(3), ["back 4", "ok 2", "ok 3"]);
  assert.equal(source.health().ready, false);
});
