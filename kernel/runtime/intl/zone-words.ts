/**
 * Names of time zones in the tables of locales. The row `gmt` is "prefix|plus|minus|separator|short UTC|long UTC"; `zs` and `zl`
 * are short and long names, "key=name" with commas between, where a key is an abbreviation of zones.ts, or a zone that is called
 * otherwise: "?" for one whose names are not there. A short name that is "" is the offset.
 */
import { missing } from "./faults.ts";
import type { Rows } from "./locale-tables.ts";
import type { Zone, ZoneType } from "./zones.ts";

const two = (value: number): string => String(value).padStart(2, "0");

/** An offset, such as "GMT+1" or "UTC+01:00". */
export function offsetText(offsetMs: number, isLong: boolean, gmt: string): string {
  const [prefix = "", plus = "", minus = "", separator = ""] = gmt.split("|");
  const size = Math.abs(offsetMs) / 1000;
  const [hours, minutes, seconds] = [Math.floor(size / 3600), Math.floor(size / 60) % 60, size % 60];
  const rest =
    seconds > 0 ? `${separator}${two(minutes)}${separator}${two(seconds)}` : isLong || minutes > 0 ? `${separator}${two(minutes)}` : "";
  return `${prefix}${offsetMs < 0 ? minus : plus}${isLong ? two(hours) : hours}${rest}`;
}

/** The name under a key; undefined without one. */
function entry(list: string, key: string): string | undefined {
  const at = `,${list}`.indexOf(`,${key}=`);
  return at < 0 ? undefined : list.slice(at + key.length + 1).split(",", 1)[0]!;
}

/** The name of a zone in a locale. Throws MF_NO_INTL for one that the table does not have. */
export function zoneWord(zone: Zone, type: ZoneType, style: string, rows: Rows): string {
  const gmt = rows.get("gmt")!;
  if (style === "shortOffset" || style === "longOffset") return offsetText(type.offsetMs, style === "longOffset", gmt);
  if (zone.name === "UTC" && (style === "short" || style === "long")) return gmt.split("|")[style === "short" ? 4 : 5]!;
  const list = style === "short" ? rows.get("zs")! : style === "long" ? rows.get("zl")! : "";
  const isFixed = type.abbreviation === "" && /^[+-]/.test(zone.name);
  const name = entry(list, zone.name) ?? (type.abbreviation === "" ? undefined : entry(list, type.abbreviation));
  if (name !== undefined && name !== "?" && name !== "") return name;
  if (style === "short" && name !== "?") return offsetText(type.offsetMs, false, gmt);
  if (style === "long" && isFixed) return offsetText(type.offsetMs, true, gmt);
  throw missing(`a ${style} name of the time zone ${zone.name} in this locale`, 'use timeZoneName: "shortOffset" or "longOffset"');
}
