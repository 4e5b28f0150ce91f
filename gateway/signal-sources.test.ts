/** Sources of signals: keys, outcomes, and what is kept of a signal that can't be taken. */
import { deepEqual, equal, match } from "node:assert/strict";
import { test } from "node:test";
import { prng } from "#base";
import type { Incoming, Outcome } from "./contract/message.ts";
import type { IncomingSignal, SignalOutcome } from "./contract/sleep.ts";
import { Persistence } from "./delivery/persistence.ts";
import { MessageIds } from "./delivery/seeds.ts";
import type { NewDeadLetter } from "./journal/dead-letters.ts";
import { silentLogger } from "./logger.ts";
import { signalAccept } from "./signal-sources.ts";
import { ManualClock } from "./testing/manual-clock.ts";
import { utf8 } from "./testing/scripted.ts";

interface Rig {
  readonly seen: IncomingSignal[];
  readonly letters: NewDeadLetter[];
  give(incoming: Partial<Incoming>, outcome?: SignalOutcome): Promise<Outcome>;
}

const kept: SignalOutcome = { status: "kept", id: "s1", waiting: true };

function rig(source: string, key: readonly string[], refusal?: string): Rig {
  const seen: IncomingSignal[] = [];
  const letters: NewDeadLetter[] = [];
  const clock = new ManualClock();
  let next: SignalOutcome = kept;
  const accept = signalAccept(
    { name: "payment", key },
    { source, place: `${source} here` },
    {
      flow: "orders",
      signal: (signal) => {
        seen.push(signal);
        return Promise.resolve(next);
      },
      refusal: () => refusal,
      letters: {
        put: (letter) => {
          letters.push(letter);
          return Promise.resolve("letter");
        },
      },
      persistence: new Persistence(clock, prng(1), silentLogger),
      ids: new MessageIds((bytes) => bytes.fill(7)),
      clock,
    },
  );
  return {
    seen,
    letters,
    give: (incoming, outcome = kept) => {
      next = outcome;
      return accept({
        id: "m1",
        headers: {},
        contentType: "application/json",
        body: utf8('{"order":1}'),
        replyWanted: false,
        keeper: "source",
        ...incoming,
      });
    },
  };
}

test("the first expression that the signal has gives its key, and after them its source", async () => {
  const { seen, give } = rig("amqp", ["path:order", "json:/order"]);
  await give({ headers: { "mayfly-path-order": "A" } });
  await give({});
  await give({ body: utf8("{}"), key: "routed" });
  deepEqual(
    seen.map(({ flow, name, key, id, source }) => [flow, name, key, id, source]),
    ["A", "1", "routed"].map((key) => ["orders", "payment", key, "m1", "amqp"]),
  );
  equal(seen[0]?.idScope, "amqp here ");
});

test("a source is told what became of its signal, in its own terms", async () => {
  const { give } = rig("amqp", ["id"]);
  deepEqual(await give({ keeper: "journal" }), { status: "accepted", id: "s1", waiting: true });
  deepEqual(await give({}), { status: "done", id: "s1", reply: undefined });
  const asked = await give({ replyWanted: true });
  equal(asked.status === "done" ? Buffer.from(asked.reply?.body ?? []).toString() : "", '{"id":"s1","waiting":true}');
  deepEqual(await give({}, { status: "duplicate", id: "s0" }), { status: "duplicate", id: "s0", reply: undefined });
  const busy = { code: "MF_SIGNALS_FULL", message: "full", retryAfterMs: 9 } as const;
  deepEqual(await give({}, { status: "refused", ...busy, final: false }), { status: "refused", id: "m1", ...busy });
});

test("a signal without a key: an HTTP caller is told, a broker's is kept as a dead letter", async () => {
  const http = rig("http", ["header:order"]);
  const told = await http.give({ keeper: "journal" });
  equal(told.status === "dead" && !told.kept ? `${told.failure.code} ${told.failure.status}` : told.status, "MF_SIGNAL_NO_KEY 400");
  deepEqual([http.seen, http.letters], [[], []]);
  const broker = rig("amqp", ["header:order"]);
  const outcome = await broker.give({});
  equal(outcome.status === "dead" && outcome.kept, true);
  const [letter] = broker.letters;
  deepEqual(
    [letter?.kind, letter?.flow, letter?.signal, letter?.messageId, letter?.failure.code],
    ["signal", "orders", "payment", "m1", "MF_SIGNAL_NO_KEY"],
  );
  match(letter?.failure.message ?? "", /it has nothing at header:order/);
});

test("what is refused for good is told or kept; what is set aside is kept; a paused flow takes none", async () => {
  const long = { status: "refused", code: "MF_SIGNAL_TOO_LARGE", message: "long", final: true, retryAfterMs: 0 } as const;
  const told = await rig("http", ["id"]).give({}, long);
  equal(told.status === "dead" ? told.failure.status : 0, 413);
  const broker = rig("nats", ["id"]);
  await broker.give({}, long);
  const failure = { origin: "peer", code: "MF_MESSAGE_SET_ASIDE", message: "broke", status: 0, retry: false } as const;
  await broker.give({ setAside: failure });
  deepEqual(
    broker.letters.map(({ failure: { code }, key }) => [code, key]),
    [
      ["MF_SIGNAL_TOO_LARGE", "m1"],
      ["MF_MESSAGE_SET_ASIDE", undefined],
    ],
  );
  const paused = await rig("nats", ["id"], "MF_FLOW_PAUSED").give({});
  equal(paused.status === "refused" ? paused.code : paused.status, "MF_FLOW_PAUSED");
});
