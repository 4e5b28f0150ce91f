/** Decimal numbers of any length, exact, and their rounding (ECMA-402, 16.5). */

export interface Decimal {
  readonly isNegative: boolean;
  /** Without zeros in front; "" for zero. */
  readonly digits: string;
  /** How many digits stand before the point; negative for zeros behind it. */
  readonly point: number;
}
export type Value = Decimal | "NaN" | { readonly isNegative: boolean; readonly isInfinite: true };

export type RoundingMode = "ceil" | "floor" | "expand" | "trunc" | "halfCeil" | "halfFloor" | "halfExpand" | "halfTrunc" | "halfEven";

function decimal(isNegative: boolean, whole: string, fraction: string, exponent: number): Decimal {
  const all = whole + fraction;
  const zeros = /^0*/.exec(all)![0].length;
  const digits = all.slice(zeros);
  return digits === "" ? { isNegative, digits, point: 1 } : { isNegative, digits, point: whole.length + exponent - zeros };
}

const shape = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?$/i;

/** Reads a text as Number() does, but exactly. */
function readText(text: string): Value {
  const trimmed = text.trim();
  const value = Number(trimmed);
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return { isNegative: value < 0, isInfinite: true };
  if (value === 0) return decimal(Object.is(value, -0), "", "", 0);
  const [found, sign = "", whole = "", fraction = "", exponent = "0"] = shape.exec(trimmed) ?? [];
  // A number in another base.
  if (found === undefined) return decimal(false, String(BigInt(trimmed)), "", 0);
  return decimal(sign === "-", whole, fraction, Number(exponent));
}

/** The mathematical value of what a number format is given. Throws TypeError for a symbol. */
export function valueOf(given: unknown): Value {
  const primitive = typeof given === "object" && given !== null ? toPrimitive(given) : given;
  if (typeof primitive === "bigint") return decimal(primitive < 0n, String(primitive < 0n ? -primitive : primitive), "", 0);
  if (typeof primitive === "string") return readText(primitive);
  const value = Number(primitive);
  return Object.is(value, -0) ? decimal(true, "", "", 0) : readText(String(value));
}

/** An object as a number, a text or a BigInt, as `Number()` takes it. */
function toPrimitive(given: object): unknown {
  const exotic = (given as { [Symbol.toPrimitive]?: (hint: string) => unknown })[Symbol.toPrimitive];
  if (exotic !== undefined && exotic !== null) return exotic.call(given, "number");
  for (const name of ["valueOf", "toString"] as const) {
    const value: unknown = (given as Readonly<Record<string, () => unknown>>)[name]!();
    if (typeof value !== "object" || value === null) return value;
  }
  throw new TypeError("Cannot convert object to primitive value");
}

/** `value` × 10 to the power of `exponent`. */
export function scaled(value: Decimal, exponent: number): Decimal {
  return value.digits === "" ? value : { ...value, point: value.point + exponent };
}

/** True if what is left out rounds away from zero. `half`: how it compares to the half. */
function roundsUp(mode: RoundingMode, isNegative: boolean, half: number, isOdd: boolean): boolean {
  switch (mode) {
    case "ceil":
      return !isNegative;
    case "floor":
      return isNegative;
    case "expand":
      return true;
    case "trunc":
      return false;
    default:
  }
  if (half !== 0) return half > 0;
  if (mode === "halfEven") return isOdd;
  return mode === "halfExpand" || (mode === "halfCeil" && !isNegative) || (mode === "halfFloor" && isNegative);
}

/** Rounds to a multiple of `increment` at so many places behind the point; a negative number of places is before it. */
export function rounded(value: Decimal, places: number, mode: RoundingMode, increment = 1): Decimal {
  const { isNegative, digits, point } = value;
  const count = point + places;
  if (increment === 1 && count >= digits.length) return value;
  const kept = count <= 0 ? "" : digits.slice(0, count).padEnd(count, "0");
  const rest = count < 0 ? "0".repeat(Math.min(-count, 1)) + digits : digits.slice(count);
  const isRestZero = /^0*$/.test(rest);
  let units = BigInt(kept === "" ? 0 : kept);
  const step = BigInt(increment);
  const over = units % step;
  units -= over;
  if (over !== 0n || !isRestZero) {
    const twice = Number(2n * over - step);
    const half = twice === -1 ? compareHalf(rest) : twice === 0 && isRestZero ? 0 : twice < 0 ? -1 : 1;
    if (roundsUp(mode, isNegative, half, (units / step) % 2n === 1n)) units += step;
  }
  return decimal(isNegative, String(units), "", -places);
}

/** Digits behind a point beside a half: negative, 0 or positive. */
function compareHalf(rest: string): number {
  const first = Number(rest[0] ?? 0) - 5;
  return first !== 0 ? first : /^.0*$/.test(rest) ? 0 : 1;
}

/** Digits before and behind the point. */
export function digitsOf({ digits, point }: Decimal): readonly [whole: string, fraction: string] {
  if (digits === "") return ["0", ""];
  if (point <= 0) return ["0", "0".repeat(-point) + digits];
  return [digits.slice(0, point).padEnd(point, "0"), digits.slice(point)];
}
