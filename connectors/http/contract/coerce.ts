/** Texts of parameters and forms as the values that their schemas ask for: `"7"` is 7 where a number may stand. The schema judges them afterwards. */
import type { JsonSchema } from "#gateway/contract";
import { contractLimits } from "./limits.ts";
import { isPlain } from "./model.ts";
import { componentPrefix } from "./schemas.ts";

export type SchemasByName = Readonly<Record<string, JsonSchema>>;

/** The schema that a reference leads to. */
export function dereferenced(schema: JsonSchema, schemas: SchemasByName): JsonSchema {
  let found = schema;
  for (let count = 0; count < contractLimits.references; count++) {
    const reference = found["$ref"];
    const next = typeof reference === "string" ? schemas[reference.slice(componentPrefix.length)] : undefined;
    if (next === undefined) return found;
    found = next;
  }
  return found;
}

/** Schemas that hold for a value at once: the schema itself and those it is made of. */
function partsOf(schema: JsonSchema, schemas: SchemasByName, depth = 0): readonly JsonSchema[] {
  if (depth > contractLimits.references) return [];
  const own = dereferenced(schema, schemas);
  const made = ["allOf", "anyOf", "oneOf"].flatMap((name) => (Array.isArray(own[name]) ? (own[name] as JsonSchema[]) : []));
  return [own, ...made.flatMap((each) => partsOf(each, schemas, depth + 1))];
}

/** Types that the schema names; empty for any. */
export function typesOf(schema: JsonSchema, schemas: SchemasByName): ReadonlySet<string> {
  const types = partsOf(schema, schemas).flatMap((part) => {
    if (part["type"] !== undefined) return part["type"] as string | readonly string[];
    const values = "const" in part ? [part["const"]] : Array.isArray(part["enum"]) ? (part["enum"] as unknown[]) : [];
    return values.map((value) => (value === null ? "null" : typeof value));
  });
  return new Set(types.flat());
}

/** The schema of a list's items or of an object's property. */
export function schemaOf(schema: JsonSchema, member: "items" | { readonly property: string }, schemas: SchemasByName): JsonSchema {
  for (const part of partsOf(schema, schemas)) {
    const properties = part["properties"];
    const found =
      member === "items"
        ? part["items"]
        : isPlain(properties) && Object.hasOwn(properties, member.property)
          ? properties[member.property]
          : undefined;
    if (isPlain(found)) return found;
    if (member !== "items" && isPlain(part["additionalProperties"])) return part["additionalProperties"];
  }
  return {};
}

const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** A text as the schema's type, or as it is. */
export function coerced(text: string, schema: JsonSchema, schemas: SchemasByName): unknown {
  const types = typesOf(schema, schemas);
  if ((types.has("integer") || types.has("number")) && number.test(text)) return Number(text);
  if (types.has("boolean") && (text === "true" || text === "false")) return text === "true";
  if (types.has("null") && (text === "null" || (text === "" && !types.has("string")))) return null;
  return text;
}
