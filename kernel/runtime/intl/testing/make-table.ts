/**
 * Makes zone-table.ts from the data of the package moment-timezone (the IANA database, compiled). Transitions from 1970 on; where a zone
 * changes its clock twice a year by one rule to the end of the data (2037), the rule stands for the years since it holds.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

interface Packed {
  readonly version: string;
  readonly zones: readonly string[];
  readonly links: readonly string[];
  readonly countries: readonly string[];
}
interface Zone {
  /** Each as a number of half minutes east of Greenwich and an abbreviation, "" for one without a name of its own. */
  readonly types: readonly string[];
  readonly first: number;
  readonly changes: readonly (readonly [halfMinutes: number, type: number])[];
}
interface Rule {
  readonly month: number;
  readonly fromDay: number;
  readonly weekday: number;
  readonly halfMinutes: number;
  readonly type: number;
}

const halfMinuteMs = 30_000;
const lastYear = 2037;
/** A rule that holds for fewer years does so by chance. */
const fewestYears = 8;
/**
 * The abbreviations that en-US has names for: those of America's zones and Europe's, and GMT. Not Cuba's, Yukon's and those of Mexico's
 * Pacific coast, which CLDR calls otherwise.
 */
const named =
  /^(?!America\/Havana|Cuba|Mexico\/BajaSur \S*M|Canada\/Yukon M|America\/(?:Chihuahua|Mazatlan|Hermosillo|Dawson|Whitehorse) M|America\/Santo_Domingo E)(?:America|US|Canada|Mexico|Pacific\/(?:Honolulu|Johnston)|Atlantic\/Bermuda|EST|MST|PST|CST|HST|Navajo|Jamaica)\S* (?:[AECMP][SD]T|AK[SD]T|H[SD]T)$|^(?:Europe|Arctic|GB|Eire|Portugal|CET|EET|WET)\S* (?:CES?T|EES?T|WES?T|BST|IST)$| GMT$/;

/** A number of moment-timezone's: base 60 with a fraction. In seconds. */
function fromBase60(text: string): number {
  const digit = (sign: string): number => {
    const code = sign.charCodeAt(0);
    return code > 96 ? code - 87 : code > 64 ? code - 29 : code - 48;
  };
  const [whole = "", fraction = ""] = text.replace("-", "").split(".");
  let value = 0;
  for (const sign of whole) value = value * 60 + digit(sign);
  let part = 1 / 60;
  for (const sign of fraction) {
    value += digit(sign) * part;
    part /= 60;
  }
  return Math.round((text.startsWith("-") ? -value : value) * 60);
}

function unpack(packed: string): { readonly name: string; readonly zone: Zone } {
  const [name = "", abbreviations = "", offsets = "", indices = "", differences = ""] = packed.split("|");
  const shown = abbreviations.split(" ").map((each) => (named.test(`${name} ${each}`) ? each : ""));
  const all = offsets
    .split(" ")
    .map((each, index) => `${Math.round((0 - fromBase60(each)) / 30).toString(36)}${shown[index] ? `.${shown[index]}` : ""}`);
  const steps = [...indices].map((sign) => all[Number.parseInt(sign, 36)]!);
  const types: string[] = [];
  const typeOf = (text: string): number => (types.includes(text) ? types.indexOf(text) : types.push(text) - 1);
  let first = steps[0]!;
  let at = 0;
  const later: [number, string][] = [];
  for (const [index, difference] of (differences === "" ? [] : differences.split(" ")).entries()) {
    at += fromBase60(difference);
    if (at <= 0) first = steps[index + 1]!;
    else if (steps[index + 1] !== (later.at(-1)?.[1] ?? first)) later.push([Math.round(at / 30), steps[index + 1]!]);
  }
  const start = typeOf(first);
  return { name, zone: { types, first: start, changes: later.map(([time, type]) => [time, typeOf(type)]) } };
}

const offsetOf = (zone: Zone, type: number): number => Number.parseInt(zone.types[type]!, 36);

/** When the rule takes effect in a year, in half minutes of the clock before it. */
function wallOf(rule: Rule, year: number): number {
  const day = new Date(Date.UTC(year, rule.month, rule.fromDay));
  const date = day.getTime() + ((rule.weekday - day.getUTCDay() + 7) % 7) * 86_400_000;
  return date / halfMinuteMs + rule.halfMinutes;
}

interface Yearly {
  readonly year: number;
  readonly wall: number;
  readonly type: number;
}

function yearly(zone: Zone): Yearly[] {
  return zone.changes.map(([time, type], index) => {
    const wall = time + offsetOf(zone, zone.changes[index - 1]?.[1] ?? zone.first);
    return { year: new Date(wall * halfMinuteMs).getUTCFullYear(), wall, type };
  });
}

/** The rule that gives the most of these changes, from the last back. */
function bestRule(changes: readonly Yearly[]): Rule | undefined {
  const last = changes.at(-1)!;
  const when = new Date(last.wall * halfMinuteMs);
  let best: Rule | undefined;
  let bestSince = lastYear + 1;
  for (const month of [when.getUTCMonth() - 1, when.getUTCMonth()])
    for (let fromDay = 1; fromDay <= 31; fromDay++) {
      const rule = { month, fromDay, weekday: when.getUTCDay(), halfMinutes: last.wall % 2880, type: last.type };
      const since = changes.findLast((each) => wallOf(rule, each.year) !== each.wall)?.year ?? 0;
      if (since < bestSince) [best, bestSince] = [rule, since];
    }
  return best;
}

/** The two rules of a zone and the first year since which they make all its changes. */
function rulesOf(zone: Zone): { readonly rules: readonly Rule[]; readonly since: number } | undefined {
  const changes = yearly(zone);
  const lasts = changes.filter(({ year }) => year === lastYear);
  if (lasts.length !== 2) return undefined;
  const rules = lasts.flatMap(({ type }) => bestRule(changes.filter((each) => each.type === type)) ?? []);
  if (rules.length !== 2) return undefined;
  const holds = (year: number): boolean => {
    const those = changes.filter((each) => each.year === year);
    return (
      those.length === 2 && those.every(({ wall, type }, index) => rules[index]!.type === type && wallOf(rules[index]!, year) === wall)
    );
  };
  let since = lastYear;
  while (holds(since)) since--;
  return since > lastYear - fewestYears ? undefined : { rules, since: since + 1 };
}

function written(zone: Zone): string {
  const found = rulesOf(zone);
  const years = yearly(zone);
  let before = 0;
  const explicit = zone.changes
    .filter((_change, index) => found === undefined || years[index]!.year < found.since)
    .map(([time, type]) => {
      // In quarters of an hour, as nearly all are; else in half minutes, after a "~".
      const wait = time - before;
      const text = `${wait % 30 === 0 ? (wait / 30).toString(36) : `~${wait.toString(36)}`}${String.fromCharCode(65 + type)}`;
      before = time;
      return text;
    });
  const rules = found?.rules.map((rule) => [rule.month, rule.fromDay, rule.weekday, rule.halfMinutes, rule.type].join(" ")) ?? [];
  return [zone.types.join(" "), String.fromCharCode(65 + zone.first) + explicit.join(""), ...(found ? [found.since, ...rules] : [])].join(
    "|",
  );
}

/** The text of zone-table.ts. */
export function makeTable(): string {
  const path = createRequire(import.meta.url).resolve("moment-timezone/data/packed/latest.json");
  const packed = JSON.parse(readFileSync(path, "utf8")) as Packed;
  const texts: string[] = [];
  const names = new Map<string, number>();
  for (const each of packed.zones) {
    const { name, zone } = unpack(each);
    const text = written(zone);
    if (!texts.includes(text)) texts.push(text);
    names.set(name, texts.indexOf(text));
  }
  for (const link of packed.links) {
    const [target = "", name = ""] = link.split("|");
    const source = packed.zones.find((each) => each.startsWith(`${target}|`))!;
    // By its own name, so that a zone's abbreviations are those of its area.
    const text = written(unpack(name + source.slice(target.length)).zone);
    if (!texts.includes(text)) texts.push(text);
    names.set(name, texts.indexOf(text));
  }
  const primary = new Set(packed.countries.flatMap((each) => each.split("|")[1]!.split(" ")));
  const listed = [...names].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, index]) => `${name}:${index}${primary.has(name) ? "*" : ""}`);
  return `/** Made by testing/make-table.ts (UPDATE=1 npm test -- kernel/runtime/intl); zones.ts explains it. */
export const tzdata = "${packed.version}";
export const zoneNames: string =
  "${listed.join(",")},";
export const zoneRules: readonly string[] = [
${texts.map((text) => `  "${text}",`).join("\n")}
];
`;
}
