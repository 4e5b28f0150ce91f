/** Questions that nodes ask each other, besides messages and signals. */
export type Question =
  /** The numbers of the partitions that it owns. */
  | { readonly kind: "loads" }
  /** Give your partitions away, and take no others. */
  | { readonly kind: "drain" }
  /** For the gateway of the node. */
  | { readonly kind: "gateway"; readonly about: unknown };

/** Undefined for a question that is not known, as of a node of another version. */
export function questionOf(value: unknown): Question | undefined {
  const { kind, about } = (typeof value === "object" && value !== null ? value : {}) as Partial<Record<"kind" | "about", unknown>>;
  if (kind === "loads" || kind === "drain") return { kind };
  return kind === "gateway" ? { kind, about } : undefined;
}
