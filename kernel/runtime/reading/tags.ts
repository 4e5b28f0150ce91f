/** Where tags and elements of an XML text end. Nothing here says that they are well formed. */

/** In place of an end that the text does not have. */
export const cut = -1;

const quoted = /[^"'>]*(?:"[^"]*"[^"'>]*|'[^']*'[^"'>]*)*/y;

/** The place behind the `>` of the start tag at `at`: the first that is in no quotes. */
export function tagEnd(text: string, at: number): number {
  const first = text.indexOf(">", at);
  if (first < 0) return cut;
  const tag = text.slice(at, first);
  if (!tag.includes('"') && !tag.includes("'")) return first + 1;
  quoted.lastIndex = at;
  quoted.exec(text);
  return text.charAt(quoted.lastIndex) === ">" ? quoted.lastIndex + 1 : cut;
}

const nameShape = /[^\s/>]*/y;

/** The name in the tag at `at`. */
export function nameIn(text: string, at: number): string {
  nameShape.lastIndex = at + 1;
  return nameShape.exec(text)![0];
}

/** The place behind the comment, the CDATA section, the instruction or the declaration at `at`. */
export function markupEnd(text: string, at: number): number {
  if (text.charAt(at + 1) === "?") return behind(text, "?>", at + 2);
  if (text.startsWith("<!--", at)) return behind(text, "-->", at + 4);
  if (text.startsWith("<![CDATA[", at)) return behind(text, "]]>", at + 9);
  if (text.length - at < 9) return cut;
  return behind(text, ">", at);
}

function behind(text: string, end: string, from: number): number {
  const at = text.indexOf(end, from);
  return at < 0 ? cut : at + end.length;
}

function isNameEnd(text: string, at: number): boolean {
  const character = text.charAt(at);
  return character === ">" || character === "/" || character === " " || character === "\n" || character === "\t" || character === "\r";
}

/** The place of a tag with that name, as `<` or `</` and the name begin it. */
function findTag(text: string, start: string, from: number): number {
  for (let at = text.indexOf(start, from); at >= 0; at = text.indexOf(start, at + 1)) if (isNameEnd(text, at + start.length)) return at;
  return cut;
}

/** The place behind the end tag of an element, whose start tag ends at `from`. */
export function elementEnd(text: string, from: number, name: string): number {
  const close = findTag(text, `</${name}`, from);
  if (close === cut) return cut;
  const inside = text.slice(from, close);
  const isPlain = !inside.includes("<!") && !inside.includes("<?") && findTag(inside, `<${name}`, 0) === cut;
  return isPlain ? behind(text, ">", close) : nestedEnd(text, from, name);
}

/** The same, tag by tag. */
function nestedEnd(text: string, from: number, name: string): number {
  let depth = 1;
  let at = text.indexOf("<", from);
  while (at >= 0) {
    const second = text.charAt(at + 1);
    const isEnd = second === "/";
    const end = second === "!" || second === "?" ? markupEnd(text, at) : isEnd ? behind(text, ">", at) : tagEnd(text, at);
    if (end === cut) return cut;
    if (isEnd && text.slice(at + 2, end - 1).trimEnd() === name) depth -= 1;
    else if (nameIn(text, at) === name && text.charAt(end - 2) !== "/") depth += 1;
    if (depth === 0) return end;
    at = text.indexOf("<", end);
  }
  return cut;
}
