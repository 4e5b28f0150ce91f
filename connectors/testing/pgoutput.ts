/** Messages of PostgreSQL's `pgoutput` as a server writes them, and random ones. */
import fc from "fast-check";
import { epochMicros, type PgMessage, type Tuple } from "../postgres/changes/pgoutput.ts";

const letter = (text: string): Buffer => Buffer.from(text, "latin1");
const name = (text: string): Buffer => Buffer.from(`${text}\0`);
const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};
const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const uint64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value));
  return bytes;
};

function tuple(values: Tuple): Buffer {
  const encoded = values.map((value) => {
    if (value === null) return letter("n");
    if (value === undefined) return letter("u");
    const text = Buffer.from(value);
    return Buffer.concat([letter("t"), uint32(text.length), text]);
  });
  return Buffer.concat([int16(values.length), ...encoded]);
}

function parts(message: PgMessage): readonly Buffer[] {
  switch (message.kind) {
    case "begin":
      return [letter("B"), uint64(message.commit), uint64(message.atMicros - epochMicros), uint32(message.xid)];
    case "commit":
      return [letter("C\0"), uint64(message.commit), uint64(message.end), uint64(0n)];
    case "table": {
      const { id, schema, name: table, identity, columns } = message.table;
      const each = columns.flatMap((column) => [
        letter(column.isKey ? "\x01" : "\0"),
        name(column.name),
        uint32(column.type),
        uint32(0xffff_ffff),
      ]);
      return [
        letter("R"),
        uint32(id),
        name(schema === "pg_catalog" ? "" : schema),
        name(table),
        letter(identity),
        int16(columns.length),
        ...each,
      ];
    }
    case "insert":
      return [letter("I"), uint32(message.table), letter("N"), tuple(message.after)];
    case "update": {
      const { before } = message;
      const old = before === undefined ? [] : [letter(before.isWhole ? "O" : "K"), tuple(before.values)];
      return [letter("U"), uint32(message.table), ...old, letter("N"), tuple(message.after)];
    }
    case "delete":
      return [letter("D"), uint32(message.table), letter(message.before.isWhole ? "O" : "K"), tuple(message.before.values)];
    case "truncate": {
      const options = (message.cascade ? 1 : 0) | (message.restartIdentity ? 2 : 0);
      return [letter("T"), uint32(message.tables.length), Buffer.from([options]), ...message.tables.map(uint32)];
    }
    case "other":
      return [letter("Y"), uint32(1), name("public"), name("mood")];
  }
}

export const encode = (message: PgMessage): Buffer => Buffer.concat(parts(message));

const record = <T>(model: { readonly [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(model, { noNullPrototype: true });
/** Names have no zero, which ends them. */
const names = fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" }).filter((text) => !text.includes("\0") && text !== "pg_catalog");
const oids = fc.integer({ min: 0, max: 0xffff_ffff });
const lsns = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const tuples = fc.array(fc.oneof(fc.string({ unit: "grapheme", maxLength: 30 }), fc.constant(null), fc.constant(undefined)), {
  maxLength: 12,
});
const old = record({ isWhole: fc.boolean(), values: tuples });
const columns = fc.array(record({ name: names, type: oids, isKey: fc.boolean() }), { maxLength: 12 });
const identities = fc.constantFrom<"d" | "n" | "f" | "i">("d", "n", "f", "i");

export const pgMessages: fc.Arbitrary<PgMessage> = fc.oneof(
  record({
    kind: fc.constant("begin" as const),
    commit: lsns,
    atMicros: fc.bigInt({ min: epochMicros - 2n ** 62n, max: epochMicros + 2n ** 62n }),
    xid: oids,
  }),
  record({ kind: fc.constant("commit" as const), commit: lsns, end: lsns }),
  record({
    kind: fc.constant("table" as const),
    table: record({ id: oids, schema: fc.oneof(names, fc.constant("pg_catalog")), name: names, identity: identities, columns }),
  }),
  record({ kind: fc.constant("insert" as const), table: oids, after: tuples }),
  record({ kind: fc.constant("update" as const), table: oids, before: fc.option(old, { nil: undefined }), after: tuples }),
  record({ kind: fc.constant("delete" as const), table: oids, before: old }),
  record({
    kind: fc.constant("truncate" as const),
    tables: fc.array(oids, { maxLength: 5 }),
    cascade: fc.boolean(),
    restartIdentity: fc.boolean(),
  }),
  fc.constant({ kind: "other" as const }),
);
