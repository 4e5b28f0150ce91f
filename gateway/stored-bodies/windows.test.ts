/** Pieces of stored bodies: what was staged, in any order; a body that is damaged, cut or gone gives none. */
import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { hardLimits } from "#abi";
import { BodyStore } from "./store.ts";
import { WindowEvent, withoutWindow } from "./window-event.ts";

const folder = await mkdtemp(join(tmpdir(), "mayfly-windows-"));
after(() => rm(folder, { recursive: true }));

const body = Buffer.from(Array.from({ length: 700_000 }, (_, i) => (i * 7919) >> 5));
const pieces = async function* (): AsyncGenerator<Uint8Array> {
  yield body;
};

test("pieces are those of the body, to its end, and again for a machine that is run again", async () => {
  const store = new BodyStore(folder);
  const staged = await store.stage(pieces());
  for (const offset of [0, 262_144, 5, 699_999]) {
    const expected = body.subarray(offset, offset + hardLimits.windowBytes);
    deepEqual(Buffer.from(await store.window(staged, offset)), expected);
    deepEqual(Buffer.from(store.windowNow(staged.id, { sha256: "", offset, bytes: expected.length })), expected);
  }
});

test("a later process checks a body as a whole before it gives its first piece", async () => {
  const { id, bytes, sha256 } = await new BodyStore(folder).stage(pieces());
  const file = join(folder, id);
  const later = new BodyStore(folder);
  equal((await later.window({ id, bytes, sha256 }, 0)).length, hardLimits.windowBytes);
  const damaged = await readFile(file);
  damaged[699_000] = (damaged[699_000] ?? 0) ^ 1;
  await writeFile(file, damaged);
  await rejects(new BodyStore(folder).window({ id, bytes, sha256 }, 0), { code: "MF_CLAIM_DAMAGED" });
  await truncate(file, 699_999);
  await rejects(later.window({ id, bytes, sha256 }, 0), { code: "MF_CLAIM_DAMAGED" });
  await rejects(later.window({ id, bytes, sha256 }, 262_144), { code: "MF_CLAIM_DAMAGED" });
  throws(() => later.windowNow(id, { sha256, offset: 699_990, bytes: 10 }), { code: "MF_CLAIM_DAMAGED" });
  await rm(file);
  await rejects(later.window({ id, bytes, sha256 }, 0), { code: "MF_CLAIM_MISSING" });
});

test("a window's event has its bytes until it is released, then reads them again, and is kept without them", () => {
  const window = { sha256: "0".repeat(64), offset: 3, bytes: 2 };
  const plain = {
    kind: "resolve",
    timeMs: 1,
    call: 2,
    error: undefined,
    status: 200,
    headersJson: "{}",
    body: Uint8Array.of(7, 8),
    window,
  } as const;
  const reads: unknown[] = [];
  const event = new WindowEvent(plain, (which) => (reads.push(which), Uint8Array.of(9)), plain.body);
  deepEqual([event.body, reads], [plain.body, []]);
  deepEqual(withoutWindow(event), { ...plain, body: new Uint8Array(0) });
  event.release();
  deepEqual([event.body, reads], [Uint8Array.of(9), [window]]);
  equal(withoutWindow(plain), plain);
});
