/**
 * The port to the gateway's record of every message, attempt and effect. `memory.ts` keeps it in memory (what a crash loses
 * is said in its head); `log/` keeps it on disk. Both pass journal.case.ts. One gateway owns one journal; nothing here is
 * called by two at once.
 *
 *                accept (durable)                     complete: sends + state + reply, ONE commit
 *   Incoming ──▶ pending, leased ──────────────────────────────────────────────▶ completed, id in the dedup window
 *            or   │    ▲        │                                                    │
 *          adopt  │    └────────┘ retryLater (token + 1, attempt + 1)                ▼ outbox: leaseOutbox → settle
 *      (in memory)│                                                                        ⇄ defer, or bury
 *                 ├── release: back to pending, unleased (lease finds it) · adopted: forgotten
 *                 ├── bury: dead letter with the original bytes, id released
 *                 └── drop: forgotten, id released
 *
 *   complete with a sleeper: the same commit, but the message is asleep afterwards ──wake──▶ leased ──▶ complete, retryLater, bury, …
 *   keepSignal ──▶ kept ──complete that consumes it──▶ gone
 *
 * Rules that hold for every implementation:
 *
 * Durability. accept, complete, retryLater, bury, deferOutbox and buryOutbox resolve only once what they say survives a
 *   power loss (in memory.ts: never). Implementations group commits; callers never wait for one call before making the next.
 *   settleOutbox and release may be lost in a crash: then the entry is sent again under the same idempotency key.
 * Atomicity. A call happens wholly or not at all, also across a crash.
 * Failure. A call rejects only with a CodedError (MF_JOURNAL_FULL, MF_JOURNAL_IO, MF_JOURNAL_CLOSED, MF_DEAD_LETTER_WRITE)
 *   and then has changed nothing: the lease or entry is still held and the call may be made again. The gateway backs off,
 *   refuses new messages meanwhile, and repeats the call; it never treats the message as lost or as done.
 * Leases. They have no clock: a lease ends with one of the calls that take it, or with the process. After recover() nothing
 *   is leased. `token` fences: a call with a token that is not the message's newest one is answered `stale` / undefined /
 *   false and changes nothing, so that a late result of an earlier attempt is ignored.
 * Ownership. What is passed in is not changed by the caller afterwards and may be kept; what comes out must not be changed.
 *   Bodies may be views into larger buffers.
 * Order. Sequences grow with the order of accept calls; lease gives messages in sequence order. Sends of one outlet with one
 *   key are given out strictly in commit order, within one commit in the order of the sends; others oldest first, but one
 *   that was deferred or released comes when it comes.
 * Bounds. The caller bounds what is pending (limits.pendingPerFlow and so on); implementations bound the dedup window by the
 *   time and count given, and refuse state over limits.stateBytes.
 */
import type { Brand, CodedError } from "#base";
import type { LogEffect } from "#abi";
import type { Failure, Headers, Reply } from "../contract/message.ts";
import type { OwnedBytes } from "./owned-bytes.ts";
import type { OpenTimer, OpenWait, Sleeper } from "../contract/sleep.ts";

/** The journal's own number of a message: grows, never used again. */
export type Sequence = Brand<number, "Sequence">;
/** The number of a lease on a message: grows with every lease. */
export type FencingToken = Brand<number, "FencingToken">;
/** The journal's own number of an outbox entry: grows, never used again. */
export type EntryNumber = Brand<number, "EntryNumber">;
/** The journal's own number of a signal, from the series of the outbox entries: grows, never used again. */
export type SignalNumber = Brand<number, "SignalNumber">;

/** A message as it came, before the journal gave it a number. */
export interface NewMessage {
  readonly flow: string;
  /** Id for people and for idempotency keys. Need not be unique: `dedupId` is what duplicates are found by. */
  readonly id: string;
  /** Connector name: `http`, `cron`, … */
  readonly source: string;
  readonly headers: Headers;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly key: string | undefined;
  readonly correlationId: string | undefined;
  readonly receivedMs: number;
  /** Not begun by then, it is dead. */
  readonly expiresMs: number | undefined;
  /** When given, a message of this flow with the same identity (`id`, see dedup-id.ts) is not accepted twice within the window. */
  readonly dedup: { readonly id: string; readonly windowMs: number; readonly count: number } | undefined;
}

/** One attempt, for the history in a dead letter. */
export interface AttemptRecord {
  readonly attempt: number;
  readonly startedMs: number;
  readonly endedMs: number;
  /** Hash of the image that ran, empty when none did (outbox attempts). */
  readonly imageSha256: string;
  readonly failure: Failure;
  /** At most limits.logsPerAttempt. */
  readonly logs: readonly LogEffect[];
}

/** The right to work on a message, until one of the calls that take it. */
export interface Lease {
  readonly sequence: Sequence;
  readonly token: FencingToken;
  /** Of the attempt this lease is for: 1, 2, … */
  readonly attempt: number;
  /** Not to be begun earlier; 0 for at once. */
  readonly dueMs: number;
  /** False for an adopted message: its sender still has it. */
  readonly durable: boolean;
  readonly message: NewMessage;
  /** Failed attempts before this one, at most limits.attemptsKept. */
  readonly attempts: readonly AttemptRecord[];
  /** The machine to go on with, of a message that was asleep. Attempts are those of its transaction. */
  readonly sleeper?: Sleeper | undefined;
  /** MF_JOURNAL_CORRUPT: the body can't be read back, and is empty here. The message stays leased, so that it holds up no other. */
  readonly damage?: CodedError | undefined;
}

/** A signal as it came, before the journal gave it a number. */
export interface NewSignal {
  readonly flow: string;
  readonly name: string;
  readonly key: string;
  readonly id: string;
  readonly source: string;
  readonly headers: Headers;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly receivedMs: number;
  /** It is a dead letter if nobody has taken it by then. */
  readonly keptUntilMs: number;
  /** As for a message; signals of other names and keys have ids of their own. */
  readonly dedup: { readonly id: string; readonly windowMs: number; readonly count: number } | undefined;
}

export interface KeptSignal extends NewSignal {
  readonly number: SignalNumber;
}

/** All of a signal but its body, which need not be in memory. */
export type SignalHead = Omit<KeptSignal, "body">;

export type SignalKept = { readonly status: "kept"; readonly signal: KeptSignal } | { readonly status: "duplicate"; readonly id: string };

/** A sleeper, for lists. */
export interface SleeperInfo {
  readonly sequence: Sequence;
  readonly id: string;
  readonly flow: string;
  readonly key: string | undefined;
  readonly receivedMs: number;
  readonly imageSha256: string;
  readonly sinceMs: number;
  readonly dueMs: number;
  readonly waits: readonly OpenWait[];
  readonly timers: readonly OpenTimer[];
  readonly transactions: number;
  readonly attempt: number;
  /** It is leased: its next transaction is under way. */
  readonly awake: boolean;
}

export type Accepted =
  | { readonly status: "leased"; readonly lease: Lease }
  /** Completed before, within the window; with its reply when there was one and it is still kept. */
  | { readonly status: "duplicate"; readonly id: string; readonly reply: Reply | undefined }
  /** The first one is still being worked on, under this sequence: wait for its outcome. */
  | { readonly status: "running"; readonly sequence: Sequence }
  /** The id was first used for another request: their fingerprints differ. */
  | { readonly status: "mismatch" };

export interface NewSend {
  readonly outlet: string;
  readonly key: string | undefined;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** Not before this date, milliseconds since 1970; until then it is in nobody's way. */
  readonly dueMs?: number | undefined;
}

/** Everything a completed flow wants, in one commit. */
export interface Completion {
  readonly nowMs: number;
  readonly sends: readonly NewSend[];
  /** Changes of the state under `key`, and the version that was read; undefined when nothing changes. */
  readonly state: { readonly key: string; readonly version: number; readonly changes: readonly StateChange[] } | undefined;
  /** Kept for duplicates when the message has `dedup`. */
  readonly reply: Reply | undefined;
  /** The message is asleep afterwards, instead of gone. Its dedup id counts as completed. */
  readonly sleeper?: Sleeper | undefined;
  /** The message that takes its place: pending and unleased afterwards, in the same commit. Never with a sleeper. */
  readonly next?: NewMessage | undefined;
  /** Signals that are kept from then on: those of a dead letter that is put back to sleep. */
  readonly kept?: readonly NewSignal[] | undefined;
  /** Most bytes that the owner of the flow may have afterwards, unless it has fewer than before: MF_TENANT_FULL. */
  readonly bounds?: ({ readonly owner: string } & OwnedBytes) | undefined;
  /** Signals that its machine was given. */
  readonly consumed?: readonly SignalNumber[] | undefined;
}

/** `valueJson` is JSON (the caller has checked it); undefined deletes the name. */
export interface StateChange {
  readonly name: string;
  readonly valueJson: string | undefined;
}

export type Completed =
  | { readonly status: "committed" }
  /** The lease is not the newest: nothing was done, and nothing must be told to anyone. */
  | { readonly status: "stale" }
  /** The state has changed since it was read: nothing was done, the lease is still held, run the message again. */
  | { readonly status: "conflict" }
  /** The completion itself is over a limit (MF_STATE_LIMIT, MF_DELAYED_LIMIT, MF_TENANT_FULL): nothing was done, the lease is still held. */
  | { readonly status: "refused"; readonly code: string; readonly message: string };

export interface StateSnapshot {
  /** 0 when there is no state under this key; grows with every change, also after a delete. */
  readonly version: number;
  /** A JSON object, name → value; undefined if the key has no state. */
  readonly json: string | undefined;
}

/** A send that is committed and not yet taken by its peer. */
export interface OutboxEntry {
  readonly number: EntryNumber;
  readonly flow: string;
  readonly outlet: string;
  /** `flow/messageId/sequence/index`, the same for ever; after sleeps `flow/messageId/sequence/transactions/index`. */
  readonly idempotencyKey: string;
  readonly messageId: string;
  readonly correlationId: string | undefined;
  readonly key: string | undefined;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** When its message was completed. */
  readonly committedMs: number;
  /** Not before this date, milliseconds since 1970. */
  readonly dueMs?: number | undefined;
  /** Of the attempt this lease is for: 1, 2, … Fences as a lease's token does. */
  readonly attempt: number;
  readonly attempts: readonly AttemptRecord[];
  /** As a lease's. Its key waits behind it. */
  readonly damage?: CodedError | undefined;
}

/** Result of a recovery: figures for the log, and the flows that have messages to lease. */
export interface Recovery {
  /** Pending messages by flow. */
  readonly pending: Readonly<Record<string, number>>;
  /** Sleeping messages by flow. */
  readonly sleepers: Readonly<Record<string, number>>;
  /** Unsettled sends by flow and outlet. */
  readonly outbox: readonly { readonly flow: string; readonly outlet: string; readonly entries: number }[];
  /** One line for people about what was cut off or repaired; empty when the last stop was clean. */
  readonly remarks: readonly string[];
}

export interface JournalStats {
  readonly pending: number;
  readonly pendingBytes: number;
  readonly outbox: number;
  /** Of these, sends whose date is not there yet. */
  readonly delayed: number;
  readonly dedupIds: number;
  readonly stateKeys: number;
  readonly sleepers: number;
  /** Signals that are kept and not yet taken. */
  readonly signals: number;
  /** Bytes on disk, 0 in memory. */
  readonly diskBytes: number;
  /** Commits since the start, and how many calls they carried. */
  readonly commits: number;
  readonly committed: number;
}

export interface KeptBytes extends OwnedBytes {
  /** As far as they have been counted, which is begun by the first look. */
  readonly deadLetters: number;
}

export interface Journal {
  /** True if accepted messages outlive this process. If not, stopping finishes or buries pending ones instead of leaving them. */
  readonly durable: boolean;
  /** Opens, locks (MF_JOURNAL_LOCKED) and reads back. The first call, once. */
  recover(): Promise<Recovery>;

  /** Keeps a new message. Resolves once it is durable: from then on it is this gateway's to finish. */
  accept(message: NewMessage): Promise<Accepted>;
  /** Takes a message its source still keeps: marks its dedup id as running in memory and gives a lease; writes nothing. A crash forgets it. */
  adopt(message: NewMessage): Accepted;
  /** Up to `most` unleased messages of the flow, oldest first, also those not due yet. */
  lease(flow: string, most: number): Promise<readonly Lease[]>;

  complete(lease: Lease, completion: Completion): Promise<Completed>;
  /** Records a failed attempt, also while the disk refuses: then a crash forgets it. The old lease ends, the new one is for the next attempt; undefined when stale. Adopted messages stay adopted. */
  retryLater(lease: Lease, record: AttemptRecord, dueMs: number): Promise<Lease | undefined>;
  /**
   * Writes the dead letter, then forgets the message and releases its id, so that its sender may send it again.
   * Gives the letter's id; undefined when stale. Works for adopted messages as well. The letter of a message that was asleep keeps its
   * sleeper and these signals, which are consumed.
   */
  bury(lease: Lease, record: AttemptRecord, consumed?: readonly SignalNumber[]): Promise<string | undefined>;
  /** Gives the message back unfinished; this attempt does not count. Adopted: forgets it and releases its id. */
  release(lease: Lease): void;
  /** Forgets the message without a trace and releases its id. False when stale. */
  drop(lease: Lease): Promise<boolean>;

  /** Keeps a signal. Resolves once it is durable. */
  keepSignal(signal: NewSignal): Promise<SignalKept>;
  /**
   * The oldest signal kept for such a wait that fits; no other body is loaded. Those a machine was given are among them until its
   * transaction commits. Another call may take it while its body is loaded.
   */
  firstSignal(flow: string, name: string, key: string, fits: (head: SignalHead) => boolean): Promise<KeptSignal | undefined>;
  /** True when there is one that fits, as of now. Cheap. */
  hasSignal(flow: string, name: string, key: string, fits: (head: SignalHead) => boolean): boolean;
  /** Every signal that is kept, for a start. */
  keptSignals(): Iterable<Pick<KeptSignal, "number" | "flow" | "name" | "key" | "keptUntilMs" | "dedup">>;
  /** Writes a dead letter of the signal and forgets it. Gives the letter's id; undefined when somebody has taken it. */
  burySignal(number: SignalNumber, record: AttemptRecord): Promise<string | undefined>;
  /** Keeps `by` in the place of a signal, in one commit. Undefined when somebody has taken it. */
  replaceSignal(number: SignalNumber, by: NewSignal): Promise<KeptSignal | undefined>;
  /** Forgets a signal without a trace: another journal has it. False when somebody has taken it. */
  dropSignal(number: SignalNumber): Promise<boolean>;
  /** The sleeper that waits for it longest and is asleep. Cheap. */
  waiterFor(flow: string, name: string, key: string): Sequence | undefined;
  /** True when a sleeper waits for it, whether it is asleep or awake. Cheap. */
  isAwaited(flow: string, name: string, key: string): boolean;
  /** Leases a sleeping message; undefined when it is awake or gone. `release` puts it back to sleep as it was. */
  wake(sequence: Sequence): Promise<Lease | undefined>;
  /** The flow's sleepers that are due and asleep, the longest due first, as of now. Cheap. */
  dueSleepers(flow: string, nowMs: number, most: number): readonly Sequence[];
  /** When the next of them is due: milliseconds since 1970, undefined for none. Cheap. */
  nextSleeperMs(flow: string): number | undefined;
  /** It can't be woken now: it counts as due from then on. Nothing is written, and a restart forgets it. */
  postpone(sequence: Sequence, dueMs: number): void;
  /** Sleepers after a sequence, in its order, at most `most`. */
  listSleepers(flow: string | undefined, after: Sequence | undefined, most: number): Promise<readonly SleeperInfo[]>;
  /** By the id of the message. */
  findSleeper(id: string, flow?: string): Promise<Sequence | undefined>;
  /** A look at it, without a lease. */
  readSleeper(sequence: Sequence): Promise<Lease | undefined>;
  /** Sleepers of a flow, and signals kept for it. Cheap. */
  sleeperCount(flow: string): { readonly sleepers: number; readonly signals: number };
  /** Sleepers by the hash of the image they sleep in. */
  sleepersByImage(): ReadonlyMap<string, number>;

  readState(flow: string, key: string): Promise<StateSnapshot>;
  /** Bytes of all flows of an owner (owned-bytes.ts). Cheap. */
  keptBy(owner: string): KeptBytes;

  /**
   * Up to `most` entries of the outlet that are due and not leased, in order. Never two of one key, and none of a key that has
   * an older unsettled entry, so that a stuck key blocks only itself. What is leased stays so until settled, deferred, buried
   * or released. A send for a later date is in nobody's way until then, and joins the end of its key's line. `nowMs` is that of the
   * monotonic clock, `dateMs` that of the wall clock; absent, they are the same.
   */
  leaseOutbox(flow: string, outlet: string, most: number, nowMs: number, dateMs?: number): Promise<readonly OutboxEntry[]>;
  /** The peer has it. */
  settleOutbox(entry: OutboxEntry): Promise<void>;
  /** This attempt failed; the next not before `dueMs`. Also while the disk refuses: then a crash forgets it. */
  deferOutbox(entry: OutboxEntry, record: AttemptRecord, dueMs: number): Promise<void>;
  /** Given up: a dead letter of the send, with its history. */
  buryOutbox(entry: OutboxEntry, record: AttemptRecord): Promise<string | undefined>;
  /** Gives a leased entry back; this attempt does not count. It is due at `dueMs`, or once the outlet is hastened. Nothing is written. */
  releaseOutbox(entry: OutboxEntry, dueMs?: number): void;
  /** All that was released is due now. */
  hastenOutbox(flow: string, outlet: string): void;
  /** When leaseOutbox has something to give next, as of what is known now: 0 for at once, undefined for nothing. */
  nextOutboxMs(flow: string, outlet: string): number | undefined;
  /** When its next send for a later date is due, by the wall clock; undefined for none. Cheap. */
  nextOutboxDateMs(flow: string, outlet: string): number | undefined;
  /** Sends of the outlet whose date is not there yet: `outboxDepth` counts them too. Cheap. */
  outboxDelayed(flow: string, outlet: string): number;
  /** Unsettled entries of the outlet, leased ones included. Cheap. */
  outboxDepth(flow: string, outlet: string): number;

  /** Headers of every pending message and every unsettled send, as of now. */
  liveHeaders(): Iterable<Headers>;
  /** Resolves once all that was said before is safe, settled sends too, and what was refused before is void. */
  sync(): Promise<void>;
  /** Why it takes no new messages now (a disk that is nearly full, files that were deleted), as far as known. Cheap. */
  readonly trouble: CodedError | undefined;
  stats(): JournalStats;
  /** Waits for open calls, then releases files and lock. What comes after rejects with MF_JOURNAL_CLOSED. */
  close(): Promise<void>;
}
