/** Times of a zone's clocks: to an instant and back, with a policy for those that come twice or never. */
import type { Zone as ZoneApi } from "../api.d.ts";
import type { FlowError } from "../errors.ts";
import { typeAt, type Zone, zoneOf } from "./zones.ts";

type ErrorClass = typeof FlowError;

const policies = ["compatible", "earlier", "later", "reject"];
const dayMs = 86_400_000;
const shape = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?$/;

/** The text as if its clock were UTC, in ms; undefined for what is no date and time. */
function readWall(text: string): number | undefined {
  const [found, year, month, day, hour = "00", minute = "00", second = "00", fraction = ""] = shape.exec(text) ?? [];
  if (found === undefined) return undefined;
  const normal = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const wallMs = Date.parse(`${normal}.${fraction.slice(0, 3).padEnd(3, "0")}Z`);
  // 30 February and 24:00 roll over to another day.
  return Number.isNaN(wallMs) || new Date(wallMs).toISOString().slice(0, 19) !== normal ? undefined : wallMs;
}

const quoted = (value: unknown): string => (typeof value === "string" ? JSON.stringify(value.slice(0, 60)) : typeof value);

function toUtc(zone: Zone, given: unknown, policy: unknown, FailureClass: ErrorClass): Date {
  const wallMs = typeof given === "string" ? readWall(given) : undefined;
  if (wallMs === undefined)
    throw new FailureClass(
      "MF_ZONE_TIME",
      `zone.toUtc: ${quoted(given)} is no time of a clock: write it as "2026-03-29T02:30", without an offset; new Date() reads those that have one`,
      false,
    );
  if (!policies.includes(policy as string))
    throw new FailureClass("MF_ZONE_TIME", `zone.toUtc: the policy ${quoted(policy)} must be one of ${policies.join(", ")}`, false);
  // A day before and after: no zone changes its clocks twice in between.
  const before = typeAt(zone, wallMs - dayMs).offsetMs;
  const after = typeAt(zone, wallMs + dayMs).offsetMs;
  const instants = [wallMs - before, wallMs - after];
  const [first, second] = instants.filter(
    (each, index) => instants.indexOf(each) === index && each + typeAt(zone, each).offsetMs === wallMs,
  );
  if (first !== undefined && second === undefined) return new Date(first);
  const isGap = first === undefined;
  if (policy === "reject" && isGap)
    throw new FailureClass(
      "MF_ZONE_GAP",
      `zone.toUtc: it is never ${quoted(given)} in ${zone.name}, where clocks go forward then: give "earlier" or "later"`,
      false,
    );
  if (policy === "reject")
    throw new FailureClass(
      "MF_ZONE_TWICE",
      `zone.toUtc: it is ${quoted(given)} twice in ${zone.name}, where clocks go back then: give "earlier" or "later"`,
      false,
    );
  const isLater = policy === "later" || (policy === "compatible" && isGap);
  return new Date(isLater ? Math.max(...instants) : Math.min(...instants));
}

function toLocal(zone: Zone, date: unknown, FailureClass: ErrorClass): string {
  const timeMs = date instanceof Date || typeof date === "number" ? Number(date) : Number.NaN;
  const wall = new Date(timeMs + (Number.isNaN(timeMs) ? 0 : typeAt(zone, timeMs).offsetMs));
  const year = wall.getUTCFullYear();
  if (!(year >= 0 && year <= 9999))
    throw new FailureClass("MF_ZONE_TIME", "zone.toLocal: give a Date, or its number, of a year from 0 to 9999", false);
  return wall.toISOString().replace(/(?:\.000)?Z$/, "");
}

/** Throws MF_ZONE_UNKNOWN. */
export function makeZone(name: unknown, FailureClass: ErrorClass): ZoneApi {
  const zone = typeof name === "string" ? zoneOf(name) : undefined;
  if (zone === undefined)
    throw new FailureClass(
      "MF_ZONE_UNKNOWN",
      `there is no time zone ${quoted(name)}: give a name such as "Europe/Brussels", or an offset such as "+02:00"`,
      false,
    );
  return {
    name: zone.name,
    toUtc: (local, policy = "compatible") => toUtc(zone, local, policy, FailureClass),
    toLocal: (date) => toLocal(zone, date, FailureClass),
  };
}
