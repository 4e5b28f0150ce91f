/** One message in the gateway's hands, from its admission to its end. */
import { assert } from "#base";
import { gatewayLimits } from "../contract/limits.ts";
import type { Failure, Incoming, Outcome } from "../contract/message.ts";
import type { Sleeper } from "../contract/sleep.ts";
import type { AttemptRecord, Lease, NewMessage } from "../journal/journal.ts";
import type { Linked } from "./chain.ts";

/**
 *   new ──▶ queued ──▶ running ──▶ settling ──▶ ended
 *    │ ▲      ▲ ▲                      │
 *    ▼ │      │ └── the state changed ─┤
 *   behind    └──── resting ◀── retry ─┘
 *
 * `behind`: an older message of its key has not ended. From everywhere a message may end: it is given back, cancelled or refused.
 */
export type WorkState = "new" | "behind" | "queued" | "running" | "settling" | "resting" | "ended";

const successors: Readonly<Record<WorkState, readonly WorkState[]>> = {
  new: ["behind", "queued", "resting"],
  behind: ["queued", "resting", "settling", "ended"],
  queued: ["running", "settling", "ended"],
  running: ["settling", "ended"],
  settling: ["queued", "resting", "ended"],
  resting: ["queued", "ended"],
  ended: [],
};

/** The attempt under way, as its message sees it. */
export interface RunningAttempt {
  /** Gives the attempt up: nobody waits for its result. */
  cancel(failure: Failure, reason: string): void;
}

export class Work implements Linked<Work> {
  readonly incoming: Incoming;
  readonly message: NewMessage;
  /** When the gateway had it first, by the monotonic clock; of an earlier process as far as dates tell. */
  readonly receivedMs: number;
  /** Reserved in the memory budget until its end. */
  readonly heldBytes: number;
  /** The journal's lease; undefined for a message its source keeps, until there is something to commit. */
  lease: Lease | undefined;
  attempt = 1;
  attempts: readonly AttemptRecord[] = [];
  running: RunningAttempt | undefined;
  /** Random part of its requests' idempotency keys, for a message that has no number in the journal. */
  nonce: string | undefined;
  /** Of the reply, reserved in the memory budget until its end. */
  replyBytes = 0;
  /** Attempts in a row that reached no peer: they do not count, and it rests until one is there. */
  unreached = 0;
  /** A dead letter that is run again while its key is held: what is held waits for its end. */
  isRetriedLetter = false;
  /** A sleeper that holds its key while it sleeps (`sleep.order: strict`): it waits for no turn. */
  holdsKey = false;
  /** Of a message that was asleep: what ends by then counts as due. */
  wakeMs = 0;
  /** Attempts thrown away because the state had changed. */
  conflicts = 0;
  /** Tells the source; undefined once it has been told. */
  tell: ((outcome: Outcome) => void) | undefined;
  /** Duplicates that came while this one was worked on, and wait for its outcome. */
  followers: ((outcome: Outcome) => void)[] | undefined;
  /** Cancels a resting message's timer. */
  wakeUp: (() => void) | undefined;
  /** Of the messages in hand, before and after this one. */
  older: Work | undefined = undefined;
  newer: Work | undefined = undefined;
  #state: WorkState = "new";

  /** `sleeper`: of a message that was asleep. */
  constructor(
    incoming: Incoming,
    message: NewMessage,
    tell: ((outcome: Outcome) => void) | undefined,
    receivedMs: number,
    sleeper?: Sleeper,
  ) {
    this.incoming = incoming;
    this.message = message;
    this.receivedMs = receivedMs;
    this.heldBytes = heldBytesOf(message.body, sleeper);
    this.tell = tell;
  }

  get state(): WorkState {
    return this.#state;
  }

  /** True while no attempt has begun, or none is under way. */
  get waits(): boolean {
    return this.#state === "queued" || this.#state === "resting" || this.#state === "behind";
  }

  to(state: WorkState): void {
    assert(successors[this.#state].includes(state), `a message goes from ${this.#state} to ${state}`);
    this.#state = state;
  }

  leased(lease: Lease): void {
    this.lease = lease;
    this.attempt = lease.attempt;
    this.attempts = lease.attempts;
  }

  settle(outcome: Outcome): void {
    const { tell, followers } = this;
    this.tell = undefined;
    this.followers = undefined;
    tell?.(outcome);
    if (followers === undefined) return;
    const theirs: Outcome = outcome.status === "done" ? { status: "duplicate", id: outcome.id, reply: outcome.reply } : outcome;
    for (const follower of followers) follower(theirs);
  }
}

/** Bytes of memory that a message takes until its end: its body, and of one that was asleep all that its machine was given. */
export function heldBytesOf(body: Uint8Array, sleeper?: Sleeper): number {
  return body.length + (sleeper === undefined ? 0 : asleepBytesOf(sleeper)) + gatewayLimits.messageBytes;
}

/** Bytes of memory that a sleeping machine takes while it is read or written. */
export function asleepBytesOf({ recording, pages }: Sleeper): number {
  return recording.length + (pages?.length ?? 0);
}
