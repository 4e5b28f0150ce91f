/** Node's `util.inspect` and `util.format`: the same layout for what flows and packages show; no colours, no proxies shown. */
import { table } from "../table.ts";

export interface InspectOptions {
  readonly depth?: number | null;
  readonly showHidden?: boolean;
  readonly breakLength?: number;
  readonly compact?: boolean | number;
  readonly sorted?: boolean;
  readonly maxArrayLength?: number | null;
  readonly maxStringLength?: number | null;
}

export const custom: symbol = Symbol.for("nodejs.util.inspect.custom");

const defaults = { depth: 2, breakLength: 80, sorted: false, maxArrayLength: 100, maxStringLength: 10_000 };
interface Settings {
  readonly depth: number;
  readonly breakLength: number;
  readonly sorted: boolean;
  readonly maxArrayLength: number;
  readonly maxStringLength: number;
  readonly given: InspectOptions;
}

/** Characters kept free at the end of a line that several entries share. */
const roomAtEnd = 10;
/** Entries nest at most so deep on one line. */
const levelsOnOneLine = 3;

const escapes: Readonly<Record<string, string>> = table({ "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", "\\": "\\\\" });

function quoted(text: string): string {
  const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : !text.includes("`") && !text.includes("${") ? "`" : "'";
  const inner = text.replace(/[\x00-\x1f\x7f-\x9f\\]|\p{Surrogate}/gu, (each) => {
    const code = each.charCodeAt(0);
    return (
      escapes[each] ?? (code > 0xff ? `\\u${code.toString(16).toUpperCase()}` : `\\x${code.toString(16).toUpperCase().padStart(2, "0")}`)
    );
  });
  return `${mark}${mark === "'" ? inner.replaceAll("'", "\\'") : inner}${mark}`;
}

function shortText(text: string, { maxStringLength }: Settings): string {
  const over = text.length - maxStringLength;
  return over <= 0 ? quoted(text) : `${quoted(text.slice(0, maxStringLength))}... ${over} more character${over > 1 ? "s" : ""}`;
}

function primitive(value: unknown, settings: Settings): string {
  if (typeof value === "string") return shortText(value, settings);
  if (typeof value === "bigint") return `${value}n`;
  return Object.is(value, -0) ? "-0" : String(value);
}

function classOf(object: object): string | null {
  for (let at: object | null = object; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const found = Object.getOwnPropertyDescriptor(at, "constructor")?.value as unknown;
    if (typeof found === "function" && found.name !== "") return found.name;
  }
  return null;
}

/** `Name ` before a bracket, or nothing for one that goes without saying. */
function prefix(object: object, usual: string, size = ""): string {
  const name = classOf(object);
  const own = name === null ? `[${usual}${size}: null prototype] ` : name === usual && size === "" ? "" : `${name}${size} `;
  const tag = (object as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
  return typeof tag === "string" && tag !== "" && tag !== name && name !== null ? `${own || `${name} `}[${tag}] ` : own;
}

type AnyFunction = (...values: never[]) => unknown;

/** A class can't be given another prototype; an image has no source text to tell by. */
function functionText(value: AnyFunction): string {
  const kind = classOf(value) ?? "Function";
  if (Object.getOwnPropertyDescriptor(value, "prototype")?.writable !== false || kind.endsWith("GeneratorFunction"))
    return `[${kind}${value.name === "" ? " (anonymous)" : `: ${value.name}`}]`;
  const parent = (Object.getPrototypeOf(value) as { name?: string } | null)?.name ?? "";
  return `[class ${value.name || "(anonymous)"}${parent === "" ? "" : ` extends ${parent}`}]`;
}

class Inspection {
  readonly #settings: Settings;
  readonly #open: object[] = [];
  readonly #circular = new Map<object, number>();
  #indent = 0;
  /** Depth of the object inside which the last value was shown. */
  #deepest = 0;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  value(value: unknown, depth: number): string {
    if ((typeof value !== "object" && typeof value !== "function") || value === null) return primitive(value, this.#settings);
    const own = (value as { [key: symbol]: unknown })[custom];
    if (typeof own === "function") {
      const made = own.call(value, this.#settings.depth - depth, { ...this.#settings.given, stylize: String }, inspect) as unknown;
      if (made !== value)
        return typeof made === "string" ? made.replaceAll("\n", `\n${" ".repeat(this.#indent)}`) : this.value(made, depth);
    }
    if (this.#open.includes(value)) {
      if (!this.#circular.has(value)) this.#circular.set(value, this.#circular.size + 1);
      return `[Circular *${this.#circular.get(value)}]`;
    }
    return this.#object(value, depth);
  }

  #object(value: object, depth: number): string {
    const [base, brackets, entries, isList] = this.#shape(value);
    const keys = this.#keys(value, isList);
    const empty = entries === undefined && keys.length === 0;
    if (empty && base !== "" && brackets === undefined) return base;
    const [open, close] = brackets ?? ["{", "}"];
    if (this.#isEmpty(value) && keys.length === 0 && number(this.#circular, value) === "") return `${base}${open}${close}`;
    if (depth > this.#settings.depth) return `[${(classOf(value) ?? "Object: null prototype").trim()}]`;
    this.#open.push(value);
    this.#deepest = depth + 1;
    this.#indent += 2;
    const lines = [...(entries?.(depth + 1) ?? []), ...keys.map((key) => this.#property(value, key, depth + 1))];
    this.#indent -= 2;
    this.#open.pop();
    const start = `${number(this.#circular, value)}${brackets === undefined && base !== "" ? `${base} ${open}` : `${base}${open}`}`;
    if (lines.length === 0) return `${start}${close}`;
    return this.#joined(lines, { start, close, value, depth });
  }

  /** Text before the bracket (or alone), brackets, and entries that are no properties. */
  #shape(
    value: object,
  ): [
    base: string,
    brackets: readonly [string, string] | undefined,
    entries?: ((depth: number) => string[]) | undefined,
    isList?: boolean,
  ] {
    const braces = ["{", "}"] as const;
    if (Array.isArray(value)) {
      const named = prefix(value, "Array");
      return [named === "" ? "" : prefix(value, "Array", `(${value.length})`), ["[", "]"], (depth) => this.#list(value, depth), true];
    }
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
      const list = value as Uint8Array;
      return [prefix(list, "", `(${list.length})`).replace(/ \[\w+\] $/, " "), ["[", "]"], () => this.#numbers(list), true];
    }
    if (value instanceof Set)
      return [prefix(value, "Set", `(${value.size})`), braces, (depth) => [...value].map((each) => this.value(each, depth))];
    if (value instanceof Map) {
      const pairs = (depth: number) => [...value].map(([key, each]) => `${this.value(key, depth)} => ${this.value(each, depth)}`);
      return [prefix(value, "Map", `(${value.size})`), braces, pairs];
    }
    if (value instanceof Error) return [this.#error(value), undefined];
    if (value instanceof RegExp) return [String(value), undefined];
    if (value instanceof Date) return [Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString(), undefined];
    if (value instanceof Promise) return ["Promise ", braces, () => ["<pending>"]];
    if (typeof value === "function") {
      return [functionText(value as AnyFunction), undefined];
    }
    for (const boxed of [String, Number, Boolean])
      if (value instanceof boxed)
        return [`[${boxed.name}: ${primitive(value.valueOf(), this.#settings)}]`, undefined, undefined, boxed === String];
    return [prefix(value, "Object"), braces];
  }

  #error(error: Error): string {
    const head = String(error);
    const stack = typeof error.stack === "string" && error.stack !== "" ? error.stack : "";
    const whole = stack === "" ? `[${head}]` : stack.startsWith(head) ? stack : `${head}\n${stack}`;
    return whole.trimEnd().replaceAll("\n", `\n${" ".repeat(this.#indent)}`);
  }

  #keys(value: object, isList: boolean | undefined): (string | symbol)[] {
    let keys: (string | symbol)[] = Object.keys(value);
    if (isList === true) keys = keys.filter((key) => !/^\d+$/.test(key as string));
    if (value instanceof Error) keys = keys.filter((key) => key !== "stack" && key !== "message");
    if (this.#settings.sorted) keys.sort();
    const symbols = Object.getOwnPropertySymbols(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
    return [...keys, ...symbols];
  }

  #property(value: object, key: string | symbol, depth: number): string {
    const property = Object.getOwnPropertyDescriptor(value, key)!;
    const name =
      typeof key === "symbol"
        ? `[${String(key)}]`
        : key === "__proto__"
          ? "['__proto__']"
          : /^[a-zA-Z_][\w]*$/.test(key)
            ? key
            : quoted(key);
    if (property.get !== undefined) return `${name}: [Getter${property.set === undefined ? "" : "/Setter"}]`;
    if (property.set !== undefined) return `${name}: [Setter]`;
    return `${name}: ${this.value(property.value, depth)}`;
  }

  #list(value: readonly unknown[], depth: number): string[] {
    const lines: string[] = [];
    let holes = 0;
    const endHoles = (): void => {
      if (holes > 0) lines.push(`<${holes} empty item${holes > 1 ? "s" : ""}>`);
      holes = 0;
    };
    const shown = Math.min(value.length, this.#settings.maxArrayLength);
    for (let index = 0; index < shown; index++) {
      if (!Object.hasOwn(value, index)) {
        holes++;
        continue;
      }
      endHoles();
      lines.push(this.value(value[index], depth));
    }
    endHoles();
    return [...lines, ...more(value.length - shown)];
  }

  #numbers(list: Uint8Array): string[] {
    const shown = Math.min(list.length, this.#settings.maxArrayLength);
    return [...Array.from({ length: shown }, (_, index) => primitive(list[index], this.#settings)), ...more(list.length - shown)];
  }

  /** On one line where that is short, else a line for each; many short entries of a list in columns. */
  #joined(lines: string[], { start, close, value, depth }: Layout): string {
    let parts = lines;
    if (close === "]" && parts.length > 6) parts = columns(parts, value as readonly unknown[], this.#settings.breakLength - this.#indent);
    if (parts === lines && this.#deepest - depth - 1 < levelsOnOneLine) {
      const total = parts.reduce((sum, line) => sum + line.length, 0) + 2 * parts.length + start.length + this.#indent + roomAtEnd;
      if (total <= this.#settings.breakLength && !parts.some((line) => line.includes("\n"))) return `${start} ${parts.join(", ")} ${close}`;
    }
    const indent = `\n${" ".repeat(this.#indent)}`;
    return `${start}${indent}  ${parts.join(`,${indent}  `)}${indent}${close}`;
  }

  #isEmpty(value: object): boolean {
    return Array.isArray(value) ? value.length === 0 : value instanceof Set || value instanceof Map ? value.size === 0 : isPlain(value);
  }
}

/** Objects without entries of their own but properties. */
function isPlain(value: object): boolean {
  return typeof value !== "function" && !(value instanceof Error || value instanceof Promise || ArrayBuffer.isView(value));
}

/** The mark of an object that refers to itself. */
function number(circular: ReadonlyMap<object, number>, value: object): string {
  const found = circular.get(value);
  return found === undefined ? "" : `<ref *${found}> `;
}

interface Layout {
  readonly start: string;
  readonly close: string;
  readonly value: object;
  readonly depth: number;
}

function more(count: number): string[] {
  return count > 0 ? [`... ${count} more item${count > 1 ? "s" : ""}`] : [];
}

/** Entries of a list side by side in columns of one width, as many as make the list about as wide as it is high. */
function columns(lines: string[], value: readonly unknown[], room: number): string[] {
  const rest = lines.length > value.length || lines.at(-1)?.startsWith("... ") === true ? 1 : 0;
  const entries = lines.slice(0, lines.length - rest);
  const widths = entries.map((line) => line.length + 2);
  const widest = Math.max(...widths);
  const total = widths.reduce((sum, width) => sum + width, 0);
  if (widest * 3 >= room || (total / widest <= 5 && widest > 6 + 2)) return lines;
  const bias = Math.max(widest - 3 - Math.sqrt(widest - total / lines.length), 1);
  const across = Math.min(Math.round(Math.sqrt(2.5 * bias * entries.length) / bias), Math.floor(room / widest), 3 * 4, 15);
  if (across <= 1) return lines;
  const columnWidths = Array.from({ length: across }, (_, column) =>
    Math.max(...widths.filter((_each, index) => index % across === column)),
  );
  const numbers = value.every((each) => typeof each === "number" || typeof each === "bigint");
  const rows: string[] = [];
  for (let at = 0; at < entries.length; at += across) {
    const row = entries.slice(at, at + across);
    const cells = row.map((cell, column) => {
      const last = column === row.length - 1;
      const text = last ? cell : `${cell}, `;
      const width = columnWidths[column]! - (last ? 2 : 0);
      return numbers ? text.padStart(width) : last ? text : text.padEnd(width);
    });
    rows.push(cells.join(""));
  }
  return [...rows, ...lines.slice(entries.length)];
}

export function inspect(value: unknown, options?: InspectOptions | boolean | null): string {
  const given = typeof options === "object" && options !== null ? options : {};
  const number = (wanted: number | null | undefined, otherwise: number): number =>
    wanted === null ? Number.POSITIVE_INFINITY : (wanted ?? otherwise);
  return new Inspection({
    depth: number(given.depth, defaults.depth),
    breakLength: given.breakLength ?? defaults.breakLength,
    sorted: given.sorted ?? defaults.sorted,
    maxArrayLength: number(given.maxArrayLength, defaults.maxArrayLength),
    maxStringLength: number(given.maxStringLength, defaults.maxStringLength),
    given,
  }).value(value, 0);
}

function formatted(mark: string, value: unknown): string {
  if (mark === "%s") {
    if (typeof value === "string") return value;
    if (typeof value !== "object" || value === null) return primitive(value, {} as Settings);
    const own = Object.hasOwn(value, "toString") || (classOf(value) !== "Object" && !Array.isArray(value));
    return own && typeof value.toString === "function" && !(value instanceof Error) ? String(value) : inspect(value, { depth: 0 });
  }
  if (mark === "%j") return JSON.stringify(value) ?? "undefined";
  if (mark === "%o" || mark === "%O") return inspect(value, { depth: mark === "%o" ? 4 : 2 });
  if (mark === "%c") return "";
  if (typeof value === "bigint" && mark !== "%f") return `${value}n`;
  if (typeof value === "symbol") return "NaN";
  return primitive(mark === "%d" ? Number(value) : mark === "%i" ? parseInt(String(value)) : parseFloat(String(value)), {} as Settings);
}

export function format(...values: unknown[]): string {
  let used = 0;
  let text = "";
  if (typeof values[0] === "string") {
    used = 1;
    text = values[0].replace(/%[sdifjoOc%]/g, (mark) => {
      if (mark === "%%") return values.length > 1 ? "%" : mark;
      return used < values.length ? formatted(mark, values[used++]) : mark;
    });
  }
  const rest = values.slice(used).map((value) => (typeof value === "string" ? value : inspect(value)));
  return used === 0 ? rest.join(" ") : [text, ...rest].join(" ");
}
