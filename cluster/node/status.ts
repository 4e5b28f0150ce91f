/** Numbers of partitions, as nodes tell each other. */
import type { JournalStats, PartitionLoad, ShownNode, ShownPartition } from "#gateway";

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

/** Nodes that say nothing are left out: they are of an older version, or do not serve yet. */
export function differenceOf(nodes: readonly ShownNode[]): string | undefined {
  const byRevision = new Map<string, string[]>();
  for (const { name, revision } of nodes) if (revision !== undefined) byRevision.set(revision, [...(byRevision.get(revision) ?? []), name]);
  if (byRevision.size < 2) return undefined;
  const each = [...byRevision].map(([revision, names]) => `${names.join(", ")} ${names.length === 1 ? "serves" : "serve"} ${revision}`);
  return `the nodes serve different revisions: ${each.join("; ")}. Give all the same mayfly.yaml and flows, then run \`mayfly cluster reload\``;
}
