/**
 * Signals and those who wait for them, over the nodes of a cluster. A signal is kept in the partition of its name and key; its machine may
 * sleep at any other node.
 *
 *   a signal was kept, nobody here waits ──"waits?"──▶ all others ──partition──▶ it is sent there
 *   a machine waits, and has no signal ────"wanted"──▶ all others ──────────────▶ whoever has one sends it
 *
 * Each asks after its own record is safe: whichever was later finds the other. What a crash or a lost answer has cut is looked at again
 * with the sweep of signals, and when a partition is gained.
 */
import type { Cluster, Partition } from "../../contract/cluster.ts";
import { gatewayLimits } from "../../contract/limits.ts";
import type { KeptSignal, SignalNumber } from "../../journal/journal.ts";
import type { PartitionedJournal } from "../../journal/partitions/partitioned-journal.ts";

/** A signal's address. */
export interface SignalAddress {
  readonly flow: string;
  readonly name: string;
  readonly key: string;
}

/** The sleepers of one flow at this node, as the exchange sees them. */
export interface LocalWaiters {
  /** The partition where somebody waits, asleep or awake; undefined if nobody does. */
  waiterPlace(name: string, key: string): Partition | undefined;
  /** A signal was kept for somebody here. */
  kept(signal: KeptSignal): void;
}

type Question =
  | ({ readonly kind: "waits" } & SignalAddress)
  | ({ readonly kind: "wanted"; readonly partition: number } & SignalAddress)
  | { readonly kind: "bring"; readonly partition: number; readonly signal: KeptSignal }
  | { readonly kind: "drop"; readonly number: number };

const any = (): boolean => true;

export class SignalExchange {
  readonly #cluster: Pick<Cluster, "ask" | "askOthers">;
  readonly #journal: PartitionedJournal;
  /** Called when signals have become somebody's to take by the end of a move. */
  onSettled: () => void = () => undefined;
  #settling: Promise<void> | undefined;
  /** Addresses that are being asked about. */
  readonly #open = new Set<string>();

  constructor(cluster: Pick<Cluster, "ask" | "askOthers">, journal: PartitionedJournal) {
    this.#cluster = cluster;
    this.#journal = journal;
    journal.connect({
      drop: async (partition, number) => (await cluster.ask(partition, { kind: "drop", number })) === true,
      bring: async (partition, signal) => void (await cluster.ask(partition, { kind: "bring", partition, signal: sent(signal) })),
    });
  }

  /** A signal is kept here and nobody here waits for it: it goes to whoever does. Never rejects. */
  seek(address: SignalAddress): Promise<void> {
    return this.#once(`seek\0${textOf(address)}`, async () => {
      const answers = await this.#cluster.askOthers({ kind: "waits", ...addressOf(address) });
      const partition = answers.map(({ answer }) => answer).find((each) => typeof each === "number");
      if (partition !== undefined) await this.#send(address, partition as Partition);
    });
  }

  /** Somebody here waits in that partition and has no signal: whoever has one sends it. Never rejects. */
  want(address: SignalAddress, partition: Partition): Promise<void> {
    return this.#once(`want\0${textOf(address)}`, async () => {
      await this.#cluster.askOthers({ kind: "wanted", partition, ...addressOf(address) });
    });
  }

  /** Goes on with moves that a crash or a lost answer has cut. Never rejects. */
  settle(): Promise<void> {
    this.#settling ??= this.#settle().finally(() => (this.#settling = undefined));
    return this.#settling;
  }

  async #settle(): Promise<void> {
    try {
      if ((await this.#journal.settleMoves()) > 0) this.onSettled();
    } catch {
      // The journal refuses: the sweep tries again.
    }
  }

  /** Answers another node; undefined for a question that is not understood. */
  async answer(asked: unknown, waitersOf: (flow: string) => LocalWaiters | undefined): Promise<unknown> {
    const question = questionOf(asked);
    switch (question?.kind) {
      case undefined:
        return undefined;
      case "waits":
        return waitersOf(question.flow)?.waiterPlace(question.name, question.key) ?? null;
      case "wanted":
        return await this.#send(question, question.partition as Partition);
      case "bring": {
        const signal = await this.#journal.receive(question.partition as Partition, question.signal);
        if (signal !== undefined) waitersOf(signal.flow)?.kept(signal);
        return signal !== undefined;
      }
      case "drop":
        return await this.#journal.dropForGood(question.number as SignalNumber);
    }
  }

  /** True when there was one to send. */
  async #send({ flow, name, key }: SignalAddress, partition: Partition): Promise<boolean> {
    const signal = await this.#journal.firstSignal(flow, name, key, any);
    if (signal === undefined) return false;
    await this.#journal.send(signal, partition);
    return true;
  }

  /** One question about an address at a time, and a bounded number in all: the sweep asks again. */
  async #once(what: string, ask: () => Promise<void>): Promise<void> {
    if (this.#open.has(what) || this.#open.size >= gatewayLimits.signalQuestions) return;
    this.#open.add(what);
    try {
      await ask();
    } catch {
      // The journal refuses, or the partition went: the sweep asks again.
    } finally {
      this.#open.delete(what);
    }
  }
}

function addressOf({ flow, name, key }: SignalAddress): SignalAddress {
  return { flow, name, key };
}

function textOf({ flow, name, key }: SignalAddress): string {
  return JSON.stringify([flow, name, key]);
}

/** A signal as JSON has it. */
function sent(signal: KeptSignal): object {
  return { ...signal, body: Buffer.from(signal.body).toString("base64") };
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function questionOf(asked: unknown): Question | undefined {
  if (typeof asked !== "object" || asked === null) return undefined;
  const { kind, flow, name, key, partition, number, signal } = asked as Readonly<Record<string, unknown>>;
  if (kind === "drop") return isNumber(number) ? { kind, number } : undefined;
  if (kind === "bring") {
    const read = signalOf(signal);
    return read !== undefined && isNumber(partition) ? { kind, partition, signal: read } : undefined;
  }
  if (!isText(flow) || !isText(name) || !isText(key)) return undefined;
  if (kind === "waits") return { kind, flow, name, key };
  return kind === "wanted" && isNumber(partition) ? { kind, partition, flow, name, key } : undefined;
}

function signalOf(value: unknown): KeptSignal | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { number, flow, name, key, id, source, contentType, receivedMs, keptUntilMs, headers, body } = value as Readonly<
    Record<string, unknown>
  >;
  const texts = [flow, name, key, id, source, contentType, body];
  if (!texts.every(isText) || !isNumber(number) || typeof receivedMs !== "number" || typeof keptUntilMs !== "number") return undefined;
  if (typeof headers !== "object" || headers === null) return undefined;
  for (const header of Object.values(headers)) if (!isText(header) && !(Array.isArray(header) && header.every(isText))) return undefined;
  return { ...(value as KeptSignal), dedup: undefined, body: new Uint8Array(Buffer.from(body as string, "base64")) };
}
