/** How an attempt ends: what a flow wanted is committed, or the message rests till its next attempt, or it becomes a dead letter. */
import type { Headers, HeadersDraft } from "#abi";
import { assert, CodedError, type Clock, type Prng } from "#base";
import type { Logger } from "../contract/connector.ts";
import type { AttemptRecord, Completed, Journal, Lease, NewSend } from "../journal/journal.ts";
import { gatewayLimits } from "../contract/limits.ts";
import type { Failure, Outcome, Reply } from "../contract/message.ts";
import type { Flow } from "../contract/runner.ts";
import { refusedWith } from "./admission.ts";
import { backoffMs } from "../contract/backoff.ts";
import type { FlowMetrics } from "./metrics.ts";
import type { Persistence } from "./persistence.ts";
import type { Run } from "./run.ts";
import { failureOf, type Work } from "./work.ts";

/** What settling needs of the flow's delivery. */
export interface SettlementHost {
  readonly journal: Journal;
  readonly persistence: Persistence;
  readonly clock: Clock;
  readonly random: Prng;
  readonly logger: Logger;
  readonly metrics: FlowMetrics;
  readonly flow: Flow;
  readonly stopping: boolean;
  committed(sends: readonly NewSend[]): void;
  completed(work: Work, reply: Reply | undefined, run: Run): void;
  conflicted(work: Work, run: Run): void;
  rest(work: Work, waitMs: number): void;
  giveBack(work: Work): void;
  /** A dead letter was written. */
  buried(letter: string, work: Work): void;
  end(work: Work, outcome: Outcome): void;
}

/** Every method is for a work in the state `settling`; when it is in another afterwards, somebody gave it back meanwhile. */
export class Settlement {
  readonly #host: SettlementHost;

  constructor(host: SettlementHost) {
    this.#host = host;
  }

  async commit(run: Run, reply: Reply | undefined): Promise<void> {
    const { work } = run;
    const { message } = work;
    const lease = this.#leaseOf(work);
    const sends = passedOn(run.sends, message.headers);
    const state =
      run.stateChanges.length === 0 || message.key === undefined
        ? undefined
        : { key: message.key, version: run.stateVersion, changes: run.stateChanges };
    const completed: Completed | undefined = await this.#host.persistence.keepTrying(() =>
      this.#host.journal.complete(lease, {
        nowMs: this.#host.clock.now(),
        sends,
        state,
        reply: message.dedup === undefined ? undefined : reply,
      }),
    );
    run.releaseSends();
    if (work.state !== "settling") return;
    if (completed === undefined) return this.#host.giveBack(work);
    if (completed.status === "committed") {
      if (sends.length > 0) this.#host.committed(sends);
      this.#host.completed(work, reply, run);
    } else if (completed.status === "conflict") this.#host.conflicted(work, run);
    else if (completed.status === "refused") await this.failed(work, failureOf(completed.code, completed.message, false), run);
    else {
      this.#host.logger.error({ message: message.id }, "a completion arrived too late: another attempt owns the message");
      this.#host.end(work, refusedWith("MF_GATEWAY_BUSY", message.id));
    }
  }

  async failed(work: Work, found: Failure, run: Run): Promise<void> {
    const failure = quarantined(work, found);
    this.#host.metrics.fail(failure.code);
    if (this.#waitsForPeer(work, failure)) return;
    work.unreached = 0;
    const record = this.record(work, failure, run);
    const { retry } = this.#host.flow.config;
    const { clock } = this.#host;
    const ageMs = clock.monotonicMs() - work.receivedMs;
    const waitMs = backoffMs(work.attempt, retry.backoff, this.#host.random);
    const again = failure.retry && !work.incoming.replyWanted && work.attempt < retry.attempts && ageMs + waitMs <= retry.age;
    this.#host.logger.warn(
      { message: work.message.id, attempt: work.attempt, code: failure.code, retryInMs: again ? waitMs : undefined, stack: failure.stack },
      failure.message,
    );
    if (!again) return this.bury(work, failure, record);
    this.#host.metrics.retries += 1;
    if (work.lease !== undefined) {
      const { lease } = work;
      const next = await this.#host.persistence.keepTrying(() =>
        this.#host.journal.retryLater(lease, record, Math.ceil(clock.monotonicMs() + waitMs)),
      );
      if (work.state !== "settling") return;
      if (next === undefined) return this.#host.giveBack(work);
      work.lease = next;
      work.attempts = next.attempts;
    } else work.attempts = [...work.attempts.slice(-gatewayLimits.attemptsKept), record];
    work.attempt += 1;
    if (this.#host.stopping && this.#host.journal.durable) return this.#host.giveBack(work);
    this.#host.rest(work, waitMs);
  }

  /** A peer that is away is waited for as long as retry.age allows, without an attempt that counts and without a record. */
  #waitsForPeer(work: Work, failure: Failure): boolean {
    const { clock, flow, logger, metrics, random, stopping, journal } = this.#host;
    const { backoff, age } = flow.config.retry;
    const leftMs = age - (clock.monotonicMs() - work.receivedMs);
    if (failure.unreached !== true || !failure.retry || work.incoming.replyWanted || leftMs <= 0) return false;
    const waitMs = Math.min(backoffMs(work.unreached + 1, backoff, random), leftMs);
    logger[work.unreached === 0 ? "warn" : "debug"](
      { message: work.message.id, attempt: work.attempt, code: failure.code, retryInMs: waitMs },
      `the message waits for a peer that is unreachable: ${failure.message}`,
    );
    work.unreached += 1;
    metrics.retries += 1;
    if (stopping && journal.durable) this.#host.giveBack(work);
    else this.#host.rest(work, waitMs);
    return true;
  }

  record(work: Work, failure: Failure, run: Run | undefined): AttemptRecord {
    const endedMs = this.#host.clock.now();
    return {
      attempt: work.attempt,
      startedMs: run?.startedMs ?? endedMs,
      endedMs,
      imageSha256: run?.flow.image.sha256 ?? "",
      failure,
      logs: run?.logs ?? [],
    };
  }

  /**
   * Gives a message up. One whose caller was told of a fault of their own (4xx) leaves no letter: it is the caller's to mend, and
   * anybody could fill the disk. A waiting caller does not wait for a disk that refuses.
   */
  async bury(work: Work, failure: Failure, known: AttemptRecord | undefined): Promise<void> {
    this.#host.metrics.dead += 1;
    const { replyWanted } = work.incoming;
    const record = known ?? this.record(work, failure, undefined);
    const lease = work.lease === undefined ? this.#leaseOf(work) : work.lease;
    let kept = false;
    if (replyWanted && failure.status >= 400 && failure.status < 500) await this.drop(lease);
    else if (replyWanted) {
      try {
        const letter = await this.#host.journal.bury(this.withHistory(lease, work), record);
        kept = letter !== undefined;
        if (letter !== undefined) this.#host.buried(letter, work);
      } catch (error) {
        this.#host.logger.error(
          { message: work.message.id, code: error instanceof CodedError ? error.code : undefined },
          `the dead letter could not be written, but the caller was told: ${error instanceof Error ? error.message : String(error)}`,
        );
        await this.drop(lease);
      }
    } else {
      const letter = await this.#host.persistence.keepTrying(() => this.#host.journal.bury(this.withHistory(lease, work), record));
      if (work.state !== "settling") return;
      if (letter === undefined) return this.#host.giveBack(work);
      kept = true;
      this.#host.buried(letter, work);
      this.#host.logger.error(
        { message: work.message.id, attempt: work.attempt, code: failure.code, deadLetter: letter },
        `the message failed for good and is kept as a dead letter: ${failure.message}`,
      );
    }
    if (work.state === "settling") this.#host.end(work, { status: "dead", id: work.message.id, failure, kept });
  }

  /** Attempts of a message its source keeps are counted here, not by the journal. */
  withHistory(lease: Lease, work: Work): Lease {
    return lease.attempts.length >= work.attempts.length ? lease : { ...lease, attempt: work.attempt, attempts: work.attempts };
  }

  async drop(lease: Lease): Promise<void> {
    await this.#host.journal.drop(lease).catch((error: unknown) => this.#host.persistence.failed(error));
  }

  #leaseOf(work: Work): Lease {
    if (work.lease === undefined) {
      const adopted = this.#host.journal.adopt(work.message);
      assert(adopted.status === "leased", "a message without dedup is always leased");
      work.lease = adopted.lease;
    }
    return work.lease;
  }
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
function passedOn(sends: readonly NewSend[], headers: Headers): readonly NewSend[] {
  const trace = headers["traceparent"];
  const hops = headers["mayfly-hops"];
  if (trace === undefined && hops === undefined) return sends;
  const passed: HeadersDraft = {};
  if (trace !== undefined) passed["traceparent"] = trace;
  return sends.map((send) => ({
    ...send,
    headers: { ...passed, ...send.headers, ...(hops === undefined ? {} : { "mayfly-hops": hops }) },
  }));
}
