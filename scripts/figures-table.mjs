// Rows of the bench as tables of a document. Pure: `figures.mjs` measures, reads and writes.

const begin = "<!-- figures: written by `npm run figures` -->";
const end = "<!-- end of figures -->";

/** Rows of README.md: of a suite, those whose name matches. docs/PERFORMANCE.md shows all. */
const chosen = [
  ["start", /through the monitor and back, p50|beside a fresh/],
  ["peers-http", /./],
  ["tail", /p99 at/],
  ["durable", /./],
  ["growth", /100 KB|1024 KB|two workers/],
  ["density", /./],
  ["backtest", /^recorded messages through/],
  ["history", /everything recorded$/],
  ["compiler", /backend$/],
  ["process", /over \/bin\/true/],
  ["qemu", /first reply, p50/],
  ["image", /warm/],
];

function isChosen({ suite, name }) {
  return chosen.some(([from, pattern]) => from === suite && pattern.test(name));
}

export function figure(value) {
  if (value === null || Number.isNaN(value)) return "–";
  return value >= 1000 ? Math.round(value).toLocaleString("en") : value >= 10 ? value.toFixed(1) : String(Number(value.toPrecision(3)));
}

const middle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

const keyOf = ({ suite, name, beside }) => [suite, name, beside?.name].join("|");

/** One row of several runs' same rows: medians, and the least and greatest ratio. An aim is met if most runs met it. */
function joined(rows) {
  const [first] = rows;
  const measured = rows.filter(({ skipped }) => skipped === undefined);
  if (measured.length === 0) return first;
  const ratios = measured.flatMap(({ ratio }) => (Number.isFinite(ratio) ? [ratio] : []));
  return {
    ...measured[0],
    value: middle(measured.map(({ value }) => value)),
    ...(first.beside === undefined
      ? {}
      : { beside: { name: first.beside.name, value: middle(measured.map(({ beside }) => beside.value)) } }),
    ...(ratios.length === 0 ? {} : { ratio: middle(ratios), ratios: [Math.min(...ratios), Math.max(...ratios)] }),
    ...(first.aim === undefined ? {} : { met: measured.filter(({ met }) => met).length * 2 > measured.length }),
  };
}

/** The rows of several runs of the bench as one. */
export function joinRuns(runs) {
  const rows = new Map();
  for (const row of runs.flat()) rows.set(keyOf(row), [...(rows.get(keyOf(row)) ?? []), row]);
  return [...rows.values()].map(joined);
}

function line({ suite, name, value, unit, beside, ratio, ratios, aim, met, skipped }) {
  const cells = [suite, name];
  if (skipped !== undefined) cells.push(`not measured: ${skipped}`, "", "", "");
  else {
    cells.push(`${figure(value)} ${unit}`, beside === undefined ? "" : `${beside.name}: ${figure(beside.value)} ${unit}`);
    const spread = ratios === undefined || ratios[0] === ratios[1] ? "" : ` (${figure(ratios[0])} to ${figure(ratios[1])})`;
    cells.push(!Number.isFinite(ratio) ? "" : `${figure(ratio)}×${spread}`, aim === undefined ? "" : `${aim}: ${met ? "met" : "missed"}`);
  }
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function table({ node, date, machine, runs, rows }) {
  return [
    `Measured on ${date} with Node ${node} on ${machine}; medians of ${runs} run${runs === 1 ? "" : "s"}, ratios from the least to the greatest. A ratio above 1 is better than the peer.`,
    "",
    "| suite | what | here | beside | ratio | aim |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows.map(line),
  ].join("\n");
}

/** The document with its block of figures written anew. `all`: of every Node and with every row. */
export function withFigures(text, measured, all) {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`the document has no block from ${begin} to ${end}`);
  const shown = all ? measured : measured.slice(0, 1).map((each) => ({ ...each, rows: each.rows.filter(isChosen) }));
  return `${text.slice(0, from)}${begin}\n${shown.map(table).join("\n\n")}\n${text.slice(to)}`;
}

/** The text around the block of figures. */
export function proseOf(text) {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  return from < 0 || to < from ? text : text.slice(0, from) + text.slice(to + end.length);
}

export const documents = [
  { path: "README.md", all: false },
  { path: "docs/PERFORMANCE.md", all: true },
];
