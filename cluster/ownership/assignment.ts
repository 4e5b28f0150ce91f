/** Shares of partitions: balanced to one more or less, with as few moves as that takes. Every node computes the same from the same. */

/**
 * The owner of each partition as it should be; undefined without nodes. `present`: who has it now, undefined for nobody who counts. Nodes may
 * come in any order.
 */
export function assign(nodes: readonly string[], present: readonly (string | undefined)[]): (string | undefined)[] {
  const shares = sharesOf(nodes, present);
  const left = new Map(shares);
  const target = present.map((owner) => {
    const more = owner === undefined ? 0 : (left.get(owner) ?? 0);
    if (owner === undefined || more === 0) return undefined;
    left.set(owner, more - 1);
    return owner;
  });
  const takers = [...left].flatMap(([node, more]) => Array.from({ length: more }, () => node));
  return target.map((owner) => owner ?? takers.shift());
}

/** Number of partitions that each node should have. Who has most keeps most: that saves moves. */
function sharesOf(nodes: readonly string[], present: readonly (string | undefined)[]): Map<string, number> {
  const counts = new Map<string, number>(nodes.map((node) => [node, 0]));
  for (const owner of present) if (owner !== undefined && counts.has(owner)) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  const least = Math.floor(present.length / Math.max(nodes.length, 1));
  let more = present.length - least * nodes.length;
  const byCount = [...counts].sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1));
  return new Map(byCount.map(([node]) => [node, more-- > 0 ? least + 1 : least]));
}
