/** Changes as JSON. Values are written as the query source and the outlet write them; JSON and numbers stand as the server wrote them. */
import { hashOf } from "../../shared/query-position.ts";
import { exactTypes } from "../client.ts";
import { changeLimits } from "../limits.ts";
import { type Column, malformed, type OldTuple, type PgMessage, type Table, type Tuple } from "./pgoutput.ts";

export interface Change {
  readonly op: "insert" | "update" | "delete" | "truncate";
  readonly schema: string;
  readonly table: string;
  /** Members of a JSON object, without its braces: op, schema, table, key, before, after, unchanged. */
  readonly members: string;
  /** Changes with the same one belong together in their order. */
  readonly orderKey: string;
  /** Belongs behind everything before it, and before everything after it: it concerns more than one row's key. */
  readonly isBarrier: boolean;
}

type Row = Extract<PgMessage, { readonly kind: "insert" | "update" | "delete" }>;

/** Writes a value that is not NULL. */
type Writer = (text: string) => string;

const asText: Writer = (text) => JSON.stringify(text);
const asNumber: Writer = (text) => (/^-?\d/.test(text) ? text : asText(text)); // not Infinity, not NaN
const asBoolean: Writer = (text) => (text === "t" ? "true" : "false");
const asJson: Writer = (text) => text;

const writers = new Map<number, Writer>([
  [16, asBoolean],
  ...[21, 23, 26, 700, 701].map((oid) => [oid, asNumber] as const), // smallint, integer, oid, real, double precision
  [114, asJson],
  [3802, asJson], // jsonb
]);

/** JSON has no number for them. */
const finite = (_name: string, value: unknown): unknown => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value);

function writerOf(oid: number): Writer {
  const own = writers.get(oid);
  if (own !== undefined) return own;
  const parse = exactTypes.getTypeParser(oid, "text") as (text: string) => unknown;
  return (text) => {
    const value = parse(text);
    return typeof value === "string" ? JSON.stringify(value) : JSON.stringify(value, finite);
  };
}

interface Field extends Column {
  /** `"name":` */
  readonly label: string;
  readonly write: Writer;
}

/** A table as the server has described it. */
export class TableRows {
  readonly #table: Table;
  readonly #fields: readonly Field[];
  readonly #keys: readonly number[];
  readonly #names: string;

  constructor(table: Table) {
    this.#table = table;
    this.#fields = table.columns.map((column) => ({ ...column, label: `${JSON.stringify(column.name)}:`, write: writerOf(column.type) }));
    // With REPLICA IDENTITY FULL all columns are marked: no key is known.
    this.#keys = table.identity === "f" ? [] : this.#fields.flatMap(({ isKey }, at) => (isKey ? [at] : []));
    this.#names = `"schema":${JSON.stringify(table.schema)},"table":${JSON.stringify(table.name)}`;
  }

  /** Throws MF_POSTGRES_STREAM if it does not fit the table. */
  row(message: Row): Change {
    const before = message.kind === "insert" ? undefined : message.before;
    const sent = message.kind === "delete" ? undefined : message.after;
    this.#check(sent);
    this.#check(before?.values);
    const after = sent === undefined ? undefined : filled(sent, before);
    const oldKey = before === undefined ? undefined : this.#key(before.values);
    const key = after === undefined ? oldKey : this.#key(filled(after, before, true));
    const unchanged = (after ?? []).flatMap((value, at) => (value === undefined ? [this.#fields[at]?.name] : []));
    const parts = [
      `"op":"${message.kind}"`,
      this.#names,
      `"key":{${key ?? ""}}`,
      ...(before === undefined ? [] : [`"before":{${before.isWhole ? this.#values(before.values) : (oldKey ?? "")}}`]),
      ...(after === undefined ? [] : [`"after":{${this.#values(after)}}`]),
      ...(unchanged.length === 0 ? [] : [`"unchanged":${JSON.stringify(unchanged)}`]),
    ];
    const isBarrier = message.kind === "update" && oldKey !== undefined && oldKey !== key;
    return { ...this.#head(message.kind), members: parts.join(","), orderKey: this.#orderKey(key ?? ""), isBarrier };
  }

  truncate({ cascade, restartIdentity }: { readonly cascade: boolean; readonly restartIdentity: boolean }): Change {
    const members = `"op":"truncate",${this.#names},"key":{},"cascade":${cascade},"restartIdentity":${restartIdentity}`;
    return { ...this.#head("truncate"), members, orderKey: this.#orderKey(""), isBarrier: true };
  }

  /** One whose rows are too long to be read. */
  unread(op: "insert" | "update" | "delete", bytes: number): Change {
    const members = `"op":"${op}",${this.#names},"key":{},"bytes":${bytes}`;
    return { ...this.#head(op), members, orderKey: this.#orderKey(""), isBarrier: true };
  }

  #head<Op extends Change["op"]>(op: Op): { readonly op: Op; readonly schema: string; readonly table: string } {
    return { op, schema: this.#table.schema, table: this.#table.name };
  }

  #check(values: Tuple | undefined): void {
    if (values !== undefined && values.length !== this.#fields.length)
      throw malformed(`a row of ${this.#table.name} has ${values.length} columns, not ${this.#fields.length}`);
  }

  #key(values: Tuple): string {
    return this.#members(values, this.#keys);
  }

  #values(values: Tuple): string {
    return this.#members(values, values.keys());
  }

  #members(values: Tuple, columns: Iterable<number>): string {
    let text = "";
    for (const at of columns) {
      const [field, value] = [this.#fields[at], values[at]];
      if (field === undefined || value === undefined) continue;
      text += `${text === "" ? "" : ","}${field.label}${value === null ? "null" : field.write(value)}`;
    }
    return text;
  }

  #orderKey(key: string): string {
    const text = `${this.#table.schema}.${this.#table.name}${key === "" ? "" : ` {${key}}`}`;
    return text.length <= changeLimits.keyCharacters ? text : `${text.slice(0, changeLimits.keyCharacters - 22)}${hashOf(text)}`;
  }
}

/** Values that were not sent because they did not change, from the row before, where it has them. `withKey`: from a row that is a key, too. */
function filled(after: Tuple, before: OldTuple | undefined, withKey = false): Tuple {
  if (before === undefined || !(before.isWhole || withKey) || !after.includes(undefined)) return after;
  return after.map((value, at) => (value === undefined ? before.values[at] : value));
}
