/** A server that lies: it lists without end, gives names that no file can have, reads byte by byte, or says nothing. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import type { SFTPWrapper } from "ssh2";
import { ManualClock } from "../../gateway/testing/manual-clock.ts";
import { sftpLimits } from "./limits.ts";
import { Remote } from "./remote.ts";

type Done = (error: Error | null | undefined, value?: unknown) => void;

const attrs = { isFile: () => true, isDirectory: () => false, size: 1, mtime: 1 };
const ended = Object.assign(new Error("end of file"), { code: 1 });

/** `readdir`: names of the next answer, undefined at the end. */
function remoteOf(more: { readdir?: () => readonly string[] | undefined; read?: () => number | undefined }) {
  const sftp = {
    opendir: (_path: string, done: Done) => done(null, Buffer.from("h")),
    open: (_path: string, _flags: string, done: Done) => done(null, Buffer.from("h")),
    close: (_handle: Buffer, done: Done) => done(null),
    readdir(_handle: Buffer, done: Done): void {
      const names = more.readdir?.();
      setImmediate(() =>
        names === undefined
          ? done(ended)
          : done(
              null,
              names.map((filename) => ({ filename, attrs })),
            ),
      );
    },
    read(_handle: Buffer, _to: Buffer, _at: number, _length: number, _position: number, done: Done): void {
      const count = more.read?.();
      if (count !== undefined) setImmediate(() => done(null, count));
    },
  };
  const clock = new ManualClock();
  const silences: string[] = [];
  const remote = new Remote(sftp as unknown as SFTPWrapper, clock, (error) => {
    silences.push(error.message);
    remote.lost();
  });
  return { remote, clock, silences };
}

test("a listing without end is ended, whether its entries are unwanted or its answers empty; what was wanted comes first", async () => {
  for (const names of [Array.from({ length: 10_000 }, (_, at) => `unwanted-${at}`), []]) {
    const { remote } = remoteOf({ readdir: () => names });
    await rejects(
      remote.list("/in", () => false),
      { code: "MF_SFTP_LISTING" },
    );
  }
  const { remote } = remoteOf({ readdir: () => Array.from({ length: 50_000 }, (_, at) => (at === 7 ? "wanted" : "other")) });
  const found = await remote.list("/in", ({ name }) => name === "wanted");
  equal(found.length, sftpLimits.entriesPerLook / 50_000);
});

test("a name that no file can have is no file, and is cut", async () => {
  const answers = [["a", "b".repeat(200_000)], undefined];
  const { remote } = remoteOf({ readdir: () => answers.shift() });
  const found = await remote.list("/in");
  deepEqual(
    found.map(({ name, kind }) => [name.length, kind]),
    [
      [1, "file"],
      [sftpLimits.nameCharacters + 1, "other"],
    ],
  );
});

test("a server that reads byte by byte is given up, and so is one that says nothing", async () => {
  const whole = async (remote: Remote): Promise<void> => {
    for await (const _ of remote.read("/in/a", 30_000, () => true));
  };
  const slow = remoteOf({ read: () => 1 });
  await rejects(whole(slow.remote), /64 answers/);
  equal(slow.clock.waiting, 0);
  const { remote, clock, silences } = remoteOf({});
  const reading = rejects(whole(remote), { code: "MF_CONNECTION_LOST" });
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(sftpLimits.answerMs);
  await reading;
  equal(silences.length, 1);
  ok(remote.closed);
  equal(clock.waiting, 0);
});
