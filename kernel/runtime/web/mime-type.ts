/** MIME types (MIME Sniffing Standard, §4). */

export interface MimeType {
  /** `type/subtype` in lower case. */
  readonly essence: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const essenceShape = /^[\t\n\r ]*([!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+)[\t\n\r ]*(?=;|$)/;
/** A parameter: its name, then a quoted value, whose end may be missing, or a plain one. */
const parameterShape = /;[\t\n\r ]*([^;=]*)(?:=(?:"((?:[^"\\]|\\.)*\\?)(?:"[^;]*|$)|([^;]*)))?/gsy;
const tokenShape = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Characters a value may have (HTTP quoted-string token code points). */
const valueShape = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Undefined for a text that is no MIME type. */
export function parseMimeType(text: string): MimeType | undefined {
  const found = essenceShape.exec(text);
  if (found === null) return undefined;
  const parameters = new Map<string, string>();
  for (const [, rawName = "", quoted, plain] of text.slice(found[0].length).matchAll(parameterShape)) {
    const name = rawName.toLowerCase();
    const value = quoted?.replace(/\\(.)/gs, "$1") ?? plain?.replace(/[\t\n\r ]+$/, "") ?? "";
    if ((value === "" && quoted === undefined) || !tokenShape.test(name) || !valueShape.test(value) || parameters.has(name)) continue;
    parameters.set(name, value);
  }
  return { essence: found[1]!.toLowerCase(), parameters };
}

export function mimeTypeText({ essence, parameters }: MimeType): string {
  let text = essence;
  for (const [name, value] of parameters) text += `;${name}=${tokenShape.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`}`;
  return text;
}
