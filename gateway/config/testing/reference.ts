/** docs/CONFIG.md, generated from the schema of mayfly.yaml: every key that is no connector's, with an example each. */
import type { ConnectorDescription, JsonSchema } from "../../contract/connector.ts";

interface Property {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly unit?: string;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Property>>;
  readonly additionalProperties?: Property | boolean;
  readonly items?: Property;
  readonly required?: readonly string[];
}

/** A key of mayfly.yaml, and what is written behind it. */
export interface Setting {
  /** `flows.NAME.retry.attempts`, `http.tls.certificates[].cert` */
  readonly path: string;
  readonly schema: Property;
  readonly isRequired: boolean;
  readonly example: unknown;
}

/** Keys that stand for whatever name the author gives. */
const names: ReadonlyMap<string, string> = new Map([
  ["flows", "NAME"],
  ["to", "OUTLET"],
  ["signals", "SIGNAL"],
  ["values", "NAME"],
  ["headers", "NAME"],
  ["attributes", "NAME"],
]);

function exampleOf(schema: Property, byPath: ReadonlyMap<string, unknown>, path: string): unknown {
  if (byPath.has(path)) return byPath.get(path);
  if (schema.unit !== undefined && schema.default !== undefined) return schema.default;
  if (schema.examples?.[0] !== undefined) return schema.examples[0];
  if (schema.type === "boolean") return schema.default !== true;
  if (schema.enum !== undefined) return schema.enum.find((each) => each !== schema.default);
  const standard = schema.default;
  return standard === undefined || (typeof standard === "object" && Object.keys(standard ?? {}).length === 0) ? undefined : standard;
}

/** Every setting below a schema, those of connectors left out. */
export function settingsOf(
  schema: JsonSchema,
  connectors: readonly ConnectorDescription[],
  examples: ReadonlyMap<string, unknown>,
): Setting[] {
  const connectorNames = new Set(connectors.map(({ name }) => name));
  const settings: Setting[] = [];
  const walk = (property: Property, path: string, key: string): void => {
    const { properties = {}, required = [], additionalProperties, items } = property;
    for (const [name, each] of Object.entries(properties)) {
      // Below `from` and `to` the names of connectors are documented with the connectors.
      if (connectorNames.has(name) && /OUTLET$|\[\]$/.test(path)) continue;
      const at = path === "" ? name : `${path}.${name}`;
      settings.push({ path: at, schema: each, isRequired: required.includes(name), example: exampleOf(each, examples, at) });
      walk(each, at, name);
    }
    if (typeof additionalProperties === "object" && additionalProperties.properties !== undefined)
      walk(additionalProperties, `${path}.${names.get(key) ?? "NAME"}`, key);
    if (items?.properties !== undefined) walk(items, `${path}[]`, key);
  };
  walk(schema as Property, "", "");
  return settings;
}

function typeOf({ $ref, type, unit, enum: choices }: Property): string {
  if ($ref !== undefined) return "array";
  if (unit !== undefined) return unit === "durationRange" ? "range of durations" : unit;
  if (choices !== undefined) return choices.map((each) => `\`${String(each)}\``).join(", ");
  return typeof type === "string" ? type : (type ?? ["anything"]).join(" or ");
}

function cell(text: string): string {
  return text.replace(/\|/g, "\\|").replace(/\n/g, " ");
}

/** A value as YAML in one line. */
export function inlineYaml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inlineYaml).join(", ")}]`;
  if (typeof value === "object" && value !== null)
    return `{ ${Object.entries(value)
      .map(([name, each]) => `${name}: ${inlineYaml(each)}`)
      .join(", ")} }`;
  if (typeof value !== "string") return String(value);
  return /^[A-Za-z./][A-Za-z0-9._/:@+-]*$|^[0-9]+(?:[a-zA-Z%/]+)[0-9a-zA-Z.]*$/.test(value) &&
    !/^(?:true|false|null|yes|no|on|off)$|: |:$/i.test(value)
    ? value
    : JSON.stringify(value);
}

function row({ path, schema, isRequired, example }: Setting): string {
  const key = path.split(".").at(-1) ?? "";
  const standard = isRequired
    ? "required"
    : schema.default === undefined || typeof schema.default === "object"
      ? ""
      : `\`${inlineYaml(schema.default)}\``;
  return `| \`${path}\` | ${cell(typeOf(schema))} | ${cell(standard)} | \`${cell(`${key}: ${inlineYaml(example)}`)}\` | ${cell(schema.description ?? "")} |`;
}

export function referenceMarkdown(intro: string, settings: readonly Setting[]): string {
  const heads = [...new Set(settings.map(({ path }) => path.split(".")[0] ?? ""))];
  const table = (rows: readonly Setting[]): string =>
    ["| key | type | default | example | |", "| --- | --- | --- | --- | --- |", ...rows.map(row)].join("\n");
  const sections = heads.map((head) => `## ${head}\n\n${table(settings.filter(({ path }) => path.split(".")[0] === head))}\n`);
  return [intro, ...sections].join("\n");
}
