/**
 * The end of an attempt: what the flow wanted is committed, or the message rests until its next attempt, or it becomes a dead letter.
 * Each method gives a verdict, and the flow's delivery carries it out, unless the message was given back meanwhile.
 */
import type { Headers } from "#abi";
import { assert, type Clock, CodedError, isCoded, type Prng } from "#base";
import { backoffMs } from "../contract/backoff.ts";
import { withParent } from "../contract/lineage.ts";
import type { Logger } from "../contract/connector.ts";
import { gatewayLimits } from "../contract/limits.ts";
import type { Failure, Reply } from "../contract/message.ts";
import type { Flow } from "../contract/runner.ts";
import type { Sleeper } from "../contract/sleep.ts";
import { causes, type Tracing, untraced, withTrace } from "../contract/tracing.ts";
import type { AttemptRecord, Journal, Lease, NewMessage, NewSend } from "../journal/journal.ts";
import { isPartitionAway } from "../journal/partitions/partitioned-journal.ts";
import { positionHeader } from "../contract/stored-body.ts";
import type { NextMessage } from "./attempt/effects.ts";
import type { AttemptResult, MessageAttempt } from "./attempt/attempt.ts";
import { failureOf } from "./failures.ts";
import type { FlowMetrics } from "./metrics.ts";
import type { Persistence } from "./persistence.ts";
import type { MessageIds } from "./seeds.ts";
import { type QuestionLinks, questionSends } from "./sleep/questions.ts";
import type { Work } from "./work.ts";

export type Verdict =
  /** Committed. `runMs`: duration of the attempt. `continues`: the journal has another message in its place. */
  | {
      readonly kind: "done";
      readonly reply: Reply | undefined;
      readonly sends: readonly NewSend[];
      readonly runMs: number;
      readonly continues: boolean;
    }
  /** Committed, and the machine is asleep. */
  | { readonly kind: "asleep"; readonly sends: readonly NewSend[]; readonly sleeper: Sleeper }
  /** The journal has the message as one that has not begun. */
  | { readonly kind: "restarted" }
  /** The state under the key had changed: run it again at once. */
  | { readonly kind: "again" }
  /** `attempt`: this one counted, and the next is the journal's or, where the source keeps the message, ours to record. */
  | { readonly kind: "rest"; readonly waitMs: number; readonly attempt?: CountedAttempt }
  /** `letter`: id of the dead letter, where one was kept. */
  | { readonly kind: "dead"; readonly failure: Failure; readonly letter: string | undefined }
  /** The journal closed before: the message stays with its keeper. */
  | { readonly kind: "left" }
  /** Another attempt has taken the message. */
  | { readonly kind: "late" };

export interface CountedAttempt {
  readonly lease: Lease | undefined;
  readonly attempts: readonly AttemptRecord[];
}

export interface SettlementPorts {
  /** As of now: a reload replaces it. */
  readonly flow: () => Flow;
  readonly journal: Journal;
  readonly persistence: Persistence;
  readonly clock: Clock;
  readonly ids: MessageIds;
  readonly random: Prng;
  readonly logger: Logger;
  readonly tracing: Tracing;
  readonly metrics: FlowMetrics;
  readonly questions: QuestionLinks;
}

export class Settlement {
  readonly #ports: SettlementPorts;

  constructor(ports: SettlementPorts) {
    this.#ports = ports;
  }

  async commit(attempt: MessageAttempt, result: AttemptResult & { readonly kind: "done" | "asleep" }): Promise<Verdict> {
    const { journal, persistence, clock, logger, tracing } = this.#ports;
    const { work, effects } = attempt;
    const { message } = work;
    const reply = result.kind === "done" ? result.reply : undefined;
    let sleeper: Sleeper | undefined;
    try {
      sleeper = result.kind === "asleep" ? attempt.sleeper(result) : undefined;
    } catch (error) {
      assert(isCoded(error), "a sleeper is too large, or it can be kept");
      attempt.releaseSends();
      return this.fail(work, failureOf(error.code, error.message, false), attempt);
    }
    const questions = this.#questions(attempt, sleeper);
    if ("code" in questions) {
      attempt.releaseSends();
      return this.fail(work, questions, attempt);
    }
    const lease = this.#leaseOf(work);
    if (lease === undefined) {
      attempt.releaseSends();
      attempt.returnSignals();
      return { kind: "left" };
    }
    const sends = passedOn(questions.length === 0 ? effects.sends : [...effects.sends, ...questions], message.headers, tracing);
    const changes = effects.stateChanges;
    const state =
      changes.length === 0 || message.key === undefined ? undefined : { key: message.key, version: attempt.stateVersion, changes };
    const kept = message.dedup === undefined ? undefined : reply;
    const { consumed } = attempt;
    const next = result.kind === "done" && result.next !== undefined ? this.#continued(work, result.next) : undefined;
    const bounds = this.#ports.flow().config.keeps;
    const completion = { nowMs: clock.now(), sends, state, reply: kept, sleeper, consumed, next, bounds };
    const completed = await persistence.keepTrying(() => journal.complete(lease, completion));
    attempt.releaseSends();
    if (completed?.status === "committed") attempt.signalsConsumed();
    else if (completed?.status !== "refused") attempt.returnSignals();
    switch (completed?.status) {
      case undefined:
        return { kind: "left" };
      case "committed":
        return sleeper === undefined
          ? { kind: "done", reply, sends, runMs: attempt.elapsedMs, continues: next !== undefined }
          : { kind: "asleep", sends, sleeper };
      case "conflict":
        return this.#conflict(attempt);
      case "refused":
        return this.fail(work, failureOf(completed.code, completed.message, false, completed.code === "MF_TENANT_FULL" ? 507 : 0), attempt);
      case "stale":
        logger.error({ message: message.id }, "a completion arrived too late: another attempt owns the message");
        return { kind: "late" };
    }
  }

  #questions({ flow, work }: MessageAttempt, sleeper: Sleeper | undefined): readonly NewSend[] | Failure {
    if (sleeper === undefined) return [];
    try {
      return questionSends({ flow, message: work.message, before: work.lease?.sleeper, now: sleeper }, this.#ports.questions);
    } catch (error) {
      assert(isCoded(error), "a link can be made, or there is a reason");
      return failureOf(error.code, error.message, true);
    }
  }

  /** The message of a sleeper in its place, to begin again. What it has sent so far is sent. */
  async restart(work: Work): Promise<Verdict> {
    const { journal, persistence, clock } = this.#ports;
    const next = { ...work.message, receivedMs: clock.now(), expiresMs: undefined, dedup: undefined };
    const completion = { nowMs: clock.now(), sends: [], state: undefined, reply: undefined, next };
    const lease = this.#leaseOf(work);
    const completed = lease && (await persistence.keepTrying(() => journal.complete(lease, completion)));
    if (completed?.status !== "committed") return { kind: completed === undefined ? "left" : "late" };
    return { kind: "restarted" };
  }

  /** The message that takes the place of one whose flow goes on as another. */
  #continued({ message }: Work, next: NextMessage): NewMessage {
    const { ids, clock } = this.#ports;
    const { flow, id, source, key, correlationId = id } = message;
    const { position } = next;
    const { contentType, headers, body } =
      position === undefined ? next : { ...message, headers: { ...message.headers, [positionHeader]: position } };
    return {
      flow,
      id: ids.next(),
      source,
      headers: withParent(headers, { how: "continue", flow, id }),
      contentType,
      body,
      key,
      correlationId,
      receivedMs: clock.now(),
      expiresMs: undefined,
      dedup: undefined,
    };
  }

  #conflict(attempt: MessageAttempt): Promise<Verdict> | Verdict {
    const { work } = attempt;
    this.#ports.metrics.conflicts += 1;
    work.conflicts += 1;
    if (work.conflicts <= gatewayLimits.conflictsInARow) return { kind: "again" };
    work.conflicts = 0;
    const text = "the state under this key changed during every attempt: set the flow's key, so that its messages run one after another";
    return this.fail(work, failureOf("MF_STATE_CONFLICT", text, true, 503), attempt);
  }

  async fail(work: Work, found: Failure, attempt: MessageAttempt): Promise<Verdict> {
    const { metrics, clock, random, logger, persistence, journal } = this.#ports;
    const failure = quarantined(work, found);
    const { retry } = this.#ports.flow().config;
    metrics.fail(failure.code);
    const waiting = this.#peerWait(work, failure);
    if (waiting !== undefined) {
      attempt.returnSignals();
      return waiting;
    }
    work.unreached = 0;
    const record = this.record(work, failure, attempt);
    const ageMs = clock.monotonicMs() - work.receivedMs;
    const waitMs = backoffMs(work.attempt, retry.backoff, random);
    const again = failure.retry && !work.incoming.replyWanted && work.attempt < retry.attempts && ageMs + waitMs <= retry.age;
    logger.warn({ ...this.#place(work), code: failure.code, retryInMs: again ? waitMs : undefined, stack: failure.stack }, failure.message);
    if (!again) return this.bury(work, failure, record, attempt);
    attempt.returnSignals();
    metrics.retries += 1;
    const { lease } = work;
    if (lease === undefined) {
      const attempts = [...work.attempts.slice(-gatewayLimits.attemptsKept), record];
      return { kind: "rest", waitMs, attempt: { lease, attempts } };
    }
    const dueMs = Math.ceil(clock.monotonicMs() + waitMs);
    const next = await persistence.keepTrying(() => journal.retryLater(lease, record, dueMs));
    return next === undefined ? { kind: "left" } : { kind: "rest", waitMs, attempt: { lease: next, attempts: next.attempts } };
  }

  /** A peer that is away is waited for as long as retry.age allows, without an attempt that counts and without a record. */
  #peerWait(work: Work, failure: Failure): Verdict | undefined {
    const { clock, logger, metrics, random, flow } = this.#ports;
    const { backoff, age } = flow().config.retry;
    const leftMs = age - (clock.monotonicMs() - work.receivedMs);
    if (failure.unreached !== true || !failure.retry || work.incoming.replyWanted || leftMs <= 0) return undefined;
    const waitMs = Math.min(backoffMs(work.unreached + 1, backoff, random), leftMs);
    logger[work.unreached === 0 ? "warn" : "debug"](
      { ...this.#place(work), code: failure.code, retryInMs: waitMs },
      `the message waits for a peer that is unreachable: ${failure.message}`,
    );
    work.unreached += 1;
    metrics.retries += 1;
    return { kind: "rest", waitMs };
  }

  /** Fields of a log line. */
  #place({ message, attempt }: Work): object {
    return { message: message.id, attempt, ...this.#ports.tracing.logFields(message.headers) };
  }

  record(work: Work, failure: Failure, attempt: MessageAttempt | undefined): AttemptRecord {
    const endedMs = this.#ports.clock.now();
    return {
      attempt: work.attempt,
      startedMs: attempt?.startedMs ?? endedMs,
      endedMs,
      imageSha256: attempt?.flow.image.sha256 ?? "",
      failure,
      logs: attempt?.logs ?? [],
    };
  }

  /**
   * Gives a message up. One whose caller was told of a fault of their own (4xx) leaves no letter: it is the caller's to mend, and
   * anybody could fill the disk. A waiting caller does not wait for a disk that refuses.
   */
  async bury(work: Work, failure: Failure, record: AttemptRecord, attempt?: MessageAttempt): Promise<Verdict> {
    const { metrics, logger, persistence, journal } = this.#ports;
    metrics.dead += 1;
    const lease = this.#leaseOf(work);
    if (lease === undefined) {
      attempt?.returnSignals();
      return { kind: "left" };
    }
    if (work.incoming.replyWanted) return { kind: "dead", failure, letter: await this.#buryOnce(work, lease, failure, record) };
    const letter = await persistence.keepTrying(() => journal.bury(withHistory(lease, work), record, attempt?.consumed));
    if (letter === undefined) {
      attempt?.returnSignals();
      return { kind: "left" };
    }
    attempt?.signalsConsumed();
    logger.error(
      { ...this.#place(work), code: failure.code, deadLetter: letter },
      `the message failed for good and is kept as a dead letter: ${failure.message}`,
    );
    return { kind: "dead", failure, letter };
  }

  async #buryOnce(work: Work, lease: Lease, failure: Failure, record: AttemptRecord): Promise<string | undefined> {
    const callersFault = failure.status >= 400 && failure.status < 500;
    try {
      if (!callersFault) return await this.#ports.journal.bury(withHistory(lease, work), record);
    } catch (error) {
      this.#ports.logger.error(
        { message: work.message.id, code: error instanceof CodedError ? error.code : undefined },
        `the dead letter could not be written, but the caller was told: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    await this.drop(lease);
    return undefined;
  }

  /** The last chance of a message that nobody has after this process. The letter's id. */
  async buryLost(work: Work, lease: Lease, record: AttemptRecord): Promise<string | undefined> {
    const { journal, logger } = this.#ports;
    try {
      return await journal.bury(withHistory(lease, work), record);
    } catch (error) {
      logger.error({ message: work.message.id }, `lost: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }

  async drop(lease: Lease): Promise<void> {
    const { journal, persistence } = this.#ports;
    await journal.drop(lease).catch((error: unknown) => persistence.failed(error));
  }

  /** Undefined: no journal has its partition any more. */
  #leaseOf(work: Work): Lease | undefined {
    if (work.lease !== undefined) return work.lease;
    try {
      const adopted = this.#ports.journal.adopt(work.message);
      assert(adopted.status === "leased", "a message without dedup is always leased");
      work.lease = adopted.lease;
      return adopted.lease;
    } catch (error) {
      if (isPartitionAway(error)) return undefined;
      throw error;
    }
  }
}

/** Attempts of a message its source keeps are counted here, not by the journal. */
function withHistory(lease: Lease, work: Work): Lease {
  return lease.attempts.length >= work.attempts.length ? lease : { ...lease, attempt: work.attempt, attempts: work.attempts };
}

/** A message that ended workers in one attempt or over several is not tried again: it would harm what others have waiting there. */
function quarantined({ attempts }: Work, failure: Failure): Failure {
  const { workersLost = 0 } = failure;
  const lost = attempts.reduce((sum, attempt) => sum + (attempt.failure.workersLost ?? 0), workersLost);
  if (workersLost === 0 || lost < gatewayLimits.workersPerMessage) return failure;
  return {
    ...failure,
    code: "MF_MESSAGE_QUARANTINED",
    message: `the message crashed ${lost} workers and is not retried: fix the flow or the message, then run \`mayfly dlq retry\` (${failure.code}: ${failure.message})`,
    retry: false,
  };
}

/** W3C trace context goes on with what the flow sends, unless it set its own; the count of flows passed through is ours alone. */
function passedOn(sends: readonly NewSend[], headers: Headers, tracing: Tracing): readonly NewSend[] {
  const hops = headers["mayfly-hops"];
  if (tracing === untraced && headers["traceparent"] === undefined && hops === undefined) return sends;
  return sends.map((send, index) => {
    const traced = withTrace(tracing, send.headers, headers, causes.send(index));
    return { ...send, headers: hops === undefined ? traced : { ...traced, "mayfly-hops": hops } };
  });
}
