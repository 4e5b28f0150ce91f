/** Files that are written to a folder of a file server whole, or as lines of one, and read by requests. */
import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { gatewayLimits } from "../../gateway/contract/limits.ts";
import type { OutletDefinition } from "../../gateway/contract/outlet.ts";
import type { FolderServer } from "./folder.case.ts";
import { attempt, message } from "./messages.ts";
import { Proxy } from "./proxy.ts";
import { attemptOf, eventually, outgoing, startOutlet, testContext, uniqueName } from "./rig.ts";

export interface FolderOutletCase {
  /** Of the connector. */
  readonly name: string;
  /** Error codes of the connector. */
  readonly codes: { readonly method: string; readonly name: string; readonly noFile: string; readonly write: string };
  /** The reason why the server can't be started. */
  readonly skip: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: configurations are checked against the schema
  readonly outlet: OutletDefinition<any>;
  /** Once, before all tests of the file. */
  open(): Promise<FolderServer>;
  /** The client's path of a folder below `files`. */
  pathOf(dir: string, server: FolderServer): string;
  /** A listing tells the exact times of its entries. */
  readonly listsTimes: boolean;
}

const asked = (path: string | undefined, method: string) => ({
  ...outgoing("", { headers: path === undefined ? {} : { ":path": path } }),
  method,
});
const jsonOf = ({ body }: { readonly body: Uint8Array }): unknown => JSON.parse(Buffer.from(body).toString());
const sha256 = (...pieces: Uint8Array[]): string => {
  const sum = createHash("sha256");
  for (const piece of pieces) sum.update(piece);
  return sum.digest("hex");
};

export function folderOutletCase({ name, codes, skip, outlet: definition, open, pathOf, listsTimes }: FolderOutletCase): void {
  let server: FolderServer;
  before(async () => {
    if (skip === undefined) server = await open();
  });
  after(async () => {
    if (skip === undefined) await server.broker.remove();
  });
  const newFolder = (): string => join(server.files, uniqueName("dir"));
  const start = (dir: string, more: object = {}) => startOutlet(definition, { ...server.login, dir: pathOf(dir, server), ...more });

  describe(`${name} outlet`, { skip, timeout: 120_000 }, () => {
    test("a file is written whole under its template's name; a second attempt replaces it; nothing is left over", async () => {
      const dir = newFolder();
      const { outlet } = await start(dir, { name: "{date}/{header:x-a}-{key}-{id}.json" });
      await outlet.send(message, attempt);
      await outlet.send({ ...message, body: Buffer.from("again") }, { ...attempt, attempt: 2 });
      const [written = "", ...more] = await readdir(join(dir, "2026-11-23"));
      deepEqual(more, []);
      equal(await readFile(join(dir, "2026-11-23", written), "utf8"), "again");
      deepEqual(await readdir(dir), ["2026-11-23"], "values of a message lead nowhere else");
      await outlet.send({ ...message, body: new Uint8Array(0) }, { ...attempt, attempt: 3 });
      equal(await readFile(join(dir, "2026-11-23", written), "utf8"), "");
      await outlet.stop();
    });

    test("many sends at once are written", async () => {
      const dir = newFolder();
      const { outlet } = await start(dir, { name: "{message}" });
      const ids = Array.from({ length: 24 }, (_, at) => `m${at}`);
      await Promise.all(ids.map((messageId) => outlet.send({ ...message, messageId, body: Buffer.from(messageId) }, attemptOf())));
      deepEqual((await readdir(dir)).sort(), [...ids].sort());
      for (const id of ids) equal(await readFile(join(dir, id), "utf8"), id);
      await outlet.stop();
    });

    test("a stored body is streamed; cut in its middle there is no half file, and the next attempt writes it", async () => {
      const dir = newFolder();
      const proxy = await Proxy.open(server.broker);
      const { outlet } = await start(dir, { port: proxy.port, name: "long" });
      equal(outlet.streams, true);
      const piece = Buffer.alloc(2 ** 20, "0123456789abcdef\n");
      const pieces = Array.from({ length: 24 }, () => piece);
      let cut = true;
      const stream = (): Readable =>
        Readable.from(
          (function* () {
            for (const [at, each] of pieces.entries()) {
              if (at === 12 && cut) proxy.cut();
              yield each;
            }
          })(),
        );
      const long = { ...message, body: new Uint8Array(), storedBody: { id: "x", bytes: 24 * 2 ** 20, sha256: "", open: stream } };
      await rejects(outlet.send(long, attemptOf()), { retryable: true });
      ok(!(await readdir(dir)).includes("long"));
      cut = false;
      await eventually("it is connected again", () => outlet.health().ready);
      await outlet.send(long, attemptOf());
      equal(sha256(await readFile(join(dir, "long"))), sha256(...pieces));
      await outlet.stop();
      await proxy.close();
    });

    test("appended sends are lines, whole ones, also after one that was cut short", async () => {
      const dir = newFolder();
      await mkdir(join(dir, "orders"), { recursive: true });
      await writeFile(join(dir, "orders/all.jsonl"), "cut sho");
      const { outlet } = await start(dir, { name: "{flow}/all.jsonl", append: true });
      const lines = Array.from({ length: 12 }, (_, at) => String(at % 10).repeat(100_000 + at));
      await Promise.all(lines.map((line) => outlet.send({ ...message, body: Buffer.from(line) }, attemptOf())));
      const written = (await readFile(join(dir, "orders/all.jsonl"), "utf8")).split("\n");
      deepEqual(written, ["cut sho", ...lines, ""]);
      await outlet.stop();
    });

    test("list, get and exists answer; no path leads out of the folder or into a command", async () => {
      const dir = newFolder();
      await mkdir(join(dir, "sub/inner"), { recursive: true });
      await writeFile(join(dir, "sub/a.csv"), "1,2\n");
      await writeFile(join(dir, "sub/.hidden"), "");
      await writeFile(join(dir, "empty"), "");
      await symlink("nowhere", join(dir, "sub/link"));
      await writeFile(join(dir, "big"), Buffer.alloc(gatewayLimits.answerBytes + 1));
      const { outlet } = await start(dir);
      const ask = (path: string | undefined, method: string) =>
        outlet.request?.(asked(path, method), attemptOf()) ?? Promise.reject(new Error());
      const entries = jsonOf(await ask("sub", "LIST")) as { name: string; kind: string; size: number; time?: string }[];
      deepEqual(
        entries.map((entry) => [entry.name, entry.kind]),
        [
          ["a.csv", "file"],
          ["inner", "folder"],
          ["link", "other"],
        ],
      );
      const isRecent = (time = ""): boolean => Math.abs(Date.parse(time) - Date.now()) < 3_600_000;
      deepEqual([entries[0]?.size, entries[0]?.time !== undefined, isRecent(entries[0]?.time)], [4, listsTimes, listsTimes]);
      equal((jsonOf(await ask(undefined, "list")) as unknown[]).length, 3);
      const got = await ask("sub/a.csv", "get");
      deepEqual([Buffer.from(got.body).toString(), got.contentType, got.headers["mayfly-file-size"]], ["1,2\n", "text/csv", "4"]);
      equal((await ask("empty", "get")).body.length, 0);
      deepEqual(jsonOf(await ask("sub/none", "exists")), { exists: false });
      equal((jsonOf(await ask("sub", "exists")) as { kind: string }).kind, "folder");
      const { time } = jsonOf(await ask("empty", "exists")) as { time?: string };
      ok(isRecent(time), time);
      for (const path of ["../x", "sub/../../x", "/etc/passwd", "a//b", "a\0", ".", "sub/.", ""])
        await rejects(ask(path, "get"), { code: "MF_PATH_REFUSED", retryable: false }, path);
      await rejects(ask("none", "get"), { code: codes.noFile, retryable: false });
      await rejects(ask("none", "list"), { code: codes.noFile, retryable: false });
      await rejects(ask("big", "get"), { code: "MF_ANSWER_LIMIT", retryable: false });
      await rejects(ask("empty", "put"), { code: codes.method, retryable: false });
      await outlet.stop();
    });

    test("what the server refuses is an error that is tried again", async () => {
      const dir = newFolder();
      const { outlet } = await start(dir, { name: "a/b" });
      await writeFile(join(dir, "a"), "a file where the folder should be");
      await rejects(outlet.send(message, attempt), { code: codes.write, retryable: true });
      await outlet.stop();
    });
  });

  test("a name that leads out of the folder is told at the start", () => {
    for (const wrong of ["../{id}", "/a", "{nonsense}"])
      throws(() => definition.create({ name: wrong }, testContext()), { code: codes.name });
  });
}
