/** The slot of a sleeping message: as much of it as is in memory. */
import { storedBodyOf } from "../contract/stored-body.ts";
import type { Headers } from "../contract/message.ts";
import type { AttemptRecord, FencingToken, Lease, Sequence } from "./journal.ts";
import { waitKey } from "./signals.ts";

/** A message's lease that has its sleeper. */
export type SleepingLease = Lease & { readonly sleeper: NonNullable<Lease["sleeper"]> };

/** Attempts of the transaction that failed so far. */
export interface FailedAttempts {
  readonly attempt: number;
  readonly dueMs: number;
  readonly attempts: readonly AttemptRecord[];
}

export interface Slot<Stored> {
  readonly sequence: Sequence;
  readonly flow: string;
  readonly id: string;
  readonly imageSha256: string;
  readonly dueMs: number;
  /** Its waits, each as `waitKey` makes it. */
  readonly waits: readonly string[];
  /** Only those that name a stored body. */
  readonly headers: Headers | undefined;
  /** Files of its own. */
  readonly blobs: readonly string[];
  stored: Stored;
  failed: FailedAttempts | undefined;
  /** Due then, instead. */
  postponedMs: number | undefined;
  /** Of whoever has it; undefined while it is asleep. */
  token: FencingToken | undefined;
}

const none: readonly never[] = [];

/** The slot of a message that falls asleep. */
export function slotOf<Stored>(lease: SleepingLease, stored: Stored, blobs: readonly string[] = none): Slot<Stored> {
  const { sequence, message, sleeper, attempt, dueMs, attempts } = lease;
  const keys = sleeper.waits.map(({ name, key }) => waitKey(message.flow, name, key));
  return {
    sequence,
    flow: message.flow,
    id: message.id,
    imageSha256: sleeper.imageSha256,
    dueMs: sleeper.dueMs,
    waits: keys.length < 2 ? keys : [...new Set(keys)],
    headers: storedBodyOf(message.headers) === undefined ? undefined : message.headers,
    blobs,
    stored,
    failed: attempt === 1 ? undefined : { attempt, dueMs, attempts },
    postponedMs: undefined,
    token: undefined,
  };
}
