/**
 * SQL with named parameters taken from a message: `insert into orders values ($id, $json.customer.name, $header.x-tenant)` becomes
 * `… values ($1, $2, $3)` or `… values (?, ?, ?)`, and three values. Names are never replaced by text, and inside of strings, quoted names
 * and comments they are left alone.
 */
import { headerText } from "#abi";
import { CodedError, table } from "#base";
import { type JsonSchema, OutletError, type Outgoing } from "#gateway/contract";
import { jsonText } from "./sql-rows.ts";

export interface Statement {
  readonly text: string;
  values(message: Outgoing, idempotencyKey: string): unknown[];
}

/** SQL as one server reads it. */
export interface SqlDialect {
  /** Regular expressions of strings, quoted names and comments. */
  readonly quoted: readonly string[];
  /** Beginnings of statements that begin or end a transaction, or change the session for whoever has the connection next. */
  readonly steers: RegExp;
  /** Beginnings of statements that the server commits at once, with all before them in their transaction. */
  readonly commits: RegExp | undefined;
  /** Placeholders are `$1`, with one value for all uses of a name; or else `?`, with one for each use. */
  readonly numbered: boolean;
  /** Text that the server converts to its type. */
  readonly text: (value: Date | boolean) => string;
}

export const postgresSql: SqlDialect = {
  quoted: [
    String.raw`[eE]'(?:[^'\\]|\\.|'')*'`, // string with backslash escapes
    String.raw`'(?:[^']|'')*'`,
    String.raw`"(?:[^"]|"")*"`,
    String.raw`\$(?<tag>[A-Za-z_]*)\$[\s\S]*?\$\k<tag>\$`,
    String.raw`--[^\n]*`,
    String.raw`/\*[\s\S]*?\*/`,
  ],
  steers: /^(begin|start|commit|end|rollback(?! +to\b)|abort|prepare|set(?! +(local|constraints)\b)|reset|discard|listen)\b/i,
  commits: undefined,
  numbered: true,
  text: (value) => (value instanceof Date ? value.toISOString() : String(value)),
};

/** In a session without ANSI_QUOTES and NO_BACKSLASH_ESCAPES, whose time zone is UTC. */
export const mysqlSql: SqlDialect = {
  quoted: [
    String.raw`'(?:[^'\\]|\\[\s\S]|'')*'`,
    String.raw`"(?:[^"\\]|\\[\s\S]|"")*"`,
    "`(?:[^`]|``)*`",
    String.raw`--(?=\s|$)[^\n]*`, // "5--3" is no comment
    String.raw`#[^\n]*`,
    String.raw`/\*[\s\S]*?\*/`,
  ],
  steers: /^(begin|start|commit|rollback(?! +to\b)|xa|set|use|lock|unlock|handler)\b/i,
  commits: /^(alter|analyze|create(?! +temporary\b)|drop(?! +temporary\b)|grant|optimize|rename|repair|revoke|truncate)\b/i,
  numbered: false,
  text: (value) => (value instanceof Date ? value.toISOString().replace("T", " ").replace("Z", "") : value ? "1" : "0"),
};

type Value = (message: Outgoing, idempotencyKey: string, json: () => unknown) => unknown;

const simple: Readonly<Record<string, Value>> = table({
  id: (_, idempotencyKey) => idempotencyKey,
  message: (message) => message.messageId,
  key: (message) => message.key,
  flow: (message) => message.flow,
  outlet: (message) => message.outlet,
  type: (message) => message.contentType,
  correlation: (message) => message.correlationId,
  time: (message) => new Date(message.timeMs),
  body: (message) => Buffer.from(message.body),
  text: (message) => Buffer.from(message.body).toString("utf8"),
  json: (message) => Buffer.from(message.body).toString("utf8"),
  headers: (message) => JSON.stringify(message.headers),
});

/** For documentation and error messages. */
export const parameterNames = `${Object.keys(simple)
  .map((name) => `$${name}`)
  .join(", ")}, $header.name, $json.path`;

const named = String.raw`\$(?<name>header\.[\w-]+|[A-Za-z]\w*(?:\.\w+)*)`;

/** Throws MF_CONFIG_SQL for a name there is not. */
export function parseSql(sql: string, { quoted, numbered, text: textOf }: SqlDialect): Statement {
  const names: string[] = [];
  const found: Value[] = [];
  const positional = numbered ? String.raw`(?<position>\$\d+)` : String.raw`(?<position>\$\d+|\?)`;
  const pieces = new RegExp([...quoted, named, positional].join("|"), "g");
  const text = sql.replace(pieces, (whole: string, ...rest: unknown[]) => {
    const { name, position } = rest.at(-1) as { readonly name?: string; readonly position?: string };
    if (position !== undefined) throw new CodedError("MF_CONFIG_SQL", `${position}: parameters have names: ${parameterNames}`);
    if (name === undefined) return whole;
    if (!numbered || !names.includes(name)) {
      found.push(valueOf(name));
      names.push(name);
    }
    return numbered ? `$${names.indexOf(name) + 1}` : "?";
  });
  return { text, values: (message, idempotencyKey) => valuesOf(found, textOf, message, idempotencyKey) };
}

function valuesOf(found: readonly Value[], textOf: SqlDialect["text"], message: Outgoing, idempotencyKey: string): unknown[] {
  let parsed: { readonly value: unknown } | undefined;
  const json = (): unknown => (parsed ??= { value: parseJson(message.body) }).value;
  return found.map((valueIn) => {
    const value = valueIn(message, idempotencyKey, json) ?? null;
    return value instanceof Date || typeof value === "boolean" ? textOf(value) : value;
  });
}

function valueOf(name: string): Value {
  const known = Object.hasOwn(simple, name) ? simple[name] : undefined;
  if (known !== undefined) return known;
  const [first, ...path] = name.split(".");
  if (first === "header" && path.length === 1) return (message) => headerText(message.headers[(path[0] ?? "").toLowerCase()]);
  if (first === "json" && path.length > 0) return (_message, _key, json) => valueAt(json(), path);
  throw new CodedError("MF_CONFIG_SQL", `$${name} is not one of ${parameterNames}`);
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString("utf8")) as unknown;
  } catch {
    return undefined; // its parameters become null: the table decides if that is allowed
  }
}

/** Text that the server converts to the parameter's type: a number as it is, an object or array as JSON; or a boolean. */
function valueAt(value: unknown, path: readonly string[]): unknown {
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  if (value === undefined || value === null || typeof value === "boolean") return value;
  return typeof value === "object" ? writtenJson(value) : String(value as string | number);
}

/** Throws MF_SQL_VALUE: another attempt would meet the same. */
export function writtenJson(value: object): string {
  const text = jsonText(value);
  if (text !== undefined) return text;
  throw new OutletError("MF_SQL_VALUE", "a parameter is nested too deeply to be written as JSON: send it flatter", { retryable: false });
}

export const tableSchema: JsonSchema = {
  type: "string",
  pattern: "^[^.\\u0000]+(\\.[^.\\u0000]+)?$",
  patternErrorMessage: "must be a table such as orders or shop.orders",
};

/** `orders` or `schema.orders`, each part quoted. */
export function quotedTable(name: string, quote: (part: string) => string): string {
  return name.split(".").map(quote).join(".");
}
