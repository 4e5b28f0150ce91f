/** Parameters of a request as values: styles `simple` (path, header), `form` (query, cookie) and the others of a query, exploded or not, lists and objects. */
import type { IncomingHttpHeaders } from "node:http";
import { table } from "#base";
import { coerced, dereferenced, type SchemasByName, schemaOf, typesOf } from "./coerce.ts";
import { contractLimits } from "./limits.ts";
import type { ContractParameter, Place } from "./model.ts";

export interface Given {
  readonly path: Readonly<Record<string, string | undefined>>;
  /** Without its `?`. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
}

export type ParameterValues = Readonly<Record<Place, Readonly<Record<string, unknown>>>>;

/** A parameter that can't be read: too many values, or no JSON. */
export class Malformed extends Error {
  readonly at: ContractParameter;
  readonly rule: string;

  constructor(at: ContractParameter, rule: string, message: string) {
    super(message);
    this.at = at;
    this.rule = rule;
  }
}

/** Pairs of a query or a form: names decoded, values as they came. `most`: what follows more of them is left out. */
export function pairsOf(query: string, most?: number): readonly (readonly [name: string, raw: string])[] {
  return query
    .split("&", most)
    .filter((pair) => pair !== "")
    .map((pair) => {
      const mark = pair.indexOf("=");
      return mark < 0 ? [formText(pair), ""] : [formText(pair.slice(0, mark)), pair.slice(mark + 1)];
    });
}

/** The URL standard's form decoding (5.1): what can't be decoded stays. */
export function formText(text: string): string {
  const plain = text.replace(/\+/g, " ");
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain;
  }
}

function cookiesOf(header: string | undefined): readonly (readonly [name: string, raw: string])[] {
  return (header ?? "").split(";").flatMap((pair): [string, string][] => {
    const mark = pair.indexOf("=");
    return mark < 0 ? [] : [[pair.slice(0, mark).trim(), pair.slice(mark + 1).trim()]];
  });
}

const separators: Readonly<Record<string, RegExp>> = table({ spaceDelimited: /\+|%20| /, pipeDelimited: /\||%7c/i });

const asIs = (text: string): string => text;

class ParameterReader {
  readonly #schemas: SchemasByName;
  readonly #given: Given;
  readonly #query: readonly (readonly [string, string])[];
  readonly #cookies: readonly (readonly [string, string])[];

  constructor(given: Given, schemas: SchemasByName) {
    this.#schemas = schemas;
    this.#given = given;
    this.#query = pairsOf(given.query);
    this.#cookies = cookiesOf(given.headers.cookie);
  }

  /** Undefined: it is not there. Throws Malformed. */
  read(parameter: ContractParameter): unknown {
    const { in: place, name } = parameter;
    if (place === "query") return this.#form(parameter, this.#query, formText);
    if (place === "cookie") return this.#form(parameter, this.#cookies, asIs);
    const raw = place === "path" ? this.#given.path[name] : this.#given.headers[name.toLowerCase()];
    const text = Array.isArray(raw) ? raw.join(", ") : raw;
    return text === undefined ? undefined : this.#simple(parameter, text);
  }

  #simple(parameter: ContractParameter, text: string): unknown {
    if (parameter.json) return json(parameter, text);
    const kind = this.#kind(parameter);
    if (kind === "text") return coerced(text, parameter.schema, this.#schemas);
    const parts = text === "" ? [] : text.split(",").map((part) => part.trim());
    return kind === "list"
      ? this.#list(parameter, parts)
      : this.#object(parameter, parameter.explode ? parts.map(pairOf) : pairsInTurn(parts));
  }

  #form(parameter: ContractParameter, pairs: readonly (readonly [string, string])[], decode: (raw: string) => string): unknown {
    const { name, explode, style } = parameter;
    const kind = this.#kind(parameter);
    if (style === "deepObject") return this.#deep(parameter, pairs, decode);
    if (kind === "object" && explode && !parameter.json) {
      const own = pairs.filter(([each]) => this.#hasProperty(parameter, each)).map(([each, raw]): [string, string] => [each, decode(raw)]);
      return own.length === 0 ? undefined : this.#object(parameter, own);
    }
    const found = pairs.filter(([each]) => each === name);
    const [first] = found;
    if (first === undefined) return undefined;
    if (kind === "list" && explode && !parameter.json)
      return this.#list(
        parameter,
        found.map(([, raw]) => decode(raw)),
      );
    if (found.length > 1) throw new Malformed(parameter, "single", "must be there once");
    const [, raw] = first;
    if (parameter.json) return json(parameter, decode(raw));
    if (kind === "text") return coerced(decode(raw), parameter.schema, this.#schemas);
    const parts = raw === "" ? [] : raw.split(separators[style] ?? ",").map(decode); // an encoded comma does not separate values
    return kind === "list" ? this.#list(parameter, parts) : this.#object(parameter, pairsInTurn(parts));
  }

  /** `filter[min]=1&filter[max]=2` */
  #deep(parameter: ContractParameter, pairs: readonly (readonly [string, string])[], decode: (raw: string) => string): unknown {
    const found = pairs.flatMap(([each, raw]): [string, string][] =>
      each.startsWith(`${parameter.name}[`) && each.endsWith("]") ? [[each.slice(parameter.name.length + 1, -1), decode(raw)]] : [],
    );
    return found.length === 0 ? undefined : this.#object(parameter, found);
  }

  #kind({ schema }: ContractParameter): "text" | "list" | "object" {
    const types = typesOf(schema, this.#schemas);
    if (types.has("array")) return "list";
    return types.has("object") ? "object" : "text";
  }

  #hasProperty({ schema }: ContractParameter, name: string): boolean {
    return Object.keys(schemaOf(schema, { property: name }, this.#schemas)).length > 0;
  }

  #list(parameter: ContractParameter, texts: readonly string[]): unknown {
    checkCount(parameter, texts.length);
    const items = schemaOf(parameter.schema, "items", this.#schemas);
    return texts.map((text) => coerced(text, items, this.#schemas));
  }

  #object(parameter: ContractParameter, pairs: readonly (readonly [string, string])[]): unknown {
    checkCount(parameter, pairs.length);
    const found = new Map<string, unknown>();
    for (const [name, text] of pairs) {
      const schema = schemaOf(parameter.schema, { property: name }, this.#schemas);
      if (!typesOf(schema, this.#schemas).has("array")) found.set(name, coerced(text, schema, this.#schemas));
      else
        found.set(name, [
          ...((found.get(name) as unknown[] | undefined) ?? []),
          coerced(text, schemaOf(schema, "items", this.#schemas), this.#schemas),
        ]);
    }
    return Object.fromEntries(found);
  }
}

function checkCount(parameter: ContractParameter, count: number): void {
  if (count > contractLimits.values) throw new Malformed(parameter, "values", `must not have more than ${contractLimits.values} values`);
}

function pairOf(text: string): readonly [string, string] {
  const mark = text.indexOf("=");
  return mark < 0 ? [text, ""] : [text.slice(0, mark), text.slice(mark + 1)];
}

function pairsInTurn(parts: readonly string[]): readonly (readonly [string, string])[] {
  return Array.from({ length: Math.ceil(parts.length / 2) }, (_, index) => [parts[2 * index] ?? "", parts[2 * index + 1] ?? ""]);
}

function json(parameter: ContractParameter, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new Malformed(parameter, "json", "must be JSON");
  }
}

/** All parameters that are there, by place and name. Throws Malformed for a list that is too long, a text that is no JSON. */
export function readParameters(parameters: readonly ContractParameter[], given: Given, schemas: SchemasByName): ParameterValues {
  const reader = new ParameterReader(given, schemas);
  const values: Record<Place, [string, unknown][]> = { path: [], query: [], header: [], cookie: [] };
  for (const parameter of parameters) {
    const given = reader.read(parameter);
    const value = given === undefined ? dereferenced(parameter.schema, schemas)["default"] : given;
    if (value !== undefined) values[parameter.in].push([keyOf(parameter), value]);
  }
  return {
    path: Object.fromEntries(values.path),
    query: Object.fromEntries(values.query),
    header: Object.fromEntries(values.header),
    cookie: Object.fromEntries(values.cookie),
  };
}

/** Header names count in any case: a flow finds them in lower case. */
export function keyOf({ in: place, name }: ContractParameter): string {
  return place === "header" ? name.toLowerCase() : name;
}
