/** `zone(…)` of a flow. intl/zone.ts registers itself here when the flow uses it, with its table of zones. */
import type { Zone } from "./api.d.ts";
import { notLinked } from "./formats.ts";

let linked: ((name: unknown) => Zone) | undefined;

export function linkZone(make: (name: unknown) => Zone): void {
  linked = make;
}

/** A time zone by its IANA name. Throws MF_ZONE_UNKNOWN. */
export function zone(name: unknown): Zone {
  if (linked === undefined) throw notLinked("zone", "zone");
  return linked(name);
}
