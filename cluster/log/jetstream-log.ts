/** A replicated log that is a stream of NATS JetStream. Messages that are not stored through the fence are nobody's of ours. */
import {
  DeliverPolicy,
  jetstream,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstreamManager,
  type JetStreamUsageAccountLimits,
  type JsMsg,
} from "@nats-io/jetstream";
import { headers, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "#base";
import { noData } from "./entries.ts";
import { diskFailure } from "./errors.ts";
import { appendMs, headerBytes, longestDataBytes, readMs, requestMs, spaceMs, unboundedBytes } from "./limits.ts";
import type { Appended, LogMessage, LogRange, NewLogMessage, ReplicatedLog } from "./replicated-log.ts";

export interface JetStreamLogOptions {
  readonly connection: NatsConnection;
  readonly stream: string;
  readonly prefix: string;
  readonly clock: Clock;
}

const headerName = "Mayfly";
/** "wrong last sequence", with the number and without. */
const refusals: ReadonlySet<number> = new Set([10071, 10164]);
/** Of stream, account, servers: no room. */
const noRoom: ReadonlySet<number> = new Set([10002, 10023, 10028, 10047, 10077, 10131]);

/** The one header, empty if the message has another form. */
function headerOf(message: { readonly headers?: MsgHdrs | undefined }): string {
  try {
    return message.headers?.get(headerName) ?? "";
  } catch {
    return "";
  }
}

export class JetStreamLog implements ReplicatedLog {
  readonly name: string;
  readonly prefix: string;
  readonly mostBytes: number;
  readonly #js: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #clock: Clock;
  #space: { readonly bytes: number; readonly atMs: number } | undefined;

  private constructor({ connection, stream, prefix, clock }: JetStreamLogOptions, manager: JetStreamManager) {
    this.name = stream;
    this.prefix = prefix;
    this.mostBytes = Math.min(longestDataBytes, (connection.info?.max_payload ?? longestDataBytes) - headerBytes);
    this.#js = jetstream(connection, { timeout: requestMs });
    this.#manager = manager;
    this.#clock = clock;
  }

  static async open(options: JetStreamLogOptions): Promise<JetStreamLog> {
    return new JetStreamLog(options, await jetstreamManager(options.connection, { timeout: requestMs, checkAPI: false }));
  }

  async append({ subject, header, data }: NewLogMessage, expected: number): Promise<Appended> {
    const own = headers();
    own.set(headerName, header);
    try {
      await this.#js.publish(subject, data, {
        headers: own,
        timeout: appendMs,
        expect: { streamName: this.name, lastSequence: expected },
      });
      return "stored";
    } catch (error) {
      if (error instanceof JetStreamApiError && refusals.has(error.code)) return "refused";
      if (error instanceof JetStreamApiError && noRoom.has(error.code)) throw diskFailure("ENOSPC", error.message, error);
      throw error;
    }
  }

  async get(sequence: number): Promise<LogMessage | undefined> {
    const message = await this.#manager.streams.getMessage(this.name, { seq: sequence });
    if (message === null) return undefined;
    const header = headerOf({
      get headers() {
        return message.header;
      },
    });
    return { sequence: message.seq, subject: message.subject, header, data: message.data };
  }

  async read({ subject, from, to, headersOnly }: LogRange, each: (message: LogMessage) => void): Promise<void> {
    const consumer = await this.#js.consumers.get(this.name, {
      filter_subjects: subject ?? `${this.prefix}.>`,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: from,
      headers_only: headersOnly,
      inactive_threshold: 60_000,
    });
    const isEmpty = (await consumer.info(true)).num_pending === 0;
    if (isEmpty) return void consumer.delete().catch(() => undefined);
    const messages = await consumer.consume(headersOnly ? { max_messages: 4_000 } : { max_bytes: 8 * longestDataBytes });
    let readAt = this.#clock.monotonicMs();
    let silent = false;
    const watch = (): void => {
      silent = this.#clock.monotonicMs() - readAt > readMs;
      if (silent) messages.stop();
      else cancel = this.#clock.after(readMs / 4, watch);
    };
    let cancel = this.#clock.after(readMs / 4, watch);
    try {
      for await (const message of messages) {
        readAt = this.#clock.monotonicMs();
        if (message.seq > to) return;
        each(messageOf(message, headersOnly));
        if (message.seq === to || message.info.pending === 0) return;
      }
      throw silent ? diskFailure("EIO", `${this.name} sends nothing`) : diskFailure("EIO", `${this.name} stopped sending`);
    } finally {
      cancel();
      messages.stop();
      consumer.delete().catch(() => undefined);
    }
  }

  async last(): Promise<number> {
    return (await this.#manager.streams.info(this.name)).state.last_seq;
  }

  async purge(subject: string, below?: number): Promise<void> {
    if (below !== undefined && below <= 1) return; // the server takes 1 for no bound
    await this.#manager.streams.purge(this.name, below === undefined ? { filter: subject } : { filter: subject, seq: below });
  }

  async freeBytes(): Promise<number> {
    if (this.#space !== undefined && this.#clock.monotonicMs() - this.#space.atMs < spaceMs) return this.#space.bytes;
    const [{ config, state }, account] = await Promise.all([this.#manager.streams.info(this.name), this.#manager.getAccountInfo()]);
    const ofStream = config.max_bytes > 0 ? config.max_bytes - state.bytes : unboundedBytes;
    const tiers = account.tiers as Readonly<Record<string, JetStreamUsageAccountLimits>> | undefined;
    const tier = tiers?.[`R${config.num_replicas}`] ?? account;
    const most = tier.limits.max_storage;
    const ofAccount = most > 0 ? most - tier.storage : unboundedBytes;
    const bytes = Math.max(0, Math.min(ofStream, ofAccount));
    this.#space = { bytes, atMs: this.#clock.monotonicMs() };
    return bytes;
  }
}

function messageOf(message: JsMsg, headersOnly: boolean): LogMessage {
  return { sequence: message.seq, subject: message.subject, header: headerOf(message), data: headersOnly ? noData : message.data };
}
