import { deepEqual, equal, match } from "node:assert/strict";
import { copyFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot } from "#cli";
import { DeadLetters } from "#gateway";
import { type Downstream, downstream, eventually, type ServedExample, serveExample } from "./testing.ts";

let peer: Downstream;
let example: ServedExample;

before(async () => {
  peer = await downstream();
  example = await serveExample("csv-drop", { CRM_URL: `${peer.url}/customers` });
});
after(async () => {
  await example?.stop();
  await peer?.close();
});

test("the flow tests pass", async () => {
  const { code, out } = await capture(["test", join(packageRoot, "examples/csv-drop")]);
  equal(code, 0, out);
});

test("good rows reach the CRM, the bad one is kept whole with its reason, the file is put away", async () => {
  await copyFile(join(packageRoot, "examples/csv-drop/samples/customers.csv"), join(example.folder, "inbox/customers.csv"));
  const customers = (await peer.until("/customers", 2)) as { email: string }[];
  deepEqual(customers.map(({ email }) => email).sort(), ["ada@example.com", "linus@example.com"]);
  equal(peer.received[0]?.method, "PUT");

  const store = new DeadLetters(join(example.folder, "dead-letters"));
  const letter = await eventually("the dead letter", async () => {
    for await (const found of store.list("row")) return found;
    return undefined;
  });
  equal(letter.failure.code, "ROW_INVALID");
  match(letter.failure.message, /line 3: "grace\.at\.example\.com" is not an email address/);
  const body = (await store.read(letter.id))?.body ?? new Uint8Array(0);
  equal((JSON.parse(Buffer.from(body).toString()) as { name: string }).name, "Hopper");

  const done = await eventually("the file in done/", async () => {
    const [file] = await readdir(join(example.folder, "inbox/done"));
    return file;
  });
  match(done, /customers/);
});
