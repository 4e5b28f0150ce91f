/**
 * Machines that sleep: each message waits some seconds for a signal of its own, which comes early, in time, twice, beside another, at the
 * very end of the wait, too late, or not at all; over HTTP or from another flow.
 */
import { Agent, request } from "undici";
import { Proxy } from "../../../connectors/testing/proxy.ts";
import { prng } from "#base";
import type { Probe } from "../message.ts";
import { SleepBook } from "../sleep-book.ts";
import { type Lane, pause, type Transport } from "./transport.ts";

/** Names of equal length: the filler of one becomes the other's by exchange of the name. */
const ended = "sleep";
const asked = "asked";
const teller = "tells";
/** Turns of a loop that take some 100 to 250 ms of CPU time. */
const costlyTurns = 250_000;

/**
 * `dueMs`, `token` and `version` are in the machine's memory while it sleeps. One message in eleven takes more CPU time before its wait than a
 * machine may that is run again from its events (`replayCheapMs`): its memory is kept with it.
 */
function source(version: number): string {
  return `import { flow } from "mayfly";

interface Numbered { key: string; seq: number; pad: string; timeoutMs: number }

export default flow<"out" | "sink" | "helper">(async (msg, { to, state, wait }) => {
  const { key, seq, pad, timeoutMs } = msg.json<Numbered>();
  if (msg.attempt === 1 && seq % 7 === 3) throw new Error("the first attempt fails");
  const version = ${version};
  const begun = (state.get<number>("asked") ?? 0) + 1;
  state.set("asked", begun);
  const token = crypto.randomUUID();
  const dueMs = Date.now() + timeoutMs;
  if (seq % 11 === 5) for (let turn = 0, mixed = seq; turn < ${costlyTurns}; turn++) mixed = Math.imul(mixed ^ turn, 0x01000193) >>> 0;
  const first = { lane: "${asked}", key, seq, count: begun, version, pad: pad.replaceAll("${ended}/", "${asked}/"), token, dueMs };
  to.sink.send(first, { key });
  const signal = await wait<{ id: string }>("go", { key: key + "-" + seq, timeout: timeoutMs });
  const by = signal === undefined ? null : signal.json().id;
  const atMs = Date.now();
  if (seq % 3 === 1) await wait("pause", { key: key + "-" + seq, timeout: 700 });
  if (msg.attempt === 1 && seq % 5 === 2) throw new Error("the first attempt after a sleep fails");
  const count = (state.get<number>("ended") ?? 0) + 1;
  state.set("ended", count);
  to.sink.send({ lane: "${ended}", key, seq, count, version, pad, token, dueMs, by, atMs }, { key });
});
`;
}

const tellerSource = `import { flow } from "mayfly";

export default flow<"go">((msg, { to }) => {
  const { saga, id } = msg.json<{ saga: string; id: string }>();
  to.go.send({ id }, { key: saga });
});
`;

interface Plan {
  readonly id: string;
  /** After the order was acknowledged; negative: before it is sent. */
  readonly afterMs: number;
  readonly tries: number;
  readonly by: "http" | "flow";
}

const plan = (id: string, afterMs: number, more: Partial<Plan> = {}): Plan => ({ id, afterMs, tries: 1, by: "http", ...more });

/** Signals for one message. */
function plansOf(saga: string, seq: number, timeoutMs: number): readonly Plan[] {
  const some = prng(seq * 7919 + saga.length * 31 + saga.charCodeAt(1)).below(Math.max(timeoutMs - 500, 1));
  switch (seq % 9) {
    case 0:
      return [plan(`${saga}/early`, -1)];
    case 1:
      return []; // its time is over
    case 2:
      return [plan(`${saga}/twice`, some, { tries: 3 })];
    case 3:
      return [plan(`${saga}/one`, some), plan(`${saga}/other`, some)];
    case 4:
      return [plan(`${saga}/end`, timeoutMs - 40 + (seq % 7) * 12)];
    case 5:
      return [plan(`${saga}/late`, timeoutMs + 1_500)];
    case 6:
      return [plan(`${saga}/told`, some, { by: "flow" })];
    default:
      return [plan(`${saga}/plain`, some)];
  }
}

const timeoutOf = (seq: number): number => 800 + ((seq * 613) % 5_000);

export async function sleepTransport(gatewayPort: number): Promise<Transport> {
  const proxy = await Proxy.open({ host: "127.0.0.1", port: gatewayPort });
  const agent = new Agent({ connections: 64, connectTimeout: 3_000, headersTimeout: 8_000, bodyTimeout: 8_000 });
  const book = new SleepBook();
  const open = new Set<Promise<void>>();
  let closed = false;
  const post = async (path: string, id: string, body: string): Promise<void> => {
    const headers = { "content-type": "application/json", "idempotency-key": id };
    const answer = await request(`http://127.0.0.1:${proxy.port}${path}`, { method: "POST", headers, body, dispatcher: agent });
    await answer.body.dump();
    if (answer.statusCode < 200 || answer.statusCode > 299) throw new Error(`answered ${answer.statusCode}`);
  };
  /** Until it is acknowledged, as often as it is planned. */
  const signal = async (saga: string, { id, tries, by }: Plan): Promise<void> => {
    const [path, body] = by === "http" ? [`/go/${saga}`, JSON.stringify({ id })] : [`/${teller}`, JSON.stringify({ saga, id })];
    book.sending(saga, id, Date.now());
    for (let taken = 0; taken < tries && !closed; ) {
      try {
        await post(path, id, body);
        taken += 1;
        if (by === "http") book.acknowledged(saga, id, Date.now());
        else book.told(id);
      } catch {
        await pause(150);
      }
    }
  };
  const later = (saga: string, each: Plan): void => {
    const task = pause(each.afterMs).then(() => signal(saga, each));
    open.add(task);
    void task.finally(() => open.delete(task));
  };
  const begun = new Set<string>();
  const send = async ({ id, lane, key, seq, body }: Probe): Promise<void> => {
    const saga = `${key}-${seq}`;
    const timeoutMs = timeoutOf(seq);
    const plans = plansOf(saga, seq, timeoutMs);
    book.beginning(saga, Date.now());
    if (!begun.has(saga)) for (const each of plans) if (each.afterMs < 0) await signal(saga, each);
    begun.add(saga);
    await post(`/${lane}`, id, JSON.stringify({ ...(JSON.parse(body) as object), timeoutMs }));
    for (const each of plans) if (each.afterMs >= 0) later(saga, each);
  };
  const lane: Lane = {
    name: ended,
    ordered: false,
    lossy: false,
    waits: false,
    from: { http: { path: `/${ended}`, mode: "accept" } },
    out: undefined,
    also: [{ name: asked, ordered: true, lossy: false }],
    source,
    config: { signals: { go: { from: [{ http: { path: "/go/:saga" } }], key: "path:saga" } }, sleep: { early: "keep 12h" } },
    besides: {
      [teller]: {
        source: tellerSource,
        config: {
          from: [{ http: { path: `/${teller}`, mode: "accept" } }],
          dedup: { window: "12h", count: 100_000 },
          to: { go: { signal: { flow: ended, name: "go" }, retry: { attempts: 1000, backoff: "50ms..1s", age: "12h" } } },
          retry: { attempts: 1000, backoff: "50ms..1s", age: "12h" },
        },
      },
    },
    send,
  };
  return {
    name: "sleep",
    lanes: [lane],
    proxy,
    broker: undefined,
    stops: [],
    stepped: (atMs, offsetMs) => book.stepped(atMs, offsetMs),
    saw: (text) => book.saw(text, Date.now()),
    async judge() {
      while (open.size > 0) await Promise.all(open);
      const kept = await keptSignals(gatewayPort, book.expectsKept);
      return [...book.faults, ...(kept === undefined ? [] : [kept])];
    },
    figures: () => book.figures,
    async close() {
      closed = true;
      await agent.destroy();
      await proxy.close();
    },
  };
}

/** Time that a signal from another flow may take. */
const keptMs = 20_000;

/** Checks that signals no machine was given are kept, all of them and none twice, and that nobody sleeps any more. */
async function keptSignals(gatewayPort: number, expected: number): Promise<string | undefined> {
  let found = "no answer";
  for (const untilMs = Date.now() + keptMs; Date.now() < untilMs; await pause(100)) {
    try {
      const answer = await request(`http://127.0.0.1:${gatewayPort}/metrics`);
      const text = await answer.body.text();
      const value = (name: string): number =>
        Number(new RegExp(`^${name}\\{flow="${ended}"\\} (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN);
      const [kept, sleepers] = [value("mayfly_signals_kept"), value("mayfly_sleepers")];
      if (kept === expected && sleepers === 0) return undefined;
      found = `${kept} signals are kept, not ${expected}, and ${sleepers} machines asleep, not 0`;
    } catch (error) {
      found = String(error);
    }
  }
  return found;
}
