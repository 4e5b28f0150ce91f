/**
 * Latencies at fixed rates, beside a plain node:http handler at the same rates. A closed loop waits for its answers, so it does not ask while a
 * server stalls, and its p99 leaves the stall out; here each latency is counted from when its request was due.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { load, median, noLoad, servedBy, together } from "./http.ts";
import { buildForeign } from "./peer-servers.ts";
import { peersFolder } from "./peers.ts";
import { type Row, say } from "./rows.ts";
import { orderText } from "./start.ts";

/** Of the requests a second that a closed loop gets from Mayfly. */
const shares = [0.25, 0.5, 0.75];
const connections = 64;

interface Latencies {
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

function atRate(url: string, perSecond: number, seconds: number): Latencies {
  const { host, pathname } = new URL(url);
  const values = [host, pathname, perSecond.toFixed(0), String(seconds), String(connections)];
  const program = join(peersFolder, "open-loop", "open-loop");
  const { status, stdout, stderr } = spawnSync(program, values, { input: orderText, encoding: "utf8" });
  if (status !== 0) throw new Error(`the open loop ended with ${status}: ${stderr.trim()}`);
  const latencies = JSON.parse(stdout) as Latencies;
  if (latencies.failed > 0)
    throw new Error(`${url} answered ${latencies.failed} requests with an error at ${perSecond.toFixed(0)} a second`);
  return latencies;
}

const figures: readonly { readonly name: string; readonly of: (each: Latencies) => number; readonly most?: number }[] = [
  { name: "p50", of: ({ p50Ms }) => p50Ms },
  { name: "p99", of: ({ p99Ms }) => p99Ms, most: 2 },
  { name: "p99.9", of: ({ p999Ms }) => p999Ms, most: 4 },
];

export async function tailRows(quick: boolean): Promise<Row[]> {
  const suite = "tail";
  say("tail: mayfly and plain node:http at fixed rates");
  const failure = buildForeign("open-loop", "open-loop", [
    ["go", "mod", "init", "mayfly-bench/open-loop"],
    ["go", "build", "-o", "open-loop", "."],
  ]);
  if (failure !== undefined) return [{ suite, name: "latency at a fixed rate", value: Number.NaN, unit: "ms", skipped: failure }];
  const [rounds, seconds] = quick ? [3, 2] : [5, 6];
  const starts = [() => servedBy("reply"), () => servedBy("plain")];
  const measured = await together(starts, ([mayfly, plain]) => {
    if (mayfly === undefined || plain === undefined) return undefined;
    load(plain.url, seconds);
    load(mayfly.url, seconds);
    const capacity = load(mayfly.url, seconds)?.perSecond;
    if (capacity === undefined) return undefined;
    say(`rates: ${shares.map((share) => (share * capacity).toFixed(0)).join(", ")} requests a second`);
    return shares.map((share) => ({
      rounds: Array.from({ length: rounds }, () => ({
        ours: atRate(mayfly.url, share * capacity, seconds),
        theirs: atRate(plain.url, share * capacity, seconds),
      })),
    }));
  });
  if (measured === undefined) return [{ suite, name: "latency at a fixed rate", ...noLoad }];
  return measured.flatMap(({ rounds: each }, index) =>
    figures.map(({ name, of, most }): Row => {
      const ratio = median(each.map(({ ours, theirs }) => of(theirs) / of(ours)));
      return {
        suite,
        name: `${name} at ${100 * (shares[index] as number)} % of capacity`,
        value: median(each.map(({ ours }) => of(ours))),
        unit: "ms",
        beside: { name: "plain node:http at the same rate", value: median(each.map(({ theirs }) => of(theirs))) },
        ratio,
        ...(most === undefined ? {} : { aim: `≥ ${1 / most}×`, met: ratio >= 1 / most }),
      };
    }),
  );
}
