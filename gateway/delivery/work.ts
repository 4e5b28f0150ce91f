/** One message in the gateway's hands, from accept to its end. */
import { gatewayLimits } from "../contract/limits.ts";
import type { Failure, Incoming, Outcome } from "../contract/message.ts";
import type { Run } from "./run.ts";
import type { AttemptRecord, Lease, NewMessage } from "../journal/journal.ts";

/**
 *   queued ──▶ running ──▶ settling ──▶ ended
 *     ▲  ▲        │            │
 *     │  └────────┘ busy       │ failed, to be tried again
 *     └──── resting ◀──────────┘
 * A message with a key is `behind` while an older one of that key is anywhere but ended.
 */
export type WorkState = "behind" | "queued" | "running" | "settling" | "resting" | "ended";

export class Work {
  readonly incoming: Incoming;
  readonly message: NewMessage;
  /** When the gateway had it first, by the monotonic clock; of an earlier process as far as dates tell. */
  readonly receivedMs: number;
  /** Taken from the memory budget until its end. */
  readonly heldBytes: number;
  /** The journal's lease; undefined for a message its source keeps, until it has something to commit. */
  lease: Lease | undefined;
  state: WorkState = "queued";
  attempt = 1;
  attempts: readonly AttemptRecord[] = [];
  run: Run | undefined;
  /** Random part of its requests' idempotency keys, for a message that has no number in the journal. */
  nonce: string | undefined;
  /** Of the reply, taken from the memory budget until its end. */
  replyBytes = 0;
  /** Attempts in a row that reached no peer: they do not count, and it rests until one is there. */
  unreached = 0;
  /** A dead letter that is run again while its key is held: what is held waits for its end. */
  isRetriedLetter = false;
  /** Runs thrown away because the state had changed. */
  conflicts = 0;
  /** Tells the source; undefined once it has been told. */
  tell: ((outcome: Outcome) => void) | undefined;
  /** Duplicates that came while this one was worked on, and wait for its outcome. */
  followers: ((outcome: Outcome) => void)[] | undefined;
  /** Takes a resting message's timer back. */
  wakeUp: (() => void) | undefined;

  constructor(incoming: Incoming, message: NewMessage, tell: ((outcome: Outcome) => void) | undefined, receivedMs: number) {
    this.incoming = incoming;
    this.message = message;
    this.receivedMs = receivedMs;
    this.heldBytes = heldBytesOf(message.body);
    this.tell = tell;
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

export function heldBytesOf(body: Uint8Array): number {
  return body.length + gatewayLimits.messageBytes;
}

/** A failure found by the gateway itself. */
export function failureOf(code: string, message: string, retry: boolean, status = 0): Failure {
  return { origin: "gateway", code, message, retry, status };
}

/** A failure that is the caller's to mend. Another attempt can't help. */
export function callersFault(code: string, message: string, status: number): Failure {
  return { origin: "caller", code, message, retry: false, status };
}
