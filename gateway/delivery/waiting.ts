/** A flow's messages that wait, for people: which, and in what state. */
import type { Work } from "./work.ts";

/** `behind`: an older message of its key has not ended. `resting`: until its next attempt. `held`: a dead letter holds its key. */
export type WaitingState = "queued" | "behind" | "resting" | "held" | "running" | "settling";

export interface WaitingMessage {
  readonly id: string;
  readonly state: WaitingState;
  /** The attempt under way, or the next one. */
  readonly attempt: number;
  readonly source: string;
  readonly key: string | null;
  /** Milliseconds since 1970. */
  readonly receivedAt: number;
  readonly bodyBytes: number;
  /** A caller waits for its reply. */
  readonly callerWaits: boolean;
  /** Why the attempt before failed. */
  readonly lastCode: string | null;
}

export function shownWork(work: Work, isHeld: (key: string | undefined) => boolean): WaitingMessage | undefined {
  const { state, message, attempt, incoming, attempts } = work;
  if (state === "new" || state === "ended") return undefined;
  return {
    id: message.id,
    state: work.waits && isHeld(message.key) ? "held" : state,
    attempt,
    source: message.source,
    key: message.key ?? null,
    receivedAt: message.receivedMs,
    bodyBytes: message.body.length,
    callerWaits: incoming.replyWanted,
    lastCode: attempts.at(-1)?.failure.code ?? null,
  };
}
