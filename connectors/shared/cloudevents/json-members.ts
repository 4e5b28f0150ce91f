/** The members of a JSON object as they are written: parsing a number and printing it again would change its digits. */

const stringEnds = /["\\]/g;

/** Index after the string that begins at `start`. */
function afterString(text: string, start: number): number {
  for (let at = start + 1; ; ) {
    stringEnds.lastIndex = at;
    const found = stringEnds.exec(text);
    if (found === null) return text.length;
    if (found[0] === '"') return found.index + 1;
    at = found.index + 2;
  }
}

/** Index after the value that begins at `start`: where the object around it goes on. */
function afterValue(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') at = afterString(text, at) - 1;
    else if (character === "{" || character === "[") depth += 1;
    else if (depth === 0 && (character === "," || character === "}")) return at;
    else if (character === "}" || character === "]") depth -= 1;
  }
  return text.length;
}

/** Name → value as written, without white space around it; of a name given twice the last, as JSON.parse has it. `text` is a JSON object. */
export function jsonMembers(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  let at = text.indexOf("{") + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return members;
    const afterName = afterString(text, quote);
    const begin = text.indexOf(":", afterName) + 1;
    const end = afterValue(text, begin);
    members.set(JSON.parse(text.slice(quote, afterName)) as string, text.slice(begin, end).trim());
    if (text[end] !== ",") return members;
    at = end + 1;
  }
}
