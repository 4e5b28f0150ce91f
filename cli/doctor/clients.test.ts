import { deepEqual, equal } from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "#cli";
import { clients, optionalClients } from "./clients.ts";

test("doctor knows every optional client, and the command that installs it", async () => {
  const { peerDependencies } = JSON.parse(await readFile(join(packageRoot, "package.json"), "utf8")) as {
    readonly peerDependencies: Readonly<Record<string, string>>;
  };
  const known = Object.values(optionalClients).map(([name, major]) => `${name}@${major}`);
  const peers = Object.entries(peerDependencies).map(([name, range]) => `${name}@${/\d+/.exec(range)?.[0]}`);
  deepEqual(known.sort(), peers.sort());
  const absent = Object.assign(new Error("no"), { code: "ERR_MODULE_NOT_FOUND" });
  const findings = await clients((name) => (name === "ssh2" ? Promise.reject(absent) : Promise.resolve()));
  deepEqual(
    findings.map(({ name, status }) => [name, status]),
    Object.keys(optionalClients).map((name) => [`Client for ${name}`, name === "sftp" ? "missing" : "ok"]),
  );
  equal(findings.find(({ status }) => status === "missing")?.remedy, "to use it: npm install ssh2@1");
});
