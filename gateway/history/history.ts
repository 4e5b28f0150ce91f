/**
 * The port to the store of recordings of finished messages. Reading needs no gateway: the command line opens the folder of one that runs,
 * or of one that does not.
 */
import type { Headers, LogEffect, Recording } from "#abi";

/** `done`: the flow completed. `failed`: it did not, and the caller was told. `dead`: it is a dead letter. */
export type MessageStatus = "done" | "failed" | "dead";

/** Failure as it is shown. */
export interface ShownError {
  readonly code: string;
  readonly message: string;
  readonly stack?: string | undefined;
}

/** One finished message in a list. */
export interface MessageSummary {
  readonly id: string;
  readonly flow: string;
  readonly status: MessageStatus;
  /** Milliseconds since 1970. */
  readonly receivedAt: number;
  /** From its receipt to its end. */
  readonly durationMs: number;
  readonly attempts: number;
  /** Connector: `http`, `cron`, … */
  readonly source: string;
  readonly key: string | null;
  readonly correlationId: string | null;
  /** Hash of the image of the last attempt; null when none ran. */
  readonly image: string | null;
  readonly error: ShownError | null;
}

/** Bytes as JSON holds them. `omitted`: how many were not recorded. */
export type ShownBody = { readonly text: string } | { readonly base64: string } | { readonly omitted: number };

export interface ShownReply {
  readonly status: number;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: ShownBody;
}

export interface ShownSend {
  readonly outlet: string;
  readonly key: string | null;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: ShownBody;
  /** When its transaction ended, and the date before which it does not leave; milliseconds since 1970. */
  readonly committedAt: number;
  readonly dueAt: number | null;
}

/** A durable wait. */
export interface ShownWait {
  readonly name: string;
  readonly key: string;
  /** Machine time, milliseconds since 1970; `until` null: it has no end of its own. */
  readonly at: number;
  readonly until: number | null;
  /** Null: it was still open, or given up. */
  readonly endedAt: number | null;
  /** The signal that ended it; null where its time was over. */
  readonly signal: { readonly id: string; readonly headers: Headers; readonly body: ShownBody } | null;
  /** Of an approval. */
  readonly question: unknown;
}

/** The message that the flow continues as. */
export interface ShownContinue {
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: ShownBody;
}

export interface ShownCall {
  readonly call: number;
  readonly operation: "request" | "fetch" | "state";
  readonly target: string;
  readonly method: string;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: ShownBody;
  /** Times of the call and of its answer, null for a call without one: milliseconds since 1970, machine time. */
  readonly askedAt: number;
  readonly answeredAt: number | null;
  readonly answer: { readonly status: number; readonly headers: Headers; readonly body: ShownBody } | null;
  readonly error: ShownError | null;
}

export interface ShownStep {
  readonly event: "deliver" | "resolve" | "wake" | "cancel" | "signal" | "resume";
  /** Machine time of the event, milliseconds since 1970. */
  readonly at: number;
  readonly status: "waiting" | "done" | "failed" | "broken" | null;
  readonly cpuMs: number;
  readonly pages: number;
}

export interface ShownAttempt {
  readonly attempt: number;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly image: string;
  /** 64 hexadecimal digits. */
  readonly seed: string;
  readonly steps: readonly ShownStep[];
  readonly calls: readonly ShownCall[];
  readonly waits: readonly ShownWait[];
  readonly logs: readonly LogEffect[];
  readonly sends: readonly ShownSend[];
  /** Names changed under the key; null deletes one. */
  readonly state: Readonly<Record<string, unknown>>;
  readonly reply: ShownReply | null;
  readonly continues: ShownContinue | null;
  readonly error: ShownError | null;
}

/** One attempt to deliver a send to its peer. */
export interface ShownDelivery {
  readonly outlet: string;
  readonly idempotencyKey: string;
  readonly attempt: number;
  readonly at: number;
  readonly durationMs: number;
  /** `waiting`: the peer was not reached, which uses up no attempt. */
  readonly status: "sent" | "retry" | "waiting" | "dead";
  readonly error: ShownError | null;
  /** Id of the dead letter, where there is one. */
  readonly deadLetter: string | null;
}

/** A message that caused this one, or that this one caused. */
export interface Relative {
  readonly flow: string;
  readonly id: string;
  readonly how: "send" | "resubmit" | "retry" | "continue";
}

/** `attempts` is the list here, oldest first. */
export interface MessageDetail extends Omit<MessageSummary, "attempts"> {
  readonly headers: Headers;
  readonly contentType: string;
  readonly body: ShownBody;
  /** State under the key when the last attempt began; null without state. */
  readonly state: Readonly<Record<string, unknown>> | null;
  readonly deadLetter: string | null;
  readonly redacted: { readonly headers: readonly string[]; readonly paths: readonly string[]; readonly bodies: string } | null;
  readonly attempts: readonly ShownAttempt[];
  readonly outlets: readonly ShownDelivery[];
  readonly parents: readonly Relative[];
  readonly children: readonly Relative[];
}

export interface HistoryQuery {
  readonly flow?: string | undefined;
  readonly status?: MessageStatus | undefined;
  readonly code?: string | undefined;
  readonly id?: string | undefined;
  readonly key?: string | undefined;
  readonly correlationId?: string | undefined;
  /** A header the message came with: its lower-case name and its whole text. */
  readonly header?: { readonly name: string; readonly value: string } | undefined;
  /** A text in the body, a header, a send, a log line or an error. */
  readonly text?: string | undefined;
  /** Received at or after, and before; milliseconds since 1970. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** At most 10,000. */
  readonly limit: number;
  /** `next` of the page before. */
  readonly cursor?: string | undefined;
}

/** Newest first. */
export interface HistoryPage {
  readonly messages: readonly MessageSummary[];
  /** Undefined on the last page. */
  readonly next: string | undefined;
  /** Sentences about segments that could not be read. */
  readonly remarks: readonly string[];
}

export interface RecordedMessage {
  readonly summary: MessageSummary;
  /** Of the attempt asked for, or the last. */
  readonly recording: Recording;
}

/** A message run again from its record. */
export interface ReplayResult {
  readonly identical: boolean;
  readonly differences: readonly unknown[];
  readonly image: string;
  readonly monitor: string;
}

/** Port to whoever can run recordings; the CLI passes it in. Rejects with CodedErrors. */
export interface ReplayPort {
  replay(recorded: RecordedMessage, image: "same" | "newest"): Promise<ReplayResult>;
  /** YAML of a flow test. */
  flowTest(recorded: RecordedMessage): Promise<string>;
}

export interface HistoryReader {
  list(query: HistoryQuery): Promise<HistoryPage>;
  /** The newest message of that id, of the flow if one is named. */
  show(id: string, flow?: string): Promise<MessageDetail | undefined>;
  /** The recording of an attempt, of the last unless one is named. */
  recording(
    id: string,
    options?: { readonly flow?: string | undefined; readonly attempt?: number | undefined },
  ): Promise<RecordedMessage | undefined>;
  /** Newest first; the last attempt of each. */
  recordings(query: HistoryQuery): AsyncIterable<RecordedMessage>;
  close(): Promise<void>;
}
