/** Rows of a locale's table for dates and times, from Node's own Intl.DateTimeFormat: each pattern is read from one text and proved on others. */
import { deepStrictEqual } from "node:assert";
import { joined } from "../date-words.ts";
import { type DatePart, dateShape, type Moment, patternIn, patternParts, stylesKey, timeShape } from "../patterns.ts";
import { offsetText } from "../zone-words.ts";
import { listedZones, typeAt, zoneOf } from "../zones.ts";

type Options = Readonly<Record<string, unknown>>;
type Components = Moment["components"];
/** A single digit in each number. */
const probeMs = Date.UTC(2004, 1, 3, 4, 5, 6, 123);
const proofs = [probeMs, Date.UTC(1999, 11, 31, 23, 59, 58, 7), Date.UTC(2026, 8, 10, 12, 0, 0), Date.UTC(2031, 4, 15, 0, 30, 9, 990)];
const widths = ["narrow", "short", "long"];
const halfDay = (cycle: string): boolean => cycle === "h11" || cycle === "h12";

function groupBy<T>(all: Iterable<T>, keyOf: (each: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const each of all) groups.set(keyOf(each), [...(groups.get(keyOf(each)) ?? []), each]);
  return groups;
}

function partsOf(tag: string, options: Options, timeMs = probeMs): DatePart[] {
  return new Intl.DateTimeFormat(tag, { timeZone: "UTC", ...options }).formatToParts(timeMs);
}

export class DateRows {
  readonly rows = new Map<string, string>();
  readonly dropped: string[] = [];
  readonly #lists: string[] = [];
  /** Patterns are made for the very styles that were asked for. */
  #isFixed = false;
  readonly #tag: string;

  constructor(tag: string) {
    this.#tag = tag;
  }

  #list(names: readonly string[]): string {
    const text = names.join("|");
    if (!this.#lists.includes(text)) this.#lists.push(text);
    const index = this.#lists.indexOf(text).toString(36);
    if (index.length > 1) throw new Error(`${this.#tag} has too many lists of names`);
    this.rows.set(`l${index}`, text);
    return index;
  }

  #value(options: Options, type: string, timeMs: number): string {
    return partsOf(this.#tag, options, timeMs).find((each) => each.type === type)?.value ?? "";
  }

  /** How a number is written when it is asked for with each style. Of a style such as "full" there is one. */
  #digits(options: Options, type: string): string {
    const details = ["numeric", "2-digit"].map((style) => {
      const text = this.#value(type in options && !this.#isFixed ? { ...options, [type]: style } : options, type, probeMs);
      return type === "year" ? (text.length === 2 ? "2" : "1") : text.startsWith("0") ? "2" : "1";
    });
    return details.join("") === "12" ? "" : details.join("");
  }

  #names(options: Options, type: string, times: readonly number[]): string {
    const lists = (type in options && !this.#isFixed ? widths : [undefined]).map((width) =>
      this.#list(times.map((timeMs) => this.#value(width === undefined ? options : { ...options, [type]: width }, type, timeMs))),
    );
    return lists.join("");
  }

  #field({ type, value }: DatePart, options: Options): string {
    switch (type) {
      case "literal":
        return value;
      case "weekday":
        return `{w${this.#names(
          options,
          type,
          [4, 5, 6, 7, 8, 9, 10].map((day) => Date.UTC(2026, 0, day, 4)),
        )}}`;
      case "era":
        return `{G${this.#names(options, type, [Date.UTC(-50, 1, 3), probeMs])}}`;
      case "month": {
        if (/^\d+$/.test(value)) return `{M${this.#digits(options, type)}}`;
        const all = Array.from({ length: 12 }, (_, month) => this.#value(options, type, Date.UTC(2004, month, 3)));
        return `{N${this.#list(all)}}`;
      }
      case "dayPeriod":
        return `{a${this.#list(Array.from({ length: 24 }, (_, hour) => this.#value(options, type, Date.UTC(2004, 1, 3, hour, 5, 6))))}}`;
      case "fractionalSecond":
        return "{f}";
      case "timeZoneName":
        return "{z}";
      default:
        return `{${type[0]!}${this.#digits(options, type)}}`;
    }
  }

  pattern(options: Options): string {
    return partsOf(this.#tag, options)
      .map((each) => this.#field(each, options))
      .join("");
  }

  text(pattern: string, options: Options, timeMs: number): DatePart[] {
    const style = options["timeZoneName"];
    const resolved = new Intl.DateTimeFormat(this.#tag, options).resolvedOptions();
    const moment: Moment = {
      clock: new Date(timeMs),
      components: options as Components,
      hourCycle: resolved.hourCycle,
      zoneName: () => this.#value({ timeZoneName: style ?? (options["timeStyle"] === "full" ? "long" : "short") }, "timeZoneName", timeMs),
    };
    return joined(patternParts(pattern, moment, this.rows));
  }

  /** Undefined if the pattern gives Node's texts for each of these options; else a text in which it does not. */
  #fault(pattern: string, all: readonly Options[]): string | undefined {
    for (const options of all)
      for (const timeMs of proofs) {
        const [made, node] = [this.text(pattern, options, timeMs), partsOf(this.#tag, options, timeMs)];
        try {
          deepStrictEqual(made, node);
        } catch {
          return `${JSON.stringify(options)} ${made.map(({ value }) => value).join("")} for ${node.map(({ value }) => value).join("")}`;
        }
      }
    return undefined;
  }

  /** Keeps the pattern for the styles for which it gives Node's texts; for others one of their own. */
  #prove(key: string, pattern: string, all: readonly Options[]): void {
    const groups = [...groupBy(all, (options) => stylesKey(options as Components))];
    const others = groups.filter(([, group]) => this.#fault(pattern, group) !== undefined);
    if (others.length < groups.length) this.rows.set(key, pattern);
    for (const [styles, group] of others) {
      this.#isFixed = true;
      const own = this.pattern(group[0]!);
      this.#isFixed = false;
      const fault = this.#fault(own, group);
      if (fault !== undefined) this.dropped.push(`${key} ${fault}`);
      if (fault === undefined) this.rows.set(`${key}/${styles}`, own);
      else if (others.length < groups.length) this.rows.set(`${key}/${styles}`, "?");
    }
  }

  addDates(): void {
    const choices = (component: string, styles: readonly string[]): Options[] => [{}, ...styles.map((style) => ({ [component]: style }))];
    const combined = (groups: readonly Options[][]): Options[] =>
      groups.reduce<Options[]>((all, group) => all.flatMap((each) => group.map((other) => ({ ...each, ...other }))), [{}]);
    const all = combined([
      choices("weekday", widths),
      choices("era", widths),
      choices("year", ["numeric", "2-digit"]),
      choices("month", ["numeric", "2-digit", ...widths]),
      choices("day", ["numeric", "2-digit"]),
    ]);
    const shapes = groupBy(all, (options) => dateShape(options as Components));
    for (const [shape, group] of shapes) {
      if (shape === "" || (shape.includes("G") && !shape.includes("y"))) continue;
      // Ends Node 20: a check of V8's fails.
      if (this.#tag === "de-CH" && /^w?GyMd$/.test(shape)) continue;
      const first = group.find(
        (each) => each["weekday"] !== "narrow" && each["weekday"] !== "short" && each["era"] !== "narrow" && each["era"] !== "long",
      )!;
      this.#prove(`d${shape}`, this.pattern(first), group);
    }
    for (const dateStyle of ["full", "long", "medium", "short"]) this.#prove(`d${dateStyle}`, this.pattern({ dateStyle }), [{ dateStyle }]);
  }

  #clockShapes(): Map<string, Options[]> {
    const found: Options[] = [];
    const numbers = ["numeric", "2-digit"];
    for (const hour of [undefined, ...numbers])
      for (const minute of [undefined, ...numbers])
        for (const second of [undefined, ...numbers])
          for (const fractionalSecondDigits of second === undefined ? [undefined] : [undefined, 1, 3])
            for (const timeZoneName of [undefined, "short", "long", "shortOffset", "longOffset"])
              for (const hourCycle of hour === undefined ? [undefined] : ["h12", "h11", "h23"]) {
                if (hour !== undefined && second !== undefined && minute === undefined) continue;
                if ((hour ?? minute ?? second ?? timeZoneName) === undefined) continue;
                const given = { hour, minute, second, fractionalSecondDigits, timeZoneName, hourCycle };
                found.push(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)));
              }
    return groupBy(found, (options) => timeShape(options as Components, options["hourCycle"] as never));
  }

  addTimes(): void {
    for (const [shape, group] of this.#clockShapes()) {
      // Alone, a zone comes with a date.
      if (shape === "z") continue;
      this.#prove(`t${shape}`, this.pattern(group[0]!), group);
    }
    for (const timeStyle of ["full", "long", "medium", "short"])
      for (const cycle of ["h12", "h23"]) {
        const options = { timeStyle, hourCycle: cycle };
        const both = halfDay(cycle) ? ["h11", "h12"] : ["h23"];
        this.#prove(
          `t${halfDay(cycle) ? 12 : 24}${timeStyle}`,
          this.pattern(options),
          both.map((hourCycle) => ({ timeStyle, hourCycle })),
        );
      }
  }

  /** The text between a date and a time; "?" where their order is another. */
  #between(date: Options, dateKey: string, time: Options, timeKey: string): string | undefined {
    const [before, after] = [
      patternIn(this.rows, `d${dateKey}`, date as Components),
      timeKey === "z" ? "{z}" : patternIn(this.rows, `t${timeKey}`, time as Components),
    ];
    if (before === undefined || after === undefined) return undefined;
    const options = { ...date, ...time };
    const text = (parts: readonly DatePart[]): string => parts.map(({ value }) => value).join("");
    const whole = text(partsOf(this.#tag, options));
    const [first, last] = [text(this.text(before, options, probeMs)), text(this.text(after, options, probeMs))];
    return whole.startsWith(first) && whole.endsWith(last) ? whole.slice(first.length, whole.length - last.length) : "?";
  }

  /** `g`: the commonest; `gDATE` and `gDATE:TIME` where it is another. */
  addGlue(): void {
    this.rows.set("tz", "{z}");
    const times = new Map<string, Options>([...this.#clockShapes()].map(([shape, [first]]) => [shape, first!]));
    const texts = new Map<string, Map<string, string>>();
    const note = (date: string, time: string, text: string | undefined): void => {
      if (text !== undefined) (texts.get(date) ?? texts.set(date, new Map()).get(date)!).set(time, text);
    };
    const shapes = new Set([...this.rows.keys()].flatMap((key) => /^d([wGyMSLNd]+)(?:\/|$)/.exec(key)?.[1] ?? []));
    for (const shape of shapes) {
      const month = { M: "numeric", S: "short", L: "long", N: "narrow" }[/[MSLN]/.exec(shape)?.[0] ?? ""];
      const date = {
        ...(shape.includes("w") && { weekday: "long" }),
        ...(shape.includes("G") && { era: "short" }),
        ...(shape.includes("y") && { year: "numeric" }),
        ...(month && { month }),
        ...(shape.includes("d") && { day: "numeric" }),
      };
      for (const [timeKey, time] of times) note(shape, timeKey, this.#between(date, shape, time, timeKey));
      if (shape !== "w") continue;
      // CLDR has patterns for a weekday with a time, with names and digits of their own.
      for (const [timeKey, group] of this.#clockShapes())
        for (const weekday of widths)
          for (const time of group)
            if (this.#between({ weekday }, shape, time, timeKey) !== texts.get(shape)?.get(timeKey)) note(shape, timeKey, "?");
    }
    for (const dateStyle of ["full", "long", "medium", "short"])
      for (const timeStyle of ["full", "long", "medium", "short"])
        for (const hourCycle of ["h12", "h23"]) {
          const timeKey = `${halfDay(hourCycle) ? 12 : 24}${timeStyle}`;
          note(dateStyle, timeKey, this.#between({ dateStyle }, dateStyle, { timeStyle, hourCycle }, timeKey));
        }
    const commonest = (all: Iterable<string>): string =>
      [...groupBy(all, (each) => each)].sort(([, a], [, b]) => b.length - a.length)[0]![0];
    const usual = commonest([...texts.values()].flatMap((each) => [...each.values()]));
    this.rows.set("g", usual);
    for (const [date, each] of texts) {
      const here = commonest(each.values());
      if (here !== usual) this.rows.set(`g${date}`, here);
      for (const [time, text] of each) if (text !== here) this.rows.set(`g${date}:${time}`, text);
    }
  }

  /** Takes away the lists of names that no pattern has. */
  prune(): void {
    const patterns = [...this.rows].flatMap(([key, value]) => (/^[dt]/.test(key) ? [...value.matchAll(/\{[NwGa]([^}]*)\}/g)] : []));
    const used = new Set(patterns.flatMap(([, lists = ""]) => [...lists]));
    for (const key of [...this.rows.keys()]) if (/^l.$/.test(key) && !used.has(key[1]!)) this.rows.delete(key);
  }

  addCycles(): void {
    const resolved = new Intl.DateTimeFormat(this.#tag, { hour: "numeric" }).resolvedOptions();
    this.rows.set("cycle", resolved.hourCycle!);
    // As in Node 24.
    if (this.#tag.startsWith("ja")) this.rows.set("cycle12", "h11");
  }

  addZones(): void {
    const name = (timeZone: string, timeZoneName: string, timeMs: number): string =>
      this.#value({ timeZone, timeZoneName }, "timeZoneName", timeMs);
    const january = Date.UTC(2019, 0, 15);
    const [, prefix = "", plus = "", separator = ""] = /^(\D*?)([+])\d\d(.)\d\d$/.exec(name("Asia/Kathmandu", "longOffset", january)) ?? [];
    const minus = name("America/New_York", "longOffset", january).slice(prefix.length).replace(/\d.*/, "");
    const gmt = [prefix, plus, minus, separator, name("UTC", "short", january), name("UTC", "long", january)].join("|");
    this.rows.set("gmt", gmt);
    for (const [key, style] of [
      ["zs", "short"],
      ["zl", "long"],
    ] as const) {
      const found = new Map<string, { zone: string; name: string }[]>();
      for (const zone of listedZones()) {
        if (zone === "UTC") continue;
        for (const timeMs of [january, Date.UTC(2019, 6, 15)]) {
          const type = typeAt(zoneOf(zone)!, timeMs);
          const shown = name(zone, style, timeMs);
          const isOffset = style === "short" && shown === offsetText(type.offsetMs, false, gmt);
          const group = found.get(type.abbreviation) ?? found.set(type.abbreviation, []).get(type.abbreviation)!;
          group.push({ zone, name: isOffset ? "" : shown });
        }
      }
      const entries: string[] = [];
      const exceptions = new Set<string>();
      for (const [abbreviation, group] of found) {
        const usual = abbreviation === "" ? (style === "short" ? "" : undefined) : commonestName(group.map((each) => each.name));
        if (abbreviation !== "" && usual !== "") entries.push(`${abbreviation}=${usual!}`);
        if (usual !== undefined) for (const each of group) if (each.name !== usual) exceptions.add(each.zone);
      }
      for (const zone of exceptions) {
        // A zone that has changed its clocks may have had other names.
        const isOne = style === "short" && zoneOf(zone)!.types.length === 1;
        entries.push(`${zone}=${isOne ? [...found.values()].flat().find((each) => each.zone === zone)!.name : "?"}`);
      }
      this.rows.set(key, entries.join(","));
    }
  }
}

function commonestName(names: readonly string[]): string {
  return [...groupBy(names, (each) => each)].sort(([, a], [, b]) => b.length - a.length)[0]![0];
}

export function dateRows(tag: string): DateRows {
  const made = new DateRows(tag);
  made.addCycles();
  made.addDates();
  made.addTimes();
  made.addGlue();
  made.addZones();
  made.prune();
  return made;
}
