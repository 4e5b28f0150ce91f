/**
 * The peak memory of `mayfly serve` in a control group of 400 MB under every way to fill it: the attacks of
 * test/attacks/memory-is-bounded.test.ts, which pass when the gateway stands and another flow is answered meanwhile.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Row } from "./rows.ts";

const attacks = fileURLToPath(new URL("../test/attacks/memory-is-bounded.test.js", import.meta.url));
const mostMb = 400;
/** A test's result, and what it says of itself. */
const result = /^(ok|not ok) \d+ - (.+?)(?: # SKIP (.*))?$/;
const peak = /^# peak (\d+) MB/;

export async function memoryRows(): Promise<Row[]> {
  const child = spawn(process.execPath, ["--test", "--test-reporter=tap", attacks], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => (text += more));
  await once(child, "close");
  const rows: Row[] = [];
  for (const line of text.split("\n")) {
    const [, status, attack, skipped] = result.exec(line) ?? [];
    const row = { suite: "memory", unit: "MB", aim: `at most ${mostMb} MB, and another flow answers` };
    if (attack !== undefined)
      rows.push({ ...row, name: attack, value: Number.NaN, met: status === "ok", ...(skipped === undefined ? {} : { skipped }) });
    const value = Number(peak.exec(line)?.[1] ?? Number.NaN);
    const last = rows.pop();
    if (last !== undefined) rows.push(Number.isNaN(value) ? last : { ...last, value });
  }
  return rows;
}
