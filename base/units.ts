/**
 * Durations and sizes as people write them: a number and a unit.
 *
 *   duration   200ms  5s  1.5m  24h  7d
 *   size       512B  64KB (1,000)  16MiB (1,024²)
 *
 * mayfly.yaml accepts this form only (`parseDuration`, `parseSize`). A flow's own limits and flow tests also accept bare numbers, spaces
 * around the two parts and `kB` (`readDuration`, `readSize`).
 */
import { table } from "./table.ts";

export const durationUnitsMs = table({ ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 });
export const sizeUnitBytes = table({ B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 });

/** The strict form as a regular expression's source; its second group is the unit. */
function form(units: Readonly<Record<string, number>>): string {
  return `[0-9]+(\\.[0-9]+)?(${Object.keys(units).join("|")})`;
}

export const durationForm = form(durationUnitsMs);
export const sizeForm = form(sizeUnitBytes);
const wholeDuration = new RegExp(`^${durationForm}$`);
const wholeSize = new RegExp(`^${sizeForm}$`);

function scaled(text: string, whole: RegExp, units: Readonly<Record<string, number>>): number | undefined {
  const unit = whole.exec(text)?.[2] ?? "";
  const value = Math.round(Number(text.slice(0, text.length - unit.length)) * (units[unit] ?? Number.NaN));
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Milliseconds; undefined when the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  return scaled(text, wholeDuration, durationUnitsMs);
}

/** Bytes; undefined when the text is not a size. */
export function parseSize(text: string): number | undefined {
  return scaled(text, wholeSize, sizeUnitBytes);
}

function read(value: unknown, parse: (text: string) => number | undefined): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) && value >= 0 ? Math.round(value) : undefined;
  return typeof value === "string" ? parse(value.trim().replace(/(?<=[0-9])\s+(?=[A-Za-z]+$)/, "")) : undefined;
}

/** Milliseconds of a duration in the wider form, or of a bare number of them; undefined for anything else. */
export function readDuration(value: unknown): number | undefined {
  return read(value, parseDuration);
}

/** Bytes of a size in the wider form, or of a bare number of them, also in a text; undefined for anything else. */
export function readSize(value: unknown): number | undefined {
  return read(value, (text) => parseSize(/^[0-9.]+$/.test(text) ? `${text}B` : text.replace(/kB$/, "KB")));
}
