/**
 * Time zones: names, offsets, transitions. Rows of zone-table.ts are `types|changes|since|rule|rule`:
 * - types: offsets east of Greenwich in half minutes, base 36, some with an abbreviation (`6o.CET`), separated by spaces;
 * - changes: the type before the first change as a letter (A is the first type), then for each change the time since the one before, or
 *   since 1970, in quarters of an hour (`~`: in half minutes), base 36, and its type as a letter;
 * - since and two rules, for zones that change twice a year: the first year in which they hold, and each as "month fromDay weekday time type":
 *   the first such weekday on or after that day of the month (from 0), and the time in half minutes of the clock before.
 * Before 1970 a zone has the offset that it had on 1 January 1970.
 */
import { mostKeptZones } from "./limits.ts";
import { tzdata, zoneNames, zoneRules } from "./zone-table.ts";

export interface ZoneType {
  readonly offsetMs: number;
  /** "" without one. */
  readonly abbreviation: string;
}
interface Rule {
  readonly month: number;
  readonly fromDay: number;
  readonly weekday: number;
  readonly wallMs: number;
  readonly type: ZoneType;
}
export interface Zone {
  readonly name: string;
  readonly times: readonly number[];
  readonly types: readonly ZoneType[];
  readonly since: number;
  readonly rules: readonly Rule[];
}

export { tzdata };
const halfMinuteMs = 30_000;
const dayMs = 86_400_000;
const zones = new Map<string, Zone>();
/** Names of zones that are UTC: every engine shows them as "UTC". */
const universal = /^(?:(?:Etc\/)?(?:UTC|UCT|GMT|Universal|Zulu)|GMT[+-]?0)$/i;

function fixed(name: string, offsetMs: number): Zone {
  return { name, times: [], types: [{ offsetMs, abbreviation: offsetMs === 0 ? "GMT" : "" }], since: Number.POSITIVE_INFINITY, rules: [] };
}

function readRow(name: string, row: string): Zone {
  const [typesText = "", changes = "", since, ...ruleTexts] = row.split("|");
  const known = typesText.split(" ").map((text) => {
    const [offset = "", abbreviation = ""] = text.split(".");
    return { offsetMs: Number.parseInt(offset, 36) * halfMinuteMs, abbreviation };
  });
  const typeOf = (letter: string): ZoneType => known[letter.charCodeAt(0) - 65]!;
  const times: number[] = [];
  const types = [typeOf(changes)];
  let at = 0;
  for (const [, fine, wait = "", letter = ""] of changes.slice(1).matchAll(/(~?)([0-9a-z]+)([A-Z])/g)) {
    at += Number.parseInt(wait, 36) * (fine === "" ? 30 : 1) * halfMinuteMs;
    times.push(at);
    types.push(typeOf(letter));
  }
  const rules = ruleTexts.map((text) => {
    const [month = 0, fromDay = 1, weekday = 0, wall = 0, type = 0] = text.split(" ").map(Number);
    return { month, fromDay, weekday, wallMs: wall * halfMinuteMs, type: known[type]! };
  });
  return { name, times, types, since: since === undefined ? Number.POSITIVE_INFINITY : Number(since), rules };
}

const offsetShape = /^([+-])([01]\d|2[0-3])(?::?([0-5]\d))?$/;

function offsetZone(name: string): Zone | undefined {
  const [found, sign, hours, minutes = "00"] = offsetShape.exec(name) ?? [];
  if (found === undefined) return undefined;
  const size = Number(hours) * 60 + Number(minutes);
  return fixed(`${size === 0 ? "+" : sign}${hours}:${minutes}`, (sign === "-" ? -size : size) * 60_000);
}

/** The row of a name and the name as the table writes it. */
function findName(name: string): { readonly name: string; readonly row: number } | undefined {
  if (!/^[A-Za-z0-9_/+-]+$/.test(name)) return undefined;
  let at = `,${zoneNames}`.indexOf(`,${name}:`);
  if (at < 0) at = `,${zoneNames}`.toLowerCase().indexOf(`,${name.toLowerCase()}:`);
  if (at < 0) return undefined;
  return { name: zoneNames.slice(at, at + name.length), row: Number.parseInt(zoneNames.slice(at + name.length + 1), 10) };
}

/** A zone by its IANA name, in any case, or an offset such as "+02:00". Undefined for no zone's name. */
export function zoneOf(name: string): Zone | undefined {
  let zone = zones.get(name);
  if (zone !== undefined) return zone;
  zone = universal.test(name) ? fixed("UTC", 0) : offsetZone(name);
  if (zone === undefined) {
    const found = findName(name);
    if (found !== undefined) zone = readRow(found.name, zoneRules[found.row]!);
  }
  // Names come from messages too: their number is bounded by the table's, but not that of their spellings.
  if (zone !== undefined && zones.size < mostKeptZones) zones.set(name, zone);
  return zone;
}

/** When the rule takes effect in that year, given the offset before. */
function changeAt(rule: Rule, year: number, before: ZoneType): number {
  const day = Date.UTC(year, rule.month, rule.fromDay);
  const weekday = new Date(day).getUTCDay();
  return day + ((rule.weekday - weekday + 7) % 7) * dayMs + rule.wallMs - before.offsetMs;
}

/** When a zone's clocks change by its rules in a year from `since` on: twice, or never. */
export function ruleChanges({ rules, since, types }: Zone, year: number): number[] {
  const [first, second] = rules;
  if (first === undefined || second === undefined) return [];
  return [changeAt(first, year, year > since ? second.type : types.at(-1)!), changeAt(second, year, first.type)];
}

/** The offset of a zone's clocks at that instant. */
export function typeAt(zone: Zone, timeMs: number): ZoneType {
  const { times, types, rules, since } = zone;
  const year = new Date(timeMs + types.at(-1)!.offsetMs).getUTCFullYear();
  const [first, second] = rules;
  if (first !== undefined && second !== undefined && year >= since) {
    const [firstMs = 0, secondMs = 0] = ruleChanges(zone, year);
    if (timeMs >= secondMs) return second.type;
    if (timeMs >= firstMs) return first.type;
    if (year > since) return second.type;
  }
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! <= timeMs) low = middle + 1;
    else high = middle;
  }
  return types[low]!;
}

/** The zones that have a country, and UTC, in order. */
export function listedZones(): string[] {
  return [...[...zoneNames.matchAll(/([^,]+):\d+\*/g)].map(([, name = ""]) => name), "UTC"];
}
