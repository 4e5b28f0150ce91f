/** Numbers, bodies and tables as people read them. */
import { extname } from "node:path";
import { fromUtf8, table as namedTable } from "#base";

const contentTypes: Readonly<Record<string, string>> = namedTable({
  ".json": "application/json",
  ".ndjson": "application/x-ndjson",
  ".xml": "application/xml",
  ".csv": "text/csv",
  ".txt": "text/plain; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".yaml": "application/yaml",
  ".yml": "application/yaml",
  ".pdf": "application/pdf",
  ".form": "application/x-www-form-urlencoded",
});

/** The content type of a file by its ending; application/octet-stream when it says nothing. */
export function contentTypeOf(path: string): string {
  return contentTypes[extname(path).toLowerCase()] ?? "application/octet-stream";
}

/** UTF-8 text of a body, or undefined when it is not that. */
export function textOf(body: Uint8Array): string | undefined {
  const text = fromUtf8(body);
  if (!text.includes("\ufffd")) return text.includes("\0") ? undefined : text;
  return Buffer.compare(Buffer.from(text, "utf8"), body) === 0 ? text : undefined;
}

/** Characters of windows-1252 from 0x80 on. */
const windows = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ";

/** The charset that a content type names, but for UTF-8. */
export function charsetOf(contentType: string): string | undefined {
  const [, charset = "utf-8"] = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType) ?? [];
  return /^utf-?8$/i.test(charset) ? undefined : charset;
}

/** The body's text by the charset of its content type; without one, or where the bytes are malformed in it, as `textOf` has it. */
export function textIn(body: Uint8Array, contentType: string): string | undefined {
  const charset = charsetOf(contentType);
  if (charset === undefined) return textOf(body);
  try {
    const decoder = new TextDecoder(charset, { fatal: true });
    const text = decoder.decode(body);
    // Some versions of Node read it as Latin-1.
    return decoder.encoding === "windows-1252" ? text.replace(/[\x80-\x9f]/g, (control) => windows[control.charCodeAt(0) - 0x80]!) : text;
  } catch {
    return textOf(body); // or a charset that Node does not know
  }
}

/** The content type of a body that came without a name, by its first characters. */
export function guessContentType(body: Uint8Array): string {
  const text = textOf(body)?.trimStart();
  if (text === undefined) return "application/octet-stream";
  if (text.startsWith("{") || text.startsWith("[")) return "application/json";
  return text.startsWith("<") ? "application/xml" : "text/plain; charset=utf-8";
}

export interface BodyJson {
  readonly body: string;
  /** Present when `body` is not the text itself. */
  readonly encoding?: "base64";
}

/** A body for JSON output: the text when it is UTF-8, base64 otherwise. */
export function bodyJson(body: Uint8Array): BodyJson {
  const text = textOf(body);
  return text === undefined ? { body: Buffer.from(body).toString("base64"), encoding: "base64" } : { body: text };
}

/** JSON of fields a machine logged; as text when it is not JSON. */
export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return json;
  }
}

export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

export function msText(ms: number): string {
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  return ms < 10_000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

const spanUnits = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
] as const;

/** An exact span of time, `2d 3h`; `0s` for none. */
export function spanText(ms: number): string {
  let left = Math.max(0, Math.round(ms));
  const parts: string[] = [];
  for (const [unit, size] of spanUnits) {
    const count = Math.floor(left / size);
    if (count > 0) parts.push(`${count}${unit}`);
    left -= count * size;
  }
  return parts.length === 0 ? "0s" : parts.join(" ");
}

/** Milliseconds with three digits behind the point, for JSON. */
export function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** Indents every line. */
export function indent(text: string, by = "  "): string {
  return text
    .split("\n")
    .map((line) => (line === "" ? line : by + line))
    .join("\n");
}

/** Columns side by side; those named in `right` are set flush right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths: number[] = [];
  for (const row of rows) for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  const line = (row: readonly string[]): string =>
    row.map((cell, index) => (right.includes(index) ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0))).join("  ");
  return rows.map((row) => `${line(row).trimEnd()}\n`).join("");
}

/** Text that came from a message, fit for a terminal: nothing in it moves the cursor or rings the bell, and it ends somewhere. */
export function safeText(text: string, mostCharacters = 2000): string {
  const plain = text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (character) => {
    const code = character.charCodeAt(0).toString(16);
    return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u${code.padStart(4, "0")}`;
  });
  return plain.length <= mostCharacters ? plain : `${plain.slice(0, mostCharacters)}… (${plain.length} characters)`;
}

/** A body as lines for people: JSON laid out, long texts cut, binary counted. */
export function bodyText(body: Uint8Array, contentType: string, mostLines = 40): string {
  const text = textIn(body, contentType);
  if (text === undefined) return `${body.length} bytes of ${contentType === "" ? "binary data" : contentType}`;
  const laidOut = /[/+]json\b/.test(contentType) ? layOut(text) : text.trimEnd();
  const lines = laidOut.split(/\r?\n/).map((line) => safeText(line));
  return lines.length <= mostLines
    ? lines.join("\n")
    : [...lines.slice(0, mostLines), `… ${lines.length - mostLines} more lines`].join("\n");
}

function layOut(text: string): string {
  try {
    const value = JSON.parse(text) as unknown;
    const oneLine = JSON.stringify(value);
    return oneLine.length <= 100 ? oneLine : JSON.stringify(value, undefined, 2);
  } catch {
    return text;
  }
}
