/** Number's and BigInt's toLocaleString in en: digits in groups of three, and a number of them behind the point. */
import { missing } from "./faults.ts";
import { mostFractionDigits } from "./limits.ts";
import { localeOf } from "./locales.ts";

interface NumberSettings {
  readonly least: number;
  readonly most: number;
  readonly isGrouped: boolean;
}

const known = new Set(["style", "localeMatcher", "useGrouping", "minimumFractionDigits", "maximumFractionDigits"]);

function digitsOption(options: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = options[name];
  if (value === undefined) return undefined;
  const digits = Math.floor(Number(value));
  if (!(Number(value) >= 0 && digits <= mostFractionDigits)) throw new RangeError(`${name} value is out of range.`);
  return digits;
}

/** Throws MF_NO_INTL for what a machine does not have, RangeError as the standard has it. */
function readNumberSettings(locales: unknown, given: unknown): NumberSettings {
  const { keys } = localeOf(locales);
  const numbers = keys.get("nu") ?? "latn";
  if (numbers !== "latn") throw missing(`the digits ${numbers}`, "leave out -u-nu-");
  if (given === null) throw new TypeError("Cannot convert undefined or null to object");
  const options = Object(given ?? {}) as Readonly<Record<string, unknown>>;
  for (const name in options)
    if (options[name] !== undefined && !known.has(name))
      throw missing(
        `toLocaleString's ${name}`,
        "of a number it has minimumFractionDigits, maximumFractionDigits and useGrouping: write the rest yourself",
      );
  const { style = "decimal", useGrouping = true } = options;
  if (style !== "decimal") throw missing(`the style ${String(style).slice(0, 60)}`, "write the sign, the currency or the unit yourself");
  if (useGrouping === "min2") throw missing('useGrouping: "min2"', "use true or false");
  const [least, most] = [digitsOption(options, "minimumFractionDigits"), digitsOption(options, "maximumFractionDigits")];
  if (least !== undefined && most !== undefined && least > most) throw new RangeError("maximumFractionDigits value is out of range.");
  const fewest = least ?? Math.min(0, most ?? 0);
  return {
    least: fewest,
    most: most ?? Math.max(3, fewest),
    isGrouped: useGrouping !== false && useGrouping !== "" && useGrouping !== 0 && useGrouping !== null,
  };
}

/** Digits before and behind the point of a finite number that is not negative, as short as they name it. */
function decimal(value: number): readonly [string, string] {
  const [mantissa = "", exponent = "0"] = String(value).split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const shift = Number(exponent);
  const digits = whole + fraction;
  const point = whole.length + shift;
  if (point <= 0) return ["0", "0".repeat(-point) + digits];
  return [digits.slice(0, point).padEnd(point, "0"), digits.slice(point)];
}

/** Rounds half away from zero. */
function rounded(whole: string, fraction: string, most: number): readonly [string, string] {
  const kept = fraction.slice(0, most);
  if ((fraction[most] ?? "0") < "5") return [whole, kept];
  const next = String(BigInt(`1${whole}${kept}`) + 1n); // the 1 in front keeps zeros, and shows a carry
  const digits = next.startsWith("2") ? `1${next.slice(1)}` : next.slice(1);
  return [digits.slice(0, digits.length - kept.length), digits.slice(digits.length - kept.length)];
}

function shown(whole: string, fraction: string, { least, most, isGrouped }: NumberSettings): string {
  const [integer, behind] = rounded(whole, fraction, most);
  const digits = behind.replace(/0+$/, "").padEnd(least, "0");
  const grouped = isGrouped ? integer.replace(/\B(?=(?:\d{3})+$)/g, ",") : integer;
  return digits === "" ? grouped : `${grouped}.${digits}`;
}

export function numberText(value: number, locales: unknown, options: unknown): string {
  const settings = readNumberSettings(locales, options);
  if (Number.isNaN(value)) return "NaN";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const size = Math.abs(value);
  return sign + (size === Number.POSITIVE_INFINITY ? "∞" : shown(...decimal(size), settings));
}

export function bigintText(value: bigint, locales: unknown, options: unknown): string {
  const settings = readNumberSettings(locales, options);
  return (value < 0n ? "-" : "") + shown(String(value < 0n ? -value : value), "", settings);
}
