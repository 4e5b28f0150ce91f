/**
 * The source of an inbox table, for any SQL server: rows are claimed with a lease, offered in their order, and ended in batches. A server's
 * connector says how to connect, and how its SQL claims, renews, releases and ends rows.
 */
import { duration, type JsonSchema, type Source, type SourceContext, told } from "#gateway/contract";
import { brokerSource, type BrokerSourceOptions, FetchLoop, Held } from "./broker-source.ts";
import { acceptCloudEventsSchema } from "./cloudevents/write.ts";
import type { Delivery, Intake, Settled } from "./intake.ts";
import { inboxLimits } from "./limits.ts";
import { heartbeat, type Opening } from "./link.ts";
import { headersOf, incomingOf } from "./wire.ts";

export interface InboxConfig {
  readonly table: string;
  readonly heartbeat: number;
  readonly create: boolean;
  readonly poll: number;
  readonly lease: number;
  readonly done: "delete" | "mark";
  readonly prefetch?: number;
  readonly cloudevents: boolean;
}

export const inboxSchema: Readonly<Record<string, JsonSchema>> = {
  create: { type: "boolean", default: false, description: "Create the table if it is missing." },
  poll: duration("Poll interval for new rows.", "1s"),
  lease: duration("Lease: rows of a gateway that died are delivered again after this time.", "60s"),
  done: { enum: ["delete", "mark"], default: "delete", description: "Handling of a row whose message is done." },
  prefetch: { type: "integer", minimum: 1, description: "Maximum number of rows in flight in this gateway." },
  cloudevents: acceptCloudEventsSchema,
};

export interface InboxRow {
  readonly id: string;
  /** The message's id, or else one that no other row ever had. */
  readonly message: string;
  readonly key: string | null;
  readonly contentType: string | null;
  readonly correlationId: string | null;
  /** An object of names and values; anything else counts as none. */
  readonly headers: unknown;
  readonly body: Buffer | null;
  /** Of the row's texts and its body. Of a row with more than `inboxLimits.rowBytes` only the id is read, and the body is null. */
  readonly bytes: number;
  /** Claims of this row, this one included. */
  readonly attempts: number;
}

/** The result of a row; `error` is null unless the message failed for good. */
export interface RowEnd {
  readonly id: string;
  readonly error: string | null;
}

/** An inbox table over one connection. */
export interface InboxTable {
  /** Claims free rows in the order of their ids, as many as there is room for in number and bytes, but at least one. */
  claim(room: number, bytes: number): Promise<Claim>;
  renew(ids: readonly string[]): Promise<unknown>;
  /** Ends our claim. */
  release(id: string): Promise<unknown>;
  /** Deletes or marks rows. Resolves once it is committed. */
  end(rows: readonly RowEnd[]): Promise<void>;
  /** Marks a row as done, even if ended rows are deleted. */
  mark(id: string, error: string): Promise<unknown>;
  ping(): Promise<unknown>;
}

export interface Claim {
  readonly rows: readonly InboxRow[];
  /** More rows may be free: the next claim does not wait for the poll interval. */
  readonly more: boolean;
}

export interface InboxOptions extends Pick<BrokerSourceOptions, "peer" | "explain"> {
  readonly config: InboxConfig;
  readonly context: SourceContext;
  /** The connector's name, for the header with the row's id. */
  readonly name: string;
  /** The connector's code for a row that is no message. */
  readonly rowCode: string;
  /** Connects, creates or checks the table, and releases rows that the previous, lost connection had claimed. */
  open(opening: Opening, hint: () => void): Promise<InboxTable>;
}

export function inboxSource(options: InboxOptions): Source {
  const { config, context, peer, explain } = options;
  return brokerSource({
    context,
    peer,
    place: `table ${config.table}`,
    prefetch: config.prefetch,
    explain,
    async open({ intake, lost, own }) {
      let inbox: Inbox | undefined;
      const table = await options.open({ lost, own }, () => inbox?.hint());
      own({ close: heartbeat(context, config.heartbeat, () => table.ping(), lost) });
      const held = own(new Held<string>(context, config.lease / 3, (ids) => void table.renew(ids).catch(lost)));
      const reading = own(new Inbox(options, table, intake, held));
      inbox = reading;
      const loop = own(new FetchLoop(intake, lost, (room) => reading.fetch(room)));
      return {
        end() {
          loop.close();
          intake.shut();
          reading.close();
          return loop.over;
        },
      };
    },
  });
}

interface Ending extends RowEnd {
  resolve(): void;
  reject(error: unknown): void;
}

/** One session's rows. */
class Inbox {
  readonly #options: InboxOptions;
  readonly #table: InboxTable;
  readonly #intake: Intake;
  /** Ids of rows in hand. */
  readonly #held: Held<string>;
  #endings: Ending[] = [];
  #ending = false;
  #closed = false;
  #hinted = false;
  #wake: () => void = () => {};

  constructor(options: InboxOptions, table: InboxTable, intake: Intake, held: Held<string>) {
    this.#options = options;
    this.#table = table;
    this.#intake = intake;
    this.#held = held;
  }

  /** Ends the wait for the next poll. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** New rows are there: the table is polled at once. */
  hint(): void {
    this.#hinted = true;
    this.#wake();
  }

  async fetch(room: number): Promise<void> {
    this.#hinted = false;
    const { rows, more } = await this.#table.claim(room, Math.max(this.#intake.roomBytes, 1));
    for (const row of rows) this.#take(row);
    if (!more && !this.#hinted && !this.#closed) await this.#pause();
  }

  /** Until the next poll, or a hint that comes before it. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.context.clock.after(this.#options.config.poll, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }

  #take(row: InboxRow): void {
    this.#held.add(row.id);
    if (row.body === null)
      return void this.#pass(row).catch(() => undefined); // it is claimed again after its lease
    else this.#intake.offer(this.#delivery({ ...row, body: row.body }));
  }

  /** Marks a row that can't be read, so that those behind it go on. It stays in the table even with `done: delete`: there is no other copy. */
  async #pass({ id, bytes }: InboxRow): Promise<void> {
    const { context, config, rowCode } = this.#options;
    const why = bytes > inboxLimits.rowBytes ? `it has ${bytes} bytes, more than ${inboxLimits.rowBytes}` : "its body is null";
    context.metrics.count("unreadable");
    context.logger.error({ row: id, code: rowCode }, `the row ${id} of ${config.table} can't be read and is marked as done: ${why}`);
    await this.#table.mark(id, `${rowCode}: ${why}`);
    this.#held.delete(id);
  }

  #delivery(row: InboxRow & { readonly body: Buffer }): Delivery {
    const { context, config, name } = this.#options;
    const entries =
      typeof row.headers === "object" && row.headers !== null && !Array.isArray(row.headers) ? Object.entries(row.headers) : [];
    const received = {
      id: row.message,
      headers: { ...headersOf(entries, context), [`${name}-id`]: row.id },
      body: row.body,
      contentType: row.contentType ?? undefined,
      correlationId: row.correlationId ?? undefined,
      key: row.key ?? undefined,
      redelivered: row.attempts > 1,
    };
    return {
      incoming: incomingOf(received, config.cloudevents ? { prefixes: ["ce-"] } : undefined),
      settle: (outcome) => this.#end(row.id, outcome),
      giveBack: async () => {
        this.#held.delete(row.id);
        await this.#table.release(row.id);
      },
    };
  }

  #end(id: string, outcome: Settled): Promise<void> {
    const failure = outcome.status === "dead" ? told(outcome.failure, "full") : undefined;
    const error = failure === undefined ? null : `${failure.code}: ${failure.message}`;
    return new Promise((resolve, reject) => {
      this.#endings.push({ id, error, resolve, reject });
      if (!this.#ending) void this.#writeEndings();
    });
  }

  /** One statement, and one sync of the server's disk, for all rows that ended during the statement before. */
  async #writeEndings(): Promise<void> {
    this.#ending = true;
    while (this.#endings.length > 0) {
      const batch = this.#endings.splice(0);
      try {
        await this.#table.end(batch);
        for (const ending of batch) ending.resolve();
      } catch (error) {
        for (const ending of batch) ending.reject(error);
      }
      for (const { id } of batch) this.#held.delete(id);
    }
    this.#ending = false;
  }
}
