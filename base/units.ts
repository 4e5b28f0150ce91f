/** Durations and sizes as people write them: `200ms`, `5s`, `2m`, `1h`, `7d`; `512`, `64KiB`, `16MiB`, `1GiB`, `10kB`, `5MB`. */
const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const sizeUnits: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

function parse(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const unit = match === null ? undefined : units[match[2] ?? ""];
  if (match === null || unit === undefined || !Object.hasOwn(units, match[2] ?? "")) return undefined;
  return Math.round(Number(match[1]) * unit);
}

/** Milliseconds of a duration; a bare number is milliseconds already. Undefined when it is not one. */
export function parseDuration(value: string | number): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) && value >= 0 ? Math.round(value) : undefined;
  return parse(value, durationUnits);
}

/** Bytes of a size; a bare number is bytes already. Undefined when it is not one. */
export function parseSize(value: string | number): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) && value >= 0 ? Math.round(value) : undefined;
  return parse(value, sizeUnits);
}
