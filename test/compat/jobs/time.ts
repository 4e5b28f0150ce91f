/** Dates, durations, calendars, numbers and money. */
import { type Job, job } from "../job.ts";

export const timeJobs: readonly Job[] = [
  job(
    "dayjs",
    'import dayjs from "dayjs"; import utc from "dayjs/plugin/utc.js"; import duration from "dayjs/plugin/duration.js"; dayjs.extend(utc); dayjs.extend(duration);',
    'return [dayjs.utc("2024-01-31").add(1, "month").format("DD.MM.YYYY HH:mm"), dayjs.duration(90, "minutes").toISOString(), dayjs.utc("2026-03-01").diff("2026-02-01", "day")];',
  ),
  job(
    "dayjs (time zones)",
    'import dayjs from "dayjs"; import utc from "dayjs/plugin/utc.js"; import timezone from "dayjs/plugin/timezone.js"; dayjs.extend(utc); dayjs.extend(timezone);',
    'return dayjs.tz("2026-03-29T01:30", "Europe/Brussels").toISOString();',
  ),
  job(
    "date-fns",
    'import { addMonths, formatISO9075, differenceInBusinessDays, parseISO, eachDayOfInterval, format } from "date-fns";',
    'return [format(addMonths(new Date(Date.UTC(2024, 0, 31, 12)), 1), "yyyy-MM-dd EEEE"), differenceInBusinessDays(parseISO("2026-02-10"), parseISO("2026-01-01")), eachDayOfInterval({ start: parseISO("2026-01-01"), end: parseISO("2026-01-05") }).length, formatISO9075(parseISO("2026-01-01"))];',
  ),
  job(
    "date-fns-tz",
    'import { formatInTimeZone, fromZonedTime } from "date-fns-tz";',
    'return [formatInTimeZone(new Date(0), "America/New_York", "yyyy-MM-dd HH:mm zzz"), fromZonedTime("2026-07-01 12:00", "Europe/Paris").toISOString()];',
  ),
  job(
    "luxon",
    'import { DateTime, Duration, Interval } from "luxon";',
    'return [DateTime.fromISO("2026-03-29T01:30", { zone: "Europe/Brussels" }).plus({ hours: 1 }).toISO(), Duration.fromISO("PT90M").as("hours"), DateTime.utc(2026, 1, 1).toFormat("cccc d LLLL yyyy")];',
  ),
  job(
    "moment",
    'import moment from "moment";',
    'return [moment.utc("2026-01-31").add(1, "month").format("LLLL"), moment.duration(90, "minutes").humanize(), moment.utc("05-02-2026", "DD-MM-YYYY").toISOString()];',
  ),
  job(
    "moment-timezone",
    'import moment from "moment-timezone";',
    'return moment.tz("2026-07-01 12:00", "Europe/Brussels").utc().format();',
  ),
  job("ms", 'import ms from "ms";', 'return [ms("2 days"), ms(60000), ms(2 * 60000, { long: true })];'),
  job(
    "rrule",
    'import * as rrule from "rrule"; const { RRule } = rrule.default ?? rrule;',
    "return new RRule({ freq: RRule.MONTHLY, count: 4, dtstart: new Date(Date.UTC(2026, 0, 31)), byweekday: [RRule.FR.nth(-1)] }).all().map((each) => each.toISOString());",
  ),
  job(
    "cron-parser",
    'import { CronExpressionParser } from "cron-parser";',
    'const expression = CronExpressionParser.parse("0 8 * * 1-5", { currentDate: new Date(Date.UTC(2026, 0, 2, 9)), tz: "UTC" }); return [expression.next().toISOString(), expression.next().toISOString()];',
  ),
  job(
    "iso8601-duration",
    'import { parse, toSeconds } from "iso8601-duration";',
    'return [parse("P1Y2M3DT4H5M6S"), toSeconds(parse("PT1H30M"))];',
  ),
  job(
    "chrono-node",
    'import * as chrono from "chrono-node";',
    'return chrono.parse("next Friday at 4pm and 12 March 2027", { instant: new Date(Date.UTC(2026, 0, 1)), timezone: 0 }).map((each) => each.text);',
  ),
  job("spacetime", 'import spacetime from "spacetime";', 'return spacetime("2026-01-31T10:00:00Z", "UTC").add(1, "month").format("iso");'),
  job(
    "@js-joda/core",
    'import { LocalDate, Duration, ChronoUnit } from "@js-joda/core";',
    'return [LocalDate.parse("2024-02-29").plusYears(1).toString(), Duration.ofMinutes(135).toString(), ChronoUnit.DAYS.between(LocalDate.parse("2026-01-01"), LocalDate.parse("2026-12-31"))];',
  ),
  job(
    "humanize-duration",
    'import humanize from "humanize-duration";',
    'return [humanize(12345678), humanize(3600000, { language: "fr" })];',
  ),
  job("parse-duration", 'import parse from "parse-duration";', 'return [parse("1hr 20mins"), parse("2.5 days")];'),
  job(
    "bignumber.js",
    'import { BigNumber } from "bignumber.js";',
    'return [new BigNumber("0.1").plus("0.2").toString(), new BigNumber("1e50").dividedBy(3).toFixed(4), new BigNumber(255).toString(16)];',
  ),
  job(
    "decimal.js",
    'import { Decimal } from "decimal.js";',
    'return [new Decimal(2).sqrt().toString(), new Decimal("123.456").toDecimalPlaces(2).toString(), Decimal.exp(1).toString()];',
  ),
  job("big.js", 'import Big from "big.js";', 'return [new Big("1").div(3).toString(), Big("10.005").round(2).toString()];'),
  job(
    "mathjs",
    'import { create, all } from "mathjs"; const math = create(all, {});',
    'return [math.evaluate("sqrt(16) + 2 * sin(pi / 2)"), math.format(math.evaluate("det([-1, 2; 3, 1])")), math.unit("5 km").toNumber("mile"), math.derivative("x^2 + x", "x").toString(), math.format(math.fraction(1, 3))];',
  ),
  job(
    "currency.js",
    'import currency from "currency.js";',
    'return [currency("1,234.56").add(0.1).format(), currency(10).distribute(3).map(String)];',
  ),
  job(
    "dinero.js",
    'import * as dinero from "dinero.js";',
    'const make = dinero.dinero ?? dinero.default; const EUR = { code: "EUR", base: 10, exponent: 2 }; const a = make({ amount: 1050, currency: EUR }); return dinero.add ? dinero.toDecimal(dinero.add(a, a)) : a.add(a).getAmount();',
  ),
  job(
    "fraction.js",
    'import Fraction from "fraction.js";',
    'return [new Fraction("0.(3)").toFraction(), new Fraction(7, 3).mod(1).toString()];',
  ),
  job(
    "numeral",
    'import numeral from "numeral";',
    'return [numeral(1234567.891).format("0,0.00"), numeral(0.125).format("0.0%"), numeral("1.5k").value()];',
  ),
  job(
    "simple-statistics",
    'import * as stats from "simple-statistics";',
    "return [stats.median([1, 5, 2]), stats.standardDeviation([2, 4, 4, 4, 5, 5, 7, 9]), stats.linearRegression([[0, 0], [1, 2], [2, 4]])];",
  ),
  job("ml-matrix", 'import { Matrix, inverse } from "ml-matrix";', "return inverse(new Matrix([[2, 1], [1, 1]])).to2DArray();"),
  job(
    "ical.js",
    'import ICAL from "ical.js";',
    'const text = ["BEGIN:VCALENDAR", "BEGIN:VEVENT", "SUMMARY:Stand-up", "DTSTART:20260101T090000Z", "RRULE:FREQ=DAILY;COUNT=3", "END:VEVENT", "END:VCALENDAR"].join("\\r\\n"); const event = new ICAL.Event(new ICAL.Component(ICAL.parse(text)).getFirstSubcomponent("vevent")); const each = event.iterator(); return [event.summary, String(each.next()), String(each.next())];',
  ),
  job(
    "ical-generator",
    'import { ICalCalendar } from "ical-generator";',
    'const calendar = new ICalCalendar({ name: "Team" }); calendar.createEvent({ id: "1", start: new Date(0), end: new Date(3600000), stamp: new Date(0), summary: "Call" }); return calendar.toString();',
  ),
];
