/** Bodies as what they are: JSON, XML, CSV, text or bytes. Everything here is somebody else's; nothing throws. */
import type { Body } from "./types.ts";
import { limits } from "./limits.ts";

export type Kind = "json" | "xml" | "csv" | "text" | "hex" | "empty" | "omitted";

export interface Content {
  readonly kind: Kind;
  /** Undefined for bytes that are not UTF-8. */
  readonly text: string | undefined;
  readonly bytes: Uint8Array;
  /** Of JSON. */
  readonly value: unknown;
}

function decode(base64: string): Uint8Array {
  try {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  } catch {
    return new Uint8Array(0);
  }
}

function parsed(text: string): { readonly value: unknown } | undefined {
  if (text.length > limits.parsed) return undefined;
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

export function contentOf(body: Body, contentType: string): Content {
  const none = { text: undefined, bytes: new Uint8Array(0), value: undefined };
  if ("omitted" in body) return { ...none, kind: "omitted" };
  if ("base64" in body) {
    const bytes = decode(body.base64);
    return { ...none, kind: bytes.length === 0 ? "empty" : "hex", bytes };
  }
  const { text } = body;
  const bytes = new TextEncoder().encode(text);
  if (text === "") return { ...none, text, kind: "empty" };
  const type = contentType.toLowerCase();
  const json = /json/.test(type) || /^\s*[[{]/.test(text) ? parsed(text) : undefined;
  if (json !== undefined) return { kind: "json", text, bytes, value: json.value };
  if (text.length <= limits.parsed) {
    if (/xml/.test(type) || /^\s*<[?!A-Za-z_][^<]*>/.test(text)) return { kind: "xml", text, bytes, value: undefined };
    if (/csv/.test(type)) return { kind: "csv", text, bytes, value: undefined };
  }
  return { kind: "text", text, bytes, value: undefined };
}

/** Rows of comma- or semicolon-separated text (RFC 4180), as many as are shown. */
export function csvRows(text: string, most: number = limits.cells): readonly (readonly string[])[] {
  const head = text.slice(0, text.search(/\r?\n|$/));
  const separator = head.split(";").length > head.split(",").length ? ";" : head.includes("\t") ? "\t" : ",";
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let quoted = false;
  for (let at = 0; at < text.length && rows.length < most; at += 1) {
    const letter = text[at] as string;
    if (quoted) {
      if (letter !== '"') cell += letter;
      else if (text[at + 1] === '"') cell += text[(at += 1)];
      else quoted = false;
    } else if (letter === '"' && cell === "") quoted = true;
    else if (letter === separator) {
      row.push(cell);
      cell = "";
    } else if (letter === "\n" || letter === "\r") {
      if (letter === "\r" && text[at + 1] === "\n") at += 1;
      rows.push([...row, cell]);
      row = [];
      cell = "";
    } else cell += letter;
  }
  if (rows.length < most && (cell !== "" || row.length > 0)) rows.push([...row, cell]);
  return rows;
}

export interface XmlLine {
  readonly depth: number;
  readonly kind: "tag" | "text" | "comment";
  readonly text: string;
}

/** XML by lines, each tag on its own, an element with only text in one. No entity is resolved. */
export function xmlLines(text: string, most: number = limits.lines): readonly XmlLine[] {
  const lines: XmlLine[] = [];
  let depth = 0;
  for (const [token] of text.matchAll(/<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<[^>]*>|[^<]+/g)) {
    if (lines.length >= most) break;
    const trimmed = token.trim();
    if (trimmed === "") continue;
    if (trimmed.startsWith("</")) {
      depth = Math.max(depth - 1, 0);
      const before = lines.at(-1);
      const opener = lines.at(-2);
      const name = trimmed.slice(2, -1).trim();
      const opens = (line: XmlLine | undefined): boolean =>
        line?.kind === "tag" && line.depth === depth && new RegExp(`^<${escaped(name)}[\\s>]`).test(line.text) && !line.text.includes("</");
      if (before?.kind === "text" && opens(opener) && !before.text.includes("\n")) {
        lines.splice(-2, 2, { depth, kind: "tag", text: `${opener?.text ?? ""}${before.text}${trimmed}` });
      } else if (opens(before)) lines.splice(-1, 1, { depth, kind: "tag", text: `${before?.text ?? ""}${trimmed}` });
      else lines.push({ depth, kind: "tag", text: trimmed });
    } else if (trimmed.startsWith("<!--")) lines.push({ depth, kind: "comment", text: trimmed });
    else if (trimmed.startsWith("<") && !trimmed.startsWith("<![CDATA[")) {
      lines.push({ depth, kind: "tag", text: trimmed });
      if (!/^<[?!]/.test(trimmed) && !trimmed.endsWith("/>")) depth += 1;
    } else lines.push({ depth, kind: "text", text: trimmed });
  }
  return lines;
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** A dump with 16 bytes in a line: offset, hexadecimal, ASCII. */
export function hexLines(bytes: Uint8Array, most: number = limits.dumpBytes): readonly string[] {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(bytes.length, most); at += 16) {
    const part = [...bytes.subarray(at, Math.min(at + 16, bytes.length))];
    const digits = part.map((byte) => byte.toString(16).padStart(2, "0"));
    const left = digits.slice(0, 8).join(" ");
    const right = digits.slice(8).join(" ");
    const letters = part.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${`${left.padEnd(23)}  ${right.padEnd(23)}`}  ${letters}`);
  }
  return lines;
}

/** A body as the edit field has it: JSON laid out, text as it is, bytes not at all. */
export function editable(body: Body, contentType: string): string | undefined {
  const content = contentOf(body, contentType);
  if (content.kind === "json") return JSON.stringify(content.value, undefined, 2);
  return content.kind === "empty" ? "" : content.text;
}
