/** docs/BOOT.md says how much runs before the first message and shows an example: both are kept true here. `UPDATE=1` writes the counts. */
import { equal, match, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { writePvh } from "#image";
import { bootConsole } from "./console.ts";
import { ordersImage, qemuMissing } from "./testing/guests.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const file = join(root, "docs", "BOOT.md");
const missing = qemuMissing();
const skip = missing === undefined ? {} : { skip: missing };

function count(name: string): number {
  const found = new RegExp(`<!-- count:${name} -->([\\d,]+)<!-- /count -->`).exec(readFileSync(file, "utf8"));
  ok(found !== null, `BOOT.md counts ${name}`);
  return Number((found[1] as string).replaceAll(",", ""));
}

function keep(name: string, value: number): void {
  if (process.env["UPDATE"] !== "1") return;
  const pattern = new RegExp(`(<!-- count:${name} -->)[\\d,]+(<!-- /count -->)`);
  writeFileSync(file, readFileSync(file, "utf8").replace(pattern, `$1${value.toLocaleString("en")}$2`));
}

test("the lines that run before the first message are counted", () => {
  const drivers = join(root, "kernel", "drivers");
  const files = readdirSync(drivers)
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(drivers, name));
  const lines = [...files, join(root, "compiler", "runtime", "pvh.ts")].map((path) => readFileSync(path, "utf8").split("\n").length - 1);
  const total = lines.reduce((sum, value) => sum + value, 0);
  keep("lines", total);
  equal(count("lines"), total, "run the test with UPDATE=1");
});

test("the instructions that run before the first message are counted", skip, async () => {
  // With -icount each instruction takes a nanosecond, and the time stamp counter counts those.
  const end = await bootConsole(writePvh(await ordersImage()), { options: ["-icount", "shift=0,sleep=off"] });
  ok(end.bootTicks !== undefined, end.console);
  const measured = Number(end.bootTicks);
  keep("instructions", measured);
  // The compiler gets better and images differ by some pages: a tenth either way is still the same statement.
  ok(Math.abs(count("instructions") - measured) <= measured / 10, `${measured} instructions were counted: run the test with UPDATE=1`);
});

test("the example works as it stands", skip, () => {
  const text = readFileSync(file, "utf8");
  const script = /<!-- example -->\n```js\n([\s\S]*?)```/.exec(text)?.[1];
  ok(script !== undefined);
  const run = spawnSync(process.execPath, ["--input-type=module"], { input: script, cwd: root, encoding: "utf8", timeout: 60_000 });
  rmSync(join(root, "orders.elf"), { force: true });
  equal(run.status, 0, run.stderr);
  match(run.stdout, /mayfly: memory map/);
  match(run.stdout, /^log order received$/m);
  match(run.stdout, /^call erp$/m);
  match(run.stdout, /the guest ended as it was told; ready after \d+ µs in the guest/);
});
