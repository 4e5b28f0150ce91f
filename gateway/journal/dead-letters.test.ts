import { deepEqual, equal } from "node:assert/strict";
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

test("letters of messages and signals hold no credentials of their senders unless its flow keeps them; a send's headers are the flow's own", async () => {
  const root = await fs.mkdtemp(join(tmpdir(), "mayfly-letters-"));
  try {
    const letters = new DeadLetters(root, undefined, (flow) => flow === "keeps");
    const headers = { authorization: "Bearer secret", cookie: "a=secret", "proxy-authorization": "secret", "x-a": "b" };
    const put = async (flow: string, kind: string): Promise<string> => {
      const letter = {
        kind,
        flow,
        messageId: "m1",
        source: "http",
        headers,
        contentType: "",
        receivedMs: 0,
        buriedMs: 1,
        failure: {},
        attempts: [],
      };
      const id = await letters.put(letter as unknown as Parameters<DeadLetters["put"]>[0], new Uint8Array(1), kind);
      return fs.readFile(join(root, `${id}.json`), "utf8");
    };
    equal(/secret/.test(await put("orders", "message")), false);
    equal(/"x-a": "b"/.test(await put("orders", "message")), true);
    equal(/Bearer secret/.test(await put("orders", "send")), true);
    equal(/secret/.test(await put("orders", "signal")), false);
    for (const kind of ["message", "signal"]) equal(/Bearer secret/.test(await put("keeps", kind)), true);
  } finally {
    await fs.rm(root, { recursive: true, force: true });
  }
});
