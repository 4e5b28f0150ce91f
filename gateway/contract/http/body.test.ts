/** Bodies that unfold, and whose memory they take. */
import { deepEqual, equal } from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { gatewayMemory } from "../../memory/budget.ts";
import { gatewayLimits } from "../limits.ts";
import type { GatewayMemory } from "../memory.ts";
import { readBody } from "./body.ts";

/** A server that answers with the length of the body, or with the code of the problem. */
async function withReader(
  memory: GatewayMemory,
  limit: number,
  run: (send: (body: Uint8Array) => Promise<string>) => Promise<void>,
): Promise<void> {
  const server = createServer((request, response) =>
    readBody(request, { limit, memory }, (problem, body) => response.end(problem?.code ?? String(body.length))),
  );
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  try {
    await run(async (body) => (await fetch(url, { method: "POST", headers: { "content-encoding": "gzip" }, body: gzipSync(body) })).text());
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("what a short body unfolds to counts as long: it does not take the room that short ones have", async () => {
  const memory = gatewayMemory(2 ** 26);
  await withReader(memory, 2 ** 24, async (send) => {
    const long = new Uint8Array(4 * gatewayLimits.shortBodyBytes);
    equal(await send(long), String(long.length));
    const held = memory.uploads.roomBytes;
    memory.uploads.force(held);
    equal(await send(long), "MF_MEMORY_BUSY");
    equal(await send(new Uint8Array(1000)), "1000");
    memory.uploads.give(held);
    equal(await send(long), String(long.length));
    equal(await send(new Uint8Array(memory.uploads.largestBytes + 1)), "MF_BODY_LIMIT");
    deepEqual([memory.intake.takenBytes, memory.requests.takenBytes, memory.uploads.takenBytes], [0, 0, 0]);
  });
});
