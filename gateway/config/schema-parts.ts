/** Fragments that the parts of mayfly.yaml's schema are made of. */
import type { JsonSchema } from "../contract/connector.ts";

export function object(
  description: string,
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[] = [],
): JsonSchema {
  return { type: "object", description, properties, additionalProperties: false, ...(required.length === 0 ? {} : { required }) };
}

export function whole(description: string, minimum: number, maximum: number, fallback?: number): JsonSchema {
  return { type: "integer", description, minimum, maximum, ...(fallback === undefined ? {} : { default: fallback }) };
}

export function text(description: string, fallback?: string): JsonSchema {
  return { type: "string", minLength: 1, description, ...(fallback === undefined ? {} : { default: fallback }) };
}

/** An object that may be left out as a whole. */
export function section(description: string, properties: Readonly<Record<string, JsonSchema>>): JsonSchema {
  return { ...object(description, properties), default: {} };
}
