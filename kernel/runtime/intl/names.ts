/** Names in en-US (CLDR): months, weekdays, parts of a day, zones. */
import { table } from "../table.ts";
import { missing } from "./faults.ts";
import type { Zone, ZoneType } from "./zones.ts";

export const months: readonly string[] = "January February March April May June July August September October November December".split(" ");
export const weekdays: readonly string[] = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

export function shortened(name: string, width: string | undefined): string {
  if (width === "long") return name;
  return name.slice(0, width === "narrow" ? 1 : 3);
}

/** `isSharp`: at 12, what the text shows of minutes and seconds is 0. */
export function dayPeriod(hour: number, isSharp: boolean, width: string): string {
  if (hour === 12 && isSharp) return width === "narrow" ? "n" : "noon";
  if (hour >= 21) return "at night";
  return hour < 12 ? "in the morning" : hour < 18 ? "in the afternoon" : "in the evening";
}

const areas = table({
  A: "Atlantic",
  E: "Eastern",
  C: "Central",
  M: "Mountain",
  P: "Pacific",
  AK: "Alaska",
  H: "Hawaii-Aleutian",
});
const european = table({
  CET: "Central European Standard Time",
  CEST: "Central European Summer Time",
  EET: "Eastern European Standard Time",
  EEST: "Eastern European Summer Time",
  WET: "Western European Standard Time",
  WEST: "Western European Summer Time",
  GMT: "Greenwich Mean Time",
});

function offsetName(offsetMs: number, isLong: boolean): string {
  const size = Math.abs(offsetMs) / 1000;
  const two = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(size / 3600);
  const minutes = Math.floor(size / 60) % 60;
  const seconds = size % 60;
  const rest = seconds > 0 ? `:${two(minutes)}:${two(seconds)}` : isLong || minutes > 0 ? `:${two(minutes)}` : "";
  return `GMT${offsetMs < 0 ? "-" : "+"}${isLong ? two(hours) : hours}${rest}`;
}

/** "" if a machine has no such name. */
function longName(zone: Zone, { abbreviation }: ZoneType): string {
  if (zone.name === "UTC") return "Coordinated Universal Time";
  if (/^[+-]/.test(zone.name) && abbreviation === "") return offsetName(zone.types[0]!.offsetMs, true);
  const [, area = "", kind = ""] = /^(A|E|C|M|P|AK|H)([SD])T$/.exec(abbreviation) ?? [];
  if (area !== "") return `${areas[area]!} ${kind === "S" ? "Standard" : "Daylight"} Time`;
  return european[abbreviation] ?? "";
}

/** The name of a zone at a time. Throws MF_NO_INTL for a name that a machine does not have. */
export function zoneName(zone: Zone, type: ZoneType, style: string): string {
  const { abbreviation, offsetMs } = type;
  if (style === "shortOffset" || style === "longOffset") return offsetName(offsetMs, style === "longOffset");
  if (style === "short") {
    if (zone.name === "UTC") return "UTC";
    if (abbreviation === "GMT") return "GMT";
    if (!/^(?:[AECMP]|AK|H)[SD]T$/.test(abbreviation)) return offsetName(offsetMs, false);
    return /Adak|Aleutian|Atka/.test(zone.name) ? abbreviation.replace("H", "HA") : abbreviation;
  }
  const name = style === "long" ? longName(zone, type) : "";
  if (name !== "") return name;
  throw missing(`a ${style} name of the time zone ${zone.name}`, 'use timeZoneName: "short", "shortOffset" or "longOffset"');
}
