/** Makes collation-table.ts from the root collation of Node's own ICU. ../collation-data.ts has the layout. */
import { type Element, type Mapping, rootCollation } from "./icu-collation.ts";

/** ICU's version whose data the table has: CLDR 48, Unicode 17. */
export const icuVersion = "78";
const alphabet = Array.from({ length: 92 }, (_, index) => String.fromCharCode(35 + index))
  .join("")
  .replace(/[$\\`]/g, "");
const size = alphabet.length;

/** A number that is not negative: one character below 60, two below 60 + 28 × 89, else five. */
function written(value: number): string {
  if (value < 60) return alphabet[value]!;
  if (value < 60 + 28 * size) return alphabet[60 + Math.floor((value - 60) / size)]! + alphabet[(value - 60) % size]!;
  let digits = "";
  for (let left = value, count = 0; count < 4; count++, left = Math.floor(left / size)) digits = alphabet[left % size]! + digits;
  return alphabet[size - 1]! + digits;
}
const signed = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value);

const isIdeograph = (code: number): boolean => /\p{Unified_Ideograph}/u.test(String.fromCodePoint(code));
const isUsual = (code: number): boolean => code >= 0x4e00 && code <= 0x9fff;

/** Distinct numbers in order, to their places from 1; 0 stays 0. */
function ranksOf(values: Iterable<number>): Map<number, number> {
  const sorted = [...new Set(values)].filter((value) => value !== 0).sort((a, b) => a - b);
  return new Map([[0, 0], ...sorted.map((value, index): [number, number] => [value, index + 1])]);
}

interface Ranks {
  readonly primary: ReadonlyMap<number, number>;
  readonly secondary: ReadonlyMap<number, number>;
  readonly tertiary: ReadonlyMap<number, number>;
}

/** Elements as numbers: of each its primary (`own`: as 1, all others as 2 more than their rank), twice, and one more unless its weights are the usual ones. */
function shape(elements: readonly Element[], { primary, secondary, tertiary }: Ranks, own: number | undefined): string {
  let text = written(elements.length);
  for (const [index, each] of elements.entries()) {
    const rank = primary.get(each.primary)!;
    const isOwn = index === 0 && rank !== 0 && rank === own;
    const isUsualWeight = each.secondary === 0x500 && each.tertiary === 0x500;
    text += written((rank === 0 ? 0 : isOwn ? 1 : rank + 1) * 2 + (isUsualWeight ? 0 : 1));
    if (!isUsualWeight)
      text += written(secondary.get(each.secondary)!) + written((each.tertiary >> 14) * 64 + tertiary.get(each.tertiary & 0x3f3f)!);
  }
  return text;
}

/** Runs of code points in the order of their primaries: how far the first is from the end of the run before, and how many they are. */
function ideographs(mappings: readonly Mapping[]): string {
  const codes = mappings
    .filter(({ code }) => isUsual(code))
    .sort((a, b) => a.elements[0]!.primary - b.elements[0]!.primary)
    .map(({ code }) => code);
  let text = "";
  let expected = 0x4e00;
  for (let at = 0; at < codes.length; ) {
    let end = at + 1;
    while (codes[end] === codes[end - 1]! + 1) end++;
    text += written(signed(codes[at]! - expected)) + written(end - at);
    expected = codes[end - 1]! + 1;
    at = end;
  }
  return text;
}

/** As in ../collation-data.ts. */
const [pageBits, fewestRising] = [7, 64];

interface Runs {
  readonly shapes: string;
  readonly runs: string;
  readonly counts: { readonly shapes: number; readonly weights: number; readonly pages: number };
}

/** One number a run of code points whose primaries rise alike: the shape, and whether a gap, a step of the primary other than 0 and 1, and a length follow. */
function runs(mappings: readonly Mapping[], ranks: Ranks): Runs {
  let [nextCode, before] = [0, 0];
  const steps = mappings.map(({ code, elements }) => {
    const own = ranks.primary.get(elements[0]?.primary ?? 0)!;
    const step = own === 0 ? 0 : own - before;
    const gap = code - nextCode;
    nextCode = code + 1;
    if (own !== 0) before = own;
    return { gap, step, shape: shape(elements, ranks, own) };
  });
  const counts = new Map<string, number>();
  for (const each of steps) counts.set(each.shape, (counts.get(each.shape) ?? 0) + 1);
  const shapes = [...counts].sort((a, b) => b[1] - a[1]).map(([text]) => text);
  const places = new Map(shapes.map((text, index) => [text, index]));
  const pages = new Set(mappings.filter((each) => each.contractions.length + each.prefixes.length > 0).map(({ code }) => code >> pageBits));
  let text = "";
  for (let at = 0; at < steps.length; ) {
    const { gap, step, shape: kind } = steps[at]!;
    let end = at + 1;
    while (end < steps.length && steps[end]!.gap === 0 && steps[end]!.step === step && steps[end]!.shape === kind) end++;
    const stepKind = step === 0 || step === 1 ? step : 2;
    text += written(places.get(kind)! * 12 + (gap > 0 ? 6 : 0) + stepKind * 2 + (end - at > 1 ? 1 : 0));
    if (gap > 0) text += written(gap);
    if (stepKind === 2) text += written(signed(step));
    if (end - at > 1) text += written(end - at);
    if (step !== 1 || end - at < fewestRising) for (const { code } of mappings.slice(at, end)) pages.add(code >> pageBits);
    at = end;
  }
  const weights = new Map(steps.map((each, index) => [each.shape, 3 * mappings[index]!.elements.length]));
  const counted = { shapes: shapes.length, weights: [...weights.values()].reduce((sum, each) => sum + each, 0), pages: pages.size };
  return { shapes: shapes.join(""), runs: text, counts: counted };
}

/** Code point, number of texts, and of each its length, its characters and its elements: none at all for those of the text, then those of the code point. */
function contexts(mappings: readonly Mapping[], ranks: Ranks, kind: "contractions" | "prefixes"): string {
  const elementsOf = new Map(mappings.map(({ code, elements }) => [code, elements]));
  let text = "";
  let before = 0;
  for (const mapping of mappings) {
    if (mapping[kind].length === 0) continue;
    text += written(mapping.code - before) + written(mapping[kind].length);
    before = mapping.code;
    for (const [context, elements] of mapping[kind]) {
      const codes = [...context].map((each) => each.codePointAt(0)!);
      text += written(codes.length) + codes.map((code) => written(signed(code - mapping.code))).join("");
      const swapped = [...(elementsOf.get(codes[0]!) ?? []), ...mapping.elements];
      text += JSON.stringify(swapped) === JSON.stringify(elements) ? written(0) : shape(elements, ranks, undefined);
    }
  }
  return text;
}

/** The highest primary that `ignorePunctuation` leaves out. */
function variableTop(mappings: readonly Mapping[]): number {
  const { compare } = new Intl.Collator("en", { ignorePunctuation: true });
  const found = mappings.filter(
    ({ code, elements: [first, ...rest] }) => rest.length === 0 && first!.primary > 0 && compare(String.fromCodePoint(code), "") === 0,
  );
  return Math.max(...found.map(({ elements }) => elements[0]!.primary));
}

/** The text of collation-table.ts; undefined if this Node has not that version of ICU. */
export function makeCollation(): string | undefined {
  if (!process.versions["icu"]?.startsWith(`${icuVersion}.`)) return undefined;
  const all = rootCollation();
  if (all === undefined) return undefined;
  const rare = new Set(
    all.filter(({ code }) => isIdeograph(code) && !isUsual(code)).flatMap(({ elements }) => elements.map(({ primary }) => primary)),
  );
  const kept = all.filter(
    ({ code, elements }) =>
      code !== 0xfffd &&
      code !== 0xffff &&
      String.fromCodePoint(code).normalize("NFD") === String.fromCodePoint(code) &&
      elements.every(({ primary }) => !rare.has(primary)),
  );
  const elements = kept.flatMap((each) => [
    ...each.elements,
    ...each.contractions.flatMap(([, found]) => found),
    ...each.prefixes.flatMap(([, found]) => found),
  ]);
  const ranks: Ranks = {
    primary: ranksOf(elements.map(({ primary }) => primary)),
    secondary: ranksOf(elements.map(({ secondary }) => secondary)),
    tertiary: ranksOf(elements.map(({ tertiary }) => tertiary & 0x3f3f)),
  };
  const others = kept.filter(({ code }) => !isUsual(code));
  const made = runs(others, ranks);
  const first = ranks.primary.get(Math.min(...kept.filter(({ code }) => isUsual(code)).map((each) => each.elements[0]!.primary)))!;
  const usual = [ranks.secondary.get(0x500)!, ranks.tertiary.get(0x500)!];
  return `/** Made by testing/make-collation.ts (UPDATE=1 npm test -- kernel/runtime/intl/collator); collation-data.ts explains it. Data of Unicode CLDR 48, © Unicode, Inc., under the Unicode License v3. */
export const variableTop = ${ranks.primary.get(variableTop(kept))!};
export const firstIdeograph = ${first};
export const usualWeights = [${usual.join(", ")}] as const;
export const counts = { shapes: ${made.counts.shapes}, weights: ${made.counts.weights}, pages: ${made.counts.pages} } as const;
export const alphabet: string = ${JSON.stringify(alphabet)};
export const shapes: string =
  ${JSON.stringify(made.shapes)};
export const runs: string =
  ${JSON.stringify(made.runs)};
export const ideographs: string =
  ${JSON.stringify(ideographs(kept))};
export const contractions: string =
  ${JSON.stringify(contexts(others, ranks, "contractions"))};
export const prefixes: string = ${JSON.stringify(contexts(others, ranks, "prefixes"))};
`;
}
