/**
 * `npm run bench [-- SUITE…] [--quick] [--json]`: every figure in one run on one machine, beside named peers. A suite that a machine
 * can't run says why. Nothing is asserted here: a missed aim is printed as one.
 */
import { backtestRows } from "./backtest.ts";
import { clusterRows } from "./cluster.ts";
import { compilerRows } from "./compiler.ts";
import { densityRows } from "./density.ts";
import { embedRows } from "./embed.ts";
import { exploreRows } from "./explore.ts";
import { fairnessRows } from "./fairness.ts";
import { formatRows } from "./formats.ts";
import { growthRows } from "./growth.ts";
import { historyRows } from "./history.ts";
import { durableRows, httpRows, telemetryRows } from "./http.ts";
import { imageRows } from "./image.ts";
import { journalRows } from "./journal.ts";
import { kafkaRows } from "./kafka.ts";
import { memoryRows } from "./memory.ts";
import { peerRows } from "./peers-http.ts";
import { processRows } from "./process.ts";
import { qemuRows } from "./qemu.ts";
import { readingRows } from "./reading.ts";
import { besideRestateRows } from "./restate.ts";
import type { Row } from "./rows.ts";
import { sleepRows } from "./sleep.ts";
import { instructionRows } from "./instructions.ts";
import { linuxServiceRows } from "./linux-service.ts";
import { standaloneRows } from "./standalone.ts";
import { startRows } from "./start.ts";
import { stormRows } from "./storm.ts";
import { tailRows } from "./tail.ts";

const suites: Readonly<Record<string, (quick: boolean) => Promise<Row[]>>> = {
  start: startRows,
  embed: embedRows,
  http: httpRows,
  "peers-http": peerRows,
  tail: tailRows,
  durable: durableRows,
  telemetry: telemetryRows,
  history: historyRows,
  backtest: backtestRows,
  density: densityRows,
  image: imageRows,
  growth: growthRows,
  formats: formatRows,
  reading: readingRows,
  fairness: fairnessRows,
  memory: memoryRows,
  journal: journalRows,
  cluster: clusterRows,
  kafka: kafkaRows,
  sleep: async (quick) => [...(await sleepRows(quick)), ...(await besideRestateRows(quick))],
  storm: stormRows,
  explore: exploreRows,
  compiler: compilerRows,
  process: processRows,
  qemu: qemuRows,
  standalone: async (quick) => [...(await standaloneRows(quick)), ...(await linuxServiceRows(quick)), ...(await instructionRows())],
};

function figure(value: number): string {
  if (Number.isNaN(value)) return "–";
  return value >= 1000 ? Math.round(value).toLocaleString("en") : value >= 10 ? value.toFixed(1) : value.toPrecision(3);
}

function line(row: Row): string {
  if (row.skipped !== undefined) return `  ${row.name}: skipped, ${row.skipped}`;
  const beside = row.beside === undefined ? "" : `, ${row.beside.name}: ${figure(row.beside.value)} ${row.unit}`;
  const ratio = row.ratio === undefined ? "" : ` → ${row.ratio.toFixed(2)}×`;
  const aim = row.aim === undefined ? "" : `   [aim ${row.aim}: ${row.met === true ? "met" : "missed"}]`;
  return `  ${row.name}: ${figure(row.value)} ${row.unit}${beside}${ratio}${aim}`;
}

const usage = `npm run bench [-- SUITE…] [--quick] [--json]

  SUITE     ${Object.keys(suites).join(", ")} (default: all, about half an hour)
  --quick   shorter rounds: figures scatter more
  --json    the rows as JSON on standard output
`;

const values = process.argv.slice(2);
if (values.includes("--help") || values.includes("-h")) {
  process.stdout.write(usage);
  process.exit(0);
}
const flags = values.filter((value) => value.startsWith("-"));
const wrong = flags.find((flag) => flag !== "--quick" && flag !== "--json");
if (wrong !== undefined) {
  console.error(`bench: unknown option ${wrong}\n\n${usage}`);
  process.exit(2);
}
const asJson = flags.includes("--json");
const quick = flags.includes("--quick");
const chosen = values.filter((value) => !value.startsWith("-"));
const unknown = chosen.find((name) => suites[name] === undefined);
if (unknown !== undefined) {
  console.error(`bench: there is no suite "${unknown}": there are ${Object.keys(suites).join(", ")}`);
  process.exit(2);
}

const rows: Row[] = [];
for (const [name, run] of Object.entries(suites)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  if (!asJson) console.log(name);
  const found = await run(quick);
  rows.push(...found);
  if (!asJson) for (const row of found) console.log(line(row));
}
if (asJson) console.log(JSON.stringify({ node: process.version, platform: `${process.platform} ${process.arch}`, rows }, null, 2));
process.exit(0);
