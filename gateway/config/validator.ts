/** The compiler of configuration schemas: fills defaults in, and replaces texts with a unit by their numbers. */
import { Ajv2020 } from "ajv/dist/2020.js";
import { units } from "../contract/units.ts";

export function schemaCompiler(): Ajv2020 {
  const ajv = new Ajv2020({
    allErrors: true,
    useDefaults: true,
    strict: true,
    strictRequired: false,
    allowUnionTypes: true,
    verbose: true,
  });
  ajv.addKeyword("patternErrorMessage"); // the sentence for a value that does not match; editors know it as well
  ajv.addKeyword({
    keyword: "unit",
    type: "string",
    schemaType: "string",
    modifying: true,
    error: { message: (context) => String((context.params as { message?: unknown }).message ?? "has no such unit") },
    compile: (unit: string) => {
      const parse = units[unit];
      if (parse === undefined) throw new Error(`assertion failed: no unit ${unit}`);
      return (text: string, where?: { parentData: Record<string | number, unknown>; parentDataProperty: string | number }) => {
        const parsed = parse(text);
        if (parsed.ok && where !== undefined) where.parentData[where.parentDataProperty] = parsed.value;
        return parsed.ok;
      };
    },
  });
  return ajv;
}
