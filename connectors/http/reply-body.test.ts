/** Long replies to readers that stall: over real connections, with a clock of our own. */
import { deepEqual, equal } from "node:assert/strict";
import { createServer, get, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { gatewayMemory } from "../../gateway/memory/budget.ts";
import { ManualClock } from "../../gateway/testing/manual-clock.ts";
import { sendBody } from "./reply-body.ts";
import { eventually } from "../testing/rig.ts";

const mib = 2 ** 20;

/** Replies to a request with `body`; the reader reads nothing unless the test does. */
async function reply(
  test_: TestContext,
  body: Uint8Array,
  memory = gatewayMemory(),
): Promise<{ response: ServerResponse; answer: IncomingMessage }> {
  let response: ServerResponse | undefined;
  const server = createServer((_request, given) => {
    response = given;
    given.writeHead(200, { "content-length": body.length });
    sendBody(given, body, memory.replies);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  test_.after(() => server.close());
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ port: (server.address() as AddressInfo).port, agent: false }, resolve).on("error", reject);
  });
  answer.on("error", () => undefined);
  return { response: response as ServerResponse, answer };
}

test("a long reply arrives whole, and counts in the memory budget until its reader has it", async (test_) => {
  const memory = gatewayMemory();
  const body = Buffer.alloc(24 * mib, "0123456789abcdef\n");
  const { answer } = await reply(test_, body, memory);
  equal(memory.replies.takenBytes, body.length);
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  equal(Buffer.concat(chunks).equals(body), true);
  await eventually("all is given back", () => memory.replies.takenBytes === 0);
});

test("a reader that stalls is cut off when others need the memory, which it gives back once", async (test_) => {
  const clock = new ManualClock();
  const memory = gatewayMemory(160 * mib, clock);
  const body = Buffer.alloc(24 * mib);
  const { response, answer } = await reply(test_, body, memory);
  equal(memory.replies.tryTake(16 * mib), false, "it has not stalled for long");
  clock.advance(1_000);
  equal(memory.replies.tryTake(16 * mib), true);
  await eventually("it is cut off", () => response.closed);
  deepEqual([response.destroyed, memory.replies.takenBytes], [true, 16 * mib]);
  answer.destroy();
});
