/** docs/PROCESS.md lists the system calls of the filter and shows how to speak to an executable by hand: both are kept true here. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { buildImage, linuxExecutable } from "#image";
import { platformFault } from "./process.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const text = readFileSync(join(root, "docs", "PROCESS.md"), "utf8");

/** rtSigreturn → rt_sigreturn */
const callName = (name: string): string => (name === "pread" ? "pread64" : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));

test("the system calls that are listed are those of the filter", () => {
  const source = readFileSync(join(root, "kernel", "platform-linux", "lockdown.ts"), "utf8");
  const allowed = [...source.matchAll(/beginRule\(Call\.(\w+)\)/g)].map(([, name]) => callName(name as string));
  const listed = [...text.matchAll(/^\| `(\w+)` \| /gm)].map(([, name]) => name as string);
  ok(allowed.length > 5);
  deepEqual(listed.sort(), allowed.sort());
});

test("the example works as it stands", { skip: platformFault()?.message ?? false }, async () => {
  const script = /<!-- example -->\n```js\n([\s\S]*?)```/.exec(text)?.[1];
  ok(script !== undefined);
  const folder = mkdtempSync(join(tmpdir(), "mayfly-process-doc-"));
  try {
    const { image } = await buildImage(join(root, "examples", "orders", "flows", "orders.ts"), { check: false });
    const file = join(folder, "orders.elf");
    writeFileSync(file, linuxExecutable(image), { mode: 0o755 });
    const input = script.replace("./orders.elf", file);
    const run = spawnSync(process.execPath, ["--input-type=module"], { input, cwd: root, encoding: "utf8", timeout: 60_000 });
    equal(run.status, 0, run.stderr);
    match(run.stdout, /kind: 'log',[\s\S]*kind: 'call'/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
