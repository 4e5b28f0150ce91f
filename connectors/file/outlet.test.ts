/** Files that are written, on a real disk. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { utf8 } from "../../gateway/testing/scripted.ts";
import { fileOutlet, type FileOutletConfig } from "./outlet.ts";
import { attempt, message } from "../testing/messages.ts";
import { testContext, withFolder } from "../testing/rig.ts";

const fileSettings: FileOutletConfig = { dir: "out", name: "{date}/{id}.json", append: false, sync: true, mode: "0600" };

test("a file is written whole under its template's name; a second attempt replaces it; nothing is left over", async () => {
  await withFolder(async (dir) => {
    const outlet = fileOutlet.create(fileSettings as never, testContext(16, dir));
    await outlet.send(message, attempt);
    await outlet.send({ ...message, body: utf8("again") }, { ...attempt, attempt: 2 });
    deepEqual(await readdir(join(dir, "out/2026-11-23")), ["m1-7-0.json"]);
    equal(await readFile(join(dir, "out/2026-11-23/m1-7-0.json"), "utf8"), "again");
  });
});

test("appended sends are lines", async () => {
  await withFolder(async (dir) => {
    const outlet = fileOutlet.create({ ...fileSettings, name: "{flow}.jsonl", append: true } as never, testContext(16, dir));
    await outlet.send(message, attempt);
    await outlet.send({ ...message, body: utf8("with its own\n") }, attempt);
    equal(await readFile(join(dir, "out/orders.jsonl"), "utf8"), "hello\nwith its own\n");
  });
});

test("a folder that can't be written to is a retryable error, and shows in health until it works again", async () => {
  await withFolder(async (dir) => {
    await writeFile(join(dir, "out"), "a file where the folder should be");
    const outlet = fileOutlet.create(fileSettings as never, testContext(16, dir));
    await rejects(outlet.send(message, attempt), { code: "MF_FILE_WRITE", retryable: true });
    equal(outlet.health().ready, false);
    await rm(join(dir, "out"));
    await outlet.send(message, attempt);
    equal(outlet.health().ready, true);
  });
});

test("files are for their owner only, or as mode says, whatever the umask", async () => {
  const before = process.umask(0);
  try {
    for (const [mode, umask, file, folder] of [
      ["0600", 0, 0o600, 0o700],
      ["0640", 0o077, 0o640, 0o750],
    ] as const) {
      // biome-ignore format: a table
      process.umask(umask);
      for (const append of [false, true])
        await withFolder(async (dir) => {
          const outlet = fileOutlet.create({ ...fileSettings, mode, append, name: "{date}/{id}" }, testContext(16, dir));
          await outlet.send(message, attempt);
          const [day = ""] = await readdir(join(dir, "out"));
          const [name = ""] = await readdir(join(dir, "out", day));
          const bits = async (...path: string[]): Promise<number> => (await stat(join(dir, "out", ...path))).mode & 0o777;
          deepEqual([await bits(day, name), await bits(day), await bits()], [file, folder, folder], `${mode} ${append}`);
        });
    }
  } finally {
    process.umask(before);
  }
});

test("a structured CloudEvent is the file's content", async () => {
  await withFolder(async (dir) => {
    const outlet = fileOutlet.create({ ...fileSettings, name: "event.json", cloudevents: { mode: "structured" } }, testContext(16, dir));
    await outlet.send({ ...message, contentType: "application/json", body: utf8('{"a":1.0}') }, attempt);
    const written = JSON.parse(await readFile(join(dir, "out/event.json"), "utf8")) as Record<string, unknown>;
    deepEqual([written["specversion"], written["id"], written["data"]], ["1.0", "orders/m1/7/0", { a: 1 }]);
  });
});
