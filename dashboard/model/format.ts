/** Numbers, times and sizes as people read them. */
const units = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : trim(value, value < 10 ? 2 : 1)} ${units[unit]}`;
}

function trim(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** 1234 → 1,234; 12345678 → 12.3 M. */
export function count(value: number): string {
  if (Math.abs(value) >= 10_000_000) return `${trim(value / 1_000_000, 1)} M`;
  return Math.round(value).toLocaleString("en-US");
}

export function rate(perSecond: number): string {
  if (perSecond === 0) return "0";
  if (perSecond < 0.1) return "< 0.1";
  return perSecond < 10 ? trim(perSecond, 1) : count(perSecond);
}

/** Milliseconds with the unit that suits them. */
export function duration(ms: number): string {
  if (ms < 0) return `-${duration(-ms)}`;
  if (ms < 1) return ms === 0 ? "0 ms" : `${trim(ms, 2)} ms`;
  if (ms < 1000) return `${trim(ms, ms < 10 ? 1 : 0)} ms`;
  if (ms < 60_000) return `${trim(ms / 1000, ms < 10_000 ? 2 : 1)} s`;
  if (ms < 3_600_000) return inTwo(ms, [60, "min", 1000, "s"]);
  if (ms < 86_400_000) return inTwo(ms, [60, "h", 60_000, "min"]);
  return inTwo(ms, [24, "d", 3_600_000, "h"]);
}

/** Two units: the smaller one's milliseconds, and how many of it make the larger one. */
function inTwo(ms: number, [many, larger, smallerMs, smaller]: readonly [number, string, number, string]): string {
  const all = Math.round(ms / smallerMs);
  return `${Math.floor(all / many)} ${larger} ${all % many} ${smaller}`;
}

/** The largest unit alone, for what only grows older. */
export function age(ms: number): string {
  if (ms < 1000) return "just now";
  if (ms < 60_000) return `${Math.floor(ms / 1000)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.floor(ms / 3_600_000)} h`;
  return `${Math.floor(ms / 86_400_000)} d`;
}

export function ago(ms: number): string {
  return ms < 1000 ? "just now" : `${age(ms)} ago`;
}

const two = (value: number): string => String(value).padStart(2, "0");

/** Local time; the date as well when it is another day than `now`. */
export function time(ms: number, now: number = Date.now()): string {
  const at = new Date(ms);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return at.toDateString() === new Date(now).toDateString() ? clock : `${date(ms)} ${clock}`;
}

export function date(ms: number): string {
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** With milliseconds, as logs have it. */
export function exact(ms: number): string {
  const at = new Date(ms);
  return `${date(ms)} ${time(ms, ms)}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

export function percent(share: number): string {
  const value = share * 100;
  return `${value > 0 && value < 1 ? "< 1" : Math.round(value)} %`;
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

export function shortHash(sha256: string): string {
  return sha256.replace(/^sha256:/, "").slice(0, 12);
}
