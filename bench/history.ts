/** The price of recording everything, with and without in one run, and searches in a store of a million messages. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openHistory, writeHistory } from "#gateway";
import { beside, inTurn, noLoad, rate, type Rounds, servedBy, tail } from "./http.ts";
import { durations, type Row, say } from "./rows.ts";
import { deliverOrder, orderText } from "./start.ts";

const suite = "history";

/** With and without: throughput must stay above `least`, and p99 may not grow. */
function cost(name: string, least: number, recorded: Rounds, plain: Rounds): Row[] {
  if (recorded === undefined || plain === undefined) return [{ suite, name, ...noLoad }];
  const messages = beside(recorded, "without history", plain, ({ perSecond }) => perSecond, rate);
  return [
    { suite, name: `${name}, everything recorded`, unit: "1/s", ...messages, aim: `≥ ${least.toFixed(2)}×`, met: messages.ratio >= least },
    {
      suite,
      name: `${name}, everything recorded, p99`,
      unit: "ms",
      ...beside(recorded, "without history", plain, ({ p99Ms }) => p99Ms, tail),
    },
  ];
}

/** A store as a gateway would have written it: every message has the reference order, one key in a thousand messages, one odd text. */
async function filled(folder: string, count: number): Promise<void> {
  const image = "ab".repeat(32);
  const body = Buffer.from(orderText);
  await writeHistory(folder, count, (index) => {
    const deliver = { ...deliverOrder(body), id: `order-${index}`, key: `customer-${index % 1000}`, timeMs: 1.7e12 + index };
    const text = index === Math.floor(count / 3) ? "the needle in the haystack" : "order received";
    return { image, flow: "orders", deliver, logs: [text], reply: '{"id":4711,"total":1042.5,"name":"ADA","route":"big"}' };
  });
}

async function searchRows(quick: boolean): Promise<Row[]> {
  const count = quick ? 100_000 : 1_000_000;
  const folder = await mkdtemp(join(tmpdir(), "mayfly-bench-history-"));
  try {
    say(`history: a store of ${count} messages`);
    await filled(folder, count);
    const row = async (name: string, mostMs: number, query: object, found: number): Promise<Row> => {
      const looks = await durations(5, async () => {
        const reader = openHistory(folder); // cold, as the command line is
        const { messages } = await reader.list({ limit: 50, ...query });
        await reader.close();
        if (messages.length !== found) throw new Error(`${name}: found ${messages.length} messages, not ${found}`);
      });
      const value = looks.sort((a, b) => a - b)[2] ?? Number.NaN;
      return {
        suite,
        name: `${count.toLocaleString("en")} messages ${name}`,
        value,
        unit: "ms",
        aim: `≤ ${mostMs} ms`,
        met: value <= mostMs,
      };
    };
    return [
      await row("by id", 50, { id: `order-${Math.floor(count / 2)}` }, 1),
      await row("by key, the newest 50 of a thousandth", 50, { key: "customer-7" }, 50),
      await row("by text, all of them looked through", 2000, { text: "needle in the hay" }, 1),
      await row("by text that none has", 2000, { text: "no such text" }, 0),
      await row("by flow and status, the newest 50", 50, { flow: "orders", status: "done" }, 50),
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function historyRows(quick: boolean): Promise<Row[]> {
  say("history: HTTP and durable, with and without");
  const [recorded, plain, durable, bare] = await inTurn(quick, [
    () => servedBy("recorded"),
    () => servedBy("reply"),
    () => servedBy("forward", "recorded"),
    () => servedBy("forward", "durable"),
  ]);
  return [
    ...cost("HTTP requests a second", 0.9, recorded, plain),
    ...cost("durable messages a second", 0.95, durable, bare),
    ...(await searchRows(quick)),
  ];
}
