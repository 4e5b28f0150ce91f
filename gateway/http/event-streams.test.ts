/** Event streams to readers that keep up and to one that does not. */
import { equal, match, ok } from "node:assert/strict";
import { createServer, get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { gatewayLimits } from "../contract/limits.ts";
import { until } from "../testing/rig.ts";
import { EventStreams } from "./event-streams.ts";

async function withStreams(run: (streams: EventStreams, url: string) => Promise<void>): Promise<void> {
  const streams = new EventStreams();
  const server = createServer((_request, response) => streams.open(response, () => [["first", { at: 1 }]]));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    await run(streams, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const listen = (url: string): Promise<IncomingMessage> => new Promise((done, failed) => get(url, done).on("error", failed));

test("a reader that does not keep up misses events, is told how many, and holds no more than its bound", async () => {
  await withStreams(async (streams, url) => {
    const slow = await listen(url);
    const piece = "x".repeat(gatewayLimits.eventStreamBytes / 4);
    let made = 0;
    for (let sent = 0; sent < 100; sent += 1) {
      streams.send("big", () => {
        made += 1;
        return piece;
      });
      await new Promise((resolve) => setImmediate(resolve));
    }
    equal(made, 100);
    let text = "";
    slow.on("data", (bytes: Buffer) => (text += bytes.toString()));
    await until(() => {
      streams.send("small", () => 1);
      return text.includes("event: missed\n");
    });
    match(text, /^retry: 2000\n\nevent: first\ndata: \{"at":1\}\n\n/);
    const missed = Number(/event: missed\ndata: \{"events":(\d+)\}/.exec(text)?.[1]);
    const got = text.match(/event: big\n/g)?.length ?? 0;
    ok(missed > 0 && got < 100, `${got} read, ${missed} missed`);
  });
});

test("nothing is made for nobody, a reader that leaves is forgotten, and what closes stays closed", async () => {
  await withStreams(async (streams, url) => {
    streams.send("x", () => {
      throw new Error("made for nobody");
    });
    const reader = await listen(url);
    equal(streams.size, 1);
    reader.destroy();
    await until(() => streams.size === 0);
    const last = await listen(url);
    let text = "";
    last.on("data", (bytes: Buffer) => (text += bytes.toString()));
    const ended = new Promise((resolve) => last.on("end", resolve));
    streams.close();
    await ended;
    match(text, /event: end\ndata: \{\}\n\n$/);
    equal((await listen(url)).statusCode, 503);
  });
});
