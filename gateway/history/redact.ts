/**
 * Takes secrets out of a recording before it is written: headers by name, values in JSON bodies by pointer, whole bodies. Where nothing is to
 * be taken out that costs a search in the text; a parse is needed only where the name occurs.
 */
import type { Effect, Recordable, Redaction } from "#abi";
import { fromUtf8, toUtf8 } from "#base";
import type { HistoryRules } from "../contract/config.ts";
import { hiddenHeaders, valuePrefix } from "./settings.ts";

export const redacted = "[redacted]";
const redactedBytes = toUtf8(redacted);
const noBytes = new Uint8Array(0);

interface Pointer {
  readonly text: string;
  readonly steps: readonly string[];
  /** The last step that is a name, as it stands in JSON. */
  readonly name: string;
  readonly nameBytes: Buffer;
}

function pointerOf(text: string): Pointer {
  const steps = text
    .split("/")
    .slice(1)
    .map((step) => step.replace(/~1/g, "/").replace(/~0/g, "~"));
  const last = steps.findLast((step) => step !== "*" && !/^\d+$/.test(step)) ?? "";
  const name = last === "" ? "" : JSON.stringify(last);
  return { text, steps, name, nameBytes: Buffer.from(name) };
}

/** Replaces the value at the steps; `*` stands for every member. True if there was one. */
function replaceAt(value: unknown, steps: readonly string[], at: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  const members = value as Record<string, unknown>;
  const step = steps[at] ?? "";
  const names = step === "*" ? Object.keys(members) : Object.hasOwn(members, step) ? [step] : [];
  let replaced = false;
  for (const name of names) {
    if (at < steps.length - 1) replaced = replaceAt(members[name], steps, at + 1) || replaced;
    else {
      Object.defineProperty(members, name, { value: redacted, writable: true, enumerable: true, configurable: true });
      replaced = true;
    }
  }
  return replaced;
}

/** Names that were replaced in one recording, and lengths of the bodies that were left out. */
interface Found {
  readonly headers: Set<string>;
  readonly paths: Set<string>;
  readonly omitted: number[];
}

export interface Redacted {
  readonly recording: Recordable;
  /** Lengths of bodies that were left out, in the order of the recording. Undefined: none was. */
  readonly omitted: readonly number[] | undefined;
}

export class Redactor {
  readonly #rules: HistoryRules;
  readonly #names: ReadonlySet<string>;
  /** Finds a hidden name in headers as a gateway writes them: lower case, nothing escaped. */
  readonly #plain: RegExp;
  /** The same in what a machine wrote, whose names may be in any case. */
  readonly #any: RegExp;
  readonly #pointers: readonly Pointer[];

  constructor(rules: HistoryRules) {
    const names = hiddenHeaders(rules);
    this.#rules = rules;
    this.#names = new Set(names);
    const escaped = [...names.map((name) => `${name.replace(/[^a-z0-9]/g, "\\$&")}"`), valuePrefix];
    this.#plain = new RegExp(`"(?:${escaped.join("|")})`);
    this.#any = new RegExp(`"(?:${escaped.join("|")})|\\\\u`, "i");
    this.#pointers = rules.redact.paths.map(pointerOf);
  }

  /** The recording as it may be written. `bodies`: stricter than the rules, for one that is too long. */
  recording(recording: Recordable, bodies: Redaction["bodies"] = this.#rules.bodies): Redacted {
    if (bodies === "all" && this.#pointers.length === 0 && !this.#hasHidden(recording)) return { recording, omitted: undefined };
    const found: Found = { headers: new Set(), paths: new Set(), omitted: [] };
    const body = (bytes: Uint8Array): Uint8Array => {
      if (bodies === "all") return this.#body(bytes, found);
      found.omitted.push(bytes.length);
      return noBytes;
    };
    const headers = (json: string): string => (bodies === "none" ? "{}" : this.headers(json, found.headers));
    const values = (json: string): string => (bodies === "all" ? this.#members(json, found) : "{}");
    const effect = (each: Effect): Effect => this.#effect(each, { body, headers, found, bodies });
    const { deliver, events, steps } = recording;
    const shown: Recordable = {
      ...recording,
      deliver: {
        ...deliver,
        headersJson: headers(deliver.headersJson),
        stateJson: deliver.stateJson === undefined ? undefined : values(deliver.stateJson),
        body: body(deliver.body),
      },
      events: events.map((event) => {
        if (event.kind === "resolve" && event.window !== undefined) return { ...event, headersJson: headers(event.headersJson) };
        if (event.kind === "resolve" || event.kind === "signal")
          return { ...event, headersJson: headers(event.headersJson), body: body(event.body) };
        if (event.kind !== "resume" || event.stateJson === undefined) return event;
        return { ...event, stateJson: values(event.stateJson) };
      }),
      steps: steps.map((step) => ({ ...step, effects: step.effects.map(effect) })),
    };
    const replaced = bodies !== "all" || found.headers.size > 0 || found.paths.size > 0;
    const redaction = replaced ? { headers: [...found.headers].sort(), paths: [...found.paths].sort(), bodies } : undefined;
    return { recording: { ...shown, redaction }, omitted: bodies === "all" ? undefined : found.omitted };
  }

  /** Headers as JSON, with hidden ones replaced; their names are added to `found`. */
  headers(json: string, found: Set<string> = new Set()): string {
    if (!this.#any.test(json)) return json;
    let parsed: unknown;
    try {
      parsed = JSON.parse(json);
    } catch {
      return "{}"; // a machine may write anything here: what can't be read can't be cleared of secrets
    }
    if (typeof parsed !== "object" || parsed === null) return "{}";
    let replaced = false;
    const shown = Object.entries(parsed).map(([name, value]): [string, unknown] => {
      const lower = name.toLowerCase();
      if (!this.#names.has(lower) && !lower.startsWith(valuePrefix)) return [name, value];
      replaced = true;
      found.add(lower);
      return [name, redacted];
    });
    return replaced ? JSON.stringify(Object.fromEntries(shown)) : json;
  }

  /** A body of a message that has no recording. */
  body(bytes: Uint8Array): Uint8Array {
    return this.#rules.bodies === "all" ? this.#body(bytes, { headers: new Set(), paths: new Set(), omitted: [] }) : noBytes;
  }

  get hasPaths(): boolean {
    return this.#pointers.length > 0;
  }

  get bodies(): Redaction["bodies"] {
    return this.#rules.bodies;
  }

  /** A JSON object of fields. */
  fields(json: string): string {
    return this.#pointers.length === 0 ? json : this.#json(json, { headers: new Set(), paths: new Set(), omitted: [] });
  }

  #hasHidden({ deliver, events, steps }: Recordable): boolean {
    if (this.#plain.test(deliver.headersJson)) return true; // the gateway writes names in lower case, and escapes none
    for (const event of events) if ((event.kind === "resolve" || event.kind === "signal") && this.#any.test(event.headersJson)) return true;
    for (const { effects } of steps)
      for (const effect of effects) {
        const json = effect.kind === "done" ? effect.reply?.headersJson : "headersJson" in effect ? effect.headersJson : undefined;
        if (json !== undefined && json !== "{}" && this.#any.test(json)) return true;
      }
    return false;
  }

  #effect(
    effect: Effect,
    how: {
      readonly body: (bytes: Uint8Array) => Uint8Array;
      readonly headers: (json: string) => string;
      readonly found: Found;
      readonly bodies: Redaction["bodies"];
    },
  ): Effect {
    const { body, headers, found, bodies } = how;
    switch (effect.kind) {
      case "send":
      case "call":
      case "continue":
        return { ...effect, headersJson: headers(effect.headersJson), body: body(effect.body) };
      case "done":
        return effect.reply === undefined
          ? effect
          : { ...effect, reply: { ...effect.reply, headersJson: headers(effect.reply.headersJson), body: body(effect.reply.body) } };
      case "log":
        return effect.fieldsJson === undefined
          ? effect
          : { ...effect, fieldsJson: bodies === "all" ? this.#json(effect.fieldsJson, found) : "{}" };
      case "state":
        if (effect.valueJson === undefined) return effect;
        return { ...effect, valueJson: bodies === "all" ? this.#json(effect.valueJson, found) : "null" };
      case "wait":
        if (effect.questionJson === undefined) return effect;
        return { ...effect, questionJson: bodies === "all" ? this.#json(effect.questionJson, found) : "{}" };
      default:
        return effect;
    }
  }

  #body(bytes: Uint8Array, found: Found): Uint8Array {
    if (!this.#mayHave(bytes)) return bytes;
    const json = fromUtf8(bytes);
    const shown = this.#json(json, found);
    return shown === json ? bytes : shown === redacted ? redactedBytes : toUtf8(shown);
  }

  #mayHave(bytes: Uint8Array): boolean {
    if (this.#pointers.length === 0 || bytes.length === 0) return false;
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    if (buffer.includes("\\u")) return true; // a name may be written with escapes
    return this.#pointers.some(({ nameBytes }) => buffer.includes(nameBytes));
  }

  /** The text with what the pointers name replaced. One that has a name and is not JSON is replaced as a whole. */
  #json(json: string, found: Found): string {
    if (!this.#pointers.some(({ name }) => json.includes(name)) && !json.includes("\\u")) return json;
    let value: unknown;
    try {
      value = JSON.parse(json);
    } catch {
      if (!this.#pointers.some(({ name }) => json.includes(name))) return json;
      for (const { text } of this.#pointers) found.paths.add(text);
      return redacted;
    }
    if (this.#replaced(value, 0, found)) return JSON.stringify(value);
    return this.#withoutDoubles(json, JSON.stringify(value), found);
  }

  /** Of equal names the last counts: what the others hold is in the text only, and nobody has looked at it. */
  #withoutDoubles(json: string, again: string, found: Found): string {
    const occurrences = (text: string, name: string): number => text.split(name).length;
    const doubled = this.#pointers.filter(({ name }) => occurrences(json, name) !== occurrences(again, name));
    for (const { text } of doubled) found.paths.add(text);
    return doubled.length > 0 ? again : json;
  }

  /** State: the pointers lead into each value. */
  #members(json: string, found: Found): string {
    if (!this.#pointers.some(({ name }) => json.includes(name)) && !json.includes("\\u")) return json;
    try {
      const value: unknown = JSON.parse(json);
      let replaced = false;
      for (const each of Object.values(value as object)) replaced = this.#replaced(each, 0, found) || replaced;
      return replaced ? JSON.stringify(value) : this.#withoutDoubles(json, JSON.stringify(value), found);
    } catch {
      return "{}";
    }
  }

  #replaced(value: unknown, at: number, found: Found): boolean {
    let replaced = false;
    for (const { text, steps } of this.#pointers) {
      if (!replaceAt(value, steps, at)) continue;
      found.paths.add(text);
      replaced = true;
    }
    return replaced;
  }
}
