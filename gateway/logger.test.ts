/** Texts of senders and peers stay one line that moves nothing, however they are shown. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { printableLine } from "./logger.ts";

const module = pathToFileURL(join(fileURLToPath(new URL("../../", import.meta.url)), "dist", "gateway", "logger.js")).href;

/** All a logger of this format writes in a process of its own. */
function written(format: string, calls: string): string {
  const script = `const { createLogger } = await import(${JSON.stringify(module)}); const logger = createLogger({ log: { level: "info", format: "${format}" }, terminal: false });\n${calls}`;
  return spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }).stdout;
}

const hostile =
  "a\\x1b[2J\\x1b]0;t\\x07\\r\\n[12:00:00.000] INFO: forged\\x7f\\x9b1m\\u2028x\\u2029\\u202eevil\\u2066\\u200f\\b\\t\\0\\ufeff";
const everywhere = `
logger.info({ text: "${hostile}", "k\\x1by": "${hostile}", deep: { list: ["${hostile}"], "n\\nn": 1 }, stack: "Error\\n    at x\\x1b[1m" }, "${hostile}");
logger.child({ flow: "${hostile}" }).error({ err: { message: "${hostile}", stack: "${hostile}" } }, "${hostile}");
logger.warn({ error: "${hostile}", msg: "${hostile}" }, "plain");
`;
const controls = /[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;

test("the pretty log shows every control character and line end as an escape, in texts, names and nested values", () => {
  const shown = written("pretty", everywhere);
  equal(controls.exec(shown), null);
  equal(shown.split("\n").filter((line) => line !== "").length, 3, shown);
  equal(/^\[12:00:00\.000\] INFO: forged/m.test(shown), false);
  match(shown, /a\\u001b\[2J/);
});

test("a line of JSON stays JSON, and its own quotes and backslashes stay as they are", () => {
  const value = { a: 'q"\\ \\n \\u001b / é 😀', "b\n": ["\u001b", "\u009b", "\\\u2028"] };
  const line = printableLine(`${JSON.stringify(value)}\n`);
  ok(line.endsWith("}\n"));
  deepEqual(JSON.parse(line), { a: 'q"\\ \\n \\u001b / é 😀', "b\\n": ["\\u001b", "\\u009b", "\\\\u2028"] });
});

test("a line and each of its fields have a bound", () => {
  for (const format of ["json", "pretty"]) {
    const shown = written(format, 'logger.info({ text: "x".repeat(1e6), n: 1 }, "y".repeat(1e6)); logger.info({}, "after");');
    ok(shown.length < 20_000, `${format}: ${shown.length}`);
    match(shown, /\(1000000 characters\)/);
    match(shown, /after/);
  }
});
