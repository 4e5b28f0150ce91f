/** Each verdict of the settlement, over a journal in memory: what is committed, what rests, what dies, and what is left alone. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { CodedError, prng } from "#base";
import { gatewayLimits } from "../contract/limits.ts";
import type { Failure, Incoming } from "../contract/message.ts";
import type { Flow } from "../contract/runner.ts";
import { untraced } from "../contract/tracing.ts";
import { DeadLetters } from "../journal/dead-letters.ts";
import type { NewMessage, NewSend, StateChange } from "../journal/journal.ts";
import { MemoryJournal } from "../journal/memory.ts";
import { silentLogger } from "../logger.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { utf8 } from "../testing/scripted.ts";
import type { MessageAttempt } from "./attempt/attempt.ts";
import { failureOf } from "./failures.ts";
import { FlowMetrics } from "./metrics.ts";
import { MessageIds } from "./seeds.ts";
import { Persistence } from "./persistence.ts";
import { Settlement } from "./settlement.ts";
import { Work } from "./work.ts";

const folder = await mkdtemp(join(tmpdir(), "mayfly-settlement-"));
after(() => rm(folder, { recursive: true, force: true }));

const retry = { attempts: 3, backoff: { least: 100, most: 1_000 }, age: 60_000, programErrors: false };
const flow = { name: "f", config: { retry }, image: { sha256: "ab", name: "f" } } as unknown as Flow;

class World {
  readonly clock = new ManualClock();
  readonly letters = new DeadLetters(join(folder, String(Math.random())));
  readonly journal = new MemoryJournal(this.letters);
  readonly persistence = new Persistence(this.clock, prng(1), silentLogger);
  readonly metrics = new FlowMetrics();
  readonly settlement = new Settlement({
    questions: { linkTo: () => undefined },
    ...this,
    flow: () => flow,
    ids: new MessageIds(() => undefined),
    random: prng(1),
    logger: silentLogger,
    tracing: untraced,
  });

  /** A message in the state `settling`; in the journal when it is `kept` there. */
  async work({ replyWanted = false, kept = true, key }: { replyWanted?: boolean; kept?: boolean; key?: string } = {}): Promise<Work> {
    const message: NewMessage = {
      flow: "f",
      id: `m${Math.random()}`,
      source: "test",
      headers: { traceparent: "00-1", "mayfly-hops": "2" },
      contentType: "",
      body: utf8("body"),
      key,
      correlationId: undefined,
      receivedMs: this.clock.now(),
      expiresMs: undefined,
      dedup: undefined,
    };
    const work = new Work({ replyWanted } as Incoming, message, undefined, this.clock.monotonicMs());
    if (kept) {
      const accepted = await this.journal.accept(message);
      ok(accepted.status === "leased");
      work.leased(accepted.lease);
    }
    for (const state of ["queued", "running", "settling"] as const) work.to(state);
    return work;
  }

  attempt(work: Work, sends: readonly NewSend[] = [], stateChanges: readonly StateChange[] = [], stateVersion = 0): MessageAttempt {
    const effects = { sends, stateChanges };
    const attempt = {
      work,
      effects,
      stateVersion,
      flow,
      startedMs: 1,
      elapsedMs: 7,
      logs: [],
      consumed: [],
      releaseSends: () => undefined,
      returnSignals: () => undefined,
      signalsConsumed: () => undefined,
    };
    return attempt as unknown as MessageAttempt;
  }
}

const send = (headers: NewSend["headers"] = {}): NewSend => ({ outlet: "out", key: undefined, contentType: "", headers, body: utf8("x") });
const failure = (more: Partial<Failure> = {}): Failure => ({ ...failureOf("MF_X", "no", true), ...more });

test("what a flow wanted is committed at once; trace and hops go on with its sends", async () => {
  const world = new World();
  const work = await world.work({ key: "k" });
  const attempt = world.attempt(work, [send(), send({ traceparent: "own", "mayfly-hops": "0" })], [{ name: "n", valueJson: "1" }]);
  const verdict = await world.settlement.commit(attempt, { kind: "done", reply: undefined });
  ok(verdict.kind === "done");
  deepEqual(
    verdict.sends.map(({ headers }) => headers),
    [
      { traceparent: "00-1", "mayfly-hops": "2" },
      { traceparent: "own", "mayfly-hops": "2" },
    ],
  );
  deepEqual([world.journal.stats().pending, world.journal.outboxDepth("f", "out"), verdict.runMs], [0, 2, 7]);
  equal((await world.journal.readState("f", "k")).json, '{"n":1}');
});

test("a message its source keeps gets a lease for its commit", async () => {
  const world = new World();
  const work = await world.work({ kept: false });
  equal((await world.settlement.commit(world.attempt(work, [send()]), { kind: "done", reply: undefined })).kind, "done");
  equal(world.journal.outboxDepth("f", "out"), 1);
});

test("a state that changed meanwhile: again at once, and after so many times a retry", async () => {
  const world = new World();
  const work = await world.work({ key: "k" });
  const attempt = world.attempt(work, [], [{ name: "n", valueJson: "1" }], 41);
  for (let conflict = 0; conflict < gatewayLimits.conflictsInARow; conflict += 1)
    deepEqual(await world.settlement.commit(attempt, { kind: "done", reply: undefined }), { kind: "again" });
  const verdict = await world.settlement.commit(attempt, { kind: "done", reply: undefined });
  ok(verdict.kind === "rest");
  equal(verdict.attempt?.attempts[0]?.failure.code, "MF_STATE_CONFLICT");
  equal(work.conflicts, 0);
});

test("a state that is too long is no commit", async () => {
  const world = new World();
  const work = await world.work({ key: "k" });
  const changes = [{ name: "n", valueJson: JSON.stringify("x".repeat(gatewayLimits.stateBytes)) }];
  const verdict = await world.settlement.commit(world.attempt(work, [send()], changes), { kind: "done", reply: undefined });
  ok(verdict.kind === "dead");
  equal(verdict.failure.code, "MF_STATE_LIMIT");
  equal(world.journal.outboxDepth("f", "out"), 0);
});

test("a completion of a lease that is not the newest says nothing to anyone", async () => {
  const world = new World();
  const work = await world.work();
  ok(work.lease !== undefined);
  await world.journal.retryLater(work.lease, world.settlement.record(work, failure(), undefined), 0);
  deepEqual(await world.settlement.commit(world.attempt(work, [send()]), { kind: "done", reply: undefined }), { kind: "late" });
});

test("a failure rests until its attempts are used up, then it is a dead letter with all of them", async () => {
  const world = new World();
  const work = await world.work();
  for (const attempt of [1, 2]) {
    const verdict = await world.settlement.fail(work, failure(), world.attempt(work));
    ok(verdict.kind === "rest" && verdict.attempt?.lease !== undefined);
    ok(verdict.waitMs >= 50 * attempt && verdict.waitMs <= 100 * attempt, `${verdict.waitMs} ms`);
    equal(verdict.attempt.lease.dueMs, Math.ceil(world.clock.monotonicMs() + verdict.waitMs));
    work.leased(verdict.attempt.lease);
  }
  const verdict = await world.settlement.fail(work, failure(), world.attempt(work));
  ok(verdict.kind === "dead" && verdict.letter !== undefined);
  equal((await world.letters.letter(verdict.letter))?.attempts.length, 3);
  deepEqual([world.metrics.retries, world.metrics.dead, world.journal.stats().pending], [2, 1, 0]);
});

test("attempts of a message its source keeps are counted here, and stand in its letter", async () => {
  const world = new World();
  const work = await world.work({ kept: false });
  const first = await world.settlement.fail(work, failure(), world.attempt(work));
  ok(first.kind === "rest" && first.attempt?.lease === undefined);
  work.attempts = first.attempt?.attempts ?? [];
  work.attempt = 3;
  const verdict = await world.settlement.fail(work, failure(), world.attempt(work));
  ok(verdict.kind === "dead");
  equal((await world.letters.letter(verdict.letter ?? ""))?.attempts.length, 2);
});

test("no retry: where it can't help, where a caller waits, or when the next would come too late", async () => {
  for (const [given, found, agedMs] of [
    [{}, failure({ retry: false }), 0],
    [{ replyWanted: true }, failure(), 0],
    [{}, failure(), retry.age],
  ] as const) {
    const world = new World();
    const work = await world.work(given);
    world.clock.advance(agedMs);
    equal((await world.settlement.fail(work, found, world.attempt(work))).kind, "dead");
  }
});

test("a peer that was not reached uses up no attempt and leaves no record, as long as retry.age allows", async () => {
  const world = new World();
  const work = await world.work();
  for (let times = 1; times <= 10; times += 1) {
    const verdict = await world.settlement.fail(work, failure({ unreached: true }), world.attempt(work));
    ok(verdict.kind === "rest" && verdict.attempt === undefined);
    equal(work.unreached, times);
  }
  world.clock.advance(retry.age);
  equal((await world.settlement.fail(work, failure({ unreached: true }), world.attempt(work))).kind, "dead");
  equal(work.unreached, 0);
});

test("a message that crashed two workers is not tried again", async () => {
  const world = new World();
  const work = await world.work();
  const first = await world.settlement.fail(work, failure({ workersLost: 1 }), world.attempt(work));
  ok(first.kind === "rest" && first.attempt?.lease !== undefined);
  work.leased(first.attempt.lease);
  const verdict = await world.settlement.fail(work, failure({ workersLost: 1 }), world.attempt(work));
  ok(verdict.kind === "dead");
  equal(verdict.failure.code, "MF_MESSAGE_QUARANTINED");
  match(verdict.failure.message, /crashed 2 workers/);
});

test("a caller's own fault leaves no letter, the flow's does, and a disk that refuses keeps no caller waiting", async () => {
  for (const [status, letters] of [
    [400, 0],
    [499, 0],
    [500, 1],
    [0, 1],
  ]) {
    const world = new World();
    const work = await world.work({ replyWanted: true });
    const verdict = await world.settlement.fail(work, failure({ status: status as number }), world.attempt(work));
    ok(verdict.kind === "dead");
    deepEqual([verdict.letter === undefined ? 0 : 1, world.journal.stats().pending], [letters, 0]);
  }
  const world = new World();
  world.journal.bury = () => Promise.reject(new CodedError("MF_DEAD_LETTER_IO", "full"));
  const work = await world.work({ replyWanted: true });
  const verdict = await world.settlement.fail(work, failure(), world.attempt(work));
  ok(verdict.kind === "dead" && verdict.letter === undefined);
  equal(world.journal.stats().pending, 0, "nobody would ever have taken it up");
});

test("without a caller a disk that refuses is tried until it takes the letter, or the journal closes", async () => {
  const world = new World();
  const { journal } = world;
  const bury = journal.bury.bind(journal);
  let refusals = 3;
  journal.bury = (lease, record) => (refusals-- > 0 ? Promise.reject(new CodedError("MF_DEAD_LETTER_IO", "full")) : bury(lease, record));
  const settled = async (verdict: Promise<{ readonly kind: string }>): Promise<string> => {
    let kind = "";
    void verdict.then((found) => (kind = found.kind));
    for (let turn = 0; kind === "" && turn < 200; turn += 1) {
      world.clock.advance(1_000);
      await new Promise((done) => setTimeout(done, 1));
    }
    return kind;
  };
  const work = await world.work();
  equal(await settled(world.settlement.fail(work, failure({ retry: false }), world.attempt(work))), "dead");
  equal(refusals, -1);
  refusals = Number.POSITIVE_INFINITY;
  const other = await world.work();
  const verdict = world.settlement.fail(other, failure({ retry: false }), world.attempt(other));
  world.persistence.close();
  equal(await settled(verdict), "left");
  equal(world.journal.stats().pending, 1, "it stays with the journal");
});
