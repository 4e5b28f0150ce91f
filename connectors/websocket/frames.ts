/** Frames that a configuration gives, with a place for an id, and ids in the messages of a peer. */
import { valuesAt } from "#base";
import type { JsonSchema } from "#gateway/contract";
import { websocketLimits } from "./limits.ts";

/** A text, or what is sent as JSON. */
export type FrameConfig = string | object;

/** Characters that change no text they are put into, whatever its grammar. */
const harmless = /^[\w.:+/=~@-]*$/;
/** Characters that no id may have: controls, and halves of pairs. */
const unusable = /[\u0000-\u001f\u007f\p{Surrogate}]/u;

/** A frame with a place for an id, written `{name}`. */
export class FrameTemplate {
  readonly #text: string;
  readonly #place: string;
  readonly #isJson: boolean;

  constructor(config: FrameConfig, name: string) {
    this.#text = typeof config === "string" ? config : JSON.stringify(config);
    this.#place = `{${name}}`;
    this.#isJson = isJson(this.#text);
  }

  get hasPlace(): boolean {
    return this.#text.includes(this.#place);
  }

  /** True if the id can be put in its place without changing anything else of the frame. */
  fits(id: string): boolean {
    return !this.hasPlace || this.#isJson || harmless.test(id);
  }

  /** In JSON the place is within a string, where the id is escaped. */
  fill(id: string): string {
    const value = this.#isJson ? JSON.stringify(id).slice(1, -1) : id;
    return this.#text.replaceAll(this.#place, () => value);
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export function templates(config: FrameConfig | readonly FrameConfig[] | undefined, name: string): readonly FrameTemplate[] {
  if (config === undefined) return [];
  const all: readonly FrameConfig[] = Array.isArray(config) ? (config as readonly FrameConfig[]) : [config];
  return all.map((each) => new FrameTemplate(each, name));
}

/** Steps of a pointer that is written `json:/a/0/b` (RFC 6901). */
export function stepsOf(expression: string): readonly string[] {
  const [, ...steps] = expression.split("/");
  return steps.map((step) => step.replace(/~1/g, "/").replace(/~0/g, "~"));
}

/** The text at each place of a JSON body; undefined where it is not, is null, or the body is no JSON. Never throws. */
export function textsAt(body: Uint8Array, places: readonly (readonly string[])[]): readonly (string | undefined)[] {
  return valuesAt(body, places);
}

/** True for an id that can be kept and shown to the peer again. */
export function isUsable(id: string): boolean {
  return id !== "" && id.length <= websocketLimits.idCharacters && !unusable.test(id);
}

export const pointerSchema: JsonSchema = {
  type: "string",
  pattern: "^json:/",
  patternErrorMessage: "must be json:/pointer",
};

const frame: JsonSchema = { type: ["string", "object"], minLength: 1, maxLength: websocketLimits.openingCharacters };

export function framesSchema(description: string, examples: readonly unknown[]): JsonSchema {
  return {
    type: ["string", "object", "array"],
    minLength: 1,
    maxLength: websocketLimits.openingCharacters,
    minItems: 1,
    maxItems: websocketLimits.openingFrames,
    items: frame,
    description,
    examples,
  };
}
