/**
 * Statements that a flow gives itself, as the body of a send or request: `{ sql, params }`, or a list of them that is one transaction. Values
 * are always parameters: `$name` and `:name` stand for `params.name`.
 */
import { OutletError } from "#gateway/contract";
import { sqlOutletLimits } from "./limits.ts";
import { type SqlDialect, writtenJson } from "./sql.ts";

export interface GivenStatement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** For the documentation of an outlet. */
export const givenDescription = `- **Neither \`sql\` nor \`table\`**: the flow gives the statement, \`request({ sql: "select * from orders where id = $id", params: { id: 7 } })\`, with
  \`$name\` or \`:name\` for each parameter; or a list of such objects, which is one transaction, all or nothing, and answers a list of lists. Only
  for flows that may do whatever the user of the \`url\` may. \`MF_SQL_STATEMENT\`: any other body, and statements that steer the shared
  connection (\`begin\`, \`commit\`, \`set\`, …).`;

function refused(text: string): OutletError {
  return new OutletError("MF_SQL_STATEMENT", text, { retryable: false, origin: "flow" });
}

/** Throws MF_SQL_STATEMENT. */
export function givenStatements(body: Uint8Array, dialect: SqlDialect): readonly GivenStatement[] {
  let given: unknown;
  try {
    given = JSON.parse(Buffer.from(body).toString()) as unknown;
  } catch {
    throw refused("the body must be JSON: { sql, params }, or a list of these");
  }
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (list.length === 0 || list.length > sqlOutletLimits.statements)
    throw refused(`a transaction has 1 to ${sqlOutletLimits.statements} statements: split the message`);
  return list.map((each) => statementOf(each, dialect, list.length > 1));
}

/** The statement without comments, and with empty strings and names. What MySQL runs of a comment stands. */
function bareText(sql: string, { quoted }: SqlDialect): string {
  const bare = sql.replace(new RegExp(quoted.join("|"), "g"), (piece) => {
    if (/^\/\*M?!/.test(piece)) return piece.replace(/^\/\*M?!\d*|\*\/$/g, " ");
    return /^(--|#|\/\*)/.test(piece) ? " " : "''";
  });
  return bare
    .replace(/\s+/g, " ")
    .replace(/[\s;]+$/, "")
    .trim();
}

/** A transaction that a statement left open would take the sends of others with it: they would count as sent, and be lost with the connection. */
function checkAlone(sql: string, dialect: SqlDialect, isInList: boolean): void {
  const bare = bareText(sql, dialect);
  const [word = ""] = bare.split(" ", 1);
  if (bare === "") throw refused("sql must be a statement: { sql, params }");
  if (bare.includes(";")) throw refused("sql is one statement: give several as a list, which is one transaction");
  if (dialect.steers.test(bare))
    throw refused(
      `${word}: the connection is shared, and its transactions are the outlet's: give a list of statements, which is one transaction`,
    );
  if (isInList && dialect.commits?.test(bare) === true)
    throw refused(`${word}: the server commits it at once, with all before it in the list: send it alone`);
}

function statementOf(given: unknown, dialect: SqlDialect, isInList: boolean): GivenStatement {
  const { sql, params = {} } = (typeof given === "object" && given !== null ? given : {}) as Readonly<Record<string, unknown>>;
  if (typeof sql !== "string" || sql.trim() === "") throw refused("sql must be a statement: { sql, params }");
  if (typeof params !== "object" || params === null || Array.isArray(params)) throw refused("params must be an object of names and values");
  checkAlone(sql, dialect, isInList);
  const values: unknown[] = [];
  const positions = new Map<string, number>();
  const place = (name: string): string => {
    const known = positions.get(name);
    if (dialect.numbered && known !== undefined) return `$${known}`;
    values.push(valueOf((params as Readonly<Record<string, unknown>>)[name], dialect));
    positions.set(name, values.length);
    return dialect.numbered ? `$${values.length}` : "?";
  };
  const pieces = new RegExp(
    [...dialect.quoted, String.raw`(?<sign>\$|(?<![:\w\]]):(?!:))(?<name>[A-Za-z_]\w*)`, String.raw`(?<bare>\$\d+|\?)`].join("|"),
    "g",
  );
  const text = sql.replace(pieces, (whole: string, ...rest: unknown[]) => {
    const { sign, name, bare } = rest.at(-1) as { readonly sign?: string; readonly name?: string; readonly bare?: string };
    if (bare !== undefined && (!dialect.numbered || bare !== "?")) throw refused(`${bare}: parameters have names, such as $id`);
    if (sign === undefined || name === undefined) return whole;
    if (Object.hasOwn(params, name)) return place(name);
    if (sign === ":") return whole; // a part of the language: an array's slice
    throw refused(`params has no ${name}, which sql names`);
  });
  return { text, values };
}

/** Objects and lists are JSON; booleans as the server converts them. */
function valueOf(value: unknown, { text }: SqlDialect): unknown {
  if (value === null || value === undefined) return null;
  if (typeof value === "boolean") return text(value);
  return typeof value === "object" ? writtenJson(value) : String(value as string | number);
}
