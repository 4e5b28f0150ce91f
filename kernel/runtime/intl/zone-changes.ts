/** Changes of a zone's offset: the one before an instant and the one behind it. */
import { ruleChanges, typeAt, type Zone } from "./zones.ts";

/** Farther from 1970 there is no time (ECMA-262, TimeClip). */
const mostMs = 8.64e15;

/** Times at which a zone's clocks may change, around that instant, in order. */
function timesAround(zone: Zone, timeMs: number): number[] {
  const year = new Date(timeMs).getUTCFullYear();
  // A rule may change nothing in the years in which it begins.
  const years = [year - 1, year, year + 1, zone.since, zone.since + 1];
  const found = years.flatMap((each) => (each >= zone.since ? ruleChanges(zone, each) : []));
  return [...new Set([...zone.times, ...found])].filter((each) => Math.abs(each) <= mostMs).sort((a, b) => a - b);
}

/** The next change behind that instant, or the last one before it, in ms since 1970; undefined without one. */
export function changeBeside(zone: Zone, timeMs: number, isNext: boolean): number | undefined {
  const isChange = (at: number): boolean => typeAt(zone, at - 1).offsetMs !== typeAt(zone, at).offsetMs;
  const times = timesAround(zone, timeMs);
  return isNext ? times.find((at) => at > timeMs && isChange(at)) : times.findLast((at) => at < timeMs && isChange(at));
}
