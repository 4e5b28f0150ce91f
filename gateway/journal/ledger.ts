/**
 * The state of a journal, as a synchronous state machine without I/O: pending messages, leases, dedup windows, state, outbox.
 * memory.ts is this and a dead-letter directory. A durable journal can keep the same ledger as its index: check first
 * (`holds`, `conflicts`), write, and apply once the bytes are down.
 */
import { assert, type Brand, CellMap } from "#base";
import { gatewayLimits } from "../contract/limits.ts";
import type { Headers, Reply } from "../contract/message.ts";
import { DedupWindow } from "./dedup.ts";
import { contradicts, dedupIdOf } from "./dedup-id.ts";
import type {
  Accepted,
  AttemptRecord,
  Completed,
  Completion,
  EntryNumber,
  FencingToken,
  JournalStats,
  KeptSignal,
  Lease,
  NewMessage,
  NewSend,
  NewSignal,
  OutboxEntry,
  Recovery,
  Sequence,
  SignalKept,
  SignalNumber,
  StateSnapshot,
} from "./journal.ts";
import { itemBytes, OwnedByAll } from "./owned-bytes.ts";
import { KeptSignals } from "./signals.ts";
import { Sleepers } from "./sleepers.ts";
import { type Slot, slotOf, type SleepingLease } from "./slot.ts";
import { stateGrowth, stateRefusal } from "./state-limit.ts";
import { OutboxQueue } from "./outbox-queue.ts";

/** A message that is not finished. `lease` is the newest one; `leased` says whether someone holds it. */
export interface PendingMessage {
  lease: Lease;
  leased: boolean;
}

export interface LedgerCounters {
  readonly sequence: number;
  readonly token: number;
  readonly entry: number;
}

/** The numbers a ledger gives out: `first`, `first + step`, … so that those of the partitions of a cluster are never the same. */
export interface NumberSeries {
  /** At least 1. */
  readonly first: number;
  /** At least 1. */
  readonly step: number;
}

const everyNumber: NumberSeries = { first: 1, step: 1 };

/** The first number of the series that is not below `least`. */
function atLeast({ first, step }: NumberSeries, least: number): number {
  return least <= first ? first : first + Math.ceil((least - first) / step) * step;
}

/** A completed id of a snapshot. */
export interface CompletedIdOfFlow {
  readonly flow: string;
  readonly dedupId: string;
  readonly id: string;
  readonly untilMs: number;
  readonly reply: Reply | undefined;
}

export interface StateOfKey {
  version: number;
  readonly values: Map<string, string>;
  bytes: number;
}

/** A completion as it is written and applied: everything it changes, with the numbers given to it. */
export interface Commit {
  readonly flow: string;
  /** Of the message, which need not be known: a durable journal never hears of an adopted one before this. */
  readonly sequence: Sequence;
  readonly entries: readonly OutboxEntry[];
  readonly state: Completion["state"];
  /** The id to remember. */
  readonly completedId:
    | { readonly dedup: NonNullable<NewMessage["dedup"]>; readonly id: string; readonly reply: Reply | undefined }
    | undefined;
  readonly nowMs: number;
  /** The message as it sleeps on; undefined: it is finished. */
  readonly sleeping: SleepingLease | undefined;
  readonly consumed: readonly SignalNumber[];
  readonly kept: readonly KeptSignal[];
  /** The message that takes its place, under its own numbers. */
  readonly next: Lease | undefined;
}

/** A send that has an idempotency key already, because it is a dead letter that is tried again. */
export interface Resend {
  readonly idempotencyKey?: string | undefined;
}

export interface FlowLedger {
  readonly pending: CellMap<Sequence, PendingMessage>;
  readonly unleased: Set<Sequence>;
  readonly dedup: DedupWindow;
  /** Ids of signals, apart: many of them must not push those of messages out, nor the other way round. */
  readonly signalDedup: DedupWindow;
  readonly state: Map<string, StateOfKey>;
  /** Keys whose state is empty and only a version, oldest first. */
  readonly deletedState: Set<string>;
  readonly outbox: Map<string, OutboxQueue>;
}

/** The first and the last attempts, at most limits.attemptsKept. */
export function keptAttempts(attempts: readonly AttemptRecord[], record: AttemptRecord): readonly AttemptRecord[] {
  const all = [...attempts, record];
  const most = gatewayLimits.attemptsKept;
  return all.length <= most ? all : [...all.slice(0, most / 2), ...all.slice(all.length - most / 2)];
}

/** True for the date of a send that waits for it; one that is past does not count. */
function isLater(dueMs: number | undefined, nowMs: number): boolean {
  return dueMs !== undefined && dueMs > nowMs;
}

export function isSleeping(lease: Lease): lease is SleepingLease {
  return lease.sleeper !== undefined;
}

/** Begins the ids of signals; those of messages begin otherwise (dedup-id.ts). */
const signalMark = "signal ";

/** The text duplicates of a signal are found by. Signals of other names and keys have ids of their own, and no message has one of them. */
export function signalDedupId({ name, key }: Pick<NewSignal, "name" | "key">, id: string): string {
  return signalMark + dedupIdOf({ place: `signal\0${name}`, scope: key, id, fingerprint: undefined });
}

function fullOf(message: string): { readonly code: string; readonly message: string } {
  return { code: "MF_TENANT_FULL", message };
}

/** `Stored`: what a journal keeps of a sleeper beside its slot. */
export class Ledger<Stored> {
  readonly #flows = new Map<string, FlowLedger>();
  readonly numbers: NumberSeries;
  #nextSequence: number;
  #nextToken: number;
  #nextEntry: number;
  readonly sleepers = new Sleepers<Stored>();
  readonly signals: KeptSignals;
  /** Bytes of the tenants of deployed functions. */
  readonly owned = new OwnedByAll();
  #pendingBytes = 0;
  #stateBytes = 0;
  /** No state gets a version up to this any more: they may have been given to keys that are forgotten. */
  #versionFloor = 0;
  readonly #bodyBytes: (body: Uint8Array) => number;

  /** `bodyBytes` measures a body, for a journal that keeps some of them elsewhere; `recordedBytes` what a record has of it. */
  constructor(bodyBytes: (body: Uint8Array) => number = (body) => body.length, recordedBytes = bodyBytes, numbers = everyNumber) {
    this.numbers = numbers;
    this.#nextSequence = this.#nextToken = this.#nextEntry = numbers.first;
    this.#bodyBytes = bodyBytes;
    this.signals = new KeptSignals(recordedBytes, ({ flow, headers, body }, sign) => this.#own(flow, { headers, body }, sign));
  }

  get flows(): ReadonlyMap<string, FlowLedger> {
    return this.#flows;
  }

  /** The numbers that are given out next. */
  get counters(): LedgerCounters {
    return { sequence: this.#nextSequence, token: this.#nextToken, entry: this.#nextEntry };
  }

  /** Goes on with these numbers, where they are higher. */
  skipTo(counters: LedgerCounters): void {
    const { numbers } = this;
    this.#nextSequence = Math.max(this.#nextSequence, atLeast(numbers, counters.sequence));
    this.#nextToken = Math.max(this.#nextToken, atLeast(numbers, counters.token));
    this.#nextEntry = Math.max(this.#nextEntry, atLeast(numbers, counters.entry));
  }

  /** The flow's part, made when it is first asked for. */
  flow(name: string): FlowLedger {
    let flow = this.#flows.get(name);
    if (flow === undefined) {
      flow = {
        pending: new CellMap(),
        unleased: new Set(),
        dedup: new DedupWindow(),
        signalDedup: new DedupWindow(),
        state: new Map(),
        deletedState: new Set(),
        outbox: new Map(),
      };
      this.#flows.set(name, flow);
    }
    return flow;
  }

  outbox(flow: string, outlet: string): OutboxQueue {
    const { outbox } = this.flow(flow);
    let queue = outbox.get(outlet);
    if (queue === undefined) outbox.set(outlet, (queue = new OutboxQueue((entry, sign) => this.#own(flow, entry, sign))));
    return queue;
  }

  /** Counts what an owner of flows has: 1 for what comes, -1 for what goes. */
  #own(flow: string, item: { readonly headers: Headers; readonly body: Uint8Array }, sign: 1 | -1): void {
    this.owned.addMessages(flow, () => sign * this.#itemBytes(item));
  }

  #itemBytes({ headers, body }: { readonly headers: Headers; readonly body: Uint8Array }): number {
    return itemBytes(headers, this.#bodyBytes(body));
  }

  newSequence(): Sequence {
    const number = this.#nextSequence;
    this.#nextSequence += this.numbers.step;
    return number as Brand<number, "Sequence">;
  }

  newToken(): FencingToken {
    const number = this.#nextToken;
    this.#nextToken += this.numbers.step;
    return number as Brand<number, "FencingToken">;
  }

  newEntry(): EntryNumber {
    return this.#takeEntryNumber() as Brand<number, "EntryNumber">;
  }

  newSignal(): SignalNumber {
    return this.#takeEntryNumber() as Brand<number, "SignalNumber">;
  }

  #takeEntryNumber(): number {
    const number = this.#nextEntry;
    this.#nextEntry += this.numbers.step;
    return number;
  }

  /** The record of this message's dedup id; undefined if it is new. */
  duplicate(message: NewMessage): Accepted | undefined {
    if (message.dedup === undefined) return undefined;
    const { dedup } = this.flow(message.flow);
    const { id } = message.dedup;
    const running = dedup.running(id);
    if (running !== undefined)
      return contradicts(running.dedupId, id) ? { status: "mismatch" } : { status: "running", sequence: running.sequence };
    const completed = dedup.completed(id, message.receivedMs);
    if (completed === undefined) return undefined;
    if (contradicts(completed.dedupId, id)) return { status: "mismatch" };
    return { status: "duplicate", id: completed.id, reply: completed.reply };
  }

  admit(message: NewMessage, durable: boolean): Lease {
    const lease = this.newLease(message, durable);
    this.keep(lease, true);
    return lease;
  }

  /** Numbers for a new message; nothing is kept yet. */
  newLease(message: NewMessage, durable: boolean): Lease {
    return { sequence: this.newSequence(), token: this.newToken(), attempt: 1, dueMs: 0, durable, message, attempts: [] };
  }

  /** Keeps a message under the numbers of `lease` and marks its dedup id as running. */
  keep(lease: Lease, leased: boolean): void {
    const { message, sequence } = lease;
    const flow = this.flow(message.flow);
    flow.pending.set(sequence, { lease, leased });
    if (!leased) flow.unleased.add(sequence);
    this.#pendingBytes += this.#bodyBytes(message.body);
    this.#own(message.flow, message, 1);
    if (message.dedup !== undefined) flow.dedup.begin(message.dedup.id, sequence);
  }

  /** True when the lease is held and the message's newest. */
  holds(lease: Lease): boolean {
    if (lease.sleeper !== undefined) return this.sleepers.tokenOf(lease.sequence) === lease.token;
    const pending = this.flow(lease.message.flow).pending.get(lease.sequence);
    return pending !== undefined && pending.leased && pending.lease.token === lease.token;
  }

  lease(flowName: string, most: number): Lease[] {
    const flow = this.flow(flowName);
    const leases: Lease[] = [];
    for (const sequence of [...flow.unleased].sort((a, b) => a - b)) {
      if (leases.length >= most) break;
      const pending = flow.pending.get(sequence);
      assert(pending !== undefined, "an unleased message is pending");
      flow.unleased.delete(sequence);
      pending.lease = { ...pending.lease, token: this.newToken() };
      pending.leased = true;
      leases.push(pending.lease);
    }
    return leases;
  }

  /** Why this completion can't be applied, or undefined. */
  objection(lease: Lease, completion: Completion): Completed | undefined {
    if (!this.holds(lease)) return { status: "stale" };
    const outlet = this.#delayedOutlet(lease.message.flow, completion);
    if (outlet !== undefined) {
      const message = `${gatewayLimits.delayedPerOutlet} sends to ${outlet} wait for a later date already: send later, or let a flow sleep until then`;
      return { status: "refused", code: "MF_DELAYED_LIMIT", message };
    }
    const over = this.#overBounds(lease, completion);
    if (over !== undefined) return { status: "refused", ...over };
    const change = completion.state;
    if (change === undefined) return undefined;
    const state = this.flow(lease.message.flow).state.get(change.key);
    if ((state?.version ?? 0) !== change.version) return { status: "conflict" };
    const refusal = stateRefusal(change.key, state, change.changes);
    return refusal === undefined ? undefined : { status: "refused", ...refusal };
  }

  /** Why the owner of the flow may not keep as much more. */
  #overBounds({ sequence, message }: Lease, completion: Completion): { readonly code: string; readonly message: string } | undefined {
    const { bounds, sends, sleeper, next, state, kept = [] } = completion;
    if (bounds === undefined) return undefined;
    const now = this.owned.of(bounds.owner);
    const flow = this.flow(message.flow);
    const stateMore = state === undefined ? 0 : stateGrowth(flow.state.get(state.key), state.changes);
    if (stateMore > 0 && now.state + stateMore > bounds.state)
      return fullOf(
        `the state of the functions of ${bounds.owner} would exceed ${bounds.state} bytes: delete names or keys, or raise \`state\` of the tenant`,
      );
    let more = 0;
    for (const item of [...sends, ...kept, ...(next === undefined ? [] : [next])]) more += this.#itemBytes(item);
    if (sleeper !== undefined) more += this.#sleeperBytes(message, sleeper);
    more -= flow.pending.has(sequence) ? this.#itemBytes(message) : this.owned.sleeperBytes(sequence);
    if (more > 0 && now.messages + more > bounds.messages)
      return fullOf(
        `the messages, sends and sleepers of ${bounds.owner} would exceed ${bounds.messages} bytes: send less, see to what waits, or raise \`messages\` of the tenant`,
      );
    return undefined;
  }

  #sleeperBytes(message: NewMessage, { recording, pages }: NonNullable<Lease["sleeper"]>): number {
    return this.#itemBytes(message) + this.#bodyBytes(recording) + (pages === undefined ? 0 : this.#bodyBytes(pages));
  }

  /** The outlet that would have too many sends for a later date, if one would. */
  #delayedOutlet(flow: string, { sends, nowMs }: Completion): string | undefined {
    const more = new Map<string, number>();
    for (const { outlet, dueMs } of sends) if (isLater(dueMs, nowMs)) more.set(outlet, (more.get(outlet) ?? 0) + 1);
    for (const [outlet, count] of more) if (this.outbox(flow, outlet).delayed + count > gatewayLimits.delayedPerOutlet) return outlet;
    return undefined;
  }

  /** Applies a completion that has no objection. */
  complete(lease: Lease, completion: Completion, stored: (lease: SleepingLease) => Stored): void {
    const commit = this.commitOf(lease, completion);
    this.commit(commit, commit.sleeping && slotOf(commit.sleeping, stored(commit.sleeping)));
  }

  /** The changes of a completion, with their numbers; nothing is changed yet. */
  commitOf(lease: Lease, completion: Completion): Commit {
    const { message } = lease;
    const place = lease.sleeper === undefined ? "" : `${lease.sleeper.transactions}/`; // sends of each transaction begin with 0
    return {
      flow: message.flow,
      sequence: lease.sequence,
      state: completion.state,
      completedId: message.dedup === undefined ? undefined : { dedup: message.dedup, id: message.id, reply: completion.reply },
      nowMs: completion.nowMs,
      sleeping:
        completion.sleeper === undefined
          ? undefined
          : {
              ...lease,
              durable: true,
              attempt: 1,
              dueMs: 0,
              attempts: [],
              message: { ...message, dedup: undefined },
              sleeper: completion.sleeper,
            },
      consumed: completion.consumed ?? [],
      kept: (completion.kept ?? []).map((signal) => this.newKeptSignal(signal)),
      next: completion.next === undefined ? undefined : this.newLease(completion.next, true),
      entries: completion.sends.map((send: NewSend & Resend, index) => {
        const entry: OutboxEntry = {
          number: this.newEntry(),
          flow: message.flow,
          outlet: send.outlet,
          idempotencyKey: send.idempotencyKey ?? `${message.flow}/${message.id}/${lease.sequence}/${place}${index}`,
          messageId: message.id,
          correlationId: message.correlationId,
          key: send.key,
          contentType: send.contentType,
          headers: send.headers,
          body: send.body,
          committedMs: completion.nowMs,
          attempt: 1,
          attempts: [],
        };
        return isLater(send.dueMs, completion.nowMs) ? { ...entry, dueMs: send.dueMs } : entry;
      }),
    };
  }

  /** `slot`: that of the message as it sleeps on. */
  commit(commit: Commit, slot: Slot<Stored> | undefined): void {
    const flow = this.flow(commit.flow);
    for (const entry of commit.entries) this.outbox(commit.flow, entry.outlet).add(entry);
    if (commit.state !== undefined) this.#applyState(commit.flow, flow, commit.state);
    this.#forget(commit.flow, commit.sequence);
    for (const number of commit.consumed) this.signals.take(number);
    for (const signal of commit.kept) this.keepSignal(signal);
    if (slot !== undefined) this.sleepers.put(slot);
    if (commit.sleeping !== undefined)
      this.owned.asleep(commit.sequence, commit.flow, this.#sleeperBytes(commit.sleeping.message, commit.sleeping.sleeper));
    if (commit.next !== undefined) this.keep(commit.next, false);
    if (commit.completedId === undefined) return;
    const { dedup, id, reply } = commit.completedId;
    flow.dedup.complete(dedup, { id, reply, nowMs: commit.nowMs });
  }

  retry(lease: Lease, record: AttemptRecord, dueMs: number): Lease {
    const next = this.nextLease(lease, record, dueMs);
    this.replace(next);
    return next;
  }

  /** The lease for the attempt after this one; nothing is changed yet. */
  nextLease(lease: Lease, record: AttemptRecord, dueMs: number): Lease {
    return { ...lease, token: this.newToken(), attempt: lease.attempt + 1, dueMs, attempts: keptAttempts(lease.attempts, record) };
  }

  /** Makes `lease` the newest of its message. */
  replace(lease: Lease): void {
    if (isSleeping(lease)) return this.sleepers.replace(lease);
    const pending = this.flow(lease.message.flow).pending.get(lease.sequence);
    assert(pending !== undefined, "a message that is given a new lease is pending");
    pending.lease = lease;
  }

  release(lease: Lease): void {
    if (!this.holds(lease)) return;
    if (isSleeping(lease)) return this.sleepers.release(lease.sequence);
    if (!lease.durable) {
      this.finish(lease);
      return;
    }
    const flow = this.flow(lease.message.flow);
    const pending = flow.pending.get(lease.sequence);
    assert(pending !== undefined, "a held message is pending");
    pending.leased = false;
    flow.unleased.add(lease.sequence);
  }

  /** Forgets a message that was buried or dropped, and releases its id. */
  finish(lease: Lease): void {
    this.#forget(lease.message.flow, lease.sequence);
    if (lease.message.dedup !== undefined) this.flow(lease.message.flow).dedup.end(lease.message.dedup.id);
  }

  /** The same, of a message that is not held. */
  end(flow: string, sequence: Sequence): void {
    const pending = this.flow(flow).pending.get(sequence);
    if (pending !== undefined) this.finish(pending.lease);
    else this.#endSleep(sequence);
  }

  #endSleep(sequence: Sequence): void {
    this.sleepers.remove(sequence);
    this.owned.awake(sequence);
  }

  /** Notes a failed attempt of a message that is not held. */
  failed(flow: string, sequence: Sequence, record: AttemptRecord, dueMs: number): void {
    const pending = this.flow(flow).pending.get(sequence);
    if (pending !== undefined) return this.replace(this.nextLease(pending.lease, record, dueMs));
    const slot = this.sleepers.slot(sequence);
    if (slot === undefined) return;
    const { attempt, attempts } = slot.failed ?? { attempt: 1, attempts: [] };
    slot.failed = { attempt: attempt + 1, dueMs, attempts: keptAttempts(attempts, record) };
  }

  /** The number and the record of a signal; nothing is kept yet. */
  newKeptSignal(signal: NewSignal): KeptSignal {
    return { ...signal, number: this.newSignal() };
  }

  /** The commit that keeps `kept` in the place of another signal. */
  replacementOf(number: SignalNumber, kept: KeptSignal): Commit {
    return {
      flow: kept.flow,
      sequence: this.newSequence(),
      entries: [],
      state: undefined,
      completedId: undefined,
      nowMs: kept.receivedMs,
      sleeping: undefined,
      consumed: [number],
      kept: [kept],
      next: undefined,
    };
  }

  /** The record of this signal's dedup id; undefined if it is new. */
  duplicateSignal({ flow, dedup, receivedMs, ...signal }: NewSignal): SignalKept | undefined {
    if (dedup === undefined) return undefined;
    const dedupId = signalDedupId(signal, dedup.id);
    const ids = this.flow(flow);
    // Checkpoints written before signals had a window of their own have their ids unmarked, among those of messages.
    const found = ids.signalDedup.completed(dedupId, receivedMs) ?? ids.dedup.completed(dedupId.slice(signalMark.length), receivedMs);
    return found === undefined ? undefined : { status: "duplicate", id: found.id };
  }

  keepSignal(signal: KeptSignal): void {
    this.signals.keep(signal);
    if (signal.dedup === undefined) return;
    const dedup = { ...signal.dedup, id: signalDedupId(signal, signal.dedup.id) };
    this.flow(signal.flow).signalDedup.complete(dedup, { id: signal.id, reply: undefined, nowMs: signal.receivedMs });
  }

  /** Leases a sleeping message; undefined when it is awake or gone. */
  wake(sequence: Sequence): { readonly slot: Slot<Stored>; readonly token: FencingToken } | undefined {
    const found = this.sleepers.slot(sequence);
    if (found === undefined || found.token !== undefined) return undefined;
    const token = this.newToken();
    return { slot: this.sleepers.lease(sequence, token), token };
  }

  readState(flowName: string, key: string): StateSnapshot {
    const state = this.flow(flowName).state.get(key);
    if (state === undefined) return { version: 0, json: undefined };
    if (state.values.size === 0) return { version: state.version, json: undefined };
    const members = [...state.values].map(([name, valueJson]) => `${JSON.stringify(name)}:${valueJson}`);
    return { version: state.version, json: `{${members.join(",")}}` };
  }

  /** Of every message and signal that is kept and every unsettled send; of sleepers those that name a stored body. */
  *headers(): Iterable<Headers> {
    for (const flow of this.#flows.values()) {
      for (const { lease } of flow.pending.values()) yield lease.message.headers;
      for (const queue of flow.outbox.values()) for (const [entry] of queue.entries()) yield entry.headers;
    }
    for (const { headers } of this.sleepers.marked()) if (headers !== undefined) yield headers;
    for (const { headers } of this.signals.kept()) yield headers;
  }

  recovery(remarks: readonly string[]): Recovery {
    const pending: Record<string, number> = {};
    const outbox: { flow: string; outlet: string; entries: number }[] = [];
    for (const [name, flow] of this.#flows) {
      if (flow.pending.size > 0) pending[name] = flow.pending.size;
      for (const [outlet, queue] of flow.outbox) if (queue.size > 0) outbox.push({ flow: name, outlet, entries: queue.size });
    }
    return { pending, sleepers: Object.fromEntries(this.sleepers.byFlow()), outbox, remarks };
  }

  stats(): Omit<JournalStats, "diskBytes" | "commits" | "committed"> {
    let pending = 0;
    let outbox = 0;
    let delayed = 0;
    let dedupIds = 0;
    let stateKeys = 0;
    for (const flow of this.#flows.values()) {
      pending += flow.pending.size;
      dedupIds += flow.dedup.size + flow.signalDedup.size;
      stateKeys += flow.state.size;
      for (const queue of flow.outbox.values()) {
        outbox += queue.size;
        delayed += queue.delayed;
      }
    }
    const { size: sleepers } = this.sleepers;
    const { size: signals } = this.signals;
    return { pending, pendingBytes: this.#pendingBytes, outbox, delayed, dedupIds, stateKeys, sleepers, signals };
  }

  /** Puts back a completed id of a snapshot, of a message or of a signal. */
  restoreId({ flow, dedupId, id, untilMs, reply }: CompletedIdOfFlow): void {
    const { dedup, signalDedup } = this.flow(flow);
    (dedupId.startsWith(signalMark) ? signalDedup : dedup).remember(dedupId, id, untilMs, reply);
  }

  /** Puts back the state of a snapshot. */
  restoreState(flowName: string, key: string, version: number, values: Iterable<readonly [name: string, valueJson: string]>): void {
    const state: StateOfKey = { version, values: new Map(values), bytes: 0 };
    for (const [name, valueJson] of state.values) state.bytes += name.length + valueJson.length;
    this.flow(flowName).state.set(key, state);
    this.#stateBytes += state.bytes;
    this.owned.addState(flowName, key.length + state.bytes);
  }

  /** Over all flows and keys. */
  get stateBytes(): number {
    return this.#stateBytes;
  }

  #applyState(name: string, flow: FlowLedger, change: NonNullable<Completion["state"]>): void {
    let state = flow.state.get(change.key);
    if (state === undefined) {
      flow.state.set(change.key, (state = { version: 0, values: new Map(), bytes: 0 }));
      this.owned.addState(name, change.key.length);
    }
    const bytesBefore = state.bytes;
    state.version = Math.max(change.version, state.version, this.#versionFloor) + 1;
    this.#stateBytes -= state.bytes;
    for (const { name, valueJson } of change.changes) {
      const before = state.values.get(name);
      if (before !== undefined) state.bytes -= before.length + name.length;
      if (valueJson === undefined) state.values.delete(name);
      else {
        state.values.set(name, valueJson);
        state.bytes += valueJson.length + name.length;
      }
    }
    this.#stateBytes += state.bytes;
    this.owned.addState(name, state.bytes - bytesBefore);
    flow.deletedState.delete(change.key);
    if (state.values.size > 0) return;
    flow.deletedState.add(change.key);
    if (flow.deletedState.size <= gatewayLimits.deletedStates) return;
    const [oldest] = flow.deletedState;
    assert(oldest !== undefined, "a set that is not empty has a first member");
    this.#versionFloor = Math.max(this.#versionFloor, flow.state.get(oldest)?.version ?? 0);
    flow.deletedState.delete(oldest);
    if (flow.state.delete(oldest)) this.owned.addState(name, -oldest.length);
  }

  #forget(flowName: string, sequence: Sequence): void {
    const flow = this.flow(flowName);
    this.#endSleep(sequence);
    const pending = flow.pending.get(sequence);
    if (pending === undefined) return;
    flow.unleased.delete(sequence);
    flow.pending.delete(sequence);
    this.#pendingBytes -= this.#bodyBytes(pending.lease.message.body);
    this.#own(flowName, pending.lease.message, -1);
  }
}
