/**
 * SQL with named parameters taken from a message: `insert into orders values ($id, $json.customer.name, $header.x-tenant)` becomes
 * `… values ($1, $2, $3)` and three values. Names are never replaced by text, and inside of strings, quoted names, dollar quotes and
 * comments they are left alone.
 */
import { headerText } from "#abi";
import { CodedError, table } from "#base";
import type { Outgoing } from "#gateway/contract";

export interface Statement {
  readonly text: string;
  values(message: Outgoing, idempotencyKey: string): unknown[];
}

type Value = (message: Outgoing, idempotencyKey: string, json: () => unknown) => unknown;

const simple: Readonly<Record<string, Value>> = table({
  id: (_, idempotencyKey) => idempotencyKey,
  message: (message) => message.messageId,
  key: (message) => message.key,
  flow: (message) => message.flow,
  outlet: (message) => message.outlet,
  type: (message) => message.contentType,
  correlation: (message) => message.correlationId,
  time: (message) => new Date(message.timeMs).toISOString(),
  body: (message) => Buffer.from(message.body),
  text: (message) => Buffer.from(message.body).toString("utf8"),
  json: (message) => Buffer.from(message.body).toString("utf8"),
  headers: (message) => JSON.stringify(message.headers),
});

/** For documentation and error messages. */
export const parameterNames = `${Object.keys(simple)
  .map((name) => `$${name}`)
  .join(", ")}, $header.name, $json.path`;

const pieces = new RegExp(
  [
    String.raw`[eE]'(?:[^'\\]|\\.|'')*'`, // string with backslash escapes
    String.raw`'(?:[^']|'')*'`,
    String.raw`"(?:[^"]|"")*"`,
    String.raw`\$(?<tag>[A-Za-z_]*)\$[\s\S]*?\$\k<tag>\$`,
    String.raw`--[^\n]*`,
    String.raw`/\*[\s\S]*?\*/`,
    String.raw`\$(?<name>header\.[\w-]+|[A-Za-z]\w*(?:\.\w+)*)`,
    String.raw`\$(?<position>\d+)`,
  ].join("|"),
  "g",
);

/** Throws MF_CONFIG_SQL for a name there is not. */
export function parseSql(sql: string): Statement {
  const names: string[] = [];
  const found: Value[] = [];
  const text = sql.replace(pieces, (whole: string, ...rest: unknown[]) => {
    const { name, position } = rest.at(-1) as { readonly name?: string; readonly position?: string };
    if (position !== undefined) throw new CodedError("MF_CONFIG_SQL", `$${position}: parameters have names: ${parameterNames}`);
    if (name === undefined) return whole;
    if (!names.includes(name)) {
      found.push(valueOf(name));
      names.push(name);
    }
    return `$${names.indexOf(name) + 1}`;
  });
  return { text, values: (message, idempotencyKey) => valuesOf(found, message, idempotencyKey) };
}

function valuesOf(found: readonly Value[], message: Outgoing, idempotencyKey: string): unknown[] {
  let parsed: { readonly value: unknown } | undefined;
  const json = (): unknown => (parsed ??= { value: parseJson(message.body) }).value;
  return found.map((value) => value(message, idempotencyKey, json) ?? null);
}

export function valueOf(name: string): Value {
  const known = Object.hasOwn(simple, name) ? simple[name] : undefined;
  if (known !== undefined) return known;
  const [first, ...path] = name.split(".");
  if (first === "header" && path.length === 1) return (message) => headerText(message.headers[(path[0] ?? "").toLowerCase()]);
  if (first === "json" && path.length > 0) return (_message, _key, json) => textAt(json(), path);
  throw new CodedError("MF_CONFIG_SQL", `$${name} is not one of ${parameterNames}`);
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString("utf8")) as unknown;
  } catch {
    return undefined; // its parameters become null: the table decides if that is allowed
  }
}

/** Text that PostgreSQL converts to the parameter's type: a value as it is, an object or array as JSON. */
function textAt(value: unknown, path: readonly string[]): unknown {
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  if (value === undefined || value === null) return undefined;
  return typeof value === "object" ? JSON.stringify(value) : String(value as string | number | boolean);
}
