import { deepEqual } from "node:assert/strict";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { test } from "node:test";
import { type DeadLetterFs, DeadLetters } from "./dead-letters.ts";

test("the first letter's folders are synced up to the one that was there before", async () => {
  const root = await fs.mkdtemp(join(tmpdir(), "mayfly-letters-"));
  try {
    const synced: string[] = [];
    const recording = {
      ...fs,
      open: async (path: string, flags: string) => {
        if (flags === "r") synced.push(relative(root, path));
        return fs.open(path, flags);
      },
    } as unknown as DeadLetterFs;
    const letters = new DeadLetters(join(root, "dead", "letters"), recording);
    const letter = {
      kind: "message",
      flow: "orders",
      messageId: "m1",
      source: "http",
      headers: {},
      contentType: "text/plain",
      receivedMs: 0,
      buriedMs: 1,
      failure: { origin: "flow", code: "MF_X", message: "no", retryable: false, status: 0 },
      attempts: [],
    } as unknown as Parameters<DeadLetters["put"]>[0];
    await letters.put(letter, new Uint8Array(1), "1");
    deepEqual(synced, ["dead/letters/orders", "dead/letters", "dead", ""]);
    await letters.put(letter, new Uint8Array(1), "2");
    deepEqual(synced.slice(4), ["dead/letters/orders"]);
  } finally {
    await fs.rm(root, { recursive: true, force: true });
  }
});
