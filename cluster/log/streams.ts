/** Streams of a cluster: their names, how they are made, and what must be the same of one that exists. */
import {
  DiscardPolicy,
  type JetStreamManager,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { CodedError } from "#base";

/** Digits of a partition's number: names sort as numbers do. */
function numbered(partition: number): string {
  return `P${String(partition).padStart(3, "0")}`;
}

export function streamOfPartition(cluster: string, partition: number): string {
  return `MAYFLY_${cluster}_${numbered(partition)}`;
}

/** Subjects of a partition begin with this and a dot. */
export function prefixOfPartition(cluster: string, partition: number): string {
  return `mayfly.${cluster}.${numbered(partition)}`;
}

export function streamOfLetters(cluster: string): string {
  return `MAYFLY_${cluster}_LETTERS`;
}

/** A stream that is made to see whether it can be. */
export function streamOfCheck(cluster: string): string {
  return `MAYFLY_${cluster}_CHECK`;
}

/** Subjects of dead letters begin with this and a dot. */
export function prefixOfLetters(cluster: string): string {
  return `mayfly.${cluster}.letters`;
}

export interface WantedStream {
  readonly name: string;
  /** Subjects begin with this and a dot. */
  readonly prefix: string;
  readonly replicas: number;
  /** Messages of a subject that are kept; absent: all. */
  readonly perSubject?: number | undefined;
}

const nameInUse = 10058;

/** All that a log's fence, and what is written once, rely on. */
function configOf({ name, prefix, replicas, perSubject = -1 }: WantedStream) {
  return {
    name,
    subjects: [`${prefix}.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    num_replicas: replicas,
    max_age: 0,
    max_msgs: -1,
    max_msgs_per_subject: perSubject,
    allow_direct: false,
    deny_delete: false,
    deny_purge: false,
  } satisfies Partial<StreamConfig>;
}

/**
 * Makes the stream, or raises and lowers the replicas of the one there is. What the server made is read back: an old one ignores what it does
 * not know. Rejects with MF_CLUSTER_STREAM if the stream is another one than a journal needs, and as the client does.
 */
export async function ensureStream(manager: JetStreamManager, wanted: WantedStream): Promise<void> {
  const config = configOf(wanted);
  await manager.streams.add({ ...config }).catch((error: unknown) => {
    if (!(error instanceof JetStreamApiError && error.code === nameInUse)) throw error;
  });
  let { config: made } = await manager.streams.info(wanted.name);
  if (made.num_replicas !== config.num_replicas)
    ({ config: made } = await manager.streams.update(wanted.name, { num_replicas: config.num_replicas }));
  const differences = Object.entries(config)
    .filter(([key, value]) => JSON.stringify(normal(key, (made as unknown as Record<string, unknown>)[key])) !== JSON.stringify(value))
    .map(([key, value]) => `${key} is ${JSON.stringify((made as unknown as Record<string, unknown>)[key])}, not ${JSON.stringify(value)}`);
  for (const key of ["mirror", "sources", "republish", "subject_transform"] as const)
    if (made[key] !== undefined && JSON.stringify(made[key]) !== "[]") differences.push(`it has ${key}`);
  if (differences.length > 0)
    throw new CodedError(
      "MF_CLUSTER_STREAM",
      `stream ${wanted.name} can't be used: ${differences.join("; ")}; change it back, or remove the stream if it is empty`,
    );
}

/** Settings that a server leaves out when they have no effect. */
function normal(key: string, value: unknown): unknown {
  if (value !== undefined) return key === "max_msgs_per_subject" && value === 0 ? -1 : value;
  return key === "max_age" ? 0 : key === "max_msgs" || key === "max_msgs_per_subject" ? -1 : false;
}
