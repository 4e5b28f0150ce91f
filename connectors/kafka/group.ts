/**
 * Membership in a consumer group. Before the group is divided anew, records in hand may end and be committed: whoever reads a partition next
 * begins behind them.
 *
 *     joined ──heartbeat says: divide──▶ hand off (no more reading; ends are committed) ──▶ join ──▶ joined, from the committed positions
 */
import type { Consumer } from "@platformatic/kafka";
import type { Client } from "./client.ts";

export type Member = Consumer<Buffer, Buffer, Buffer, Buffer>;
type MemberOptions = ConstructorParameters<typeof Consumer<Buffer, Buffer, Buffer, Buffer>>[0];

/** The client has no callback before a join: this holds back the request itself until `handOff` is over. */
export function memberOf(client: Client, options: MemberOptions, handOff: () => Promise<void>): Member {
  const member: Member = new client.Consumer<Buffer, Buffer, Buffer, Buffer>(options);
  const getApi = member[client.kGetApi].bind(member);
  member[client.kGetApi] = (name, callback) => {
    if (name !== "JoinGroup") return getApi(name, callback);
    void handOff().then(() => getApi(name, callback));
  };
  return member;
}

/** Where a group that has no position begins: with all that there is, or with new records. */
export type From = "all" | "new";

export interface Moved {
  readonly topic: string;
  readonly partition: number;
  readonly from: bigint;
  readonly to: bigint;
}

/**
 * Commits the positions of assigned partitions that have none (`new`: the end as of now, so that later joins begin there too) or one that the
 * partition does not reach any more. Returns the latter: their records are gone.
 */
export async function settlePositions(client: Client, member: Member, from: From): Promise<readonly Moved[]> {
  const topics = member.assignments ?? [];
  if (topics.length === 0) return [];
  const names = topics.map(({ topic }) => topic);
  const { EARLIEST, LATEST } = client.ListOffsetTimestamps;
  const first = await member.listOffsets({ topics: names, timestamp: EARLIEST });
  const end = await member.listOffsets({ topics: names, timestamp: LATEST });
  const committed = await member.listCommittedOffsets({ topics: [...topics] });
  const moved: Moved[] = [];
  const offsets: { topic: string; partition: number; offset: bigint; leaderEpoch: number }[] = [];
  for (const { topic, partitions } of topics)
    for (const partition of partitions) {
      const at = committed.get(topic)?.[partition] ?? -1n;
      const [lowest, highest] = [first.get(topic)?.[partition] ?? 0n, end.get(topic)?.[partition] ?? 0n];
      if (at >= lowest && at <= highest) continue;
      if (at < 0n && from === "all") continue;
      const offset = at < 0n ? highest : lowest;
      offsets.push({ topic, partition, offset, leaderEpoch: -1 });
      if (at >= 0n) moved.push({ topic, partition, from: at, to: offset });
    }
  if (offsets.length > 0) await member.commit({ offsets });
  return moved;
}

/** Commits positions of partitions that are read between two joins: one request at a time, each with all that moved since the last. */
export class Commits {
  readonly #member: Member;
  readonly #next = new Map<string, { topic: string; partition: number; offset: bigint; leaderEpoch: number }>();
  #running: Promise<void> | undefined;
  #isOver = false;

  constructor(member: Member) {
    this.#member = member;
  }

  /** Others may have the partitions, and may have moved their positions: nothing is committed any more. */
  end(): void {
    this.#isOver = true;
  }

  /** Resolves when it is committed, or too late. */
  async move(topic: string, partition: number, offset: bigint): Promise<void> {
    this.#next.set(`${topic} ${partition}`, { topic, partition, offset, leaderEpoch: -1 });
    const before = this.#running;
    if (before !== undefined) {
      await before.catch(() => undefined);
      if (this.#running !== undefined) return this.#running; // of somebody who waited too: it has this one
    }
    if (this.#next.size === 0 || this.#isOver) return;
    const offsets = [...this.#next.values()];
    this.#next.clear();
    this.#running = this.#member.commit({ offsets }).finally(() => (this.#running = undefined));
    await this.#running;
  }
}
