/** Compiled schemas of a contract, made when it is loaded. Requests and replies have their own: a caller need not send a read-only property. */
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import formats, { type FormatName } from "ajv-formats";
import { CodedError } from "#base";
import type { JsonSchema } from "#gateway/contract";
import { contractLimits } from "./limits.ts";
import { isPlain } from "./model.ts";
import { componentPrefix } from "./schemas.ts";
import { withinTime } from "./within-time.ts";

export type Direction = "request" | "reply";

/** A value that breaks its schema: where (a JSON pointer, "" for the whole), by which rule, as a sentence's end. */
export interface Breach {
  readonly pointer: string;
  readonly rule: string;
  readonly message: string;
  /** The property that is not there. */
  readonly missing?: string | undefined;
}

export type Check = (value: unknown, bytes: number) => Breach | undefined;

/** Keywords whose work may be more than linear in what a caller sends. */
const slow = new Set([
  "pattern",
  "patternProperties",
  "anyOf",
  "oneOf",
  "not",
  "if",
  "contains",
  "unevaluatedItems",
  "unevaluatedProperties",
  "propertyNames",
  "dependentSchemas",
]);
const quickFormats = new Set(["date", "date-time", "uuid", "int32", "int64", "float", "double", "byte", "binary", "password"]);
const known: FormatName[] = [
  "date",
  "time",
  "date-time",
  "duration",
  "uri",
  "uri-reference",
  "uri-template",
  "email",
  "hostname",
  "ipv4",
  "ipv6",
  "uuid",
  "json-pointer",
  "relative-json-pointer",
  "byte",
  "int32",
  "int64",
  "float",
  "double",
  "password",
  "binary",
];

/** The schema with absolute references into those of `root`, and without what one side need not send. */
function sided(value: unknown, side: Direction, root: Direction): unknown {
  if (Array.isArray(value)) return value.map((each) => sided(each, side, root));
  if (!isPlain(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const [name, each] of Object.entries(value)) {
    if (name === "$ref" && typeof each === "string") copy[name] = `${root}${each}`;
    else if (
      name === "discriminator" ||
      name === "example" ||
      name === "examples" ||
      name === "default" ||
      name === "xml" ||
      name === "externalDocs"
    )
      continue;
    else if (name === "enum" || name === "const") copy[name] = each;
    else if (name === "properties" && isPlain(each))
      copy[name] = Object.fromEntries(Object.entries(each).map(([property, schema]) => [property, sided(schema, side, root)]));
    else copy[name] = sided(each, side, root);
  }
  const { required, properties } = value;
  const notSent = side === "request" ? "readOnly" : "writeOnly";
  if (Array.isArray(required) && isPlain(properties))
    copy["required"] = required.filter((name) => {
      const property = Object.hasOwn(properties, String(name)) ? properties[String(name)] : undefined;
      return !isPlain(property) || property[notSent] !== true;
    });
  return copy;
}

/** True if checking takes linear time, whatever is checked. */
function isQuick(schema: unknown, schemas: Readonly<Record<string, JsonSchema>>, seen = new Set<unknown>()): boolean {
  if (Array.isArray(schema)) return schema.every((each) => isQuick(each, schemas, seen));
  if (!isPlain(schema) || seen.has(schema)) return true;
  seen.add(schema);
  return Object.entries(schema).every(([name, each]) => {
    if (name === "properties" && isPlain(each)) return Object.values(each).every((property) => isQuick(property, schemas, seen));
    if (slow.has(name)) return false;
    if (name === "format") return quickFormats.has(String(each));
    if (name === "$ref") return isQuick(schemas[String(each).slice(componentPrefix.length)], schemas, seen);
    return name === "enum" || name === "const" || isQuick(each, schemas, seen);
  });
}

export class Validators {
  readonly #schemas: Readonly<Record<string, JsonSchema>>;
  readonly #request: Ajv2020;
  /** The same as for requests, where no schema is of one side only: compiling hundreds takes seconds. */
  readonly #reply: Ajv2020;

  constructor(schemas: Readonly<Record<string, JsonSchema>>) {
    this.#schemas = schemas;
    this.#request = newAjv(schemas, "request");
    this.#reply = /"(?:readOnly|writeOnly)":true/.test(JSON.stringify(schemas)) ? newAjv(schemas, "reply") : this.#request;
  }

  /** `place`: for the error. Throws MF_CONTRACT_SCHEMA. */
  compile(schema: JsonSchema, side: Direction, place: string): Check {
    let validate: ValidateFunction;
    try {
      const ajv = side === "request" ? this.#request : this.#reply;
      validate = ajv.compile(sided(schema, side, ajv === this.#request ? "request" : "reply") as object);
    } catch (cause) {
      throw new CodedError("MF_CONTRACT_SCHEMA", `${place}: ${(cause as Error).message}: correct the schema`, { cause });
    }
    const check = (value: unknown): Breach | undefined => (validate(value) ? undefined : breachOf(validate.errors?.[0]));
    const quick = isQuick(schema, this.#schemas);
    return (value, bytes) => (quick ? check(value) : withinTime(bytes, () => check(value)));
  }
}

function newAjv(schemas: Readonly<Record<string, JsonSchema>>, side: Direction): Ajv2020 {
  const ajv = new Ajv2020({
    strict: false,
    strictNumbers: true, // 1e400 is Infinity in JavaScript
    allErrors: false,
    validateSchema: true,
    logger: false,
    code: { optimize: false }, // compiling would take five times as long
    multipleOfPrecision: 9, // 19.99 is a multiple of 0.01
    addUsedSchema: false,
    ownProperties: true,
  });
  formats.default(ajv, { mode: "full", formats: known });
  // Ajv's own compares each with each, unless all are texts or numbers.
  ajv.removeKeyword("uniqueItems");
  ajv.addKeyword({
    keyword: "uniqueItems",
    type: "array",
    schemaType: "boolean",
    error: { message: "must not have an item twice" },
    validate: (wanted: boolean, items: readonly unknown[]) => !wanted || new Set(items.map(canonical)).size === items.length,
  });
  ajv.addSchema({ $id: side, components: { schemas: sidedAll(schemas, side) } }, side);
  return ajv;
}

/** Equal texts for equal values: of an object the names are in order. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isPlain(value)) return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join()}}`;
}

function sidedAll(schemas: Readonly<Record<string, JsonSchema>>, side: Direction): Record<string, unknown> {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, sided(schema, side, side)]));
}

/** A caller's text in an error. */
export function quoted(text: string): string {
  const { quotedCharacters } = contractLimits;
  return JSON.stringify(text.length > quotedCharacters ? `${text.slice(0, quotedCharacters)}…` : text);
}

function breachOf(error: ErrorObject | undefined): Breach {
  if (error === undefined) return { pointer: "", rule: "schema", message: "breaks its schema" };
  const params = error.params as Readonly<Record<string, unknown>>;
  const added = params["additionalProperty"] ?? params["unevaluatedProperty"] ?? params["propertyName"];
  const longest = contractLimits.quotedCharacters * 8; // of names that a caller chose
  const pointer = error.instancePath.length > longest ? `${error.instancePath.slice(0, longest)}…` : error.instancePath;
  const message =
    error.keyword === "enum"
      ? `must be one of ${JSON.stringify(params["allowedValues"]).slice(0, longest)}`
      : error.keyword === "const"
        ? `must be ${JSON.stringify(params["allowedValue"]).slice(0, longest)}`
        : typeof added === "string"
          ? `must not have the property ${quoted(added)}`
          : (error.message ?? "breaks its schema");
  const missing = params["missingProperty"];
  return { pointer, rule: error.keyword, message, missing: typeof missing === "string" ? missing : undefined };
}
