/** A message on its way through the gateway: what sources hand over and what outlets are given. */

import type { Headers } from "#abi";
import type { ReadableBody, StoredBody } from "./stored-body.ts";

export type { Headers };

/**
 * Keeper of the message while it is processed.
 * - `journal`: the source's sender is acknowledged as soon as the journal has the message (HTTP 202, file drop, cron).
 * - `source`: the source itself has it until the Outcome says so (broker without ack, HTTP caller who waits): a crash loses nothing,
 *   because the sender or broker gives it again.
 */
export type Keeper = "journal" | "source";

/** A caller that waits for the Outcome and may leave before (an HTTP client that disconnects). One object per message. */
export interface Caller {
  /** Set by the source when the caller is gone. */
  left: boolean;
  /** Set by the gateway while it works for this caller; the source calls it once, when the caller leaves. */
  onLeave: (() => void) | undefined;
}

/** A message that caused another: by a send to its flow, or because it was resubmitted or retried. */
export interface ParentMessage {
  readonly flow: string;
  readonly id: string;
  readonly how: "send" | "resubmit" | "retry" | "continue";
}

/** A message from a source. The source gives up `body` and `headers`: neither may change after `accept` was called. */
export interface Incoming {
  /** The sender's own id (a broker's message id, an `Idempotency-Key`): what duplicates are recognised by. Absent: the gateway makes one. */
  readonly id?: string | undefined;
  /** Route and caller the id belongs to, as far as the source knows: ids of two are never duplicates of each other. */
  readonly idScope?: string | undefined;
  /** True where the id promises the same request again (`Idempotency-Key`): with other content it is refused with 422. */
  readonly sameRequest?: boolean | undefined;
  readonly headers: Headers;
  readonly contentType: string;
  readonly body: Uint8Array;
  /** The body, when it is in the body store and `body` is empty. Only sources that staged it themselves give one. */
  readonly storedBody?: StoredBody | undefined;
  /** Order and state key as the source knows it (a partition key); the flow's own `key:` wins. */
  readonly key?: string | undefined;
  readonly correlationId?: string | undefined;
  /** When true the caller waits for the flow's reply: one attempt, and its failure is the Outcome. */
  readonly replyWanted: boolean;
  /** True where headers of the reply can hold no character beyond Latin-1 (HTTP): such a reply fails the message. */
  readonly latin1Reply?: boolean | undefined;
  readonly keeper: Keeper;
  /** Only where the sender can leave before the end. */
  readonly caller?: Caller | undefined;
  /** Delivery attempts of the broker before this one, for the log. */
  readonly redelivered?: boolean | undefined;
  /** The reason why the source can't settle it: it is not run, and kept as a dead letter. */
  readonly setAside?: Failure | undefined;
  /** The message whose flow sent it, or of which it is a copy. Only gateway and flow outlet know one: headers that claim it are dropped. */
  readonly parent?: ParentMessage | undefined;
}

/** The flow's answer. */
export interface Reply {
  /** HTTP status, or 200 where the flow named none. */
  readonly status: number;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** Origin of a failure: set where the failure is created, and kept until it is reported. */
export type FailureOrigin = "caller" | "flow" | "peer" | "gateway";

/** Why a message was given up or an attempt failed. */
export interface Failure {
  readonly origin: FailureOrigin;
  /** `MF_…`, or the code the flow gave. */
  readonly code: string;
  readonly message: string;
  readonly stack?: string | undefined;
  /** HTTP status a caller gets, 0 for the origin's own (400, 500 or 502). */
  readonly status: number;
  /** False when another attempt can't help. */
  readonly retry: boolean;
  /** A peer was not reached: the attempt does not count. */
  readonly unreached?: boolean | undefined;
  /** Workers, processes or virtual machines that ended while they ran the message. */
  readonly workersLost?: number | undefined;
}

/**
 * The outcome of a message. A source may acknowledge only after it.
 * - `accepted`: keeper `journal` only: it is durable and will be worked on, or is a signal that is kept for its wait. Acknowledge.
 * - `done`: the effects are committed. Acknowledge; pass on the reply when one was wanted.
 * - `duplicate`: it was done before, within the window. Acknowledge, with the recorded reply if there is one.
 * - `dead`: given up; kept as a dead letter when `kept`. Acknowledge (giving it again would not help); tell a waiting caller the failure.
 * - `refused`: nothing was kept, nothing was run. Do not acknowledge; give it again, not before `retryAfterMs`.
 */
export type Outcome =
  | {
      readonly status: "accepted";
      readonly id: string;
      /** Of a signal: a machine waits for it. */
      readonly waiting?: boolean;
    }
  | { readonly status: "done"; readonly id: string; readonly reply: Reply | undefined }
  | { readonly status: "duplicate"; readonly id: string; readonly reply: Reply | undefined }
  | { readonly status: "dead"; readonly id: string; readonly failure: Failure; readonly kept: boolean }
  | {
      readonly status: "refused";
      readonly id: string | undefined;
      readonly code: string;
      readonly message: string;
      readonly retryAfterMs: number;
    };

/** A message for an outlet. Read only: the same bytes may be sent again. */
export interface Outgoing {
  /** Id of the message whose flow sent this. */
  readonly messageId: string;
  readonly flow: string;
  readonly outlet: string;
  /** Ordering key: sends of one outlet with the same key are delivered one after another. */
  readonly key: string | undefined;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** Only for an outlet that streams: the body is here, and `body` is empty. */
  readonly storedBody?: ReadableBody | undefined;
  readonly correlationId: string | undefined;
  /** When the flow completed, milliseconds since 1970. */
  readonly timeMs: number;
}

/** An outlet's answer to a request. */
export interface Answer {
  /** HTTP status, or 200 where the outlet has no such thing. */
  readonly status: number;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}
