/**
 * Time zones of Temporal. Its package asks the Intl.DateTimeFormat that it finds when it is loaded for a zone's clock, one instant at a time;
 * it gets one that reads the table of zones and writes no text. Loaded before the package; `restore` ends it.
 */
import "./dates.ts";
import { intl } from "./intl.ts";
import { define } from "./service.ts";
import { linkedZones } from "./zone-links.ts";
import { typeAt, type Zone, zoneOf } from "./zones.ts";

interface Part {
  readonly type: string;
  readonly value: string;
}

/** Farther from 1970 there is no Date. */
const mostMs = 8.64e15;
/** The calendar repeats after 400 years. */
const cycleYears = 400;
const cycleMs = 146_097 * 86_400_000;

/** Names of one zone have one key. */
function keyOf(name: string): string {
  const at = `,${linkedZones}`.toLowerCase().indexOf(`,${name.toLowerCase()}>`);
  return at < 0 ? name : linkedZones.slice(at + name.length + 1).split(",", 1)[0]!;
}

/** As much of Intl.DateTimeFormat as Temporal's package asks of a zone. */
class ZoneClock {
  readonly #zone: Zone;

  constructor(zone: Zone) {
    this.#zone = zone;
  }

  formatToParts(timeMs: number): Part[] {
    const wallMs = timeMs + typeAt(this.#zone, timeMs).offsetMs;
    const cycles = wallMs > mostMs ? 1 : wallMs < -mostMs ? -1 : 0;
    const clock = new Date(wallMs - cycles * cycleMs);
    const part = (type: string, value: number): Part => ({ type, value: String(value) });
    return [
      part("relatedYear", clock.getUTCFullYear() + cycles * cycleYears),
      part("month", clock.getUTCMonth() + 1),
      part("day", clock.getUTCDate()),
      part("hour", clock.getUTCHours()),
      part("minute", clock.getUTCMinutes()),
      part("second", clock.getUTCSeconds()),
    ];
  }

  resolvedOptions(): object {
    return { timeZone: keyOf(this.#zone.name) };
  }
}

type Constructor = new (locales?: unknown, options?: unknown) => object;
const real = (intl as { DateTimeFormat: Constructor }).DateTimeFormat;

/** True for the options by which the package asks for a zone: a flow's come through its own class, as a proxy without properties. */
function isOfZone(locales: unknown, options: unknown): options is { readonly timeZone: string } {
  return locales === "en-u-hc-h23" && typeof options === "object" && options !== null && Object.hasOwn(options, "timeZone");
}

const watched = new Proxy(real, {
  construct(target, [locales, options]: readonly unknown[], newTarget): object {
    if (!isOfZone(locales, options) || (options as { calendar?: string }).calendar !== "iso8601")
      return Reflect.construct(target, [locales, options], newTarget === watched ? target : newTarget) as object;
    const zone = zoneOf(options.timeZone);
    if (zone === undefined) throw new RangeError(`Invalid time zone specified: ${options.timeZone.slice(0, 60)}`);
    return new ZoneClock(zone);
  },
});
define(intl, "DateTimeFormat", watched);

/** Gives flows an Intl.DateTimeFormat again. */
export function restore(format: unknown): void {
  define(intl, "DateTimeFormat", format);
}
