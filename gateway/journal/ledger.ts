/**
 * What a journal knows, as a synchronous state machine without I/O: pending messages, leases, dedup windows, state, outbox.
 * memory.ts is this and a dead-letter directory. A durable journal can keep the same ledger as its index: check first
 * (`holds`, `conflicts`), write, and apply once the bytes are down.
 */
import { assert, type Brand } from "#base";
import { gatewayLimits } from "../limits.ts";
import { DedupWindow } from "./dedup.ts";
import type {
  Accepted,
  AttemptRecord,
  Completed,
  Completion,
  EntryNumber,
  FencingToken,
  JournalStats,
  Lease,
  NewMessage,
  OutboxEntry,
  Recovery,
  Sequence,
  StateSnapshot,
} from "./journal.ts";
import { OutboxQueue } from "./outbox-queue.ts";

/** A message that is not finished. `lease` is the newest one; `leased` says whether someone holds it. */
export interface PendingMessage {
  lease: Lease;
  leased: boolean;
}

interface StateOfKey {
  version: number;
  readonly values: Map<string, string>;
  bytes: number;
}

interface FlowLedger {
  readonly pending: Map<Sequence, PendingMessage>;
  readonly unleased: Set<Sequence>;
  readonly dedup: DedupWindow;
  readonly state: Map<string, StateOfKey>;
  readonly outbox: Map<string, OutboxQueue>;
}

/** The first and the last attempts, at most limits.attemptsKept. */
export function keptAttempts(attempts: readonly AttemptRecord[], record: AttemptRecord): readonly AttemptRecord[] {
  const all = [...attempts, record];
  const most = gatewayLimits.attemptsKept;
  return all.length <= most ? all : [...all.slice(0, most / 2), ...all.slice(all.length - most / 2)];
}

export class Ledger {
  readonly #flows = new Map<string, FlowLedger>();
  #nextSequence = 1;
  #nextToken = 1;
  #nextEntry = 1;
  #pendingBytes = 0;

  /** The flow's part, made when it is first asked for. */
  flow(name: string): FlowLedger {
    let flow = this.#flows.get(name);
    if (flow === undefined) {
      flow = { pending: new Map(), unleased: new Set(), dedup: new DedupWindow(), state: new Map(), outbox: new Map() };
      this.#flows.set(name, flow);
    }
    return flow;
  }

  outbox(flow: string, outlet: string): OutboxQueue {
    const { outbox } = this.flow(flow);
    let queue = outbox.get(outlet);
    if (queue === undefined) outbox.set(outlet, (queue = new OutboxQueue()));
    return queue;
  }

  newSequence(): Sequence {
    return this.#nextSequence++ as Brand<number, "Sequence">;
  }

  newToken(): FencingToken {
    return this.#nextToken++ as Brand<number, "FencingToken">;
  }

  newEntry(): EntryNumber {
    return this.#nextEntry++ as Brand<number, "EntryNumber">;
  }

  /** What is known of this message's dedup id, or undefined when it is new. */
  duplicate(message: NewMessage): Accepted | undefined {
    if (message.dedup === undefined) return undefined;
    const { dedup } = this.flow(message.flow);
    const running = dedup.claimedBy(message.dedup.id);
    if (running !== undefined) return { status: "running", sequence: running };
    const completed = dedup.completed(message.dedup.id, message.receivedMs);
    return completed === undefined ? undefined : { status: "duplicate", id: completed.id, reply: completed.reply };
  }

  admit(message: NewMessage, durable: boolean): Lease {
    const flow = this.flow(message.flow);
    const lease: Lease = { sequence: this.newSequence(), token: this.newToken(), attempt: 1, dueMs: 0, durable, message, attempts: [] };
    flow.pending.set(lease.sequence, { lease, leased: true });
    this.#pendingBytes += message.body.length;
    if (message.dedup !== undefined) flow.dedup.claim(message.dedup.id, lease.sequence);
    return lease;
  }

  /** True when the lease is held and the message's newest. */
  holds(lease: Lease): boolean {
    const pending = this.flow(lease.message.flow).pending.get(lease.sequence);
    return pending !== undefined && pending.leased && pending.lease.token === lease.token;
  }

  claim(flowName: string, most: number): Lease[] {
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
    const change = completion.state;
    if (change === undefined) return undefined;
    const state = this.flow(lease.message.flow).state.get(change.key);
    if ((state?.version ?? 0) !== change.version) return { status: "conflict" };
    let bytes = state?.bytes ?? 0;
    for (const { name, valueJson } of change.changes)
      bytes +=
        (valueJson === undefined ? 0 : valueJson.length + name.length) -
        (state?.values.has(name) === true ? name.length + (state.values.get(name)?.length ?? 0) : 0);
    if (bytes <= gatewayLimits.stateBytes) return undefined;
    return {
      status: "refused",
      code: "MF_STATE_LIMIT",
      message: `the state under key "${change.key}" would be over ${gatewayLimits.stateBytes} bytes: keep less in it, or delete names no longer needed`,
    };
  }

  /** Applies a completion that has no objection. Returns the outbox entries it made. */
  complete(lease: Lease, completion: Completion): OutboxEntry[] {
    const { message } = lease;
    const flow = this.flow(message.flow);
    const entries: OutboxEntry[] = [];
    for (const [index, send] of completion.sends.entries()) {
      const entry: OutboxEntry = {
        ...send,
        number: this.newEntry(),
        flow: message.flow,
        idempotencyKey: `${message.flow}/${message.id}/${lease.sequence}/${index}`,
        messageId: message.id,
        correlationId: message.correlationId,
        committedMs: completion.nowMs,
        attempt: 1,
        attempts: [],
      };
      this.outbox(message.flow, send.outlet).add(entry);
      entries.push(entry);
    }
    if (completion.state !== undefined) this.#applyState(flow, completion.state);
    this.#forget(lease);
    if (message.dedup !== undefined)
      flow.dedup.complete(message.dedup.id, message.id, completion.reply, completion.nowMs, message.dedup.windowMs, message.dedup.count);
    return entries;
  }

  retry(lease: Lease, record: AttemptRecord, dueMs: number): Lease {
    const pending = this.flow(lease.message.flow).pending.get(lease.sequence);
    assert(pending !== undefined, "retry of a message that is held");
    pending.lease = { ...lease, token: this.newToken(), attempt: lease.attempt + 1, dueMs, attempts: keptAttempts(lease.attempts, record) };
    return pending.lease;
  }

  release(lease: Lease): void {
    if (!this.holds(lease)) return;
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
    this.#forget(lease);
    if (lease.message.dedup !== undefined) this.flow(lease.message.flow).dedup.release(lease.message.dedup.id);
  }

  readState(flowName: string, key: string): StateSnapshot {
    const state = this.flow(flowName).state.get(key);
    if (state === undefined) return { version: 0, json: undefined };
    if (state.values.size === 0) return { version: state.version, json: undefined };
    const members = [...state.values].map(([name, valueJson]) => `${JSON.stringify(name)}:${valueJson}`);
    return { version: state.version, json: `{${members.join(",")}}` };
  }

  recovery(remarks: readonly string[]): Recovery {
    const pending: Record<string, number> = {};
    const outbox: { flow: string; outlet: string; entries: number }[] = [];
    for (const [name, flow] of this.#flows) {
      if (flow.pending.size > 0) pending[name] = flow.pending.size;
      for (const [outlet, queue] of flow.outbox) if (queue.size > 0) outbox.push({ flow: name, outlet, entries: queue.size });
    }
    return { pending, outbox, remarks };
  }

  stats(): Omit<JournalStats, "diskBytes" | "commits" | "committed"> {
    let pending = 0;
    let outbox = 0;
    let dedupIds = 0;
    let stateKeys = 0;
    for (const flow of this.#flows.values()) {
      pending += flow.pending.size;
      dedupIds += flow.dedup.size;
      stateKeys += flow.state.size;
      for (const queue of flow.outbox.values()) outbox += queue.size;
    }
    return { pending, pendingBytes: this.#pendingBytes, outbox, dedupIds, stateKeys };
  }

  #applyState(flow: FlowLedger, change: NonNullable<Completion["state"]>): void {
    let state = flow.state.get(change.key);
    if (state === undefined) flow.state.set(change.key, (state = { version: 0, values: new Map(), bytes: 0 }));
    state.version = change.version + 1;
    for (const { name, valueJson } of change.changes) {
      const before = state.values.get(name);
      if (before !== undefined) state.bytes -= before.length + name.length;
      if (valueJson === undefined) state.values.delete(name);
      else {
        state.values.set(name, valueJson);
        state.bytes += valueJson.length + name.length;
      }
    }
  }

  #forget(lease: Lease): void {
    const flow = this.flow(lease.message.flow);
    flow.unleased.delete(lease.sequence);
    if (flow.pending.delete(lease.sequence)) this.#pendingBytes -= lease.message.body.length;
  }
}
