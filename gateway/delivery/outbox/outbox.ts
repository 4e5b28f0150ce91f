/** Carries out the committed sends of one outlet: leases what is due, makes attempts in free places, settles, defers or buries. */
import { CellMap, type Clock, type CodedError, type Prng } from "#base";
import { ByteWindow } from "../../contract/byte-window.ts";
import type { Logger } from "../../contract/connector.ts";
import type { AttemptRecord, EntryNumber, Journal, OutboxEntry } from "../../journal/journal.ts";
import { gatewayLimits } from "../../contract/limits.ts";
import type { GatewayMemory } from "../../contract/memory.ts";
import type { Failure, Outgoing } from "../../contract/message.ts";
import type { Attempt, OutletError } from "../../contract/outlet.ts";
import type { Tracing } from "../../contract/tracing.ts";
import type { WitnessedDelivery } from "../../contract/witness.ts";
import { backoffMs } from "../../contract/backoff.ts";
import { Holds } from "../holds.ts";
import { Abandonment } from "./open-attempt.ts";
import { classified, type OutletChannel } from "./outlet-channel.ts";
import type { Persistence } from "../persistence.ts";
import type { Witnesses } from "../witnesses.ts";

export interface OutboxPorts {
  readonly journal: Journal;
  readonly persistence: Persistence;
  readonly clock: Clock;
  readonly random: Prng;
  readonly logger: Logger;
  readonly tracing: Tracing;
  readonly memory: GatewayMemory;
  readonly witnesses: Witnesses;
}

export class Outbox {
  readonly channel: OutletChannel;
  readonly #ports: OutboxPorts;
  readonly #window: ByteWindow;
  #sending = 0;
  #leasing = false;
  /** Something may have changed while a lease was under way. */
  #again = false;
  #stopped = false;
  /** When sends that failed were committed, by the monotonic clock; of an earlier process as far as dates tell. */
  readonly #committedMs = new Map<EntryNumber, number>();
  /** Of each entry: attempts in a row that reached no peer. */
  readonly #unreached = new Map<EntryNumber, number>();
  /** Entries that are being sent. */
  readonly #open = new CellMap<EntryNumber, Abandonment>();
  /** Keys behind a dead letter: nothing of them is sent. */
  readonly holds = new Holds();
  #cancelTimer: (() => void) | undefined;
  #timerMs = Number.POSITIVE_INFINITY;

  constructor(channel: OutletChannel, ports: OutboxPorts) {
    this.channel = channel;
    this.#ports = ports;
    this.#window = new ByteWindow(ports.memory.sends);
    channel.onRoom = () => this.pump();
    channel.onCircuitOpen = (openMs, failure) =>
      ports.logger.warn({ code: failure.code, openMs }, `the outlet's circuit breaker is open, sends are paused: ${failure.message}`);
  }

  /** Unsettled sends, those under way included. */
  get depth(): number {
    return this.#ports.journal.outboxDepth(this.channel.flow, this.channel.name);
  }

  /** Of these, sends whose date is not there yet. */
  get delayed(): number {
    return this.#ports.journal.outboxDelayed(this.channel.flow, this.channel.name);
  }

  get full(): boolean {
    return this.depth - this.delayed >= gatewayLimits.outboxPerOutlet;
  }

  /** Leases and sends what is due and has a place. Called when something was committed, came due, or a place is free. */
  pump(): void {
    if (this.#stopped || this.holds.all || this.channel.paused) return;
    const nextMs = this.#nextMs;
    if (nextMs === undefined) return;
    if (nextMs > this.#ports.clock.monotonicMs()) this.#schedule();
    else if (this.#leasing) this.#again = true;
    else void this.#lease();
  }

  /** The peer is back: what waits for it is sent at once. */
  peerIsBack(): void {
    this.#unreached.clear();
    this.#ports.journal.hastenOutbox(this.channel.flow, this.channel.name);
    this.pump();
  }

  /** Nothing is under way and nothing is due now. */
  get idle(): boolean {
    return this.#sending === 0 && !this.#leasing && (this.holds.all || this.channel.paused || this.#nextMs !== 0);
  }

  /** For a journal in memory: what was not sent before the gateway ends becomes dead letters. */
  async bury(): Promise<void> {
    const { journal, clock, logger } = this.#ports;
    const endedMs = clock.now();
    const entries = await journal.leaseOutbox(this.channel.flow, this.channel.name, gatewayLimits.outboxPerOutlet, Number.MAX_SAFE_INTEGER);
    for (const entry of entries) {
      const failure: Failure = {
        origin: "gateway",
        code: "MF_STOPPED",
        message: "the gateway stopped before this was sent, and its journal is in memory",
        status: 0,
        retry: true,
      };
      await journal
        .buryOutbox(entry, { attempt: entry.attempt, startedMs: endedMs, endedMs, imageSha256: "", failure, logs: [] })
        .catch((error: unknown) =>
          logger.error({ message: entry.messageId }, `lost: ${error instanceof Error ? error.message : String(error)}`),
        );
    }
    if (entries.length > 0 && this.depth > 0) await this.bury(); // later ones of a key come once the earlier are gone
  }

  /** True while an entry with such a number is being sent. */
  isSending(isOf: (number: EntryNumber) => boolean): boolean {
    for (const number of this.#open.keys()) if (isOf(number)) return true;
    return false;
  }

  /** Entries with such numbers are another node's: their attempts are abandoned, whatever comes of them. */
  lose(isOf: (number: EntryNumber) => boolean): void {
    for (const [number, sending] of this.#open) {
      if (!isOf(number)) continue;
      this.#open.delete(number);
      sending.abandon();
    }
    for (const numbers of [this.#committedMs, this.#unreached])
      for (const number of numbers.keys()) if (isOf(number)) numbers.delete(number);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.channel.onRoom = () => undefined;
  }

  /** When something is due, by the monotonic clock: 0 for now. Dates are looked at again at least so often that a clock that was set is noticed. */
  get #nextMs(): number | undefined {
    const { journal, clock } = this.#ports;
    const { flow, name } = this.channel;
    const nextMs = journal.nextOutboxMs(flow, name);
    const dateMs = journal.nextOutboxDateMs(flow, name);
    if (dateMs === undefined || nextMs === 0) return nextMs;
    const leftMs = dateMs - clock.now();
    if (leftMs <= 0) return 0;
    return Math.min(nextMs ?? Number.POSITIVE_INFINITY, clock.monotonicMs() + Math.min(leftMs, gatewayLimits.sleepLookMs));
  }

  async #lease(): Promise<void> {
    const { journal, persistence, clock } = this.#ports;
    const { channel } = this;
    this.#leasing = true;
    let places = 0;
    try {
      do {
        this.#again = false;
        places = 0;
        const most = this.#fits(Math.min(channel.config.concurrency, this.depth - this.#sending));
        while (places < most && channel.tryEnter()) places += 1;
        if (places === 0) return;
        const entries = await persistence.keepTrying(() =>
          journal.leaseOutbox(channel.flow, channel.name, places, clock.monotonicMs(), clock.now()),
        );
        for (let unused = entries?.length ?? 0; unused < places; unused += 1) channel.leaveUnused();
        for (const entry of entries ?? [])
          if (entry.damage !== undefined) this.#leaveDamaged(entry, entry.damage);
          else if (this.holds.holds(entry.key)) this.#keepHeld(entry);
          else void this.#send(entry);
        if (entries?.length === places) this.#again = true;
      } while (this.#again && !this.#stopped);
    } finally {
      this.#leasing = false;
      if (places > 0) this.#schedule(); // otherwise the channel says when there is a place
    }
  }

  /** Until `unhold`, with all that is behind it. */
  #keepHeld(entry: OutboxEntry): void {
    this.#ports.journal.releaseOutbox(entry, Number.MAX_SAFE_INTEGER);
    this.channel.leaveUnused();
  }

  /** It stays leased: what is behind it in its key waits as it does. */
  #leaveDamaged(entry: OutboxEntry, damage: CodedError): void {
    this.#ports.persistence.damaged(damage, entry.messageId, `a send to ${this.channel.name}`);
    this.channel.leaveUnused();
  }

  hold(letter: string, key: string | undefined): void {
    this.holds.add(letter, key);
  }

  /** The letter is gone: what it held is sent. */
  unhold(letter: string): void {
    if (this.holds.delete(letter)) this.peerIsBack();
  }

  /** One goes out whatever memory there is: it is what makes room. */
  #fits(most: number): number {
    const fits = this.#window.fits(most);
    return fits === 0 && this.#sending === 0 ? Math.min(most, 1) : fits;
  }

  async #send(entry: OutboxEntry): Promise<void> {
    const { journal, persistence, clock, memory } = this.#ports;
    const { channel } = this;
    this.#sending += 1;
    memory.sends.force(entry.body.length);
    this.#window.saw(entry.body.length);
    const startedMs = clock.now();
    const sending = new Abandonment();
    this.#open.set(entry.number, sending);
    try {
      const { idempotencyKey, attempt } = entry;
      const make = (how: Attempt): Promise<void> => channel.send(outgoing(entry), how);
      await channel.attempt({ idempotencyKey, attempt, timeoutMs: channel.config.timeout, abandonment: sending, make });
      channel.metrics.sent += 1;
      this.#forget(entry);
      this.#tell(entry, startedMs, "sent");
      await persistence.keepTrying(() => journal.settleOutbox(entry));
    } catch (error) {
      if (!sending.isAbandoned) await this.#failed(entry, classified(error), startedMs);
    } finally {
      if (this.#open.get(entry.number) === sending) this.#open.delete(entry.number);
      this.#sending -= 1;
      memory.sends.give(entry.body.length);
      this.pump();
    }
  }

  async #failed(entry: OutboxEntry, failure: OutletError, startedMs: number): Promise<void> {
    const { journal, persistence, clock, random, logger } = this.#ports;
    // A flow that is stopping refuses with MF_STOPPING as well: its sends are deferred, for to release one here is to lease it again at once.
    if (this.#stopped) return journal.releaseOutbox(entry);
    const { retry } = this.channel.config;
    const endedMs = clock.now();
    const leftMs = retry.age - this.#ageMs(entry);
    if (failure.unreached && failure.retryable && leftMs > 0) {
      this.#tell(entry, startedMs, "waiting", failureOf(failure));
      return this.#waitForPeer(entry, failure, leftMs);
    }
    const waitMs = Math.max(backoffMs(entry.attempt, retry.backoff, random), Math.min(failure.retryAfterMs ?? 0, leftMs));
    const again = failure.retryable && entry.attempt < retry.attempts && waitMs <= leftMs;
    const record: AttemptRecord = {
      attempt: entry.attempt,
      startedMs,
      endedMs,
      imageSha256: "",
      failure: failureOf(failure),
      logs: [],
    };
    logger.warn({ ...this.#place(entry), code: failure.code, retryInMs: again ? waitMs : undefined }, failure.message);
    if (again) {
      this.channel.metrics.retries += 1;
      this.#tell(entry, startedMs, "retry", record.failure);
      await persistence.keepTrying(() => journal.deferOutbox(entry, record, Math.ceil(clock.monotonicMs() + waitMs)));
      return;
    }
    this.channel.metrics.dead += 1;
    this.#forget(entry);
    const letter = await this.#bury(entry, record);
    this.#tell(entry, startedMs, "dead", record.failure, letter);
    logger.error(
      { ...this.#place(entry), code: failure.code, deadLetter: letter },
      `the send failed for good and is kept as a dead letter: ${failure.message}`,
    );
  }

  #tell(entry: OutboxEntry, startedMs: number, status: WitnessedDelivery["status"], failure?: Failure, letter?: string): void {
    const { witnesses, clock } = this.#ports;
    if (!witnesses.any) return;
    const { flow, messageId, outlet, idempotencyKey, headers, attempt } = entry;
    const { connector } = this.channel.config;
    const endedMs = clock.now();
    witnesses.delivered({
      flow,
      messageId,
      outlet,
      connector,
      idempotencyKey,
      headers,
      attempt,
      startedMs,
      endedMs,
      status,
      failure,
      letter,
    });
  }

  /** Followers are held before the entry is gone: the journal releases them as soon as it is. */
  async #bury(entry: OutboxEntry, record: AttemptRecord): Promise<string | undefined> {
    const { journal, persistence, logger } = this.#ports;
    const holds = this.channel.config.onDead === "hold";
    const place = `entry ${entry.number}`;
    if (holds) this.holds.add(place, entry.key);
    const letter = await persistence.keepTrying(() => journal.buryOutbox(entry, record));
    if (!holds) return letter;
    if (letter === undefined) this.unhold(place);
    else {
      this.holds.add(letter, entry.key);
      this.holds.delete(place);
      const held = entry.key === undefined ? "the outlet" : "sends of its key";
      logger.error(
        { message: entry.messageId, deadLetter: letter, key: entry.key },
        `the dead letter holds back ${held} until it is retried or dropped (onDead: hold)`,
      );
    }
    return letter;
  }

  /** Until retry.age is over: the attempt does not count, and nothing is written. */
  #waitForPeer(entry: OutboxEntry, failure: OutletError, leftMs: number): void {
    const { journal, clock, random, logger } = this.#ports;
    const times = this.#unreached.get(entry.number) ?? 0;
    this.#unreached.set(entry.number, times + 1);
    const waitMs = Math.min(Math.max(backoffMs(times + 1, this.channel.config.retry.backoff, random), failure.retryAfterMs ?? 0), leftMs);
    this.channel.metrics.retries += 1;
    logger[times === 0 ? "warn" : "debug"](
      { ...this.#place(entry), code: failure.code, retryInMs: waitMs },
      `the send waits for a peer that is unreachable: ${failure.message}`,
    );
    journal.releaseOutbox(entry, Math.ceil(clock.monotonicMs() + waitMs));
  }

  /** Fields of a log line. */
  #place({ messageId, attempt, headers }: OutboxEntry): object {
    return { message: messageId, attempt, ...this.#ports.tracing.logFields(headers) };
  }

  #forget(entry: OutboxEntry): void {
    this.#committedMs.delete(entry.number);
    this.#unreached.delete(entry.number);
  }

  #ageMs(entry: OutboxEntry): number {
    const { clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    const sinceMs = this.#committedMs.get(entry.number) ?? nowMs - Math.max(clock.now() - Math.max(entry.committedMs, entry.dueMs ?? 0), 0);
    this.#committedMs.set(entry.number, sinceMs);
    return nowMs - sinceMs;
  }

  /** Comes back when the next deferred entry is due. */
  #schedule(): void {
    const nextMs = this.#nextMs;
    if (this.#stopped || nextMs === undefined || nextMs === 0 || nextMs >= this.#timerMs) return;
    this.#cancelTimer?.();
    this.#timerMs = nextMs;
    this.#cancelTimer = this.#ports.clock.after(Math.max(nextMs - this.#ports.clock.monotonicMs(), 1), () => {
      this.#timerMs = Number.POSITIVE_INFINITY;
      this.pump();
    });
  }
}

function failureOf({ origin, code, message, status, retryable }: OutletError): Failure {
  return { origin, code, message, status, retry: retryable };
}

function outgoing(entry: OutboxEntry): Outgoing {
  return {
    messageId: entry.messageId,
    flow: entry.flow,
    outlet: entry.outlet,
    key: entry.key,
    contentType: entry.contentType,
    headers: entry.headers,
    body: entry.body,
    correlationId: entry.correlationId,
    timeMs: entry.committedMs,
  };
}
