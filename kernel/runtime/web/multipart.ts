/**
 * multipart/form-data (RFC 7578, with names as HTML §4.10.21.8 writes them), strict: what two readers could take for two different forms
 * is refused. Pure: bytes in, parts out.
 *
 *   --BOUNDARY CRLF
 *   Content-Disposition: form-data; name="a"; filename="b.txt" CRLF
 *   Content-Type: text/plain CRLF
 *   CRLF
 *   bytes CRLF
 *   --BOUNDARY--
 */

export interface Part {
  readonly name: string;
  /** Undefined for a field that is no file. */
  readonly filename: string | undefined;
  /** The header `content-type`, if there is one. */
  readonly type: string | undefined;
  /** A view of the body. */
  readonly bytes: Uint8Array;
}

const mostParts = 10_000;
/** Most bytes of one part's headers. */
const mostHeaderBytes = 16 * 1024;
/** RFC 2046, §5.1.1. */
const boundaryShape = /^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/;

function refuse(what: string, at: number): never {
  throw new TypeError(`${what} at byte ${at}`);
}

function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function isAt(bytes: Uint8Array, pattern: Uint8Array, at: number): boolean {
  for (let index = 0; index < pattern.length; index++) if (bytes[at + index] !== pattern[index]) return false;
  return true;
}

/** Finds a pattern by Horspool's algorithm, which looks at few of the bytes: files are long. */
class Finder {
  readonly pattern: Uint8Array;
  /** By the byte below the pattern's end: how far the pattern may move on. */
  readonly #skips: Uint8Array;

  constructor(text: string) {
    this.pattern = asciiBytes(text);
    const last = this.pattern.length - 1;
    this.#skips = new Uint8Array(256).fill(last + 1);
    for (let index = 0; index < last; index++) this.#skips[this.pattern[index]!] = last - index;
  }

  /** The first place at or after `from`, with its end not after `end`; -1 without one. */
  find(bytes: Uint8Array, from: number, end: number): number {
    const { pattern } = this;
    const skips = this.#skips;
    const last = pattern.length - 1;
    const lastByte = pattern[last]!;
    for (let at = from + last; at < end; ) {
      const byte = bytes[at]!;
      if (byte === lastByte && isAt(bytes, pattern, at - last)) return at - last;
      at += skips[byte]!;
    }
    return -1;
  }
}

const lineEnd = asciiBytes("\r\n");
const headersEnd = new Finder("\r\n\r\n");
const [space, tab, dash] = [0x20, 0x09, 0x2d];

/** Name, file name and type of one part, from its header fields. */
interface Fields {
  readonly name: string;
  readonly filename: string | undefined;
  readonly type: string | undefined;
}

const fieldShape = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([^\r\n]*?)[\t ]*$/;
const parameterShape = /[\t ]*;[\t ]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"([^"]*)"|([!#$%&'*+.^_`|~0-9A-Za-z-]+))/y;
const escapes = new Map([
  ["%0A", "\n"],
  ["%0D", "\r"],
  ["%22", '"'],
]);

function unescaped(text: string): string {
  return text.replace(/%0A|%0D|%22/g, (escape) => escapes.get(escape)!);
}

/** The parameters of a Content-Disposition; `at`: the place of the part, for errors. */
function disposition(value: string, at: number): ReadonlyMap<string, string> {
  const kind = /^form-data(?=[\t ;]|$)/i.exec(value);
  if (kind === null) refuse("a part is not form-data", at);
  const parameters = new Map<string, string>();
  let place = kind[0].length;
  while (place < value.length) {
    parameterShape.lastIndex = place;
    const found = parameterShape.exec(value);
    if (found === null) refuse("the parameters of a Content-Disposition are malformed", at);
    const name = found[1]!.toLowerCase();
    if (parameters.has(name)) refuse(`a Content-Disposition has two parameters ${name}`, at);
    parameters.set(name, found[2] === undefined ? found[3]! : unescaped(found[2]));
    place = parameterShape.lastIndex;
  }
  return parameters;
}

/** `UTF-8''a%20b` (RFC 8187): some senders write it beside or in place of `filename`. */
function extendedName(value: string, at: number): string {
  const found = /^utf-8'[^']*'(.*)$/is.exec(value);
  if (found === null) refuse("a filename* is not in UTF-8", at);
  try {
    return decodeURIComponent(found[1]!);
  } catch {
    return refuse("a filename* is malformed", at);
  }
}

function readFields(text: string, at: number): Fields {
  const fields = new Map<string, string>();
  for (const line of text === "" ? [] : text.split("\r\n")) {
    const found = fieldShape.exec(line);
    if (found === null) refuse("the headers of a part are malformed", at);
    const name = found[1]!.toLowerCase();
    if (fields.has(name)) refuse(`a part has two headers ${name}`, at);
    fields.set(name, found[2]!);
  }
  const encoding = fields.get("content-transfer-encoding");
  if (encoding !== undefined && !/^(?:7bit|8bit|binary)$/i.test(encoding)) refuse(`a part is encoded as ${encoding}`, at);
  const parameters = disposition(fields.get("content-disposition") ?? "", at);
  const name = parameters.get("name");
  if (name === undefined) refuse("a part has no name", at);
  const extended = parameters.get("filename*");
  const filename = extended === undefined ? parameters.get("filename") : extendedName(extended, at);
  return { name, filename, type: fields.get("content-type") };
}

/** The place behind a delimiter's line; undefined behind the last one. */
function afterDelimiter(bytes: Uint8Array, at: number): number | undefined {
  const isLast = bytes[at] === dash && bytes[at + 1] === dash;
  let end = isLast ? at + 2 : at;
  while (bytes[end] === space || bytes[end] === tab) end++; // transport padding
  if (isLast && end === bytes.length) return undefined;
  if (!isAt(bytes, lineEnd, end)) refuse("the line of a boundary goes on", end);
  if (!isLast) return end + lineEnd.length;
  if (end + lineEnd.length < bytes.length) refuse("something follows the last boundary", end);
  return undefined;
}

/** The parts of a body, in order. `decode` reads UTF-8. Throws TypeError with the place of what is malformed. */
export function parseMultipart(bytes: Uint8Array, boundary: string, decode: (bytes: Uint8Array) => string): Part[] {
  if (!boundaryShape.test(boundary)) throw new TypeError("the content type has no valid boundary");
  const finder = new Finder(`\r\n--${boundary}`);
  const delimiter = finder.pattern;
  const parts: Part[] = [];
  // The first delimiter is at the beginning, without a line break before it.
  if (!isAt(bytes, delimiter.subarray(lineEnd.length), 0)) refuse("no boundary", 0);
  let at = afterDelimiter(bytes, delimiter.length - lineEnd.length);
  while (at !== undefined) {
    if (parts.length === mostParts) refuse(`more than ${mostParts} parts`, at);
    const end = headersEnd.find(bytes, at, Math.min(at + mostHeaderBytes, bytes.length));
    if (end < 0) refuse(`the headers of a part don't end within ${mostHeaderBytes} bytes`, at);
    const fields = readFields(decode(bytes.subarray(at, end)), at);
    const from = end + headersEnd.pattern.length;
    const to = finder.find(bytes, from, bytes.length);
    if (to < 0) refuse("a part has no end", from);
    parts.push({ ...fields, bytes: bytes.subarray(from, to) });
    at = afterDelimiter(bytes, to + delimiter.length);
  }
  return parts;
}

/** A field's name or a file's name between quotes. */
export function quotedName(name: string): string {
  return `"${name.replace(/\n/g, "%0A").replace(/\r/g, "%0D").replace(/"/g, "%22")}"`;
}

/** Line breaks of any kind as CRLF, in which names and texts are sent. */
export function withLineBreaks(text: string): string {
  return text.replace(/\r\n?|\n/g, "\r\n");
}
