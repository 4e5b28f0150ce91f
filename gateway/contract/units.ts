/** Durations, sizes and rates as people write them, and the schema fragments connectors use for them. */
import {
  durationForm,
  durationUnitsMs,
  err,
  ok,
  parseDuration as parseMs,
  parseSize as parseBytes,
  type Result,
  sizeForm,
  table,
} from "#base";
import type { JsonSchema } from "./connector.ts";
import { parseNetwork } from "./http/addresses.ts";
import type { DurationRange } from "./config.ts";

const durationPattern = `^${durationForm}$`;
const rangePattern = `^${durationForm}\\.\\.${durationForm}$`;
const sizePattern = `^${sizeForm}$`;
const sharePattern = "^[0-9]{1,3}(\\.[0-9]+)?%$";
const earlyPattern = `^(refuse|keep ${durationForm})$`;
const quotaPattern = "^[0-9]{1,9}/(s|m|h|d)$";
const networkPattern = "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$";
const ratePattern = "^[0-9]+(\\.[0-9]+)?/(s|m|h)$";

/** Milliseconds of `200ms`, `5s`, `1.5m`, `24h`, `7d`. */
export function parseDuration(text: string): Result<number, string> {
  const value = parseMs(text);
  return value === undefined ? err("must be a duration such as 200ms, 5s, 10m, 24h or 7d") : ok(value);
}

/** Bytes of `512B`, `64KB` (1,000), `16MiB` (1,024²). */
export function parseSize(text: string): Result<number, string> {
  const value = parseBytes(text);
  return value === undefined ? err("must be a size such as 64KB or 16MiB") : ok(value);
}

/** `200ms..30s`. */
export function parseDurationRange(text: string): Result<DurationRange, string> {
  const [from, to, ...rest] = text.split("..");
  const least = parseDuration(from ?? "");
  const most = parseDuration(to ?? "");
  if (!least.ok || !most.ok || rest.length > 0) return err("must be a range of durations such as 200ms..30s");
  return least.value <= most.value ? ok({ least: least.value, most: most.value }) : err("must be a range of durations, the shorter first");
}

/** Events a second of `100/s`, `60/m`, `10/h`. */
export function parseRate(text: string): Result<number, string> {
  const match = /^([0-9]+(?:\.[0-9]+)?)\/(s|m|h)$/.exec(text);
  const unitMs = durationUnitsMs[match?.[2] ?? ""];
  const value = match === null || unitMs === undefined ? 0 : (Number(match[1]) * 1000) / unitMs;
  return value > 0 && Number.isFinite(value) ? ok(value) : err("must be a rate such as 100/s or 60/m");
}

/** So many in a time, of `100/m` or `5/s`. */
export interface Quota {
  readonly count: number;
  readonly windowMs: number;
}

export function parseQuota(text: string): Result<Quota, string> {
  const match = /^([0-9]{1,9})\/(s|m|h|d)$/.exec(text);
  const windowMs = durationUnitsMs[match?.[2] ?? ""];
  const count = Number(match?.[1] ?? 0);
  return windowMs !== undefined && count > 0 ? ok({ count, windowMs }) : err("must be a number in a time such as 100/m or 5/s");
}

/** A share from 0 to 1 of `5%` or `0.5%`. */
export function parseShare(text: string): Result<number, string> {
  const value = new RegExp(sharePattern).test(text) ? Number(text.slice(0, -1)) / 100 : Number.NaN;
  return value <= 1 ? ok(value) : err("must be a share from 0% to 100%, such as 5%");
}

/** Milliseconds of `keep 1d`, 0 of `refuse`. */
export function parseEarly(text: string): Result<number, string> {
  const span = text.startsWith("keep ") ? parseMs(text.slice("keep ".length)) : undefined;
  if (text === "refuse") return ok(0);
  return span === undefined || span === 0 ? err("must be refuse, or keep and a duration such as keep 1d") : ok(span);
}

/** The text itself, if it is a network. */
function checkNetwork(text: string): Result<string, string> {
  const network = parseNetwork(text);
  return network.ok ? ok(text) : network;
}

/** Units by the name they have in a schema's `unit` keyword. */
export const units: Readonly<Record<string, (text: string) => Result<unknown, string>>> = table({
  duration: parseDuration,
  durationRange: parseDurationRange,
  size: parseSize,
  rate: parseRate,
  quota: parseQuota,
  share: parseShare,
  early: parseEarly,
  network: checkNetwork,
});

interface Unit {
  readonly unit: string;
  readonly pattern: string;
  readonly examples: readonly string[];
}

function fragment({ unit, pattern, examples }: Unit, description: string, fallback: string | undefined): JsonSchema {
  const schema = { type: "string", unit, pattern, description, examples };
  return fallback === undefined ? schema : { ...schema, default: fallback };
}

/** A duration; reaches the connector as milliseconds. */
export function duration(description: string, fallback?: string): JsonSchema {
  return fragment({ unit: "duration", pattern: durationPattern, examples: ["200ms", "5s", "10m"] }, description, fallback);
}

/** A range of durations; reaches the connector as `{ least, most }` in milliseconds. */
export function durationRange(description: string, fallback?: string): JsonSchema {
  return fragment({ unit: "durationRange", pattern: rangePattern, examples: ["200ms..30s"] }, description, fallback);
}

/** A size; reaches the connector as bytes. */
export function size(description: string, fallback?: string): JsonSchema {
  return fragment({ unit: "size", pattern: sizePattern, examples: ["64KB", "16MiB"] }, description, fallback);
}

/** A rate; reaches the connector as events a second. */
export function rate(description: string, fallback?: string): JsonSchema {
  return fragment({ unit: "rate", pattern: ratePattern, examples: ["100/s", "60/m"] }, description, fallback);
}

/** So many in a time; reaches the connector as a `Quota`. */
export function quota(description: string, fallback?: string): JsonSchema {
  return fragment({ unit: "quota", pattern: quotaPattern, examples: ["100/m", "5/s"] }, description, fallback);
}

/** A share; reaches the connector as a number from 0 to 1. */
export function share(description: string, fallback?: string): JsonSchema {
  return fragment({ unit: "share", pattern: sharePattern, examples: ["5%", "0.5%"] }, description, fallback);
}

/** `keep 1d` or `refuse`; read as milliseconds, 0 for `refuse`. */
export function early(description: string, fallback?: string): JsonSchema {
  return fragment({ unit: "early", pattern: earlyPattern, examples: ["keep 1d", "refuse"] }, description, fallback);
}

/** An address or a network; reaches the connector as it is written. */
export function network(description: string): JsonSchema {
  return fragment({ unit: "network", pattern: networkPattern, examples: ["192.0.2.0/24", "2001:db8::/32"] }, description, undefined);
}
