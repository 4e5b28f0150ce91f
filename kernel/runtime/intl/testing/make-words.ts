/** Rows of a locale's table for plurals of ranges, lists and relative times, from Node's own Intl. */
import { pluralsOf } from "../plural-rules.ts";

interface Piece {
  readonly type: string;
  readonly value: string;
}

/** A number of each plural. */
function samplesOf(tag: string, type: "cardinal" | "ordinal" = "cardinal"): ReadonlyMap<string, number> {
  const rules = new Intl.PluralRules(tag, { type });
  const found = new Map<string, number>();
  for (const value of [...Array.from({ length: 101 }, (_, index) => index), 800, 1_000_000, 1.5]) {
    const plural = rules.select(value);
    if (!found.has(plural)) found.set(plural, value);
  }
  return found;
}

/** One number for each plural, in the order of the tables. */
export function pluralSamples(tag: string): number[] {
  const samples = samplesOf(tag);
  return pluralsOf(tag).map((plural) => samples.get(plural)!);
}

/** A list joined, or one member where all are the same. */
export function folded(list: readonly string[]): string[] {
  return list.every((each) => each === list[0]) ? [list[0]!] : [...list];
}

function ranges(tag: string, type: "cardinal" | "ordinal"): string {
  const samples = samplesOf(tag, type);
  const rules = new Intl.PluralRules(tag, { type });
  const selectRange = (rules as unknown as { selectRange(a: number, b: number): string }).selectRange.bind(rules);
  return [...samples]
    .flatMap(([first, a]) => [...samples].map(([last, b]) => [first, last, selectRange(a, b)]))
    .filter(([, last, found]) => last !== found)
    .map(([first, last, found]) => `${first}:${last}=${found}`)
    .join(" ");
}

function listRows(tag: string, rows: Map<string, string>): void {
  for (const type of ["conjunction", "disjunction", "unit"] as const)
    for (const style of ["long", "short", "narrow"] as const) {
      const texts = (list: readonly string[]): string[] =>
        /^A(.*)$/
          .exec(new Intl.ListFormat(tag, { type, style }).format(list))?.[1]
          ?.match(/.*?[B-D]/g)
          ?.map((each) => each.slice(0, -1)) ?? [];
      const [pair, all] = [texts(["A", "B"]), texts(["A", "B", "C", "D"])];
      if (pair.length !== 1 || all.length !== 3 || all[0] !== all[1] || texts(["A", "B", "C"]).join() !== all.slice(1).join())
        throw new Error(`${tag} has lists of another kind`);
      rows.set(`c${type}:${style}`, [pair[0], all[1], all[2]].join("|"));
    }
}

function relativeRow(tag: string, unit: Intl.RelativeTimeFormatUnit, style: "long" | "short" | "narrow"): string {
  const format = new Intl.RelativeTimeFormat(tag, { style });
  const pattern = (value: number): string => {
    const parts = format.formatToParts(value, unit) as Piece[];
    const first = parts.findIndex(({ type }) => type !== "literal");
    const last = parts.findLastIndex(({ type }) => type !== "literal");
    const text = (pieces: readonly Piece[]): string => pieces.map(({ value: each }) => each).join("");
    return `${text(parts.slice(0, first))}{n}${text(parts.slice(last + 1))}`;
  };
  const samples = pluralSamples(tag);
  const auto = new Intl.RelativeTimeFormat(tag, { style, numeric: "auto" });
  const words = [-2, -1, 0, 1, 2].flatMap((value) => {
    const parts = auto.formatToParts(value, unit) as Piece[];
    return parts.length === 1 && parts[0]!.type === "literal" ? [`${value}:${parts[0]!.value}`] : [];
  });
  const list = (sign: number): string => folded(samples.map((value) => pattern(value === 0 && sign < 0 ? -0 : sign * value))).join("|");
  return `${list(1)};${list(-1)};${words.join("|")}`;
}

function relativeRows(tag: string, rows: Map<string, string>): void {
  for (const unit of ["second", "minute", "hour", "day", "week", "month", "quarter", "year"] as const) {
    const [long, short, narrow] = (["long", "short", "narrow"] as const).map((style) => relativeRow(tag, unit, style));
    rows.set(`rlong:${unit}`, long!);
    if (short !== long || narrow !== short) rows.set(`rshort:${unit}`, short!);
    if (narrow !== short) rows.set(`rnarrow:${unit}`, narrow!);
  }
}

export function wordRows(tag: string, rows: Map<string, string>): void {
  const [cardinal, ordinal] = [ranges(tag, "cardinal"), ranges(tag, "ordinal")];
  if (cardinal !== "") rows.set("pr", cardinal);
  if (ordinal !== "") rows.set("pro", ordinal);
  listRows(tag, rows);
  relativeRows(tag, rows);
}
