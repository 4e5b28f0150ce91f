/** A replicated log that is a stream of NATS JetStream. Messages that are not stored through the fence are nobody's of ours. */
import {
  jetstream,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstreamManager,
  type JetStreamUsageAccountLimits,
  type SeqMsgRequest,
} from "@nats-io/jetstream";
import { headers, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "#base";
import { noData } from "./entries.ts";
import { diskFailure } from "./errors.ts";
import {
  appendMs,
  consumedAtOnce,
  deletesAtOnce,
  getsAtOnce,
  headerBytes,
  longestDataBytes,
  requestMs,
  silentMs,
  spaceMs,
  unboundedBytes,
} from "./limits.ts";
import type { Appended, LogMessage, NewLogMessage, ReplicatedLog } from "./replicated-log.ts";

export interface JetStreamLogOptions {
  readonly connection: NatsConnection;
  readonly stream: string;
  readonly prefix: string;
  readonly clock: Clock;
}

const headerName = "Mayfly";
/** 2.12, as 1000 × major + minor. */
const safePurgeVersion = 2_012;
/** With "not found", of a message that was deleted before. */
const goneMessage: ReadonlySet<number> = new Set([10043, 10057]);
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
  /**
   * NATS 2.9.10 loses messages of other subjects at a replica that is killed and repeats purges by subject when it starts again; 2.15 does
   * not. Where it is not known, messages are deleted one by one.
   */
  readonly #purgesSafely: boolean;
  #space: { readonly bytes: number; readonly atMs: number } | undefined;

  private constructor({ connection, stream, prefix, clock }: JetStreamLogOptions, manager: JetStreamManager) {
    this.name = stream;
    this.prefix = prefix;
    this.mostBytes = Math.min(longestDataBytes, (connection.info?.max_payload ?? longestDataBytes) - headerBytes);
    this.#js = jetstream(connection, { timeout: requestMs });
    this.#manager = manager;
    this.#clock = clock;
    const [major = 0, minor = 0] = (connection.info?.version ?? "").split(".").map(Number);
    this.#purgesSafely = 1_000 * major + minor >= safePurgeVersion;
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

  /**
   * A consumer is the quick way. It may be with a server that is behind, or was away: what it sends is believed only if it ends with the last
   * message and is as much as the leader has. Otherwise the leader is asked for each message.
   */
  async readHeaders(to: number, begin: () => (message: LogMessage) => void): Promise<void> {
    const count = await this.#consume(to, begin()).catch(() => undefined); // the leader's messages tell whether there is damage
    if (count !== undefined && count >= (await this.#countUpTo(to))) return;
    const each = begin();
    for (let from = 1; from <= to; from += getsAtOnce) {
      const sequences = Array.from({ length: Math.min(getsAtOnce, to - from + 1) }, (_, index) => from + index);
      const messages = await Promise.all(sequences.map((sequence) => this.get(sequence)));
      for (const message of messages) if (message !== undefined) each({ ...message, data: noData });
      if (messages.some((message) => message !== undefined)) continue;
      const next = await this.#manager.streams.getMessage(this.name, { seq: from, next_by_subj: `${this.prefix}.>` } as SeqMsgRequest);
      from = Math.max(from, (next?.seq ?? to + 1) - getsAtOnce); // a gap of purged messages may be long
    }
  }

  /** Gives the number of messages that came, undefined if the last one did not. */
  async #consume(to: number, each: (message: LogMessage) => void): Promise<number | undefined> {
    const options = { filter_subjects: `${this.prefix}.>`, headers_only: true, inactive_threshold: 30_000 };
    const consumer = await this.#js.consumers.get(this.name, options).catch(() => undefined);
    if (consumer === undefined) return undefined;
    const messages = await consumer.consume({ max_messages: consumedAtOnce });
    let lastMs = this.#clock.monotonicMs();
    let cancel = (): void => undefined;
    const watch = (): void => {
      if (this.#clock.monotonicMs() - lastMs > silentMs) messages.stop();
      else cancel = this.#clock.after(silentMs / 4, watch);
    };
    watch();
    try {
      let count = 0;
      for await (const message of messages) {
        lastMs = this.#clock.monotonicMs();
        if (message.seq > to) return undefined;
        each({ sequence: message.seq, subject: message.subject, header: headerOf(message), data: noData });
        count += 1;
        if (message.seq === to) return count;
      }
      return undefined;
    } finally {
      cancel();
      messages.stop();
      consumer.delete().catch(() => undefined);
    }
  }

  /** Messages that the leader has up to a number, at least. */
  async #countUpTo(to: number): Promise<number> {
    const { state } = await this.#manager.streams.info(this.name);
    return state.messages - (state.last_seq - to);
  }

  async last(): Promise<number> {
    return (await this.#manager.streams.info(this.name)).state.last_seq;
  }

  async purge(subject: string, sequences: readonly number[]): Promise<void> {
    if (this.#purgesSafely) return void (await this.#manager.streams.purge(this.name, { filter: subject }));
    let next = 0;
    const work = async (): Promise<void> => {
      for (let sequence = sequences[next++]; sequence !== undefined; sequence = sequences[next++]) await this.#delete(sequence);
    };
    await Promise.all(Array.from({ length: Math.min(deletesAtOnce, sequences.length) }, work));
  }

  async trim(subject: string, below: number): Promise<void> {
    if (below <= 1 || !this.#purgesSafely) return; // the server takes 1 for no bound
    await this.#manager.streams.purge(this.name, { filter: subject, seq: below });
  }

  async #delete(sequence: number): Promise<void> {
    await this.#manager.streams.deleteMessage(this.name, sequence, false).catch((error: unknown) => {
      if (!(error instanceof JetStreamApiError && goneMessage.has(error.code) && /not found|no message/i.test(error.message))) throw error;
    });
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
