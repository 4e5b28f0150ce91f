/** Dead letters that all nodes of a cluster share, on NATS JetStream. */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { DeadLetters } from "#gateway";
import { ensureStream, headerBytes, prefixOfLetters, requestMs, streamOfLetters } from "../log/mod.ts";
import { letterFiles, type SubjectStore } from "./letter-files.ts";

export interface OpenDeadLettersOptions {
  readonly connection: NatsConnection;
  readonly cluster: string;
  readonly replicas: number;
  /** The flows whose letters keep what their callers identified themselves with. */
  readonly keepsCredentials?: ((flow: string) => boolean) | undefined;
}

const headerName = "Mayfly";

/** Makes the stream if it is missing. Rejects with MF_CLUSTER_STREAM, and as the client does. */
export async function openDeadLetters({ connection, cluster, replicas, keepsCredentials }: OpenDeadLettersOptions): Promise<DeadLetters> {
  const manager = await jetstreamManager(connection, { timeout: requestMs, checkAPI: false });
  const js = jetstream(connection, { timeout: requestMs });
  const [name, prefix] = [streamOfLetters(cluster), prefixOfLetters(cluster)];
  await ensureStream(manager, { name, prefix, replicas, perSubject: 1 });
  const subjects = async (filter: string): Promise<string[]> =>
    Object.keys((await manager.streams.info(name, { subjects_filter: filter })).state.subjects ?? {});
  const store: SubjectStore = {
    name,
    prefix,
    mostBytes: (connection.info?.max_payload ?? 2 ** 20) - headerBytes,
    put: async (subject, header, data) => {
      const own = headers();
      own.set(headerName, header);
      await js.publish(subject, data, { headers: own, expect: { streamName: name }, timeout: requestMs, retries: 3 });
    },
    get: async (subject) => {
      const message = await manager.streams.getMessage(name, { last_by_subj: subject });
      if (message === null) return undefined;
      return { header: message.header.get(headerName), data: message.data };
    },
    subjects,
    // Message by message: old servers lose others when they repeat a purge by subject.
    purge: async (filter) => {
      for (const subject of await subjects(filter)) {
        const message = await manager.streams.getMessage(name, { last_by_subj: subject });
        if (message === null) continue;
        await manager.streams.deleteMessage(name, message.seq, false).catch((error: unknown) => {
          if (!/not found|no message/i.test(String(error))) throw error; // another node was quicker
        });
      }
    },
  };
  return new DeadLetters("letters", letterFiles(store), keepsCredentials);
}
