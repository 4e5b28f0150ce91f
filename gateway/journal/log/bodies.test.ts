/** Bodies that are read back from files that a checkpoint, or somebody else, has removed. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { Bodies } from "./bodies.ts";
import { type Disk, realDisk } from "./disk.ts";
import { logLimits, readings } from "./limits.ts";

const limits = { ...logLimits, smallBodyBytes: 0, bodyMemoryBytes: 0 };
const body = Buffer.from("a body that is not in memory");

/** Runs with a disk of which each open of `segment` goes through `opened` first, and the kept body. */
async function withBody(opened: (bodies: Bodies, view: Uint8Array) => void, run: (bodies: Bodies, view: Uint8Array) => Promise<void>) {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-bodies-"));
  const real = realDisk(dir);
  const disk: Disk = {
    ...real,
    open: (name) => {
      if (name === "segment") opened(bodies, view);
      return real.open(name);
    },
  };
  const bodies = new Bodies(disk, limits);
  const view = bodies.keep(body, "segment", 0);
  try {
    await writeFile(join(dir, "checkpoint"), body);
    await run(bodies, view);
  } finally {
    bodies.close();
    await rm(dir, { recursive: true, force: true });
  }
}

const inCheckpoint = { file: "checkpoint", offset: 0, length: body.length, crc: crc32(body), blob: false };

test("a body whose file is missing is an error, at once", { timeout: 20_000 }, async () => {
  let opens = 0;
  await withBody(
    () => void opens++,
    async (bodies, view) => {
      equal(view.length, 0);
      await rejects(bodies.load(view), { code: "MF_JOURNAL_CORRUPT", message: /^segment is damaged.*the file is gone/ });
    },
  );
  equal(opens, 1);
});

test("a body that a checkpoint moves during the read is read from the checkpoint", { timeout: 20_000 }, () =>
  withBody(
    (bodies, view) => bodies.move(view, inCheckpoint),
    async (bodies, view) => deepEqual(await bodies.load(view), body),
  ),
);

test("a body that moves at every read is given up after a bounded number of them", { timeout: 20_000 }, async () => {
  let opens = 0;
  await withBody(
    (bodies, view) => {
      opens += 1;
      bodies.move(view, { ...inCheckpoint, file: "segment" });
    },
    async (bodies, view) => {
      await rejects(bodies.load(view), { code: "MF_JOURNAL_CORRUPT" });
    },
  );
  equal(opens, readings);
});
