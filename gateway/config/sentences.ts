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
    case "type":
      return { message: `must be ${listed([params["type"]].flat().map(String))}`, key: undefined };
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

/** Faults without those of choices: of the branch that the value seems meant for, or one sentence for all. */
export function withoutChoices(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  let left = errors;
  for (;;) {
    const choice = left
      .filter(({ keyword }) => keyword === "anyOf" || keyword === "oneOf")
      .sort((a, b) => a.schemaPath.length - b.schemaPath.length)[0];
    if (choice === undefined) return left;
    const isWithin = ({ schemaPath, instancePath }: ErrorObject): boolean =>
      schemaPath.startsWith(`${choice.schemaPath}/`) && instancePath.startsWith(choice.instancePath);
    const within = left.filter(isWithin);
    left = left.flatMap((error) => (error === choice ? chosen(choice, within) : isWithin(error) ? [] : [error]));
  }
}

function chosen(choice: ErrorObject, within: readonly ErrorObject[]): readonly ErrorObject[] {
  const byBranch = new Map<string, ErrorObject[]>();
  for (const error of within) {
    const branch = error.schemaPath.slice(choice.schemaPath.length + 1).split("/")[0] ?? "";
    byBranch.set(branch, [...(byBranch.get(branch) ?? []), error]);
  }
  const branches = [...byBranch.values()];
  const isOfAnother = (error: ErrorObject): boolean =>
    error.instancePath === choice.instancePath && ["type", "const", "enum"].includes(error.keyword);
  const meant = branches.filter((branch) => !branch.some(isOfAnother));
  const told = (message: string): readonly ErrorObject[] => [{ ...choice, keyword: "choice", message }];
  if (meant.length === 0) {
    const kinds = within.filter(isOfAnother).map(kindOf);
    return kinds.length === 0 ? told(choice.message ?? "is invalid") : told(`must be ${listed([...new Set(kinds)])}`);
  }
  const absent = meant.map((branch) => (branch.every(({ keyword }) => keyword === "required") ? branch : undefined));
  if (meant.length > 1 && absent.every((branch) => branch?.length === 1 && branch[0]?.instancePath === choice.instancePath))
    return told(
      `${listed(absent.map((branch) => `"${String((branch?.[0]?.params as { missingProperty?: string }).missingProperty)}"`))} is missing`,
    );
  return meant.reduce((best, branch) => (branch.length < best.length ? branch : best));
}

function kindOf({ keyword, params }: ErrorObject): string {
  const { type, allowedValue, allowedValues } = params as { type?: string | string[]; allowedValue?: unknown; allowedValues?: unknown[] };
  if (keyword === "type") return listed([type ?? "something else"].flat());
  return listed((allowedValues ?? [allowedValue]).map((value) => JSON.stringify(value)));
}

/** Texts as "a, b or c". */
function listed(texts: readonly string[]): string {
  return texts.length < 2 ? (texts[0] ?? "") : `${texts.slice(0, -1).join(", ")} or ${texts.at(-1)}`;
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
