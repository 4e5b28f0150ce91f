/**
 * The messages of PostgreSQL's output plugin `pgoutput`, protocol version 1. (PostgreSQL's documentation, "Logical Replication Message
 * Formats".) Version 1 sends a transaction once it is committed, and whole:
 *
 *     Begin  (Relation? Insert | Update | Delete | Truncate)*  Commit
 *
 * The server describes a table (Relation) before its first change, and again after the table was altered.
 */
import { CodedError } from "#base";

/** A place in the server's log of changes, in bytes from its beginning. */
export type Lsn = bigint;

export interface Column {
  readonly name: string;
  /** OID of the type. */
  readonly type: number;
  /** Part of the replica identity. */
  readonly isKey: boolean;
}

export interface Table {
  /** OID. */
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  /** `REPLICA IDENTITY`: default, nothing, full or an index. */
  readonly identity: "d" | "n" | "f" | "i";
  readonly columns: readonly Column[];
}

/** Values as the server writes them, in the order of the columns; null: NULL; undefined: unchanged, stored apart (TOAST) and not sent. */
export type Tuple = readonly (string | null | undefined)[];

/** The row before: all of it, or its key only (the other columns are null then). */
export interface OldTuple {
  readonly isWhole: boolean;
  readonly values: Tuple;
}

export type PgMessage =
  | { readonly kind: "begin"; readonly commit: Lsn; readonly atMicros: bigint; readonly xid: number }
  | { readonly kind: "commit"; readonly commit: Lsn; readonly end: Lsn }
  | { readonly kind: "table"; readonly table: Table }
  | { readonly kind: "insert"; readonly table: number; readonly after: Tuple }
  | { readonly kind: "update"; readonly table: number; readonly before: OldTuple | undefined; readonly after: Tuple }
  | { readonly kind: "delete"; readonly table: number; readonly before: OldTuple }
  | { readonly kind: "truncate"; readonly tables: readonly number[]; readonly cascade: boolean; readonly restartIdentity: boolean }
  | { readonly kind: "other" };

/** A malformed message, MF_POSTGRES_STREAM. */
export function malformed(why: string): CodedError {
  return new CodedError("MF_POSTGRES_STREAM", `the server sent a change that is malformed: ${why}`);
}

/** Microseconds from 1970 to 2000, where the server's times begin. */
export const epochMicros = 946_684_800_000_000n;

/** Reads values in network order; throws MF_POSTGRES_STREAM behind the end. */
class Bytes {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  get left(): number {
    return this.#buffer.length - this.#at;
  }

  #take(count: number): number {
    if (count > this.left) throw malformed("it is cut off");
    const at = this.#at;
    this.#at += count;
    return at;
  }

  byte(): number {
    return this.#buffer[this.#take(1)] as number;
  }

  letter(): string {
    return String.fromCharCode(this.byte());
  }

  count16(): number {
    const count = this.#buffer.readInt16BE(this.#take(2));
    if (count < 0) throw malformed("a count is negative");
    return count;
  }

  uint32(): number {
    return this.#buffer.readUInt32BE(this.#take(4));
  }

  uint64(): bigint {
    return this.#buffer.readBigUInt64BE(this.#take(8));
  }

  int64(): bigint {
    return this.#buffer.readBigInt64BE(this.#take(8));
  }

  text(bytes: number): string {
    const at = this.#take(bytes);
    return this.#buffer.toString("utf8", at, at + bytes);
  }

  /** Text up to a zero. */
  name(): string {
    const end = this.#buffer.indexOf(0, this.#at);
    if (end < 0) throw malformed("a name has no end");
    const name = this.text(end - this.#at);
    this.#at = end + 1;
    return name;
  }
}

/** Throws MF_POSTGRES_STREAM for a message that is malformed; messages of a kind that says nothing of rows are `other`. */
export function decode(message: Buffer): PgMessage {
  const bytes = new Bytes(message);
  const decoded = read(bytes.letter(), bytes);
  if (decoded.kind !== "other" && bytes.left > 0) throw malformed(`${bytes.left} bytes are behind its end`);
  return decoded;
}

function read(kind: string, bytes: Bytes): PgMessage {
  switch (kind) {
    case "B":
      return { kind: "begin", commit: bytes.uint64(), atMicros: bytes.int64() + epochMicros, xid: bytes.uint32() };
    case "C":
      bytes.byte(); // flags, unused
      return { kind: "commit", commit: bytes.uint64(), end: endOf(bytes) };
    case "R":
      return { kind: "table", table: readTable(bytes) };
    case "I": {
      const table = bytes.uint32();
      expect(bytes, "N");
      return { kind: "insert", table, after: readTuple(bytes) };
    }
    case "U":
      return readUpdate(bytes);
    case "D": {
      const table = bytes.uint32();
      return { kind: "delete", table, before: readOld(bytes.letter(), bytes) };
    }
    case "T":
      return readTruncate(bytes);
    case "O": // origin
    case "Y": // type
    case "M": // pg_logical_emit_message
      return { kind: "other" };
    default:
      throw malformed(`its kind is ${JSON.stringify(kind)}`);
  }
}

/** The end of a transaction; its time follows. */
function endOf(bytes: Bytes): Lsn {
  const end = bytes.uint64();
  bytes.int64();
  return end;
}

function expect(bytes: Bytes, letter: string): void {
  const found = bytes.letter();
  if (found !== letter) throw malformed(`${JSON.stringify(found)} stands where ${letter} is expected`);
}

const identities = new Set(["d", "n", "f", "i"]);

function readTable(bytes: Bytes): Table {
  const id = bytes.uint32();
  const schema = bytes.name();
  const name = bytes.name();
  const identity = bytes.letter();
  if (!identities.has(identity)) throw malformed(`a table's replica identity is ${JSON.stringify(identity)}`);
  const columns: Column[] = [];
  for (let count = bytes.count16(); count > 0; count -= 1) {
    const isKey = (bytes.byte() & 1) === 1;
    columns.push({ isKey, name: bytes.name(), type: bytes.uint32() });
    bytes.uint32(); // modifier of the type
  }
  return { id, schema: schema === "" ? "pg_catalog" : schema, name, identity: identity as Table["identity"], columns };
}

function readUpdate(bytes: Bytes): PgMessage {
  const table = bytes.uint32();
  let letter = bytes.letter();
  let before: OldTuple | undefined;
  if (letter !== "N") {
    before = readOld(letter, bytes);
    letter = bytes.letter();
  }
  if (letter !== "N") throw malformed("an update has no new row");
  return { kind: "update", table, before, after: readTuple(bytes) };
}

function readOld(letter: string, bytes: Bytes): OldTuple {
  if (letter !== "K" && letter !== "O") throw malformed("an old row is neither whole nor a key");
  return { isWhole: letter === "O", values: readTuple(bytes) };
}

function readTuple(bytes: Bytes): Tuple {
  const values: (string | null | undefined)[] = [];
  for (let count = bytes.count16(); count > 0; count -= 1) {
    const kind = bytes.letter();
    if (kind === "n") values.push(null);
    else if (kind === "u") values.push(undefined);
    else if (kind === "t") values.push(bytes.text(bytes.uint32()));
    else throw malformed(`a value is of kind ${JSON.stringify(kind)}`);
  }
  return values;
}

function readTruncate(bytes: Bytes): PgMessage {
  const count = bytes.uint32();
  const options = bytes.byte();
  if (count * 4 > bytes.left) throw malformed("it is cut off");
  const tables = Array.from({ length: count }, () => bytes.uint32());
  return { kind: "truncate", tables, cascade: (options & 1) !== 0, restartIdentity: (options & 2) !== 0 };
}
