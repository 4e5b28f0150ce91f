/** Cron sources → schedules of a service: sets of numbers that its clock, which is UTC, compares with each minute. */
import type { ServiceDates, ServiceSchedule } from "#abi";
import type { Report } from "#gateway";

type Path = readonly (string | number)[];

/** The part of a cron source's settings that a standalone service has. */
export interface CronSource {
  readonly schedule?: string;
  readonly timezone?: string;
  readonly every?: number;
  readonly atStart: boolean;
  readonly body?: unknown;
  readonly contentType?: string;
}

interface Field {
  readonly least: number;
  readonly most: number;
  /** Names of the numbers from the least on. */
  readonly names: readonly string[];
}

const field = (least: number, most: number, names = ""): Field => ({ least, most, names: names.split(" ") });
const minutes = field(0, 59);
const hours = field(0, 23);
const days = field(1, 31);
const months = field(1, 12, "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC");
/** 7 is Sunday as well. */
const weekdays = field(0, 7, "SUN MON TUE WED THU FRI SAT");

const nicknames: Readonly<Record<string, string>> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};

function numberOf(text: string, { least, most, names }: Field): number | undefined {
  const named = names.indexOf(text.toUpperCase());
  const number = named >= 0 && text !== "" ? least + named : /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  return number >= least && number <= most ? number : undefined;
}

/** The numbers of one part: `*`, `5`, `1-5`, the last two with a step `/2`. */
function rangeOf(part: string, form: Field): readonly number[] | undefined {
  const [, range = "", step = "1"] = /^([^/]+)(?:\/(\d{1,2}))?$/.exec(part) ?? [];
  const [first = "", last = first, ...rest] = range === "*" ? [String(form.least), String(form.most)] : range.split("-");
  const [from, to, by] = [numberOf(first, form), numberOf(last, form), Number(step)];
  const hasStep = part.includes("/");
  if (from === undefined || to === undefined || from > to || by < 1 || rest.length > 0) return undefined;
  if (hasStep && range !== "*" && !range.includes("-")) return undefined;
  return Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, index) => from + index * by);
}

/** The set of a field; undefined where it is malformed. */
function setOf(text: string, form: Field): string | undefined {
  const numbers = new Set<number>();
  for (const part of text.split(",")) {
    const range = rangeOf(part, form);
    if (range === undefined) return undefined;
    for (const number of range) numbers.add(form === weekdays ? number % 7 : number);
  }
  const length = (form === weekdays ? 6 : form.most) - form.least + 1;
  return Array.from({ length }, (_, index) => (numbers.has(form.least + index) ? "1" : "0")).join("");
}

/** The dates of an expression of five fields; undefined for one that a standalone service can't follow. */
export function datesOf(expression: string): ServiceDates | undefined {
  const text = expression.trim();
  const parts = (nicknames[text.toLowerCase()] ?? text).split(/\s+/);
  const sets = [minutes, hours, days, months, weekdays].map((form, index) => setOf(parts[index] ?? "", form));
  const [ofMinutes, ofHours, ofDays, ofMonths, ofWeekdays] = sets;
  if (parts.length !== 5 || ofMinutes === undefined || ofHours === undefined) return undefined;
  if (ofDays === undefined || ofMonths === undefined || ofWeekdays === undefined) return undefined;
  const either = parts[2] !== "*" && parts[4] !== "*";
  return { minutes: ofMinutes, hours: ofHours, days: ofDays, months: ofMonths, weekdays: ofWeekdays, either };
}

const zones = ["UTC", "Etc/UTC", "GMT", "Etc/GMT"];

/** None for a source that has a problem, which is reported. */
export function lowerSchedule(name: string, source: CronSource, at: Path, report: Report): readonly ServiceSchedule[] {
  const { schedule, timezone, every, atStart, body, contentType } = source;
  const refuse = (setting: string, why: string): readonly ServiceSchedule[] => {
    report(at, why, setting, "MF_STANDALONE_SOURCE");
    return [];
  };
  if (timezone !== undefined && !zones.includes(timezone))
    return refuse("timezone", "the clock of a standalone service is UTC: write the schedule in UTC, and `timezone: UTC`");
  const dates = schedule === undefined ? undefined : datesOf(schedule);
  if (schedule !== undefined && dates === undefined)
    return refuse(
      "schedule",
      "a standalone service knows expressions of five fields, with numbers, names, lists, ranges and steps (`*/5 6-18 * * MON-FRI`): write it so, or use `every`",
    );
  const when = dates ?? (every === undefined ? undefined : { everyMs: every });
  if (when === undefined) return refuse("every", 'give either "schedule" or "every"');
  const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
  const type = contentType ?? (typeof body === "string" ? "text/plain" : "application/json");
  return [{ name, when, atStart, contentType: type, body: text }];
}
