/** Errors of a schema's validator as sentences for people. */
import type { ErrorObject } from "ajv";
import { table } from "#base";
import { hint } from "./suggest.ts";

const unitExamples: Readonly<Record<string, string>> = table({
  duration: "must be a duration such as 200ms, 5s, 10m, 24h or 7d",
  durationRange: "must be a range of durations, the shorter first, such as 200ms..30s",
  size: "must be a size such as 64KB or 16MiB",
  quota: "must be a number in a time such as 100/m or 5/s",
  rate: "must be a rate such as 100/s or 60/m",
  share: "must be a share from 0% to 100%, such as 5%",
  early: "must be refuse, or keep and a duration such as keep 1d",
});

/** Ajv's error as a sentence for people. */
export function sentence(error: ErrorObject): { readonly message: string; readonly key: string | undefined } {
  const parent = (error.parentSchema ?? {}) as {
    readonly unit?: string;
    readonly properties?: object;
    readonly patternErrorMessage?: string;
  };
  const params = error.params as Readonly<Record<string, unknown>>;
  if (parent.unit !== undefined) return { message: unitExamples[parent.unit] ?? "is not in its unit", key: undefined };
  switch (error.keyword) {
    case "additionalProperties": {
      const key = String(params["additionalProperty"]);
      return { message: `unknown key "${key}"${hint(key, Object.keys(parent.properties ?? {}))}`, key };
    }
    case "pattern":
      return { message: parent.patternErrorMessage ?? error.message ?? "is invalid", key: undefined };
    case "enum":
      return { message: `must be one of ${(params["allowedValues"] as unknown[]).map(String).join(", ")}`, key: undefined };
    case "required":
      return { message: `"${String(params["missingProperty"])}" is missing`, key: undefined };
    case "maxProperties":
    case "minProperties":
      return {
        message: Object.keys(parent.properties ?? {}).includes("http")
          ? "must have exactly one connector"
          : (error.message ?? "is invalid"),
        key: undefined,
      };
    case "propertyNames":
      return {
        message: `the name "${String(params["propertyName"])}" must start with a letter and contain only letters, digits, _ and -, at most 64`,
        key: String(params["propertyName"]),
      };
    default:
      return { message: error.message ?? "is invalid", key: undefined };
  }
}

/** Keys and indices of a JSON pointer into `data`. */
export function pointerPath(pointer: string, data: unknown): (string | number)[] {
  let value = data;
  return pointer
    .split("/")
    .slice(1)
    .map((raw) => {
      const step = raw.replace(/~1/g, "/").replace(/~0/g, "~");
      const index = Array.isArray(value) ? Number(step) : step;
      value = (value as Record<string | number, unknown> | undefined)?.[index];
      return index;
    });
}
