/** The messages a flow has in hand, and what each holds of the process until its end: a place, memory, its dedup id. */
import { accountOf, type GatewayMemory } from "../contract/memory.ts";
import type { Lease, Sequence } from "../journal/journal.ts";
import type { Totals } from "./admission/admission.ts";
import { Chain } from "./chain.ts";
import type { Work } from "./work.ts";

export class OpenMessages {
  readonly #works = new Chain<Work>();
  /** Messages with a dedup id, by sequence, for duplicates that come meanwhile. */
  readonly #holders = new Map<Sequence, Work>();
  readonly #totals: Totals;
  readonly #memory: GatewayMemory;

  constructor(totals: Totals, memory: GatewayMemory) {
    this.#totals = totals;
    this.#memory = memory;
  }

  get size(): number {
    return this.#works.size;
  }

  /** A copy: messages may end while they are gone through. */
  all(): readonly Work[] {
    return this.#works.all();
  }

  holderOf(sequence: Sequence): Work | undefined {
    return this.#holders.get(sequence);
  }

  /** Dead letters that are being run again. */
  retriedLetters(): readonly Work[] {
    return this.all().filter(({ isRetriedLetter }) => isRetriedLetter);
  }

  /** Memory for its body is reserved already. `lease`: undefined for a message its source keeps. */
  add(work: Work, lease: Lease | undefined): void {
    if (lease !== undefined) {
      work.leased(lease);
      if (work.message.dedup !== undefined) this.#holders.set(lease.sequence, work);
    }
    this.#works.add(work);
    this.#totals.pending += 1;
  }

  remove(work: Work): void {
    this.#works.remove(work);
    this.#totals.pending -= 1;
    accountOf(this.#memory, work.heldBytes).give(work.heldBytes);
    this.releaseReply(work);
    if (work.lease !== undefined && work.message.dedup !== undefined) this.#holders.delete(work.lease.sequence);
  }

  /** The reply of an attempt will not be told, or has been. */
  releaseReply(work: Work): void {
    if (work.replyBytes > 0) this.#memory.replies.give(work.replyBytes);
    work.replyBytes = 0;
  }
}
