/** The plural of a number, by language (CLDR 48). */
import { table } from "../table.ts";
import type { Shown } from "./rounding.ts";

/** Of a number as it is written (UTS 35, "Plural operand meanings"). */
interface Operands {
  /** The whole digits, up to ten of them: no rule looks farther. */
  readonly i: number;
  /** The number of digits behind the point, and whether they are all zeros. */
  readonly v: number;
  readonly isWhole: boolean;
  /** The power of ten of a compact number. */
  readonly e: number;
  /** All digits before the point, for a multiple of a million. */
  readonly isMillions: boolean;
}

function operandsOf({ whole, fraction, power }: Shown): Operands {
  const shift = Math.max(power, 0);
  const digits = power < 0 ? "0" : whole + fraction.slice(0, shift).padEnd(shift, "0");
  const rest = power < 0 ? whole.padStart(-power, "0") + fraction : fraction.slice(shift);
  return {
    i: Number(digits.slice(-10)) + (/[1-9]/.test(digits.slice(0, -10)) ? 1e10 : 0),
    v: rest.length,
    isWhole: /^0*$/.test(rest),
    e: power,
    isMillions: /[1-9]\d*0{6}$/.test(digits) && rest === "",
  };
}

type Rule = (operands: Operands) => string;

const oneWithoutFraction: Rule = ({ i, v }) => (i === 1 && v === 0 ? "one" : "other");
/** French and its kin: numbers from a million on that are written with it. */
const isMany = ({ e, isMillions }: Operands): boolean => (e === 0 && isMillions) || e < 0 || e > 5;
const withMany =
  (isOne: (operands: Operands) => boolean): Rule =>
  (operands) =>
    isMany(operands) ? "many" : isOne(operands) ? "one" : "other";
const between = (value: number, least: number, most: number): boolean => value >= least && value <= most;

function polish({ i, v }: Operands): string {
  if (v !== 0) return "other";
  if (i === 1) return "one";
  return between(i % 10, 2, 4) && !between(i % 100, 12, 14) ? "few" : "many";
}

const isExactlyOne = ({ i, isWhole }: Operands): boolean => i === 1 && isWhole;
const cardinals = table<Rule>({
  da: ({ i, isWhole }) => ((i === 1 && isWhole) || (i <= 1 && !isWhole) ? "one" : "other"),
  es: withMany(isExactlyOne),
  fr: withMany(({ i }) => i <= 1),
  it: withMany(({ i, v }) => i === 1 && v === 0),
  ja: () => "other",
  pl: polish,
  pt: withMany(({ i }) => i <= 1),
  "pt-PT": withMany(({ i, v }) => i === 1 && v === 0),
  tr: (operands) => (isExactlyOne(operands) ? "one" : "other"),
  zh: () => "other",
});

/** 1st, 2nd, 3rd, but 11th, 12th and 13th. */
function english({ i, isWhole }: Operands): string {
  if (!isWhole || between(i % 100, 11, 13)) return "other";
  return ["other", "one", "two", "few"][i % 10] ?? "other";
}

const ordinals = table<Rule>({
  en: english,
  fr: (operands) => (isExactlyOne(operands) ? "one" : "other"),
  it: ({ i, isWhole }) => (isWhole && [8, 11, 80, 800].includes(i) ? "many" : "other"),
  sv: ({ i, isWhole }) => (isWhole && between(i % 10, 1, 2) && !between(i % 100, 11, 12) ? "one" : "other"),
});

const order = ["one", "two", "few", "many", "other"];
const samples: readonly Shown[] = ["1", "2", "3", "8", "5", "11", "1000000"].map((whole) => ({
  whole,
  fraction: "",
  power: 0,
  isZero: false,
}));
const withFraction: Shown = { whole: "1", fraction: "5", power: 0, isZero: false };

const ruleOf = (rules: Readonly<Record<string, Rule>>, locale: string, otherwise: Rule): Rule =>
  rules[locale] ?? rules[locale.split("-", 1)[0]!] ?? otherwise;

const other: Rule = () => "other";

/** The plural's name: "one", "few", "many" and so on. `type`: "cardinal" or "ordinal". */
export function pluralOf(locale: string, shown: Shown, type = "cardinal"): string {
  const rule = type === "ordinal" ? ruleOf(ordinals, locale, other) : ruleOf(cardinals, locale, oneWithoutFraction);
  return rule(operandsOf(shown));
}

/** The names of all plurals of a locale. */
export function pluralsOf(locale: string, type = "cardinal"): string[] {
  const found = new Set([...samples, withFraction].map((shown) => pluralOf(locale, shown, type)));
  return order.filter((each) => each === "other" || found.has(each));
}
