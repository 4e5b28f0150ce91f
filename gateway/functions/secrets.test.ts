/** Secrets at rest: encrypted under a key of mode 0600, bound to their place, and never written as they are. */
import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { realDisk } from "../journal/log/disk.ts";
import { RecordLog } from "./record-log.ts";
import { decrypt, encrypt, Secrets } from "./secrets.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-secrets-"));
});
after(() => rm(folder, { recursive: true, force: true }));

test("what is encrypted is opened with its key in its place, and nowhere else", () => {
  const key = new Uint8Array(32).fill(7);
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1 }), fc.nat(), fc.integer({ min: 0, max: 7 }), (value, at, bit) => {
      const sealed = encrypt(key, "s a/K", value);
      equal(decrypt(key, "s a/K", sealed), value);
      throws(() => decrypt(key, "s b/K", sealed));
      throws(() => decrypt(new Uint8Array(32).fill(8), "s a/K", sealed));
      const changed = Buffer.from(sealed, "base64");
      changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ (1 << bit);
      throws(() => decrypt(key, "s a/K", changed.toString("base64")));
    }),
  );
});

test("secrets are kept over a restart; the key's file is the user's alone, and without it the gateway does not start", async () => {
  const records = await RecordLog.open(realDisk(folder));
  const secrets = await Secrets.open(folder, records);
  await Promise.all([secrets.set("acme", "KEY", "hunter2-acme"), secrets.set("other", "KEY", "hunter2-other")]);
  await rejects(secrets.set("acme", "not a name", "x"), { code: "MF_SECRET_INVALID" });
  await rejects(secrets.set("acme", "BIG", "x".repeat(40_000)), { code: "MF_SECRET_INVALID" });
  await records.close();
  const file = join(folder, "secrets.key");
  equal((await stat(file)).mode & 0o777, 0o600);
  ok(!(await readFile(join(folder, "functions.log"), "utf8")).includes("hunter2"));
  const again = await RecordLog.open(realDisk(folder));
  const opened = await Secrets.open(folder, again);
  deepEqual([opened.list("acme"), opened.list("none")], [["KEY"], []]);
  deepEqual(opened.value("acme", "KEY"), { ok: true, value: "hunter2-acme" });
  deepEqual(opened.value("other", "KEY"), { ok: true, value: "hunter2-other" });
  equal(opened.value("acme", "NONE").ok, false);
  equal(await opened.remove("acme", "KEY"), true);
  equal(await opened.remove("acme", "KEY"), false);
  await writeFile(file, "damaged");
  await rejects(Secrets.open(folder, again), { code: "MF_SECRETS_KEY" });
  await rm(file);
  await rejects(Secrets.open(folder, again), { code: "MF_SECRETS_KEY" });
});
