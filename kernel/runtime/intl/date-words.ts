/** Dates and times in the locales of tables: a pattern for the date, one for the time, and the text between them. */
import { missing } from "./faults.ts";
import type { Rows } from "./locale-tables.ts";
import type { Settings } from "./options.ts";
import { type DatePart, dateShape, type Moment, patternIn, patternParts, timeShape } from "./patterns.ts";
import { zoneWord } from "./zone-words.ts";
import type { ZoneType } from "./zones.ts";

interface Pattern {
  readonly date: string;
  readonly between: string;
  readonly time: string;
}

/** The keys of a format's date and time; "" without one. */
function keysOf({ components, hourCycle, dateStyle, timeStyle }: Settings): readonly [date: string, time: string] {
  if (dateStyle === undefined && timeStyle === undefined) return [dateShape(components), timeShape(components, hourCycle)];
  const isHalf = hourCycle === "h11" || hourCycle === "h12";
  return [dateStyle ?? "", timeStyle === undefined ? "" : `${isHalf ? 12 : 24}${timeStyle}`];
}

const glue = (rows: Rows, date: string, time: string): string => rows.get(`g${date}:${time}`) ?? rows.get(`g${date}`) ?? rows.get("g")!;

/** Throws MF_NO_INTL for a set of components that the locale's table has no pattern for. */
export function patternOf(settings: Settings): Pattern {
  const { rows, tag } = settings.table!;
  const [date, time] = keysOf(settings);
  const [ofDate, ofTime] = [
    date === "" ? "" : patternIn(rows, `d${date}`, settings.components),
    time === "" ? "" : patternIn(rows, `t${time}`, settings.components),
  ];
  const isHalf = settings.hourCycle === "h11" || settings.hourCycle === "h12";
  const period = settings.components.dayPeriod !== undefined && (settings.hourCycle === undefined || isHalf);
  const between = date === "" || time === "" ? "" : glue(rows, date, time);
  // Node's own texts for h24 are of two kinds.
  if (ofDate !== undefined && ofTime !== undefined && between !== "?" && !period && settings.hourCycle !== "h24")
    return { date: ofDate, between, time: ofTime };
  throw missing(
    `a pattern for ${Object.keys(settings.components).join(", ")} in the locale ${tag}`,
    "ask for a usual set, such as year, month and day, hour and minute, or put the text together yourself",
  );
}

/** Parts with texts that meet made one. */
export function joined(parts: readonly DatePart[]): DatePart[] {
  const found: DatePart[] = [];
  for (const each of parts) {
    const last = found.at(-1);
    if (last?.type === "literal" && each.type === "literal") found[found.length - 1] = { type: "literal", value: last.value + each.value };
    else if (each.value !== "") found.push(each);
  }
  return found;
}

/** The parts of the text for a clock whose UTC fields are the zone's. */
export function wordParts(settings: Settings, clock: Date, type: ZoneType): DatePart[] {
  const { components, hourCycle, zone, table } = settings;
  const { date, between, time } = patternOf(settings);
  const { rows } = table!;
  const moment: Moment = { clock, components, hourCycle, zoneName: () => zoneWord(zone, type, components.timeZoneName!, rows) };
  return joined([...patternParts(date, moment, rows), { type: "literal", value: between }, ...patternParts(time, moment, rows)]);
}
