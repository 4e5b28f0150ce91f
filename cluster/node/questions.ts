import type { ReloadQuestion } from "../reload/mod.ts";

/** Questions that nodes ask each other, besides messages and signals. */
export type Question =
  /** The numbers of the partitions that it owns. */
  | { readonly kind: "loads" }
  /** Give your partitions away, and take no others. */
  | { readonly kind: "drain" }
  | ReloadQuestion
  /** For the gateway of the node. */
  | { readonly kind: "gateway"; readonly about: unknown };

/** Undefined for a question that is not known, as of a node of another version. */
export function questionOf(value: unknown): Question | undefined {
  const { kind, about, ask, id, at } = (typeof value === "object" && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  if (kind === "loads" || kind === "drain") return { kind };
  if (kind === "reload" && typeof id === "string") {
    if (ask === "swapped") return { kind, ask, id };
    return ask === "prepare" && typeof at === "number" ? { kind, ask, id, at } : undefined;
  }
  return kind === "gateway" ? { kind, about } : undefined;
}
