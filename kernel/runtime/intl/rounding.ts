/** A number with the digits that its format shows: rounded, with zeros behind, as fractions, significant digits or powers of ten have it. */
import { type Decimal, digitsOf, rounded, scaled } from "./decimal.ts";
import type { Digits } from "./number-options.ts";

export interface Shown {
  readonly whole: string;
  readonly fraction: string;
  /** The digits are multiplied with this power of ten. */
  readonly power: number;
  readonly isZero: boolean;
}

const magnitudeOf = ({ digits, point }: Decimal): number => (digits === "" ? 0 : point - 1);

interface Rounded {
  readonly value: Decimal;
  readonly leastFraction: number;
}

/** Both kinds of digits count: those that keep more, or fewer (ICU's order of steps). */
function byPriority(value: Decimal, { fraction, significant, roundingPriority, roundingMode }: Digits): Rounded {
  const byFraction = -fraction![1];
  let bySignificant = magnitudeOf(value) - significant![1] + 1;
  const isMore = roundingPriority === "morePrecision";
  const magnitude = isMore ? Math.min(byFraction, bySignificant) : Math.max(byFraction, bySignificant);
  const result = rounded(value, -magnitude, roundingMode);
  if (result.digits !== "" && magnitudeOf(result) !== magnitudeOf(value) && byFraction === bySignificant) bySignificant++;
  const isSignificant = bySignificant <= byFraction === isMore;
  return { value: result, leastFraction: isSignificant ? significant![0] - 1 - magnitudeOf(result) : fraction![0] };
}

function round(value: Decimal, digits: Digits): Rounded {
  const { fraction, significant, roundingMode, roundingIncrement } = digits;
  if (fraction !== undefined && significant !== undefined) return byPriority(value, digits);
  if (significant === undefined)
    return { value: rounded(value, fraction![1], roundingMode, roundingIncrement), leastFraction: fraction![0] };
  const result = rounded(value, significant[1] - 1 - magnitudeOf(value), roundingMode);
  return { value: result, leastFraction: significant[0] - 1 - magnitudeOf(result) };
}

/** The power of ten for a magnitude: of compact numbers thousands to trillions. */
function powerOf(notation: string, magnitude: number): number {
  if (notation === "scientific") return magnitude;
  if (notation === "engineering") return Math.floor(magnitude / 3) * 3;
  return notation === "compact" && magnitude >= 3 ? Math.min(12, Math.floor(magnitude / 3) * 3) : 0;
}

/** `compact`: powers of ten of compact numbers by their magnitude, where they are not those of en. */
export function shownOf(value: Decimal, digits: Digits, notation: string, compact?: (magnitude: number) => number): Shown {
  const magnitude = magnitudeOf(value);
  const powerAt = compact ?? ((each: number): number => powerOf(notation, each));
  let power = powerAt(magnitude);
  let result = round(scaled(value, -power), digits);
  // 999,999 is a million, not 1000 thousand.
  const next = powerAt(magnitude + 1);
  if (next !== power && result.value.digits !== "" && magnitudeOf(result.value) + power > magnitude) {
    power = next;
    result = round(scaled(value, -power), digits);
  }
  const [whole, behind] = digitsOf(result.value);
  const fraction = behind.replace(/0+$/, "").padEnd(result.leastFraction, "0");
  const isStripped = digits.trailingZeroDisplay === "stripIfInteger" && /^0*$/.test(fraction);
  return {
    whole: whole.padStart(digits.minimumIntegerDigits, "0"),
    fraction: isStripped ? "" : fraction,
    power,
    isZero: result.value.digits === "",
  };
}

/** The English plural: one for 1 without digits behind the point (CLDR). */
export function isOne({ whole, fraction, power }: Shown): boolean {
  return power === 0 && fraction === "" && /^0*1$/.test(whole);
}
