/** The part `nodequery`: Node's querystring. */

type Values = Readonly<Record<string, unknown>>;
interface Options {
  readonly maxKeys?: number;
  readonly encodeURIComponent?: (text: string) => string;
  readonly decodeURIComponent?: (text: string) => string;
}

/** Characters that encodeURIComponent leaves, and Node's escape too. */
function escape(text: unknown): string {
  return encodeURIComponent(typeof text === "string" ? text.replace(/\p{Surrogate}/gu, "\ufffd") : String(text));
}

/** A text that is not well escaped is taken for bytes, one a character, as Node takes it. */
function unescape(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    const pieces = text.match(/%[0-9a-f]{2}|[^]/gi) ?? [];
    const bytes = pieces.map((piece) => (piece.length === 3 ? Number.parseInt(piece.slice(1), 16) : piece.charCodeAt(0)));
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
  }
}

function scalar(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return Number.isFinite(value) ? `${value}` : "";
  return typeof value === "bigint" || typeof value === "boolean" ? `${value}` : "";
}

function stringify(values: unknown, separator = "&", equals = "=", options?: Options): string {
  if (typeof values !== "object" || values === null) return "";
  const encode = options?.encodeURIComponent ?? module.escape;
  return Object.entries(values as Values)
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((each) => `${encode(name)}${equals}${encode(scalar(each))}`))
    .join(separator);
}

/** An escaped byte, as Node looks for one; in values it reads over plus signs. */
const escapedName = /%[0-9a-f]{2}/i;
const escapedValue = /%\+*[0-9a-f]\+*[0-9a-f]/i;

/** True if Node takes the value for escaped: also where an escaped byte of the name has another behind it. */
function isValueEscaped(name: string, value: string): boolean {
  const first = escapedName.exec(name);
  return escapedValue.test(value) || (first !== null && escapedValue.test(name.slice(first.index + first[0].length)));
}

function parse(text: unknown, separator = "&", equals = "=", options?: Options): Record<string, string | string[]> {
  const found = Object.create(null) as Record<string, string | string[]>;
  if (typeof text !== "string" || text === "") return found;
  const decode = options?.decodeURIComponent ?? module.unescape;
  const isOwn = decode === unescape;
  const read = (part: string, isEscaped: boolean): string => {
    const spaced = part.replaceAll("+", isOwn ? " " : "%20");
    return part === "" || (isOwn && !isEscaped) ? spaced : decode(spaced);
  };
  const most = options?.maxKeys ?? 1000;
  let pairs = text.split(separator || "&");
  if (most > 0) pairs = pairs.slice(0, most);
  for (const pair of pairs) {
    if (pair === "") continue;
    const at = pair.indexOf(equals || "=");
    const [givenName, given] = at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + (equals || "=").length)];
    const name = read(givenName, escapedName.test(givenName));
    const value = read(given, isValueEscaped(givenName, given));
    const before = found[name];
    if (before === undefined) found[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else found[name] = [before, value];
  }
  return found;
}

declare class TextDecoder {
  constructor(label: string, options: { readonly ignoreBOM: boolean });
  decode(bytes: Uint8Array): string;
}

/** For the package `url`, which calls another parser of queries, with settings of that. */
const likeQs = { parse: (text: unknown) => parse(text), stringify: (values: unknown) => stringify(values) };
const module = { parse, stringify, escape, unescape, decode: parse, encode: stringify, likeQs };
export default module;
