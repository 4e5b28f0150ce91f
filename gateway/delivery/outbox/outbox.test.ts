/** The outbox over a journal in memory: order per key, places, retries, peers that are away, dead letters, the end. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { CodedError, prng } from "#base";
import type { OutletConfig } from "../../contract/config.ts";
import type { Outgoing } from "../../contract/message.ts";
import { type Attempt, OutletError, type OutletErrorHow } from "../../contract/outlet.ts";
import { type DeadLetter, DeadLetters } from "../../journal/dead-letters.ts";
import { MemoryJournal } from "../../journal/memory.ts";
import { silentLogger } from "../../logger.ts";
import { gatewayMemory } from "../../memory/budget.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { until } from "../../testing/rig.ts";
import { text, utf8 } from "../../testing/scripted.ts";
import { Persistence } from "../persistence.ts";
import { noWitnesses } from "../witnesses.ts";
import { untraced } from "../../contract/tracing.ts";
import { Outbox } from "./outbox.ts";
import { OutletChannel } from "./outlet-channel.ts";

const folder = await mkdtemp(join(tmpdir(), "mayfly-outbox-"));
after(() => rm(folder, { recursive: true, force: true }));
let worlds = 0;

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

interface UnderWay {
  readonly body: string;
  readonly attempt: Attempt;
  readonly done: () => void;
  readonly fail: (error: Error) => void;
}

/** An outlet whose sends end when the test says so. */
class World {
  readonly clock = new ManualClock();
  readonly letters = new DeadLetters(join(folder, String(worlds++)));
  readonly journal = new MemoryJournal(this.letters);
  readonly persistence = new Persistence(this.clock, prng(1), silentLogger);
  readonly memory = gatewayMemory(1e8);
  readonly sent: string[] = [];
  open: UnderWay[] = [];
  /** Dead letters that were written. */
  buried = 0;
  readonly outbox: Outbox;

  constructor(more: Partial<OutletConfig> = {}) {
    const retry = { attempts: 3, backoff: { least: 100, most: 1_000 }, age: 60_000 };
    const defaults = { connector: "x", config: {}, retry, concurrency: 4, rate: undefined, timeout: 5_000, breaker: undefined };
    const outlet = {
      send: ({ body }: Outgoing, attempt: Attempt) =>
        new Promise<void>((resolve, reject) => {
          this.sent.push(text(body));
          this.open.push({ body: text(body), attempt, done: () => resolve(), fail: reject });
        }),
      health: () => ({ ready: true, detail: "" }),
      stop: async () => undefined,
    };
    const channel = new OutletChannel({
      flow: "f",
      name: "out",
      outlet,
      config: { ...defaults, onDead: "continue", ...more },
      clock: this.clock,
      random: prng(1),
    });
    const { buryOutbox } = this.journal;
    this.journal.buryOutbox = (entry, record) => buryOutbox.call(this.journal, entry, record).finally(() => (this.buried += 1));
    this.outbox = new Outbox(channel, { ...this, random: prng(1), logger: silentLogger, tracing: untraced, witnesses: noWitnesses });
  }

  /** Commits sends `KEY NUMBER`, each of a message of its own. */
  async commit(...bodies: readonly string[]): Promise<void> {
    for (const body of bodies) {
      const key = body.split(" ")[0];
      const message = { flow: "f", id: body, source: "s", headers: {}, contentType: "", body: utf8(""), key: undefined };
      const fixed = { correlationId: undefined, receivedMs: this.clock.now(), expiresMs: undefined, dedup: undefined };
      const adopted = this.journal.adopt({ ...message, ...fixed });
      ok(adopted.status === "leased");
      const send = { outlet: "out", key, contentType: "", headers: {}, body: utf8(body) };
      await this.journal.complete(adopted.lease, { nowMs: this.clock.now(), sends: [send], state: undefined, reply: undefined });
    }
    this.outbox.pump();
    await turn();
  }

  async end(body: string, error?: Error): Promise<void> {
    const found = this.open.find((each) => each.body === body);
    ok(found !== undefined, `${body} is not under way`);
    this.open = this.open.filter((each) => each !== found);
    if (error === undefined) found.done();
    else found.fail(error);
    await turn();
  }

  async later(ms: number): Promise<void> {
    this.clock.advance(ms);
    await turn();
  }

  /** The only letter, once it is written and its send has ended. */
  async letter(): Promise<DeadLetter> {
    await until(() => this.buried === 1);
    await turn();
    for await (const letter of this.letters.list("f")) return letter;
    throw new Error("there is no letter");
  }
}

const refusal = (how: Partial<OutletErrorHow> = {}): OutletError => new OutletError("MF_NO", "no", { retryable: true, ...how });

test("sends of one key go out one after the other, those of others beside them, as many at once as may", async () => {
  const world = new World({ concurrency: 2 });
  await world.commit("a 1", "a 2", "b 1", "c 1");
  deepEqual(world.sent, ["a 1", "b 1"]);
  await world.end("b 1");
  deepEqual(world.sent, ["a 1", "b 1", "c 1"]);
  await world.end("a 1");
  deepEqual(world.sent, ["a 1", "b 1", "c 1", "a 2"]);
  equal(world.outbox.depth, 2);
  for (const body of ["c 1", "a 2"]) await world.end(body);
  deepEqual([world.outbox.depth, world.outbox.idle, world.outbox.channel.metrics.sent], [0, true, 4]);
});

test("a damaged send stays in the journal without a place, what is behind it in its key waits, and others go out", async () => {
  const world = new World({ concurrency: 2 });
  const lease = world.journal.leaseOutbox.bind(world.journal);
  world.journal.leaseOutbox = async (...given) =>
    (await lease(...given)).map((entry) =>
      text(entry.body) === "a 1" ? { ...entry, damage: new CodedError("MF_JOURNAL_CORRUPT", "damaged") } : entry,
    );
  await world.commit("a 1", "a 2", "b 1", "c 1");
  deepEqual(world.sent, ["b 1", "c 1"]);
  for (const body of ["b 1", "c 1"]) await world.end(body);
  deepEqual([world.outbox.depth, world.outbox.idle, world.outbox.channel.metrics.sent], [2, true, 2]);
});

test("a send is under way until the journal knows that the peer has it", async () => {
  const world = new World();
  let settled = (): void => undefined;
  const { settleOutbox } = world.journal;
  world.journal.settleOutbox = async (entry) => {
    await new Promise<void>((resolve) => (settled = resolve));
    await settleOutbox.call(world.journal, entry);
  };
  await world.commit("a 1");
  await world.end("a 1");
  equal(world.outbox.idle, false);
  settled();
  await turn();
  equal(world.outbox.idle, true);
});

test("a send that fails is tried again under the same key after its backoff, then it is a dead letter with all attempts", async () => {
  const world = new World();
  await world.commit("a 1", "a 2");
  const keys = new Set<string>();
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    const [under] = world.open;
    ok(under !== undefined, `attempt ${attempt}`);
    equal(under.attempt.attempt, attempt);
    keys.add(under.attempt.idempotencyKey);
    await world.end("a 1", refusal());
    if (attempt === 3) break;
    equal(world.open.length, 0, "what is behind it waits as well");
    await world.later(49 * attempt);
    equal(world.open.length, 0, "not before half of its backoff");
    await world.later(400);
  }
  equal(keys.size, 1);
  const letter = await world.letter();
  deepEqual([letter.attempts.length, letter.failure.code, letter.kind], [3, "MF_NO", "send"]);
  deepEqual(world.sent.at(-1), "a 2");
});

test("what can't be mended by another attempt is not tried again", async () => {
  const world = new World();
  await world.commit("a 1");
  await world.end("a 1", refusal({ retryable: false }));
  equal((await world.letter()).attempts.length, 1);
});

test("the peer's own wait counts where it is the longer one", async () => {
  const world = new World();
  await world.commit("a 1");
  await world.end("a 1", refusal({ retryAfterMs: 30_000 }));
  await world.later(29_000);
  equal(world.open.length, 0);
  await world.later(2_000);
  equal(world.open.length, 1);
});

test("a peer that is not reached is waited for without an attempt; once it is back all goes out at once", async () => {
  const world = new World();
  await world.commit("a 1", "b 1");
  for (let times = 0; times < 5; times += 1) {
    for (const { body } of [...world.open]) await world.end(body, refusal({ unreached: true }));
    await world.later(1_100);
  }
  for (const { body, attempt } of [...world.open]) {
    equal(attempt.attempt, 1);
    await world.end(body, refusal({ unreached: true }));
  }
  world.outbox.peerIsBack();
  await turn();
  equal(world.open.length, 2);
});

test("a peer that stays away for retry.age is given up", async () => {
  const world = new World({ timeout: 120_000 });
  await world.commit("a 1");
  await world.later(60_001);
  await world.end("a 1", refusal({ unreached: true }));
  equal((await world.letter()).failure.code, "MF_NO");
});

test("a dead letter holds its key where the outlet says so, and lets go of it", async () => {
  const world = new World({ onDead: "hold" });
  await world.commit("a 1", "a 2", "b 1");
  await world.end("a 1", refusal({ retryable: false }));
  const letter = await world.letter();
  await world.commit("b 2");
  await world.end("b 1");
  deepEqual(world.sent, ["a 1", "b 1", "b 2"]);
  equal(world.outbox.holds.has(letter.id), true);
  world.outbox.unhold(letter.id);
  await turn();
  deepEqual(world.sent.at(-1), "a 2");
});

test("memory of bodies is given back, however they end", async () => {
  const world = new World();
  const before = world.memory.sends.takenBytes;
  await world.commit("a 1", "b 1", "c 1");
  ok(world.memory.sends.takenBytes > before);
  await world.end("a 1");
  await world.end("b 1", refusal());
  await world.end("c 1", refusal({ retryable: false }));
  await world.letter();
  equal(world.memory.sends.takenBytes, before);
});

test("stopping releases what fails then, for the next start, and begins nothing", async () => {
  const world = new World();
  await world.commit("a 1");
  world.outbox.stop();
  await world.end("a 1", refusal());
  deepEqual([world.outbox.depth, world.buried], [1, 0]);
  await world.commit("b 1");
  deepEqual(world.sent, ["a 1"]);
});

test("with a journal in memory what was not sent before the end becomes dead letters, in turn for one key", async () => {
  const world = new World({ concurrency: 1 });
  await world.commit("a 1");
  world.outbox.stop();
  await world.end("a 1", refusal());
  await world.commit("a 2", "b 1");
  await world.outbox.bury();
  const codes: string[] = [];
  for await (const { failure } of world.letters.list("f")) codes.push(failure.code);
  deepEqual([codes, world.outbox.depth], [["MF_STOPPED", "MF_STOPPED", "MF_STOPPED"], 0]);
});
