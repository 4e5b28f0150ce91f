/**
 * How far the changes of a slot have ended.
 *
 *     transactions   first … last      in the order of their commits, as the server sends them
 *     messages       0 … count         of each, numbered; they end in any order
 *     position                         behind the last transaction before which everything has ended: the server may forget all before it
 *
 * After a lost connection the server sends everything behind the position that it has kept. Messages that have ended are known by their
 * transaction's name and their number, and do not come again.
 */
import type { Lsn } from "./pgoutput.ts";
import { changeLimits } from "../limits.ts";

export class Transaction {
  /** Unlike that of any other transaction: the server, its place in the log, its time. */
  readonly name: string;
  /** Number of the session in which the server has sent it last. */
  session = 0;
  /** Messages that came so far in this session. */
  count = 0;
  /** Position behind it, and behind empty ones that followed; undefined until its commit has come. */
  end: Lsn | undefined;
  /** All messages before this one have ended. */
  #low: number;
  /** Ended messages from there on. */
  readonly #ended = new Set<number>();

  constructor(name: string, low = 0) {
    this.name = name;
    this.#low = low;
  }

  get low(): number {
    return this.#low;
  }

  /** Ended messages that wait for one before them. */
  get ahead(): number {
    return this.#ended.size;
  }

  get isOver(): boolean {
    return this.end !== undefined && this.#low >= this.count;
  }

  has(message: number): boolean {
    return message < this.#low || this.#ended.has(message);
  }

  ended(message: number): void {
    if (message >= this.#low) this.#ended.add(message);
    while (this.#ended.delete(this.#low)) this.#low += 1;
  }
}

/** A place within a transaction, for the gateway's journal. */
export interface Place {
  readonly transaction: string;
  readonly low: number;
}

export class Progress {
  /** Of all sessions, in the order of their commits. */
  readonly #known = new Map<string, Transaction>();
  #session = 0;
  /** None of them has come in this session. */
  #isFirst = true;
  /** Of this session: those that are not over, or wait for one that is not. */
  #queue: Transaction[] = [];
  #position: Lsn = 0n;

  /** Everything before it has ended. */
  get position(): Lsn {
    return this.#position;
  }

  /** Too much has ended behind a message that has not. */
  get isFull(): boolean {
    const { endedTransactions: most } = changeLimits;
    return this.#queue.length > most || (this.#queue[0]?.ahead ?? 0) > most;
  }

  /** A session begins; the server has kept `position`. */
  begin(position: Lsn): void {
    this.#queue = [];
    this.#position = position;
    this.#session += 1;
    this.#isFirst = true;
  }

  open(name: string): Transaction {
    if (this.#isFirst && this.#known.has(name)) this.#forgetBefore(name);
    const transaction = this.#known.get(name) ?? new Transaction(name);
    transaction.count = 0;
    transaction.end = undefined;
    transaction.session = this.#session;
    this.#queue.push(transaction);
    this.#know(transaction);
    return transaction;
  }

  /** The first of those known that comes: those before it do not come again. */
  #forgetBefore(first: string): void {
    this.#isFirst = false;
    for (const name of this.#known.keys()) {
      if (name === first) return;
      this.#known.delete(name);
    }
  }

  /** Its commit has come. */
  close(transaction: Transaction, end: Lsn): void {
    transaction.end = end;
    if (transaction.count === 0) {
      this.#queue.pop();
      this.#known.delete(transaction.name);
      this.idle(end);
    }
    this.#advance();
  }

  /** Nothing of the log up to `end` is missing, and no transaction is open. */
  idle(end: Lsn): void {
    const last = this.#queue.at(-1);
    if (last === undefined) this.#raise(end);
    else if (last.end !== undefined && last.end < end) last.end = end;
  }

  ended(transaction: Transaction, message: number): void {
    transaction.ended(message);
    this.#advance();
  }

  /** The server has kept `position`: it sends nothing before it again. */
  kept(position: Lsn): void {
    for (const [name, transaction] of this.#known) {
      if (transaction.isOver && (transaction.end ?? 0n) <= position) this.#known.delete(name);
      else if (transaction.session === this.#session) return;
    }
  }

  /** Undefined where no transaction is partly done. */
  get place(): Place | undefined {
    const first = this.#queue[0];
    return first === undefined || first.low === 0 ? undefined : { transaction: first.name, low: first.low };
  }

  restore({ transaction, low }: Place): void {
    this.#known.set(transaction, new Transaction(transaction, low));
  }

  #know(transaction: Transaction): void {
    if (this.#known.has(transaction.name)) return;
    this.#known.set(transaction.name, transaction);
    if (this.#known.size <= changeLimits.endedTransactions) return;
    const [oldest] = this.#known.values();
    if (oldest !== undefined && (oldest.isOver || oldest.session !== this.#session)) this.#known.delete(oldest.name);
  }

  #advance(): void {
    let over = 0;
    for (; this.#queue[over]?.isOver === true; over += 1) this.#raise(this.#queue[over]?.end ?? 0n);
    if (over > 0) this.#queue.splice(0, over);
  }

  #raise(position: Lsn): void {
    if (position > this.#position) this.#position = position;
  }
}
