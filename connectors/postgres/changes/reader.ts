/**
 * One session's reading of a slot: the server's messages in, messages for the gateway out, and the position back to the server.
 *
 *     socket ──▶ decode ──▶ waiting ──room──▶ intake ──settled──▶ progress ──▶ position ──▶ socket
 *       ▲                      │
 *       └──── paused while too much waits; the position is told all the same, so that the server does not give up
 */
import { setImmediate } from "node:timers/promises";
import type { Failure, SourceContext } from "#gateway/contract";
import type { Intake } from "../../shared/intake.ts";
import { headersOf, incomingOf } from "../../shared/wire.ts";
import type { OnCopy } from "../copy-frames.ts";
import { changeLimits } from "../limits.ts";
import { decode, type Lsn, malformed, type PgMessage } from "./pgoutput.ts";
import type { Progress, Transaction } from "./progress.ts";
import { type Change, TableRows } from "./rows.ts";
import { lsnText, positionMessage, streamed } from "./stream.ts";

export interface ReaderOptions {
  readonly context: SourceContext;
  readonly intake: Intake;
  readonly progress: Progress;
  /** One message for each transaction. */
  readonly isBatch: boolean;
  /** The server's identifier: positions of two servers are not the same. */
  readonly system: string;
  /** Order key of whole transactions. */
  readonly slot: string;
  /** Interval at which the position is told without need, in milliseconds. */
  readonly againMs: number;
  readonly send: (message: Buffer) => void;
  readonly pause: () => void;
  readonly resume: () => void;
  /** The position, or the place within a transaction, is another. */
  readonly onMoved: () => void;
}

interface Waiting {
  readonly transaction: Transaction;
  readonly message: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly json: string;
  readonly key: string;
  readonly isBarrier: boolean;
  readonly failure: Failure | undefined;
}

/** The transaction whose messages are coming in. */
interface Open {
  readonly transaction: Transaction;
  readonly lsn: string;
  readonly xid: number;
  readonly committedAt: string;
  /** Changes so far. */
  changes: number;
  /** Of a batch in progress, and the number of the next one. */
  batch: string[];
  batchBytes: number;
  part: number;
}

export class ChangeReader {
  readonly #options: ReaderOptions;
  readonly #tables = new Map<number, TableRows>();
  #open: Open | undefined;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #paused = false;
  /** Messages that the intake has, and whether one of them must be alone. */
  #inHand = 0;
  #isBarred = false;
  #closed = false;
  /** The connection is closed, too. */
  #over = false;
  #wake: () => void = () => {};
  #told: Lsn = 0n;
  #cancelTell: (() => void) | undefined;
  #cancelAgain: () => void = () => {};

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#told = options.progress.position;
    this.#again();
  }

  /** Nothing is offered any more. Settled messages still move the position. */
  end(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#wake();
  }

  close(): void {
    this.end();
    this.#over = true;
    this.#cancelAgain();
    this.#cancelTell?.();
  }

  /** Content of a CopyData. Throws MF_POSTGRES_STREAM. */
  readonly take: OnCopy = (content, bytes) => {
    if (this.#closed) return;
    const found = streamed(content);
    if (found.kind === "keepalive") this.#keepalive(found.end, found.wantsAnswer);
    else if (content.length < bytes) this.#unread(found.payload, bytes);
    else this.#message(decode(found.payload));
    if (this.#isMuch(1) && !this.#paused) {
      this.#paused = true;
      this.#options.pause();
    }
    if (this.#waiting.length > 0) this.#wake();
  };

  #isMuch(share: number): boolean {
    return this.#waiting.length >= changeLimits.waiting * share || this.#waitingBytes >= changeLimits.waitingBytes * share;
  }

  #keepalive(end: Lsn, wantsAnswer: boolean): void {
    if (this.#open === undefined) {
      this.#options.progress.idle(end);
      this.#moved();
    }
    if (wantsAnswer) this.tell();
  }

  #message(message: PgMessage): void {
    switch (message.kind) {
      case "begin":
        return this.#begin(message);
      case "commit":
        return this.#commit(message.end);
      case "table":
        if (this.#tables.size >= changeLimits.tables) throw malformed(`it has more than ${changeLimits.tables} tables`);
        return void this.#tables.set(message.table.id, new TableRows(message.table));
      case "truncate":
        for (const table of message.tables) this.#change(() => this.#table(table).truncate(message));
        return;
      case "insert":
      case "update":
      case "delete":
        return this.#change(() => this.#table(message.table).row(message));
      default:
    }
  }

  #table(id: number): TableRows {
    const table = this.#tables.get(id);
    if (table === undefined) throw malformed("its table was not described");
    return table;
  }

  #begin({ commit, atMicros, xid }: Extract<PgMessage, { readonly kind: "begin" }>): void {
    if (this.#open !== undefined) throw malformed("a transaction begins within another");
    const lsn = lsnText(commit);
    const transaction = this.#options.progress.open(`${this.#options.system}:${lsn}.${xid}.${atMicros.toString(36)}`);
    this.#open = { transaction, lsn, xid, committedAt: timeText(atMicros), changes: 0, batch: [], batchBytes: 0, part: 0 };
  }

  #commit(end: Lsn): void {
    const open = this.#need();
    if (open.batch.length > 0) this.#flush(open, true);
    this.#open = undefined;
    this.#options.progress.close(open.transaction, end);
    this.#moved();
  }

  #need(): Open {
    if (this.#open === undefined) throw malformed("it is outside of a transaction");
    return this.#open;
  }

  #change(make: () => Change): void {
    const open = this.#need();
    const index = open.changes++;
    if (this.#options.isBatch) return this.#batch(open, make());
    const message = open.transaction.count++;
    if (open.transaction.has(message)) return;
    const change = make();
    const json = `{${change.members},"lsn":"${open.lsn}","xid":${open.xid},"index":${index},"committedAt":"${open.committedAt}"}`;
    this.#add({ ...this.#waitingOf(open, message, change), json, key: change.orderKey, isBarrier: change.isBarrier, failure: undefined });
  }

  #batch(open: Open, { members }: Change): void {
    const json = `{${members}}`;
    const isFull = open.batch.length >= changeLimits.batchChanges || open.batchBytes + json.length > changeLimits.batchBytes;
    if (isFull && open.batch.length > 0) this.#flush(open, false);
    open.batch.push(json);
    open.batchBytes += json.length;
  }

  #flush(open: Open, isLast: boolean): void {
    const { lsn, xid, committedAt, batch } = open;
    const message = open.transaction.count++;
    const json = `{"lsn":"${lsn}","xid":${xid},"committedAt":"${committedAt}","part":${open.part},"isLast":${isLast},"changes":[${batch.join(",")}]}`;
    open.part += 1;
    open.batch = [];
    open.batchBytes = 0;
    if (open.transaction.has(message)) return;
    const waiting = this.#waitingOf(open, message, undefined);
    this.#add({ ...waiting, json, key: this.#options.slot, isBarrier: false, failure: undefined });
  }

  /** A change that is too long: its kind and its table are known. */
  #unread(payload: Buffer, bytes: number): void {
    const op = ({ I: "insert", U: "update", D: "delete" } as const)[String.fromCharCode(payload[0] ?? 0) as "I"];
    if (op === undefined || payload.length < 5) throw malformed(`it has ${bytes} bytes and is no row`);
    const change = this.#table(payload.readUInt32BE(1)).unread(op, bytes);
    const open = this.#need();
    const index = open.changes++;
    if (open.batch.length > 0) this.#flush(open, false);
    const message = open.transaction.count++;
    if (open.transaction.has(message)) return;
    const place = `${change.schema}.${change.table}`;
    const failure: Failure = {
      origin: "peer",
      code: "MF_POSTGRES_CHANGE",
      message: `${op} of a row of ${place} in transaction ${open.xid} has ${bytes} bytes, more than ${changeLimits.changeBytes}, and was not read: read the row with a query, and leave long columns out of the publication`,
      status: 0,
      retry: false,
    };
    this.#options.context.metrics.count("unreadable");
    const json = `{${change.members},"lsn":"${open.lsn}","xid":${open.xid},"index":${index},"committedAt":"${open.committedAt}"}`;
    const key = this.#options.isBatch ? this.#options.slot : change.orderKey;
    this.#add({ ...this.#waitingOf(open, message, change), json, key, isBarrier: change.isBarrier, failure });
  }

  #waitingOf(
    { transaction, lsn, xid, committedAt }: Open,
    message: number,
    change: Change | undefined,
  ): Pick<Waiting, "transaction" | "message" | "headers"> {
    const of: readonly (readonly [string, string])[] =
      change === undefined
        ? []
        : [
            ["postgres-op", change.op],
            ["postgres-schema", change.schema],
            ["postgres-table", change.table],
          ];
    const headers = [...of, ["postgres-lsn", lsn], ["postgres-xid", String(xid)], ["postgres-committed-at", committedAt]] as const;
    return { transaction, message, headers };
  }

  #add(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#waitingBytes += waiting.json.length;
  }

  /** Offers up to `room` messages; waits until there is one. */
  async fetch(room: number): Promise<void> {
    while (!this.#closed && !this.#mayOffer)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    for (let left = room; left > 0 && this.#mayOffer; left -= 1) {
      this.#offer(this.#waiting.shift() as Waiting);
      if (this.#options.intake.room === 0) break;
    }
    await setImmediate(); // messages that end at once would keep the process from its timers
    if (!this.#paused || this.#isMuch(0.5)) return;
    this.#paused = false;
    this.#options.resume();
  }

  get #mayOffer(): boolean {
    const next = this.#waiting[0];
    if (this.#closed || next === undefined || this.#isBarred || this.#options.progress.isFull) return false;
    return !next.isBarrier || this.#inHand === 0;
  }

  #offer({ transaction, message, headers, json, key, isBarrier, failure }: Waiting): void {
    const { context, intake, progress } = this.#options;
    this.#waitingBytes -= json.length;
    this.#inHand += 1;
    this.#isBarred = isBarrier;
    const ended = (): void => {
      this.#left(isBarrier);
      progress.ended(transaction, message);
      this.#moved();
    };
    const received = {
      id: `${transaction.name}.${message}`,
      headers: headersOf(headers, context),
      body: Buffer.from(json),
      contentType: "application/json",
      key,
    };
    const incoming = incomingOf(received, undefined);
    intake.offer({
      incoming: failure === undefined ? incoming : { ...incoming, setAside: failure },
      settle: ended,
      leave: ended,
      giveBack: () => this.#left(isBarrier),
    });
  }

  #left(isBarrier: boolean): void {
    this.#inHand -= 1;
    if (isBarrier) this.#isBarred = false;
    this.#wake();
  }

  #moved(): void {
    this.#options.onMoved();
    if (this.#over) return;
    if (this.#options.progress.position <= this.#told || this.#cancelTell !== undefined) return;
    this.#cancelTell = this.#options.context.clock.after(changeLimits.positionMs, () => this.tell());
  }

  /** Tells the server the position: everything before it has ended. */
  tell(): void {
    if (this.#over) return;
    this.#cancelTell?.();
    this.#cancelTell = undefined;
    const { progress, send, context } = this.#options;
    this.#told = progress.position;
    send(positionMessage(this.#told, context.clock.now()));
    this.#again();
  }

  #again(): void {
    this.#cancelAgain();
    this.#cancelAgain = this.#options.context.clock.after(this.#options.againMs, () => this.tell());
  }
}

/** `2026-12-01T03:59:43.123456Z`; microseconds since 1970. */
function timeText(micros: bigint): string {
  const ms = Number(micros / 1000n);
  const rest = String(((micros % 1000n) + 1000n) % 1000n).padStart(3, "0");
  return Math.abs(ms) > 8.64e15 ? `${micros}` : new Date(ms).toISOString().replace("Z", `${rest}Z`);
}
