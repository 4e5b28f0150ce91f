/** Failures that are known, each with its reason. Their number only shrinks: a run with fewer asks for the list to be shortened. */
import { readFileSync, writeFileSync } from "node:fs";
import type { CaseResult } from "./case.ts";

export interface Known {
  /** Beginning of the names of the cases; the first entry that fits a case counts. */
  readonly cases: string;
  readonly failures: number;
  readonly reason: string;
}

export type Expectations = Readonly<Record<string, readonly Known[]>>;

export function readExpectations(path: string): Expectations {
  return JSON.parse(readFileSync(path, "utf8")) as Expectations;
}

export interface Compared {
  readonly passed: number;
  readonly total: number;
  /** Failures that are on the list. */
  readonly known: number;
  /** Failures that are not, and those beyond an entry's number. */
  readonly unexpected: readonly CaseResult[];
  /** Entries with fewer failures than they say, with how many there are. */
  readonly mended: readonly { readonly entry: Known; readonly failures: number }[];
}

/** A suite's results beside what is known of it. `whole`: every case was run, so fewer failures mean that something was mended. */
export function compare(results: readonly CaseResult[], known: readonly Known[], whole: boolean): Compared {
  const failures = results.filter(({ passed }) => !passed);
  const byEntry = new Map<Known | undefined, CaseResult[]>(known.map((entry) => [entry, []]));
  byEntry.set(undefined, []);
  for (const each of failures) byEntry.get(known.find(({ cases }) => each.name.startsWith(cases)))?.push(each);
  const unexpected = [...(byEntry.get(undefined) ?? [])];
  const mended: { entry: Known; failures: number }[] = [];
  for (const entry of known) {
    const found = byEntry.get(entry) ?? [];
    if (found.length > entry.failures) unexpected.push(...found.slice(entry.failures));
    else if (whole && found.length < entry.failures) mended.push({ entry, failures: found.length });
  }
  return {
    passed: results.length - failures.length,
    total: results.length,
    known: failures.length - unexpected.length,
    unexpected,
    mended,
  };
}

/** Takes what was mended off the list; adds nothing to it. */
export function shorten(path: string, expectations: Expectations, compared: Readonly<Record<string, Compared>>): void {
  const entries = Object.entries(expectations).map(([suite, known]) => {
    const fewer = new Map(compared[suite]?.mended.map(({ entry, failures }) => [entry, failures]));
    return [
      suite,
      known.flatMap((entry) =>
        (fewer.get(entry) ?? entry.failures) === 0 ? [] : { ...entry, failures: fewer.get(entry) ?? entry.failures },
      ),
    ] as const;
  });
  writeFileSync(path, `${JSON.stringify(Object.fromEntries(entries), undefined, 2)}\n`);
}
