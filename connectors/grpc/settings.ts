/** Settings that a source and an outlet have in common. */
import type { JsonSchema } from "#gateway/contract";

export function protoSchema(methods: string): Readonly<Record<string, JsonSchema>> {
  return {
    proto: {
      type: "string",
      minLength: 1,
      pattern: "\\.proto$",
      patternErrorMessage: "must be a .proto file",
      description: "Contract: a file relative to mayfly.yaml and within its folder, as all that it imports.",
      examples: ["orders.proto"],
    },
    service: { type: "string", minLength: 1, description: "Full name of the service.", examples: ["shop.Orders"] },
    method: {
      type: ["string", "array"],
      minLength: 1,
      minItems: 1,
      uniqueItems: true,
      items: { type: "string", minLength: 1 },
      description: `${methods}: a name or a list. Default: all of the service.`,
    },
  };
}
