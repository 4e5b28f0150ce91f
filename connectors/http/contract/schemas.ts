/**
 * Schemas of a contract as JSON Schema 2020-12 that refer only to each other: what a `$ref` leads to, in whichever file, becomes
 * `#/components/schemas/NAME`, once, so that schemas may refer to themselves. OpenAPI 3.0's own words are replaced on the way.
 */
import { CodedError } from "#base";
import type { JsonSchema } from "#gateway/contract";
import type { ContractFiles, Located } from "./files.ts";
import { contractLimits } from "./limits.ts";
import { isPlain, type Plain, unusable } from "./model.ts";
import { isExponential } from "./patterns.ts";

const single = [
  "items",
  "additionalItems",
  "additionalProperties",
  "unevaluatedItems",
  "unevaluatedProperties",
  "contains",
  "propertyNames",
  "contentSchema",
  "not",
  "if",
  "then",
  "else",
];
const lists = ["allOf", "anyOf", "oneOf", "prefixItems"];
const maps = ["properties", "patternProperties", "dependentSchemas"];
/** Beside the document's own names these would give schemas others. */
const dropped = new Set(["$id", "id", "$schema", "$comment", "$defs", "definitions", "$anchor", "$dynamicAnchor", "$vocabulary"]);
const refused = ["$dynamicRef", "$recursiveRef"];

export const componentPrefix = "#/components/schemas/";

export class Schemas {
  readonly #files: ContractFiles;
  readonly #isOld: boolean;
  readonly #names = new Map<string, string>();
  readonly #schemas: Record<string, JsonSchema> = Object.create(null) as Record<string, JsonSchema>;

  /** `isOld`: the document is OpenAPI 3.0. */
  constructor(files: ContractFiles, isOld: boolean) {
    this.#files = files;
    this.#isOld = isOld;
  }

  /** Schemas by name that references have named so far. */
  get components(): Readonly<Record<string, JsonSchema>> {
    return this.#schemas;
  }

  /** Where each of them was, by name. */
  get origins(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#names].map(([origin, name]) => [name, `${origin}${this.#isOld ? " 3.0" : ""}`]));
  }

  /** Throws MF_CONTRACT_SCHEMA, MF_CONTRACT_REF and those of files. */
  use(from: Located): JsonSchema {
    const { value } = from;
    if (typeof value === "boolean") return value ? {} : { not: {} };
    if (!isPlain(value)) throw this.#wrong(from, "is not a schema: write an object such as { type: string }");
    for (const name of refused) if (Object.hasOwn(value, name)) throw this.#wrong(from, `uses ${name}, which is not supported: use $ref`);
    const reference = Object.hasOwn(value, "$ref") ? value["$ref"] : undefined;
    if (reference !== undefined && typeof reference !== "string") throw this.#wrong(from, "has a $ref that is no text");
    if (reference !== undefined && this.#isOld) return { $ref: this.nameOf(reference, from) };
    const schema = this.#converted(value, from);
    if (reference !== undefined) schema["$ref"] = this.nameOf(reference, from);
    return this.#isOld ? ofOld(schema) : schema;
  }

  /** The reference under which a document names what another leads to. */
  nameOf(reference: string, from: Located): string {
    let target = this.#files.follow(reference, from);
    for (
      let count = 0;
      isPlain(target.value) && Object.keys(target.value).join() === "$ref" && typeof target.value["$ref"] === "string";
      count++
    ) {
      if (count >= contractLimits.references) throw this.#wrong(target, "refers to itself without a schema: give it one");
      target = this.#files.follow(target.value["$ref"], target);
    }
    const id = JSON.stringify([target.file, target.steps]);
    const known = this.#names.get(id);
    if (known !== undefined) return componentPrefix + known;
    if (this.#names.size >= contractLimits.schemas)
      throw new CodedError("MF_CONTRACT_LIMIT", `the contract refers to more than ${contractLimits.schemas} schemas`);
    const name = this.#freeName(target);
    this.#names.set(id, name);
    this.#schemas[name] = {}; // the name is taken while what it refers to is read
    this.#schemas[name] = this.use(target);
    return componentPrefix + name;
  }

  #freeName({ file, steps }: Located): string {
    const wanted =
      (
        steps.at(-1) ??
        file
          .split("/")
          .at(-1)
          ?.replace(/\.[a-z]+$/i, "") ??
        ""
      ).replace(/[^A-Za-z0-9._-]/g, "_") || "Schema";
    let name = wanted;
    for (let count = 2; Object.hasOwn(this.#schemas, name); count++) name = `${wanted}${count}`;
    return name;
  }

  #converted(value: Plain, from: Located): Record<string, unknown> {
    const inside = (step: string, more?: string): Located => {
      const holder = value[step];
      const steps = [...from.steps, step, ...(more === undefined ? [] : [more])];
      return { file: from.file, steps, value: more === undefined ? holder : (holder as Record<string, unknown>)[more] };
    };
    const schema: Record<string, unknown> = {};
    for (const [keyword, held] of Object.entries(value)) {
      if (keyword === "$ref" || dropped.has(keyword)) continue;
      if (keyword === "pattern") this.#checkPattern(held, inside("pattern"));
      if (single.includes(keyword) && typeof held === "boolean") schema[keyword] = held;
      else if (single.includes(keyword))
        schema[keyword] = Array.isArray(held) ? this.#list(held, inside(keyword)) : this.use(inside(keyword));
      else if (lists.includes(keyword)) {
        if (!Array.isArray(held)) throw this.#wrong(inside(keyword), "must be a list of schemas");
        schema[keyword] = this.#list(held, inside(keyword));
      } else if (maps.includes(keyword)) {
        if (!isPlain(held)) throw this.#wrong(inside(keyword), "must have a schema for each name");
        if (keyword === "patternProperties") for (const pattern of Object.keys(held)) this.#checkPattern(pattern, inside(keyword));
        schema[keyword] = Object.fromEntries(Object.keys(held).map((name) => [name, this.use(inside(keyword, name))]));
      } else if (keyword === "discriminator") schema[keyword] = this.#discriminator(held, from);
      else schema[keyword] = held;
    }
    return schema;
  }

  #list(held: readonly unknown[], from: Located): JsonSchema[] {
    return held.map((value, index) => this.use({ file: from.file, steps: [...from.steps, String(index)], value }));
  }

  #discriminator(held: unknown, from: Located): unknown {
    const mapping = isPlain(held) ? held["mapping"] : undefined;
    if (!isPlain(held) || !isPlain(mapping)) return held;
    const renamed = Object.entries(mapping).map(([name, target]) => [
      name,
      this.nameOf(/[/.#]/.test(String(target)) ? String(target) : componentPrefix + String(target), from),
    ]);
    return { ...held, mapping: Object.fromEntries(renamed) };
  }

  #checkPattern(pattern: unknown, from: Located): void {
    if (typeof pattern !== "string") throw this.#wrong(from, "must be a text");
    try {
      new RegExp(pattern, "u");
    } catch (cause) {
      throw unusable("MF_CONTRACT_PATTERN", this.#files.placeOf(from), `${(cause as Error).message}: correct the pattern`);
    }
    if (isExponential(pattern))
      throw unusable(
        "MF_CONTRACT_PATTERN",
        this.#files.placeOf(from),
        `the pattern ${pattern} takes exponential time on some texts: write it so that a text matches in one way only, (a+)+ as a+`,
      );
  }

  #wrong(from: Located, what: string): CodedError {
    return unusable("MF_CONTRACT_SCHEMA", this.#files.placeOf(from), what);
  }
}

/** OpenAPI 3.0 (Schema Object): `nullable`, and bounds that are exclusive by a boolean. */
function ofOld({ nullable, exclusiveMinimum, exclusiveMaximum, ...rest }: Record<string, unknown>): JsonSchema {
  const schema = { ...rest };
  const bound = (name: string, exclusive: unknown, own: string): void => {
    if (typeof exclusive === "number") schema[own] = exclusive;
    if (exclusive !== true || schema[name] === undefined) return;
    schema[own] = schema[name];
    delete schema[name];
  };
  bound("minimum", exclusiveMinimum, "exclusiveMinimum");
  bound("maximum", exclusiveMaximum, "exclusiveMaximum");
  if (nullable !== true) return schema;
  if (typeof schema["type"] !== "string")
    return ["allOf", "anyOf", "oneOf", "enum"].some((name) => Object.hasOwn(schema, name)) ? { anyOf: [schema, { type: "null" }] } : schema;
  const { enum: values } = schema;
  return {
    ...schema,
    type: [schema["type"], "null"],
    ...(Array.isArray(values) && !values.includes(null) ? { enum: [...(values as unknown[]), null] } : {}),
  };
}
