/** The idempotent receiver of one flow: which ids are being worked on, and which were completed within the window. */
import { gatewayLimits } from "../limits.ts";
import type { Reply } from "../message.ts";
import type { Sequence } from "./journal.ts";

interface CompletedId {
  readonly id: string;
  readonly untilMs: number;
  reply: Reply | undefined;
}

function replyBytes(reply: Reply | undefined): number {
  return reply === undefined ? 0 : reply.body.length + 256;
}

/**
 * An id is claimed from accept to the message's end, whatever the window says; a completed one is remembered for a time and
 * among so many. Maps keep insertion order, so the oldest completed id is the first.
 */
export class DedupWindow {
  readonly #claimed = new Map<string, Sequence>();
  readonly #completed = new Map<string, CompletedId>();
  #replyBytes = 0;

  get size(): number {
    return this.#claimed.size + this.#completed.size;
  }

  claimedBy(dedupId: string): Sequence | undefined {
    return this.#claimed.get(dedupId);
  }

  completed(dedupId: string, nowMs: number): { readonly id: string; readonly reply: Reply | undefined } | undefined {
    const known = this.#completed.get(dedupId);
    if (known === undefined) return undefined;
    if (known.untilMs > nowMs) return known;
    this.#forget(dedupId, known);
    return undefined;
  }

  claim(dedupId: string, sequence: Sequence): void {
    this.#claimed.set(dedupId, sequence);
  }

  release(dedupId: string): void {
    this.#claimed.delete(dedupId);
  }

  complete(dedupId: string, id: string, reply: Reply | undefined, nowMs: number, windowMs: number, count: number): void {
    this.#claimed.delete(dedupId);
    const before = this.#completed.get(dedupId);
    if (before !== undefined) this.#forget(dedupId, before);
    this.#completed.set(dedupId, { id, untilMs: nowMs + windowMs, reply });
    this.#replyBytes += replyBytes(reply);
    this.#shrink(nowMs, Math.min(count, gatewayLimits.dedupIds));
  }

  /** Adds a completed id of a snapshot. */
  remember(dedupId: string, id: string, untilMs: number, reply: Reply | undefined): void {
    this.#completed.set(dedupId, { id, untilMs, reply });
    this.#replyBytes += replyBytes(reply);
  }

  /** Completed ids, oldest first; for a journal that writes snapshots. */
  *entries(): Iterable<readonly [dedupId: string, id: string, untilMs: number, reply: Reply | undefined]> {
    for (const [dedupId, known] of this.#completed) yield [dedupId, known.id, known.untilMs, known.reply];
  }

  #shrink(nowMs: number, count: number): void {
    for (const [dedupId, known] of this.#completed) {
      if (this.#completed.size <= count && known.untilMs > nowMs) break;
      this.#forget(dedupId, known);
    }
    if (this.#replyBytes <= gatewayLimits.dedupReplyBytes) return;
    for (const known of this.#completed.values()) {
      this.#replyBytes -= replyBytes(known.reply);
      known.reply = undefined; // the id stays: a duplicate is still recognised, only without its reply
      if (this.#replyBytes <= gatewayLimits.dedupReplyBytes) return;
    }
  }

  #forget(dedupId: string, known: CompletedId): void {
    this.#replyBytes -= replyBytes(known.reply);
    this.#completed.delete(dedupId);
  }
}
