/** Headers of messages: a name has a text, or a list of texts where a sender repeated the header. */

/** A list has two texts at least, in the order in which they came. */
export type HeaderValue = string | readonly string[];

/** Lower-case header name → value. `content-type` is not in here: it has its own field. */
export type Headers = Readonly<Record<string, HeaderValue>>;

/** Headers while they are put together. */
export type HeadersDraft = Record<string, HeaderValue>;

const surrogate = /[\ud800-\udfff]/u; // alone: in a pair it is part of a character
const text = /^[\t\x20-\x7e\x80-\u{10ffff}]*$/u;

/** False for a value that no protocol carries: line breaks and other control characters, half a surrogate pair. */
export function isHeaderText(value: string): boolean {
  return text.test(value) && !surrogate.test(value);
}

/** One text for a header: several values with commas between them, as HTTP reads a repeated field (RFC 9110, 5.3). */
export function headerText(value: HeaderValue): string;
export function headerText(value: HeaderValue | undefined): string | undefined;
export function headerText(value: HeaderValue | undefined): string | undefined {
  return value === undefined || typeof value === "string" ? value : value.join(", ");
}

/** All values of a header, none for an absent one. */
export function headerList(value: HeaderValue | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === "string" ? [value] : value;
}

/** Adds a value behind those that the name has already. */
export function appendHeader(headers: HeadersDraft, name: string, value: HeaderValue): void {
  const known = Object.hasOwn(headers, name) ? headers[name] : undefined;
  headers[name] = known === undefined ? value : [...headerList(known), ...headerList(value)];
}

/** Every value with its name: a repeated header comes several times. */
export function* headerPairs(headers: Headers): Iterable<readonly [string, string]> {
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === "string") yield [name, value];
    else for (const each of value) yield [name, each];
  }
}
