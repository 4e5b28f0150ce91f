/** HTTP requests a second and their tail beside servers of others with the same transform: all up at once, loaded in turn by the same client. */
import { beside, inTurn, noLoad, orReason, rate, servedBy, tail } from "./http.ts";
import {
  type Started,
  startBenthos,
  startCamel,
  startFastify,
  startFreshWorkerd,
  startHono,
  startNodeRed,
  startSharedWorkerd,
} from "./peer-servers.ts";
import { type Row, say } from "./rows.ts";

interface HttpPeer {
  readonly name: string;
  readonly start: () => Promise<Started>;
  /** Least share of requests a second. */
  readonly aim?: number;
  /** The peer's p99 is not to be shorter. */
  readonly tailAim?: boolean;
}

const peers: readonly HttpPeer[] = [
  { name: "Fastify, no isolation", start: startFastify },
  { name: "Hono on Node, no isolation", start: startHono },
  { name: "workerd, one isolate for all", start: startSharedWorkerd, aim: 2.5 },
  { name: "workerd, a fresh isolate for each", start: startFreshWorkerd, aim: 100 },
  { name: "Benthos, no isolation", start: startBenthos, aim: 1, tailAim: true },
  { name: "Camel, no isolation", start: startCamel, aim: 1, tailAim: true },
  { name: "Node-RED as installed", start: () => startNodeRed(true), aim: 5 },
  { name: "Node-RED without its editor", start: () => startNodeRed(false) },
  {
    name: "wasmtime with Javy's QuickJS",
    start: () => Promise.resolve("no package of a registry carries both programs: they are fetched from GitHub releases"),
  },
];

export async function peerRows(quick: boolean): Promise<Row[]> {
  const suite = "peers-http";
  say(`HTTP: mayfly, plain node:http and ${peers.map(({ name }) => name).join("; ")}`);
  const reasons = new Map<string, string>();
  const [mayfly, plain, ...others] = await inTurn(quick, [
    () => servedBy("reply"),
    () => servedBy("plain"),
    ...peers.map(({ name, start }) => orReason(reasons, name, start)),
  ]);
  if (mayfly === undefined || plain === undefined) return [{ suite, name: "requests a second", ...noLoad }];
  const all = [{ name: "plain node:http, no isolation", aim: undefined, tailAim: undefined }, ...peers];
  return all.flatMap(({ name, aim, tailAim }, index): Row[] => {
    const theirs = index === 0 ? plain : others[index - 1];
    if (theirs === undefined)
      return [{ suite, name: `beside ${name}`, value: Number.NaN, unit: "1/s", skipped: reasons.get(name) ?? noLoad.skipped }];
    const requests = beside(mayfly, name, theirs, ({ perSecond }) => perSecond, rate);
    const p99 = beside(mayfly, name, theirs, ({ p99Ms }) => p99Ms, tail);
    return [
      {
        suite,
        name: "requests a second, a fresh machine for each",
        unit: "1/s",
        ...requests,
        ...(aim === undefined ? {} : { aim: `≥ ${aim}×`, met: requests.ratio >= aim }),
      },
      { suite, name: "p99 under load", unit: "ms", ...p99, ...(tailAim === true ? { aim: "≥ 1×", met: p99.ratio >= 1 } : {}) },
    ];
  });
}
