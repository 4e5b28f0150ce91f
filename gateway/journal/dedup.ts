/** The idempotent receiver of one flow: which ids are being worked on, and which were completed within the window. */
import { gatewayLimits } from "../contract/limits.ts";
import type { Reply } from "../contract/message.ts";
import { identityOf } from "./dedup-id.ts";
import type { NewMessage, Sequence } from "./journal.ts";

/** `dedupId`: with its fingerprint, as the message had it. */
interface RunningId {
  readonly dedupId: string;
  readonly sequence: Sequence;
}

interface CompletedId {
  readonly dedupId: string;
  readonly id: string;
  readonly untilMs: number;
  reply: Reply | undefined;
}

interface CompletedMessage {
  readonly id: string;
  readonly reply: Reply | undefined;
  readonly nowMs: number;
}

function replyBytes(reply: Reply | undefined): number {
  return reply === undefined ? 0 : reply.body.length + 256;
}

/**
 * An id is running from accept to the message's end, whatever the window says; a completed one is remembered for a time and
 * among so many. Maps keep insertion order, so the oldest completed id is the first. Their keys are identities (dedup-id.ts).
 */
export class DedupWindow {
  readonly #running = new Map<string, RunningId>();
  readonly #completed = new Map<string, CompletedId>();
  #replyBytes = 0;

  get size(): number {
    return this.#running.size + this.#completed.size;
  }

  running(dedupId: string): RunningId | undefined {
    return this.#running.get(identityOf(dedupId));
  }

  completed(dedupId: string, nowMs: number): Omit<CompletedId, "untilMs"> | undefined {
    const identity = identityOf(dedupId);
    const known = this.#completed.get(identity);
    if (known === undefined) return undefined;
    if (known.untilMs > nowMs) return known;
    this.#forget(identity, known);
    return undefined;
  }

  begin(dedupId: string, sequence: Sequence): void {
    this.#running.set(identityOf(dedupId), { dedupId, sequence });
  }

  end(dedupId: string): void {
    this.#running.delete(identityOf(dedupId));
  }

  /** A message of this identity is complete: `id` and `reply` are what its duplicates get within the window. */
  complete(dedup: NonNullable<NewMessage["dedup"]>, { id, reply, nowMs }: CompletedMessage): void {
    const { windowMs, count } = dedup;
    const dedupId = dedup.id;
    const identity = identityOf(dedupId);
    this.#running.delete(identity);
    const before = this.#completed.get(identity);
    if (before !== undefined) this.#forget(identity, before);
    this.#completed.set(identity, { dedupId, id, untilMs: nowMs + windowMs, reply });
    this.#replyBytes += replyBytes(reply);
    this.#shrink(nowMs, Math.min(count, gatewayLimits.dedupIds));
  }

  /** Adds a completed id of a snapshot. */
  remember(dedupId: string, id: string, untilMs: number, reply: Reply | undefined): void {
    this.#completed.set(identityOf(dedupId), { dedupId, id, untilMs, reply });
    this.#replyBytes += replyBytes(reply);
  }

  /** Completed ids, oldest first; for a journal that writes snapshots. */
  *entries(): Iterable<readonly [dedupId: string, id: string, untilMs: number, reply: Reply | undefined]> {
    for (const { dedupId, id, untilMs, reply } of this.#completed.values()) yield [dedupId, id, untilMs, reply];
  }

  #shrink(nowMs: number, count: number): void {
    for (const [identity, known] of this.#completed) {
      if (this.#completed.size <= count && known.untilMs > nowMs) break;
      this.#forget(identity, known);
    }
    if (this.#replyBytes <= gatewayLimits.dedupReplyBytes) return;
    for (const known of this.#completed.values()) {
      this.#replyBytes -= replyBytes(known.reply);
      known.reply = undefined; // the id stays: a duplicate is still recognised, only without its reply
      if (this.#replyBytes <= gatewayLimits.dedupReplyBytes) return;
    }
  }

  #forget(identity: string, known: CompletedId): void {
    this.#replyBytes -= replyBytes(known.reply);
    this.#completed.delete(identity);
  }
}
