/** The store in a JetStream stream that keeps the last message of each subject: `mayfly.CLUSTER.own.KEY` in MAYFLY_CLUSTER_own. */
import {
  DeliverPolicy,
  DiscardPolicy,
  jetstream,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstreamManager,
  type JsMsg,
  RetentionPolicy,
  StorageType,
  type StoredMsg,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { type Clock, CodedError } from "#base";
import { ownershipLimits } from "./limits.ts";
import type { Store, Take } from "./store.ts";

export interface StoreOptions {
  readonly connection: NatsConnection;
  /** Name of the cluster. */
  readonly cluster: string;
  readonly replicas: number;
  /** Of the cluster: the number that the first node of all fixed. */
  readonly partitions: number;
  readonly clock: Clock;
}

/** "wrong last sequence", with the number and without. */
const refusals: ReadonlySet<number> = new Set([10071, 10164]);
const nameInUse = 10058;
const noMessage = 10037;
const partitionsKey = "meta.partitions";

/** Makes the stream if it is missing. Rejects with MF_CLUSTER_PARTITIONS, and as the client does. */
export async function openStreamStore(options: StoreOptions): Promise<StreamStore> {
  const { connection, cluster, replicas, partitions, clock } = options;
  const manager = await jetstreamManager(connection, { timeout: ownershipLimits.writeMs, checkAPI: false });
  const stream = `MAYFLY_${cluster}_own`;
  const prefix = `mayfly.${cluster}.own.`;
  await ensure(manager, stream, prefix, replicas);
  const store = new StreamStore({ js: jetstream(connection, { timeout: ownershipLimits.writeMs }), manager, clock, stream, prefix });
  await store.fix(partitions);
  return store;
}

async function ensure(manager: JetStreamManager, name: string, prefix: string, replicas: number): Promise<void> {
  const settings = { retention: RetentionPolicy.Limits, storage: StorageType.File, discard: DiscardPolicy.New } as const;
  try {
    await manager.streams.add({
      ...{ name, subjects: [`${prefix}>`], ...settings, num_replicas: replicas, max_msgs_per_subject: 1, allow_direct: false },
    });
  } catch (error) {
    if (!(error instanceof JetStreamApiError && error.code === nameInUse)) throw error;
    const { config } = await manager.streams.info(name);
    if (config.num_replicas !== replicas) await manager.streams.update(name, { num_replicas: replicas });
  }
}

interface Parts {
  readonly js: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly clock: Clock;
  readonly stream: string;
  readonly prefix: string;
}

export class StreamStore implements Store {
  readonly #parts: Parts;
  readonly #takes = new Set<Take>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async put(key: string, value: Uint8Array, expected: number): Promise<number | undefined> {
    const { js, prefix, stream } = this.#parts;
    try {
      const { seq } = await js.publish(prefix + key, value, {
        timeout: ownershipLimits.writeMs,
        retries: 0,
        expect: { streamName: stream, lastSubjectSequence: expected },
      });
      return seq;
    } catch (error) {
      if (!(error instanceof JetStreamApiError && refusals.has(error.code))) throw error;
      if (this.#takes.size > 0) await this.#tell(key);
      return undefined;
    }
  }

  /** Tells what a key has at the stream's leader. */
  async #tell(key: string): Promise<void> {
    const found = await this.#last(key).catch(() => null); // the next refusal asks again
    if (found === null) return;
    for (const take of this.#takes) take(key, found?.data ?? new Uint8Array(0), found?.seq ?? 0, true);
  }

  /** The number of partitions, which the first node writes. */
  async fix(partitions: number): Promise<void> {
    const fixed = Number(await this.fixed(partitionsKey, String(partitions)));
    if (fixed === partitions) return;
    throw new CodedError(
      "MF_CLUSTER_PARTITIONS",
      `the cluster has ${fixed} partitions, and that never changes: set cluster.partitions to ${fixed}, or give the cluster another name`,
    );
  }

  /** A value that the first node writes, and no node changes. Without one it is this. */
  async fixed(key: string, value: string): Promise<string> {
    if ((await this.put(key, Buffer.from(value), 0)) !== undefined) return value;
    return (await this.#last(key))?.string() ?? "";
  }

  async watch(take: Take): Promise<() => void> {
    const { prefix, clock } = this.#parts;
    const tell = ({ subject, data, seq }: JsMsg | StoredMsg): void => take(subject.slice(prefix.length), data, seq);
    const watcher = new Watcher(this.#parts, tell);
    await watcher.open().catch((error: unknown) => {
      watcher.close();
      throw error;
    });
    this.#takes.add(take);
    const look = (): void => {
      cancel = clock.after(ownershipLimits.watchMs, look);
      watcher.look(clock.monotonicMs());
    };
    let cancel = clock.after(ownershipLimits.watchMs, look);
    return () => {
      cancel();
      this.#takes.delete(take);
      watcher.close();
    };
  }

  #last(key: string): Promise<StoredMsg | undefined> {
    const { manager, stream, prefix } = this.#parts;
    return lastOf(manager, stream, prefix + key);
  }
}

/**
 * A consumer of all changes, after a look at the last value of each key. The values are read from the stream's leader: a consumer begins with what
 * its own server has, and one that was killed can have writes that the others have lost. A beat comes at an interval, this node's own at least:
 * when nothing comes for longer, another consumer is made, and all values are told again.
 */
class Watcher {
  readonly #parts: Parts;
  readonly #take: (message: JsMsg | StoredMsg) => void;
  #stop: (() => void) | undefined;
  #opening = false;
  #closed = false;
  #heardMs = 0;

  constructor(parts: Parts, take: (message: JsMsg | StoredMsg) => void) {
    this.#parts = parts;
    this.#take = take;
  }

  /** Resolves once every value there is has been told. */
  async open(): Promise<void> {
    const { js, stream, clock } = this.#parts;
    this.#opening = true;
    this.#stop?.();
    try {
      const consumer = await js.consumers.get(stream, { deliver_policy: DeliverPolicy.New });
      const messages = await consumer.consume({ idle_heartbeat: ownershipLimits.heartbeatMs });
      let isOver = false;
      this.#stop = () => {
        isOver = true;
        void messages.close();
      };
      await this.#tellAll();
      void this.#read(messages, () => isOver);
      this.#heardMs = clock.monotonicMs();
    } finally {
      this.#opening = false;
    }
  }

  async #tellAll(): Promise<void> {
    const { manager, stream, prefix } = this.#parts;
    const { state } = await manager.streams.info(stream, { subjects_filter: `${prefix}>` });
    const values = Object.keys(state.subjects ?? {}).map((subject) => lastOf(manager, stream, subject));
    for (const value of await Promise.all(values)) if (value !== undefined && !this.#closed) this.#take(value);
  }

  close(): void {
    this.#closed = true;
    this.#stop?.();
  }

  look(nowMs: number): void {
    if (this.#closed || this.#opening || nowMs - this.#heardMs <= ownershipLimits.watchMs) return;
    this.open().catch(() => undefined); // the next look tries again
  }

  async #read(messages: AsyncIterable<JsMsg>, isOver: () => boolean): Promise<void> {
    try {
      for await (const message of messages) {
        if (isOver() || this.#closed) return;
        this.#heardMs = this.#parts.clock.monotonicMs();
        this.#take(message);
      }
    } catch {
      // it ended: the next look makes another one
    }
  }
}

/** The last message of a subject at the stream's leader. */
async function lastOf(manager: JetStreamManager, stream: string, subject: string): Promise<StoredMsg | undefined> {
  try {
    return (await manager.streams.getMessage(stream, { last_by_subj: subject })) ?? undefined;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === noMessage) return undefined;
    throw error;
  }
}
