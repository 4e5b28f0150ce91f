/** `mayfly explore` as its users run it: schedules a second of three orders to the saga example, and how soon the fault planted in its `faulty/` is told. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type Row, say } from "./rows.ts";

const suite = "explore";
const root = fileURLToPath(new URL("../../", import.meta.url));
const command = fileURLToPath(new URL("../../scripts/mayfly.mjs", import.meta.url));
const foundExit = 1;

interface Report {
  readonly schedules: number;
  readonly perSecond: number;
  readonly violations: readonly unknown[];
}

async function explore(file: string, seconds: number): Promise<{ report: Report; exit: number; seconds: number }> {
  const started = performance.now();
  const child = spawn(process.execPath, [command, "explore", file, "--seconds", `${seconds}`, "--json"], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => (text += more));
  const [exit] = await once(child, "close");
  return { report: JSON.parse(text), exit, seconds: (performance.now() - started) / 1000 };
}

export async function exploreRows(quick: boolean): Promise<Row[]> {
  say("exploring the saga");
  const { report } = await explore("bench/flows/three-orders.explore.ts", quick ? 5 : 30);
  const faulty = await explore("examples/saga/faulty/saga.ts", 60);
  const found = faulty.exit === foundExit && faulty.report.violations.length > 0;
  return [
    {
      suite,
      name: "three orders to the saga: schedules tried",
      value: report.perSecond,
      unit: "/s",
      aim: "≥ 20,000/s on one core",
      met: report.perSecond >= 20_000,
    },
    {
      suite,
      name: "the planted fault: found, shrunk and told, from the command's start",
      value: found ? faulty.seconds : Number.NaN,
      unit: "s",
      aim: "< 5 s",
      met: found && faulty.seconds < 5,
    },
  ];
}
