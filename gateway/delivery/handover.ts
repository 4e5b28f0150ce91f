/** Messages in hand whose partition moves to another node of the cluster: they end in order before it moves, or without an effect once it has. */
import type { Partition } from "../contract/cluster.ts";
import type { Failure, Outcome } from "../contract/message.ts";
import type { Journal } from "../journal/journal.ts";
import { failureOf } from "./failures.ts";
import type { OpenMessages } from "./open-messages.ts";
import type { Shares } from "./shares.ts";
import type { FlowSleepers } from "./sleep/flow-sleepers.ts";
import type { Work } from "./work.ts";
import type { WorkQueue } from "./work-queue.ts";

export interface HandoverPorts {
  /** Absent: everything is this process's own, and nothing moves. */
  readonly shares?: Shares | undefined;
  readonly journal: Journal;
  readonly open: OpenMessages;
  readonly queue: WorkQueue;
  readonly sleepers: FlowSleepers;
  readonly refuse: (code: string, id: string) => Outcome;
  /** Ends a message, and gives the turn of its key to the next. */
  readonly end: (work: Work, outcome: Outcome) => void;
}

export class Handover {
  readonly #ports: HandoverPorts;
  /** Messages that are being ended. */
  #leaving = 0;

  constructor(ports: HandoverPorts) {
    this.#ports = ports;
  }

  /** True while messages are ended because their partition goes: what is behind them follows, and is not begun. */
  get isLeaving(): boolean {
    return this.#leaving > 0;
  }

  /** Gives back at once what of the partition has not begun and is safe with its keeper; the rest goes on to its end. */
  rest(partition: Partition): void {
    for (const work of this.#of(partition)) if (work.waits && !work.incoming.replyWanted) this.#leave(work);
  }

  /** True while a message of the partition is in hand. */
  isBusyWith(partition: Partition): boolean {
    return this.#of(partition).length > 0;
  }

  /** The partition is another node's: what is in hand ends without an effect. */
  lose(partition: Partition): void {
    const { shares, queue, sleepers } = this.#ports;
    if (shares === undefined) return;
    for (const work of this.#of(partition)) this.#leave(work);
    const isOf = (number: number): boolean => shares.journal.partitionOfNumber(number) === partition;
    for (const sleeper of [...queue.sleepers.letters]) if (isOf(Number(sleeper))) queue.sleepers.delete(sleeper);
    sleepers.lose(isOf);
  }

  /** Ends what waits behind a message that was ended. All of a key is of one partition. */
  leaveLane(key: string): void {
    const { queue } = this.#ports;
    for (let next = queue.next(key); next !== undefined; next = queue.next(key)) this.#leave(next);
  }

  #of(partition: Partition): Work[] {
    const { shares, open } = this.#ports;
    return shares === undefined ? [] : open.all().filter((work) => shares.isOf(partition, work));
  }

  #leave(work: Work): void {
    if (work.state === "ended") return;
    const { journal, refuse, end } = this.#ports;
    this.#leaving += 1;
    if (work.lease !== undefined) journal.release(work.lease);
    const { running } = work;
    end(work, refuse("MF_PARTITION_AWAY", work.message.id));
    running?.cancel(moved, "its partition moves to another node");
    this.#leaving -= 1;
  }
}

const moved: Failure = failureOf("MF_PARTITION_AWAY", "the message's partition moves to another node", true);
