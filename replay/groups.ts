/** Results of a backtest, grouped by the shape of what differs. */
import type { Difference } from "./differences.ts";
import { replayLimits } from "./limits.ts";

export type Verdict = "same" | "different" | "failsNow" | "passesNow" | "unanswered";

/** One message as it is shown in a group. */
export interface Example {
  readonly id: string;
  readonly receivedAt: number;
  readonly differences: readonly Difference[];
}

export interface Group {
  readonly verdict: Exclude<Verdict, "same">;
  /** `reply.body.total changed`, or the code that the flow fails with now. */
  readonly shape: string;
  readonly count: number;
  /** The first ones, at most three. */
  readonly examples: readonly Example[];
}

export interface Judged {
  readonly verdict: Verdict;
  readonly differences: readonly Difference[];
  /** Replaces the shape of the differences: a failure's code, a call without an answer. */
  readonly shape?: string | undefined;
}

/** Indices stand for all: a hundred lines that changed alike are one shape. */
export function shapeOf(differences: readonly Difference[]): string {
  const shapes = new Set<string>();
  for (const { path, recorded, replayed } of differences) {
    const verb = recorded === undefined ? "added" : replayed === undefined ? "removed" : "changed";
    shapes.add(`${path.replace(/\[\d+\]/g, "[]").replace(/ line \d+$/, "")} ${verb}`);
  }
  const shown = [...shapes].slice(0, replayLimits.shapesNamed);
  const more = shapes.size - shown.length;
  return `${shown.join(", ")}${more > 0 ? `, and ${more} more` : ""}`;
}

interface Draft {
  readonly verdict: Group["verdict"];
  readonly shape: string;
  count: number;
  readonly examples: Example[];
}

export class Groups {
  readonly counts: Record<Verdict, number> = { same: 0, different: 0, failsNow: 0, passesNow: 0, unanswered: 0 };
  readonly #groups = new Map<string, Draft>();

  add(id: string, receivedAt: number, { verdict, differences, shape = shapeOf(differences) }: Judged): void {
    this.counts[verdict] += 1;
    if (verdict === "same") return;
    const isKnown = this.#groups.has(`${verdict} ${shape}`) || this.#groups.size < replayLimits.groups;
    const named = isKnown ? shape : "other shapes";
    const key = `${verdict} ${named}`;
    const group = this.#groups.get(key) ?? { verdict, shape: named, count: 0, examples: [] };
    group.count += 1;
    if (group.examples.length < replayLimits.examples)
      group.examples.push({ id, receivedAt, differences: differences.slice(0, replayLimits.exampleDifferences) });
    this.#groups.set(key, group);
  }

  /** Largest first. */
  get groups(): readonly Group[] {
    return [...this.#groups.values()].sort((a, b) => b.count - a.count);
  }
}
