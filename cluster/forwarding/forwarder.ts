/**
 * Messages and signals on their way to the owner of their partition, in the order in which they came.
 *
 *   forward ──▶ sent to the owner ──┬── outcome ───────────────────────────────────▶ told
 *                                   └── away, unreached, lost ──▶ turned back ──▶ looked up again, sent again
 *
 * Of one partition, while messages are turned back, or its owner is another than the one that works on them, those that come later wait
 * behind them, and all are sent on when the last of those that were under way has come back: in order. A message whose sender waits is sent again once at most, and not if it may have been run: its
 * sender is told to. One that a broker keeps is sent until it has an outcome or its patience ends: the broker would do the same.
 */
import type { Clock } from "#base";
import type { Outcome, Partition, SignalOutcome } from "#gateway";
import type { Asker, CallEnd } from "./asker.ts";
import { away, type ForwardingHost, verbs } from "./host.ts";
import { forwardingLimits, type ForwardingLimits } from "./limits.ts";
import { decodeOutcome, decodeSignalOutcome, type Delivery, encodeDelivery, encodeSignal, type SignalDelivery } from "./messages.ts";

export interface ForwarderPorts {
  readonly asker: Asker;
  readonly clock: Clock;
  /** Name of this node. */
  readonly node: string;
  /** The node that owns a partition, as far as this one knows; undefined: none. */
  readonly ownerOf: (partition: Partition) => string | undefined;
  /** This node's own way in, for a partition that it has meanwhile; undefined until it is served. */
  readonly host: () => ForwardingHost | undefined;
  readonly limits?: ForwardingLimits;
}

/** The result of one try. */
type Tried<T> = { readonly outcome: T } | { readonly again: true; readonly mayHaveRun: boolean };

interface Waiting {
  readonly untilMs: number;
  try(): Promise<boolean>;
  giveUp(): void;
}

interface Lane {
  /** Sent and not told yet, and to whom. */
  underWay: number;
  owner: string | undefined;
  /** Goes up whenever messages are sent again: an owner that turned one back turns back the later ones of the same round. */
  round: number;
  /** Turned back, by their number, and what came behind them. */
  readonly turned: Map<number, Waiting>;
  /** When the first of these was turned back. */
  sinceMs: number;
  /** Goes up when those under way are waited for no more: their former owner may never say what became of them. */
  epoch: number;
  cancel: (() => void) | undefined;
}

export class Forwarder {
  readonly #ports: ForwarderPorts;
  readonly #limits: ForwardingLimits;
  readonly #lanes = new Map<Partition, Lane>();
  #next = 0;
  #waiting = 0;
  #closed = false;

  constructor(ports: ForwarderPorts) {
    this.#ports = ports;
    this.#limits = ports.limits ?? forwardingLimits;
  }

  /** Never rejects. */
  message(delivery: Delivery): Promise<Outcome> {
    const { partition, flow, message, origin } = delivery;
    const patient = message.keeper === "source" && !message.replyWanted;
    return this.#forward<Outcome>(partition, patient, {
      bytes: (round) => encodeDelivery(delivery, round),
      verb: verbs.message,
      decode: decodeOutcome,
      local: (host) => host.message(flow, message, origin),
      refused: (code, text, retryAfterMs) => ({ status: "refused", id: message.id, code, message: text, retryAfterMs }),
      tooLong: () => tooLong(message.id),
    });
  }

  /** Never rejects. */
  signal(delivery: SignalDelivery): Promise<SignalOutcome> {
    const refused = (code: string, message: string, retryAfterMs: number): SignalOutcome => {
      return { status: "refused", code, message, final: false, retryAfterMs };
    };
    return this.#forward<SignalOutcome>(delivery.partition, false, {
      bytes: () => encodeSignal(delivery),
      verb: verbs.signal,
      decode: decodeSignalOutcome,
      local: (host) => host.signal(delivery.signal),
      refused,
      tooLong: () => ({ ...refused("MF_CLUSTER_TOO_LARGE", tooLongText, 0), final: true }) as SignalOutcome,
    });
  }

  /** True while messages of the partition are on their way: one that comes now has to go behind them, also if this node owns it. */
  isOnTheWay(partition: Partition): boolean {
    const lane = this.#lanes.get(partition);
    return lane !== undefined && (lane.underWay > 0 || lane.turned.size > 0);
  }

  /** Ends what waits for an owner; nothing is sent again. */
  close(): void {
    this.#closed = true;
    for (const { turned, cancel } of this.#lanes.values()) {
      cancel?.();
      for (const each of turned.values()) each.giveUp();
      turned.clear();
    }
  }

  #forward<T extends Outcome | SignalOutcome>(partition: Partition, patient: boolean, what: Forwarded<T>): Promise<T> {
    const number = this.#next++;
    const { clock } = this.#ports;
    const patienceMs = patient ? this.#limits.brokerPatienceMs : this.#limits.callerPatienceMs;
    const lane = this.#laneOf(partition);
    if (this.#waiting >= this.#limits.openCalls) return Promise.resolve(what.refused("MF_FLOW_BUSY", busyText, retryAfterMs));
    return new Promise((tell) => {
      const waiting: Waiting = {
        untilMs: clock.monotonicMs() + patienceMs,
        try: async () => {
          const tried = await this.#try(partition, what);
          if ("outcome" in tried) {
            tell(tried.outcome);
            return true;
          }
          if (tried.mayHaveRun && !patient) {
            tell(what.refused(away, lostText, retryAfterMs));
            return true;
          }
          return false;
        },
        giveUp: () => tell(what.refused(away, awayText, retryAfterMs)),
      };
      const isBehind = lane.turned.size > 0 || (lane.underWay > 0 && this.#ports.ownerOf(partition) !== lane.owner);
      if (isBehind) this.#turn(partition, lane, number, waiting);
      else this.#send(partition, lane, number, waiting);
    });
  }

  #laneOf(partition: Partition): Lane {
    let lane = this.#lanes.get(partition);
    if (lane === undefined)
      this.#lanes.set(
        partition,
        (lane = { underWay: 0, owner: undefined, round: 0, turned: new Map(), sinceMs: 0, epoch: 0, cancel: undefined }),
      );
    return lane;
  }

  /** Sends it in this turn of the event loop. */
  #send(partition: Partition, lane: Lane, number: number, waiting: Waiting): void {
    const { epoch } = lane;
    lane.underWay += 1;
    lane.owner = this.#ports.ownerOf(partition);
    void waiting.try().then((told) => {
      if (lane.epoch === epoch) lane.underWay -= 1;
      const isOver = told || this.#closed;
      if (!told && isOver) waiting.giveUp();
      if (!isOver) this.#turn(partition, lane, number, waiting);
      else if (lane.underWay === 0 && lane.turned.size > 0) this.#lookAgain(partition, lane);
    });
  }

  #turn(partition: Partition, lane: Lane, number: number, waiting: Waiting): void {
    if (lane.turned.size === 0) lane.sinceMs = this.#ports.clock.monotonicMs();
    lane.turned.set(number, waiting);
    this.#waiting += 1;
    this.#lookAgain(partition, lane);
  }

  /** Sends on what was turned back, once all that was under way is back and the partition has an owner. */
  #lookAgain(partition: Partition, lane: Lane): void {
    if (lane.cancel !== undefined) return;
    lane.cancel = this.#ports.clock.after(this.#limits.lookupMs, () => {
      lane.cancel = undefined;
      const nowMs = this.#ports.clock.monotonicMs();
      if (this.#closed) return;
      if (lane.underWay > 0 && nowMs - lane.sinceMs <= this.#limits.formerOwnerMs) return this.#lookAgain(partition, lane);
      if (lane.underWay > 0) lane.epoch += 1;
      lane.underWay = 0;
      const numbers = [...lane.turned.keys()].sort((a, b) => a - b);
      const hasOwner = this.#ports.ownerOf(partition) !== undefined;
      lane.round += 1;
      for (const number of numbers) {
        const waiting = lane.turned.get(number) as Waiting;
        const isLate = nowMs > waiting.untilMs;
        if (!hasOwner && !isLate) continue;
        lane.turned.delete(number);
        this.#waiting -= 1;
        if (isLate) waiting.giveUp();
        else this.#send(partition, lane, number, waiting);
      }
      if (lane.turned.size > 0) this.#lookAgain(partition, lane);
    });
  }

  async #try<T extends Outcome | SignalOutcome>(partition: Partition, what: Forwarded<T>): Promise<Tried<T>> {
    const { ownerOf, node, host, asker } = this.#ports;
    const owner = ownerOf(partition);
    const local = host();
    if (owner === undefined || (owner === node && local === undefined)) return { again: true, mayHaveRun: false };
    if (owner === node && local !== undefined) return tried(await what.local(local));
    const end = await asker.ask(owner, what.verb, what.bytes(this.#laneOf(partition).round));
    return end.status === "answered" ? answered(end.content, what) : refusedBy(end, what);
  }
}

/** The difference between messages and signals. */
interface Forwarded<T> {
  readonly verb: number;
  readonly bytes: (round: number) => Uint8Array;
  readonly decode: (content: Uint8Array) => T | undefined;
  readonly local: (host: ForwardingHost) => Promise<T>;
  readonly refused: (code: string, message: string, retryAfterMs: number) => T;
  readonly tooLong: () => T;
}

const retryAfterMs = 1_000;
const awayText = "no node has the message's partition at the moment: send the message again";
const lostText =
  "the node that had the message's partition ended before it answered: send the message again, with the same idempotency key";
const busyText = "too many messages are on their way to other nodes: try again later";
const strangeText = "the message's node runs another version of Mayfly, which does not understand this one: upgrade all nodes";
const tooLongText = `the message is longer than ${forwardingLimits.callBytes} bytes, the most that nodes hand on to each other: send it in parts`;

function tried<T extends Outcome | SignalOutcome>(outcome: T): Tried<T> {
  const isAway = outcome.status === "refused" && outcome.code === away;
  return isAway ? { again: true, mayHaveRun: false } : { outcome };
}

function answered<T extends Outcome | SignalOutcome>(content: Uint8Array, what: Forwarded<T>): Tried<T> {
  const outcome = what.decode(content);
  return outcome === undefined ? { outcome: what.refused("MF_CLUSTER_VERSION", strangeText, retryAfterMs) } : tried(outcome);
}

function refusedBy<T>({ status }: Exclude<CallEnd, { status: "answered" }>, what: Forwarded<T>): Tried<T> {
  switch (status) {
    case "too-long":
      return { outcome: what.tooLong() };
    case "busy":
      return { outcome: what.refused("MF_FLOW_BUSY", busyText, retryAfterMs) };
    case "misfit":
      return { outcome: what.refused("MF_CLUSTER_VERSION", strangeText, retryAfterMs) };
    default:
      return { again: true, mayHaveRun: status === "lost" };
  }
}

function tooLong(id: string | undefined): Outcome {
  const failure = { origin: "caller", code: "MF_CLUSTER_TOO_LARGE", message: tooLongText, status: 413, retry: false } as const;
  return { status: "dead", id: id ?? "", failure, kept: false };
}
