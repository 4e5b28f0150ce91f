/**
 * The way in: a message is refused, recognised as a duplicate, set aside, or kept safe and handed on. Calls of one turn of the event loop
 * keep their order.
 *
 *   accept ──bounds──▶ key, dedup id ──▶ journal (keeper: journal), or adopted ──▶ enter
 *              └─ refused                     └─ duplicate: its outcome, or the first one's when that comes
 */
import { assert, type Clock } from "#base";
import type { Logger } from "../../contract/connector.ts";
import { gatewayLimits } from "../../contract/limits.ts";
import { accountOf, type GatewayMemory, memoryBusy } from "../../contract/memory.ts";
import type { Partition } from "../../contract/cluster.ts";
import type { Failure, Incoming, Outcome } from "../../contract/message.ts";
import type { Flow } from "../../contract/runner.ts";
import type { Tracing } from "../../contract/tracing.ts";
import type { Accepted, Journal, Lease, NewMessage, Sequence } from "../../journal/journal.ts";
import { callersFault, failureOf } from "../failures.ts";
import type { FlowMetrics } from "../metrics.ts";
import { isRecordFault, type Persistence } from "../persistence.ts";
import { isPartitionAway } from "../../journal/partitions/partitioned-journal.ts";
import type { MessageIds } from "../seeds.ts";
import type { Shares } from "../shares.ts";
import type { Witnesses } from "../witnesses.ts";
import { heldBytesOf, Work } from "../work.ts";
import { type Texts, textsOf } from "./keys.ts";
import { type Expressions, expressionsOf, newMessage, type Origin, refusedWith } from "./message.ts";

/** Messages pending over all flows. */
export interface Totals {
  pending: number;
}

/** The flow's delivery as admission sees it. */
export interface Entrance {
  /** As of now: a reload replaces it. */
  readonly flow: Flow;
  /** Messages that have entered and not ended. */
  readonly size: number;
  /** Older messages of the flow are still with the journal. */
  readonly hasBacklog: boolean;
  readonly stopping: boolean;
  readonly closed: boolean;
  /** An operator lets nothing in. */
  readonly shut: boolean;
  /** A dead letter holds messages of this key. */
  isHeld(key: string | undefined): boolean;
  /** `lease`: undefined for a message its source keeps. */
  enter(work: Work, lease: Lease | undefined): void;
  /** The message that has the dedup id, while it is worked on. */
  holderOf(sequence: Sequence): Work | undefined;
  /** The journal has the message, and it is not taken up now. */
  leave(lease: Lease): void;
  /** The queue is full. */
  full(): void;
}

export interface AdmissionPorts {
  readonly journal: Journal;
  readonly persistence: Persistence;
  readonly clock: Clock;
  readonly ids: MessageIds;
  readonly totals: Totals;
  readonly memory: GatewayMemory;
  readonly tracing: Tracing;
  readonly logger: Logger;
  readonly metrics: FlowMetrics;
  readonly witnesses: Witnesses;
  /** Absent: everything is this process's own. */
  readonly shares?: Shares | undefined;
  /** True while an outlet of this flow has no room for more sends. */
  readonly outboxFull: () => boolean;
}

interface Entry extends Origin {
  /** Another node has handed it on: it is not handed on again. */
  readonly isForwarded: boolean;
}

export class Admission {
  readonly #entrance: Entrance;
  readonly #ports: AdmissionPorts;
  #expressions: Expressions;
  /** Being accepted by the journal, or by another node. */
  #entering = 0;
  /** Messages whose bodies are being read for their keys, or that came behind one, and the last of them. */
  #reading = 0;
  #lastRead: Promise<unknown> = Promise.resolve();

  constructor(entrance: Entrance, ports: AdmissionPorts) {
    this.#entrance = entrance;
    this.#ports = ports;
    this.#expressions = expressionsOf(entrance.flow);
  }

  /** Messages on their way in: they count as pending. */
  get pending(): number {
    return this.#entering + this.#reading;
  }

  /** The flow was replaced. */
  reread(): void {
    this.#expressions = expressionsOf(this.#entrance.flow);
  }

  readonly accept = (incoming: Incoming, { source, place }: Origin): Promise<Outcome> =>
    this.#accept(incoming, { source, place, isForwarded: false });

  /** From another node, which knows this one as the owner. Refused with MF_PARTITION_AWAY where it is not. */
  readonly acceptForwarded = (incoming: Incoming, { source, place }: Origin): Promise<Outcome> =>
    this.#accept(incoming, { source, place, isForwarded: true });

  readonly #accept = (incoming: Incoming, origin: Entry): Promise<Outcome> => {
    if (incoming.setAside !== undefined) return this.#setAside(incoming, origin, incoming.setAside);
    const refusal = this.#refusal(incoming);
    if (refusal !== undefined) return Promise.resolve(this.refuse(refusal, undefined));
    this.#ports.metrics.received += 1;
    const { key, dedup } = this.#expressions;
    const texts = textsOf([key, dedup], incoming);
    if (texts instanceof Promise || this.#reading > 0) return this.#acceptInTurn(incoming, origin, texts);
    return this.#route(incoming, this.#messageOf(incoming, origin, texts), origin);
  };

  refuse(code: string, id: string | undefined): Outcome {
    this.#ports.metrics.refuse(code);
    if (code === "MF_FLOW_BUSY") this.#entrance.full();
    return refusedWith(code, id);
  }

  /** Why a message is not taken now; undefined: memory for it has been reserved. */
  #refusal({ body }: Incoming): string | undefined {
    const { persistence, journal, totals, memory, outboxFull } = this.#ports;
    const { flow, size, hasBacklog } = this.#entrance;
    if (this.#turnedAway) return "MF_STOPPING";
    if (this.#entrance.shut) return "MF_FLOW_PAUSED";
    if (hasBacklog || size + this.pending >= flow.config.queue) return "MF_FLOW_BUSY";
    if (totals.pending >= gatewayLimits.pendingTotal) return "MF_GATEWAY_BUSY";
    if (persistence.troubled !== undefined || journal.trouble !== undefined) return "MF_JOURNAL_UNAVAILABLE";
    if (outboxFull() || this.#journalFull) return "MF_OUTBOX_FULL";
    const { name, config } = this.#entrance.flow;
    if (journal.sleeperCount(name).sleepers >= config.sleep.atMost) return "MF_SLEEPERS_FULL";
    if (this.#isOwnerFull(body.length)) return "MF_TENANT_FULL";
    const heldBytes = heldBytesOf(body);
    return accountOf(memory, heldBytes).tryTake(heldBytes) ? undefined : memoryBusy;
  }

  /** The owner of the flow keeps as many bytes as it may: what waits has to leave first. */
  #isOwnerFull(bodyBytes: number): boolean {
    const { keeps } = this.#entrance.flow.config;
    if (keeps === undefined) return false;
    const { messages, deadLetters } = this.#ports.journal.keptBy(keeps.owner);
    return messages + bodyBytes > keeps.messages || deadLetters >= keeps.deadLetters;
  }

  /** A journal in memory ends with the process: what it has is finished, and may send to this flow until then. */
  get #turnedAway(): boolean {
    return this.#entrance.closed || (this.#entrance.stopping && this.#ports.journal.durable);
  }

  /** A journal in memory holds as many sends as it may: flows that send nothing are not held up. */
  get #journalFull(): boolean {
    const { takenBytes, mostBytes } = this.#ports.memory.journal;
    return takenBytes >= mostBytes && this.#entrance.flow.outlets.length > 0;
  }

  #release({ body }: Incoming): void {
    const heldBytes = heldBytesOf(body);
    accountOf(this.#ports.memory, heldBytes).give(heldBytes);
  }

  /** Its body is long, or one before it is still being read, which it must not overtake. */
  async #acceptInTurn(incoming: Incoming, origin: Entry, texts: Texts | Promise<Texts>): Promise<Outcome> {
    this.#reading += 1;
    this.#ports.totals.pending += 1;
    const turn = this.#lastRead.then(() => texts);
    this.#lastRead = turn.catch(() => undefined); // those behind it are read all the same
    let read: Texts;
    try {
      read = await turn;
    } catch (error) {
      this.#release(incoming);
      throw error;
    } finally {
      this.#reading -= 1;
      this.#ports.totals.pending -= 1;
    }
    if (!this.#turnedAway) return this.#route(incoming, this.#messageOf(incoming, origin, read), origin);
    this.#release(incoming);
    return this.refuse("MF_STOPPING", incoming.id);
  }

  #messageOf(incoming: Incoming, origin: Origin, texts: Texts): NewMessage {
    const admission = {
      flow: this.#entrance.flow,
      expressions: this.#expressions,
      ids: this.#ports.ids,
      tracing: this.#ports.tracing,
      texts,
    };
    return newMessage(admission, incoming, origin, this.#ports.clock.now());
  }

  /** In here, or on to the node that owns its partition. */
  #route(incoming: Incoming, message: NewMessage, origin: Entry): Promise<Outcome> {
    const { shares } = this.#ports;
    if (shares === undefined) return this.#admit(incoming, message);
    if (origin.isForwarded) {
      if (shares.takes(message)) return this.#admit(incoming, message);
      this.#release(incoming);
      return Promise.resolve(this.refuse("MF_PARTITION_AWAY", message.id));
    }
    const partition = shares.awayOf(message);
    return partition === undefined ? this.#admit(incoming, message) : this.#forward(shares, partition, incoming, origin);
  }

  /** It counts as pending until its outcome is here. */
  async #forward(shares: Shares, partition: Partition, incoming: Incoming, { source, place }: Entry): Promise<Outcome> {
    const { totals, metrics } = this.#ports;
    this.#entering += 1;
    totals.pending += 1;
    try {
      const outcome = await shares.forward(partition, this.#entrance.flow.name, incoming, { source, place });
      if (outcome.status === "refused") metrics.refuse(outcome.code);
      return outcome;
    } finally {
      this.#entering -= 1;
      totals.pending -= 1;
      this.#release(incoming);
    }
  }

  #admit(incoming: Incoming, message: NewMessage): Promise<Outcome> {
    if (incoming.replyWanted && this.#entrance.isHeld(message.key)) {
      this.#release(incoming);
      return Promise.resolve(this.refuse("MF_FLOW_HELD", message.id)); // a caller can't wait until somebody looks at the letter
    }
    if (incoming.keeper === "journal") return this.#acceptDurably(incoming, message);
    if (message.dedup === undefined) return this.#enter(incoming, message, undefined);
    const adopted = this.#ports.journal.adopt(message);
    if (adopted.status === "leased") return this.#enter(incoming, message, adopted.lease);
    this.#release(incoming);
    return this.#duplicate(adopted, incoming, message);
  }

  #enter(incoming: Incoming, message: NewMessage, lease: Lease | undefined): Promise<Outcome> {
    return new Promise((resolve) => this.#entrance.enter(this.#work(incoming, message, resolve), lease));
  }

  #work(incoming: Incoming, message: NewMessage, tell: ((outcome: Outcome) => void) | undefined): Work {
    return new Work(incoming, message, tell, this.#ports.clock.monotonicMs());
  }

  async #acceptDurably(incoming: Incoming, message: NewMessage): Promise<Outcome> {
    const { journal, persistence, totals } = this.#ports;
    this.#entering += 1;
    totals.pending += 1;
    let accepted: Accepted;
    try {
      accepted = await journal.accept(message);
    } catch (error) {
      this.#release(incoming);
      if (isPartitionAway(error)) return this.refuse("MF_PARTITION_AWAY", message.id);
      persistence.failed(error);
      if (!isRecordFault(error)) return this.refuse("MF_JOURNAL_UNAVAILABLE", message.id);
      this.#ports.metrics.refuse(error.code);
      return { status: "dead", id: message.id, failure: failureOf(error.code, error.message, false), kept: false };
    } finally {
      this.#entering -= 1;
      totals.pending -= 1;
    }
    if (accepted.status !== "leased") {
      this.#release(incoming);
      return this.#duplicate(accepted, incoming, message);
    }
    if (incoming.replyWanted) return this.#enter(incoming, message, accepted.lease);
    // Stopping has begun meanwhile: older messages of its key may have been given back already, and it must not overtake them.
    if (this.#entrance.stopping && journal.durable) {
      this.#entrance.leave(accepted.lease);
      this.#release(incoming);
    } else this.#entrance.enter(this.#work(incoming, message, undefined), accepted.lease);
    return { status: "accepted", id: message.id };
  }

  #duplicate(accepted: Exclude<Accepted, { status: "leased" }>, incoming: Incoming, { id, source }: NewMessage): Promise<Outcome> {
    const { metrics, logger } = this.#ports;
    if (accepted.status === "mismatch") {
      metrics.refuse("MF_ID_REUSED");
      const text = "the id was used before, for a request with different content: use a new id";
      return Promise.resolve({ status: "dead", id: incoming.id ?? "", failure: callersFault("MF_ID_REUSED", text, 422), kept: false });
    }
    metrics.duplicates += 1;
    logger.info({ message: id, source, first: accepted.status === "running" ? "running" : "done" }, "a duplicate is not run again");
    if (accepted.status === "duplicate") return Promise.resolve({ status: "duplicate", id: accepted.id, reply: accepted.reply });
    const first = this.#entrance.holderOf(accepted.sequence);
    if (first === undefined) return Promise.resolve(this.refuse("MF_FLOW_BUSY", incoming.id)); // it is just ending: the next try finds out how
    if (!incoming.replyWanted && first.lease?.durable === true)
      return Promise.resolve({ status: "duplicate", id: first.message.id, reply: undefined });
    return new Promise((resolve) => (first.followers ??= []).push(resolve));
  }

  /** A dead letter without a run. Its id may be one that is done: it is not looked at. */
  async #setAside(incoming: Incoming, origin: Entry, failure: Failure): Promise<Outcome> {
    const { journal, persistence, clock, memory, metrics, witnesses, shares } = this.#ports;
    if (this.#entrance.closed) return refusedWith("MF_STOPPING", incoming.id);
    const nowMs = clock.now();
    const heldBytes = heldBytesOf(incoming.body);
    accountOf(memory, heldBytes).force(heldBytes);
    try {
      const texts = await textsOf([this.#expressions.key, undefined], incoming);
      const message = { ...this.#messageOf(incoming, origin, texts), dedup: undefined };
      const away = shares?.awayOf(message);
      if (shares !== undefined && away !== undefined)
        return origin.isForwarded
          ? this.refuse("MF_PARTITION_AWAY", message.id)
          : await shares.forward(away, message.flow, incoming, { source: origin.source, place: origin.place });
      const adopted = journal.adopt(message);
      assert(adopted.status === "leased", "a message without dedup is always leased");
      const record = { attempt: 1, startedMs: nowMs, endedMs: nowMs, imageSha256: "", failure, logs: [] };
      const letter = await persistence.keepTrying(() => journal.bury(adopted.lease, record));
      if (letter === undefined) {
        journal.release(adopted.lease);
        return refusedWith("MF_STOPPING", message.id);
      }
      metrics.dead += 1;
      metrics.fail(failure.code);
      witnesses.ended(message, { status: "dead", last: undefined, attempts: 0, endedMs: clock.now(), failure, letter });
      return { status: "dead", id: message.id, failure, kept: true };
    } finally {
      this.#release(incoming);
    }
  }
}
