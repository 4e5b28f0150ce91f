/** Numbers of partitions, as nodes tell each other. */
import type { JournalStats, PartitionLoad, ShownPartition } from "#gateway";

export function loadOf(partition: number, { pending, outbox, sleepers }: JournalStats): PartitionLoad {
  return { partition, pending, outbox, sleepers };
}

/** Another node's answer; one of another form says nothing. */
export function loadsIn(answer: unknown): readonly PartitionLoad[] {
  if (!Array.isArray(answer)) return [];
  return answer.filter((each: unknown): each is PartitionLoad => {
    const { partition, pending, outbox, sleepers } = (each ?? {}) as Partial<PartitionLoad>;
    return [partition, pending, outbox, sleepers].every((number) => Number.isSafeInteger(number));
  });
}

export function shownPartitions(owners: readonly (string | undefined)[], loads: readonly PartitionLoad[]): ShownPartition[] {
  const byPartition = new Map(loads.map((load) => [load.partition, load]));
  return owners.map((owner, partition) => {
    const load = byPartition.get(partition);
    return { ...(load ?? { partition, pending: 0, outbox: 0, sleepers: 0 }), owner, isKnown: load !== undefined };
  });
}
