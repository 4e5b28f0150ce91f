/** Results as an assistant gets them: bounded, with what was cut; one line of JSON that nothing recorded can break out of. */
import { CodedError } from "#base";
import { mcpLimits } from "./limits.ts";

interface Cut {
  readonly characters: number;
  readonly items: number;
}

/** Characters that are not seen, or that turn a text's direction: format, control and private characters, tags, selectors of variants. */
const unseen = /[\p{Cf}\p{Cc}\p{Co}\p{Cs}\u2028\u2029\ufe00-\ufe0f\u{e0100}-\u{e01ef}]/gu;

function escaped(character: string): string {
  return [...Array(character.length).keys()].map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`).join("");
}

/** JSON in one line, in which every character can be seen. */
export function visibleJson(value: unknown): string {
  return (JSON.stringify(value) ?? "null").replace(unseen, escaped);
}

/** Cuts a text between characters, never within a pair of surrogates. */
function shorter(text: string, most: number): string {
  const last = text.charCodeAt(most - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? most - 1 : most);
}

class Cutter {
  readonly places: string[] = [];
  readonly #cut: Cut;

  constructor(cut: Cut) {
    this.#cut = cut;
  }

  value(value: unknown, at: string): unknown {
    if (typeof value === "string") return this.#text(value, at);
    if (Array.isArray(value)) return this.#list(value, at);
    if (typeof value !== "object" || value === null) return value;
    const members = Object.entries(value);
    if (members.length > this.#cut.items) this.places.push(`${at === "" ? "/" : at}: ${this.#cut.items} of ${members.length} members`);
    return Object.fromEntries(
      members
        .slice(0, this.#cut.items)
        .map(([name, member]) => [
          shorter(name, this.#cut.characters),
          this.value(member, `${at}/${shorter(name, 100).replaceAll("~", "~0").replaceAll("/", "~1")}`),
        ]),
    );
  }

  #text(text: string, at: string): string {
    const { characters } = this.#cut;
    if (text.length <= characters) return text;
    this.places.push(`${at}: ${characters} of ${text.length} characters`);
    return `${shorter(text, characters)}…`;
  }

  #list(list: readonly unknown[], at: string): unknown[] {
    const { items } = this.#cut;
    if (list.length > items) this.places.push(`${at === "" ? "/" : at}: ${items} of ${list.length} items`);
    return list.slice(0, items).map((item, index) => this.value(item, `${at}/${index}`));
  }
}

export interface BoundedJson {
  readonly json: string;
  /** Places that were cut: a JSON pointer, and how much is shown. */
  readonly cut: readonly string[];
}

/** JSON of at most `mcpLimits.resultCharacters`. Throws MF_MCP_LENGTH for what can't be cut so far. */
export function boundedJson(value: unknown, most: number = mcpLimits.resultCharacters): BoundedJson {
  const whole = visibleJson(value);
  if (whole.length <= most) return { json: whole, cut: [] };
  for (const cut of mcpLimits.cuts) {
    const cutter = new Cutter(cut);
    const json = visibleJson(cutter.value(value, ""));
    if (json.length > most) continue;
    const { places } = cutter;
    const named = places.slice(0, mcpLimits.cutsNamed);
    return { json, cut: places.length > named.length ? [...named, `and ${places.length - named.length} more`] : named };
  }
  throw new CodedError("MF_MCP_LENGTH", `the result has ${whole.length} characters: narrow the search, or ask for a part with pointer`);
}

/** The member of `value` at a JSON pointer; a text from `offset` on. Throws MF_MCP_POINTER for a member that is missing. */
export function partOf(value: unknown, pointer: string, offset: number): unknown {
  let found = value;
  for (const step of pointer === "" ? [] : pointer.slice(1).split("/")) {
    const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof found !== "object" || found === null || !Object.prototype.propertyIsEnumerable.call(found, name))
      throw new CodedError("MF_MCP_POINTER", `the message has nothing at ${pointer}: leave pointer out to see its members`);
    found = (found as Readonly<Record<string, unknown>>)[name];
  }
  return typeof found === "string" && offset > 0 ? found.slice(offset) : found;
}
