/**
 * The truth outside the journal: acknowledgements, messages received by peers, and effects that may or may not have happened
 * because a crash came before the answer. It survives every crash, and after each it is held against what the journal says.
 */
import type { DeadLetter } from "../dead-letters.ts";
import type { Lease, OutboxEntry, StateSnapshot } from "../journal.ts";
import { fromUtf8 } from "#base";

/** A way a message may have ended. `run` tells completions of one message apart. */
export interface End {
  readonly kind: "complete" | "drop" | "bury";
  readonly run: string;
  readonly sends: readonly string[];
  readonly stateKey: string | undefined;
  /** Acknowledged calls at the time this one was refused; undefined while its answer is open. */
  refusedAt?: number | undefined;
}

export interface Told {
  readonly n: number;
  readonly dedupId: string | undefined;
  readonly body: string;
  /** `maybe`: accept was called and not answered. */
  accepted: "no" | "maybe" | "yes";
  refusedAt: number | undefined;
  end: End | undefined;
  /** Ends that may have happened. */
  maybe: End[];
  /** At most, as of calls that were answered; and at least, after a crash. */
  attempt: number;
  safeAttempt: number;
  /** A retry was called and not answered. */
  maybeRetried: boolean;
}

export class Violation extends Error {}

export function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Violation(what);
}

export interface Peer {
  /** Bodies in the order they came. */
  readonly received: string[];
  readonly byKey: Map<string, string[]>;
}

export class World {
  readonly messages: Told[] = [];
  readonly sequences = new Map<number, number>();
  readonly bodyOfKey = new Map<string, string>();
  readonly received = new Set<string>();
  /** Keyed sends in the order their commits were acknowledged. */
  readonly lines = new Map<string, string[]>();
  readonly buriedSends = new Set<string>();
  readonly settledInLife = new Map<string, number>();
  readonly oldLeases: Lease[] = [];
  life = 0;
  /** Calls that were acknowledged as durable. */
  acknowledged = 0;
  crashes = 0;

  message(n: number): Told {
    const told = this.messages[n];
    check(told !== undefined, `message ${n} was never sent`);
    return told;
  }

  saw(lease: Lease): Told {
    const n = Number(fromUtf8(lease.message.body).split(":")[0]);
    const told = this.message(n);
    check(fromUtf8(lease.message.body) === told.body, `message ${n} has other bytes than were sent`);
    check(lease.message.id === `m${n}`, `message ${n} has id ${lease.message.id}`);
    const before = this.sequences.get(lease.sequence);
    check(before === undefined || before === n, `sequence ${lease.sequence} was used for message ${before} and ${n}`);
    this.sequences.set(lease.sequence, n);
    return told;
  }

  /** A call about the message was acknowledged. */
  ended(told: Told, end: End): void {
    this.acknowledged += 1;
    check(told.end === undefined, `message ${told.n} ended twice: ${told.end?.kind} ${told.end?.run}, then ${end.kind} ${end.run}`);
    told.end = end;
    told.maybe = [];
    if (end.kind !== "complete") return;
    for (const send of end.sends) {
      const key = keyOfSend(send);
      if (key === undefined) continue;
      const line = this.lines.get(key);
      if (line === undefined) this.lines.set(key, [send]);
      else line.push(send);
    }
  }

  /** A peer was given a send. */
  receive(entry: OutboxEntry): void {
    const send = fromUtf8(entry.body);
    const known = this.bodyOfKey.get(entry.idempotencyKey);
    check(known === undefined || known === send, `idempotency key ${entry.idempotencyKey} came with ${known} and ${send}`);
    this.bodyOfKey.set(entry.idempotencyKey, send);
    const told = this.message(Number(send.split(":")[0]));
    const run = send.split(":")[1] ?? "";
    if (told.end === undefined) {
      const winner = told.maybe.find((end) => end.kind === "complete" && end.run === run);
      check(winner !== undefined, `send ${send} of a completion that was never called or never happened`);
      told.end = winner;
      told.maybe = [];
    }
    check(
      told.end.kind === "complete" && told.end.run === run,
      `send ${send}, but message ${told.n} ended as ${told.end.kind} ${told.end.run}`,
    );
    check(this.settledInLife.get(send) !== this.life, `send ${send} came again without a crash after it was settled`);
    check(!this.buriedSends.has(send), `send ${send} came after it was buried`);
    const line = this.lines.get(keyOfSend(send) ?? "") ?? [];
    if (line.includes(send)) {
      for (const before of line) {
        if (before === send) break;
        check(this.received.has(before) || this.buriedSends.has(before), `send ${send} came before ${before} of the same key`);
      }
    }
    this.received.add(send);
  }

  /** After a crash: what was refused before a later call was acknowledged has not happened. */
  crash(): void {
    this.crashes += 1;
    for (const told of this.messages) {
      told.maybe = told.maybe.filter((end) => end.kind === "bury" || end.refusedAt === undefined || end.refusedAt >= this.acknowledged);
      if (told.accepted === "maybe" && told.refusedAt !== undefined && told.refusedAt < this.acknowledged) told.accepted = "no";
    }
  }

  /** Everything pending after a recovery, with nobody holding anything. */
  checkPending(leases: readonly Lease[]): void {
    const pending = new Map<number, Lease>();
    let last = 0;
    for (const lease of leases) {
      check(lease.sequence > last, "lease gives messages in sequence order");
      last = lease.sequence;
      const told = this.saw(lease);
      check(!pending.has(told.n), `message ${told.n} is pending twice`);
      pending.set(told.n, lease);
    }
    for (const told of this.messages) this.#checkMessage(told, pending.get(told.n));
  }

  #checkMessage(told: Told, lease: Lease | undefined): void {
    const what = `message ${told.n}`;
    if (lease === undefined) {
      if (told.accepted === "maybe" && told.end === undefined && told.maybe.length === 0) told.accepted = "no";
      if (told.accepted !== "yes" || told.end !== undefined) return;
      check(told.maybe.length > 0, `${what} was acknowledged and is missing`);
      const [only] = told.maybe;
      if (told.maybe.length === 1) told.end = only;
      for (const end of told.maybe) end.refusedAt = undefined; // one of them has happened, and always will have
      return;
    }
    check(told.accepted !== "no", `${what} is pending though its accept was refused`);
    check(told.end === undefined, `${what} is pending after it ended as ${told.end?.kind} ${told.end?.run}`);
    told.accepted = "yes";
    told.maybe = [];
    check(
      lease.attempt >= told.safeAttempt && lease.attempt <= told.attempt + (told.maybeRetried ? 1 : 0),
      `${what} is at attempt ${lease.attempt}, was at ${told.safeAttempt} to ${told.attempt}`,
    );
    check(lease.attempts.length === lease.attempt - 1, `${what} has ${lease.attempts.length} records at attempt ${lease.attempt}`);
    told.attempt = lease.attempt;
    told.safeAttempt = lease.attempt;
    told.maybeRetried = false;
  }

  /** The state is exactly what the completions that happened have put there. */
  checkState(key: string, snapshot: StateSnapshot): void {
    const { count = 0, ...values } = JSON.parse(snapshot.json ?? "{}") as Record<string, string> & { count?: number };
    check(
      count === Object.keys(values).length,
      `state ${key} counts ${count} completions of ${Object.keys(values).length}: an update was lost`,
    );
    for (const told of this.messages) {
      const run = values[`m${told.n}`];
      if (run !== undefined && told.end === undefined) {
        told.end = told.maybe.find((end) => end.kind === "complete" && end.run === run);
        check(told.end !== undefined, `state ${key} has ${told.n}:${run}, which never happened`);
        told.maybe = [];
      }
      const expected = told.end?.kind === "complete" && told.end.stateKey === key ? told.end.run : undefined;
      if (told.maybe.length === 0) check(run === expected, `state ${key} of message ${told.n} is ${run}, expected ${expected}`);
    }
  }

  checkLetters(letters: readonly DeadLetter[]): void {
    const buried = new Map<string, number>();
    for (const letter of letters) {
      const name = letter.kind === "send" ? (letter.idempotencyKey ?? "") : letter.messageId;
      buried.set(name, (buried.get(name) ?? 0) + 1);
      check(buried.get(name) === 1, `${letter.kind} ${name} has two dead letters`);
      if (letter.kind === "send") continue;
      const told = this.message(Number(letter.messageId.slice(1)));
      if (told.end === undefined) {
        told.end = told.maybe.find((end) => end.kind === "bury");
        told.maybe = [];
      }
      check(told.end?.kind === "bury", `message ${told.n} has a dead letter and ended as ${told.end?.kind}`);
    }
    for (const told of this.messages)
      check(told.end?.kind !== "bury" || buried.has(`m${told.n}`), `message ${told.n} was buried and has no letter`);
  }

  /** At the very end, when all outboxes are empty: every send of what was completed has reached its peer, or is a dead letter. */
  checkReceived(): void {
    for (const told of this.messages) {
      if (told.end?.kind !== "complete") continue;
      for (const send of told.end.sends)
        check(this.received.has(send) || this.buriedSends.has(send), `send ${send} was committed and never sent`);
    }
  }
}

/** A send's text is `message:run:index:outlet:key:filling`. */
export function keyOfSend(send: string): string | undefined {
  const [, , , outlet, key] = send.split(":");
  return key === "" || key === undefined ? undefined : `${outlet}:${key}`;
}
