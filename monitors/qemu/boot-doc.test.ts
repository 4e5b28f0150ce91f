/** docs/BOOT.md says how much runs before the first message and shows an example: both are kept true here. `UPDATE=1` writes the counts. */
import { equal, match, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { writePvh } from "#image";
import { bootConsole } from "./console.ts";
import { guestExit } from "./exit-codes.ts";
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

/** Files of the drivers that one of them imports, itself included. */
function importedFrom(path: string, found = new Set<string>()): Set<string> {
  if (found.has(path)) return found;
  found.add(path);
  for (const [, name] of readFileSync(path, "utf8").matchAll(/from "(\.[^"]+)";/g)) importedFrom(join(path, "..", `${name}.ts`), found);
  return found;
}

test("the lines that run before the first message are counted", () => {
  const files = [...importedFrom(join(root, "kernel", "drivers", "main.ts")), join(root, "compiler", "runtime", "pvh.ts")];
  const total = files.map((path) => readFileSync(path, "utf8").split("\n").length - 1).reduce((sum, value) => sum + value, 0);
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

/** The commands of BOOT.md's examples, in order. */
function commands(): string[] {
  const blocks = [...readFileSync(file, "utf8").matchAll(/<!-- example -->\n```sh\n([\s\S]*?)```/g)];
  return blocks.flatMap(([, text]) => (text as string).trim().split("\n"));
}

/** A line as the document prints it, each `…` standing for anything. */
function pattern(line: string): RegExp {
  const parts = line.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "m");
}

test("the example works as it is printed, and prints what is printed", skip, () => {
  const folder = mkdtempSync(join(tmpdir(), "mayfly-boot-doc-"));
  try {
    cpSync(join(root, "examples", "orders"), join(folder, "examples", "orders"), { recursive: true });
    const outputs = commands().map((command) => {
      const [npx, mayfly, ...values] = command.split(" ");
      equal(`${npx} ${mayfly}`, "npx mayfly");
      const run = spawnSync(process.execPath, [join(root, "scripts", "mayfly.mjs"), ...values], {
        cwd: folder,
        encoding: "utf8",
        timeout: 60_000,
      });
      equal(run.status, 0, `${command}: ${run.stderr}`);
      return run.stdout + run.stderr;
    });
    equal(outputs.length, 3);
    const shown = /<!-- output -->\n```\n([\s\S]*?)```/.exec(readFileSync(file, "utf8"))?.[1];
    ok(shown !== undefined);
    const clocks = /by the local APIC's timer|as KVM tells/;
    for (const line of shown.trim().split("\n")) match((outputs[1] as string).replace(clocks, "by the local APIC's timer"), pattern(line));
    match(outputs[2] as string, /accepted/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("the exit statuses are those of the drivers", () => {
  const text = readFileSync(file, "utf8");
  const { exception, trap, ...codes } = guestExit;
  const status = (code: number): number => 2 * code + 1;
  for (const code of Object.values(codes)) match(text, new RegExp(`^\\| ${status(code)} \\|`, "m"));
  for (const base of [exception, trap]) match(text, new RegExp(`^\\| ${status(base)} \\+ 2 ×`, "m"));
  const power = readFileSync(join(root, "kernel", "drivers", "power.ts"), "utf8");
  for (const [name, code] of Object.entries(guestExit)) {
    const found = new RegExp(`const exit${name}: u32 = (\\S+);`, "i").exec(power);
    equal(Number(found?.[1]), code, name);
  }
});
