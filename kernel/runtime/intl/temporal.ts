/** The part `temporal`: the global Temporal, by the package temporal-polyfill on our table of zones, and what comes with it. */
import { kernel } from "../link.ts";
import { restore } from "./temporal-zones.ts";
// Behind the zones: it looks for Intl.DateTimeFormat once.
import * as polyfill from "temporal-polyfill/full/implementation";
import { changeBeside } from "./zone-changes.ts";
import { define } from "./service.ts";
import { zoneOf } from "./zones.ts";

interface ZonedDateTime {
  readonly epochNanoseconds: bigint;
  readonly timeZoneId: string;
  readonly calendarId: string;
}
interface ZonedDateTimeClass {
  new (epochNanoseconds: bigint, timeZone: string, calendar: string): ZonedDateTime;
  readonly prototype: { getTimeZoneTransition(direction: unknown): ZonedDateTime | null };
}
const {
  Temporal,
  Intl: extended,
  toTemporalInstant,
} = polyfill as unknown as {
  readonly Temporal: { readonly ZonedDateTime: ZonedDateTimeClass };
  readonly Intl: { readonly DateTimeFormat: unknown };
  readonly toTemporalInstant: (this: Date) => object;
};

const nanosPerMs = 1_000_000n;
const { ZonedDateTime } = Temporal;
const { getTimeZoneTransition: searched } = ZonedDateTime.prototype;

/** The package looks for changes in steps of days; the table has them. */
class ZonedDateTimeMethods {
  getTimeZoneTransition(this: ZonedDateTime, given: unknown): ZonedDateTime | null {
    const { epochNanoseconds, timeZoneId, calendarId } = this;
    const direction = typeof given === "object" && given !== null ? (given as { direction?: unknown }).direction : given;
    if (given === undefined || (String(direction) !== "next" && String(direction) !== "previous"))
      return searched.call(this as never, given === undefined ? given : { direction });
    const isNext = String(direction) === "next";
    const wholeMs = Number(epochNanoseconds / nanosPerMs);
    const rest = epochNanoseconds % nanosPerMs;
    const fromMs = isNext ? wholeMs - Number(rest < 0n) : wholeMs + Number(rest > 0n);
    const changeMs = changeBeside(zoneOf(timeZoneId)!, fromMs, isNext);
    return changeMs === undefined ? null : new ZonedDateTime(BigInt(changeMs) * nanosPerMs, timeZoneId, calendarId);
  }
}
const { getTimeZoneTransition } = ZonedDateTimeMethods.prototype;
define(ZonedDateTime.prototype, "getTimeZoneTransition", getTimeZoneTransition);
define(Date.prototype, "toTemporalInstant", toTemporalInstant);
restore(extended.DateTimeFormat);
kernel.define("Temporal", Temporal);
