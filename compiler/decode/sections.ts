import { CodedError } from "#base";
import { decodeLimits } from "./limits.ts";
import { opcode } from "./opcodes.ts";
import { readOperator, readReferenceType, readValueType, unsupported } from "./operators.ts";
import { malformed } from "./errors.ts";
import { Reader } from "./reader.ts";
import {
  type ConstantExpression,
  type DataSegment,
  type ElementSegment,
  type Export,
  funcref,
  type FunctionBody,
  type FunctionType,
  type Global,
  type GlobalType,
  type Import,
  type ImportDescription,
  type Limits,
  type Operator,
  type TableType,
  type ValueType,
} from "./types.ts";

/** Reads the contents of one section each (spec 5.5). What only validation can refuse is left to `validate.ts`. */

const opEnd = opcode("end");
const openers = new Set([opcode("block"), opcode("loop"), opcode("if")]);

function vector<T>(reader: Reader, what: string, read: () => T, limit: number = decodeLimits.items): T[] {
  const count = reader.count(limit, what);
  const items: T[] = [];
  for (let i = 0; i < count; i++) items.push(read());
  return items;
}

export function readTypes(reader: Reader): FunctionType[] {
  return vector(
    reader,
    "types",
    () => {
      const at = reader.at;
      const form = reader.byte();
      if (form >= 0x4e && form <= 0x5f) throw unsupported(at, "garbage collection");
      if (form !== 0x60) throw malformed(at, "integer representation too long or malformed function type");
      const params = vector(reader, "parameters", () => readValueType(reader), decodeLimits.params);
      const results = vector(reader, "results", () => readValueType(reader), decodeLimits.results);
      return { params, results };
    },
    decodeLimits.types,
  );
}

function readLimits(reader: Reader, what: string): Limits {
  const at = reader.at;
  const flags = reader.byte();
  if (flags > 1) {
    if (what === "memory" && (flags === 2 || flags === 3)) throw unsupported(at, "shared memory");
    if (what === "memory" && flags >= 4 && flags <= 7) throw unsupported(at, "64-bit memory");
    throw malformed(at, "malformed limits flags");
  }
  const minimum = reader.u32();
  return { minimum, maximum: flags === 1 ? reader.u32() : undefined };
}

function readTable(reader: Reader): TableType {
  const element = readReferenceType(reader);
  return { element, limits: readLimits(reader, "table") };
}

function readGlobalType(reader: Reader): GlobalType {
  const type = readValueType(reader);
  const at = reader.at;
  const mutable = reader.byte();
  if (mutable > 1) throw malformed(at, "malformed mutability");
  return { type, mutable: mutable === 1 };
}

export function readImports(reader: Reader): Import[] {
  return vector(reader, "imports", () => {
    const module = reader.name();
    const name = reader.name();
    const at = reader.at;
    let description: ImportDescription;
    switch (reader.byte()) {
      case 0:
        description = { kind: "function", type: reader.u32() };
        break;
      case 1:
        description = { kind: "table", table: readTable(reader) };
        break;
      case 2:
        description = { kind: "memory", memory: readLimits(reader, "memory") };
        break;
      case 3:
        description = { kind: "global", global: readGlobalType(reader) };
        break;
      case 4:
        throw unsupported(at, "exception handling");
      default:
        throw malformed(at, "malformed import kind");
    }
    return { module, name, description };
  });
}

export function readFunctionSection(reader: Reader): number[] {
  return vector(reader, "functions", () => reader.u32());
}

export function readTables(reader: Reader): TableType[] {
  return vector(reader, "tables", () => readTable(reader));
}

export function readMemories(reader: Reader): Limits[] {
  return vector(reader, "memories", () => readLimits(reader, "memory"));
}

/** Operators up to and without the closing `end`. */
function readConstantExpression(reader: Reader): ConstantExpression {
  const operators: Operator[] = [];
  for (;;) {
    const operator = readOperator(reader);
    if (operator.code === opEnd) return operators;
    operators.push(operator);
  }
}

export function readGlobals(reader: Reader): Global[] {
  return vector(reader, "globals", () => ({ ...readGlobalType(reader), initial: readConstantExpression(reader) }));
}

const exportKinds = ["function", "table", "memory", "global"] as const;

export function readExports(reader: Reader): Export[] {
  return vector(reader, "exports", () => {
    const name = reader.name();
    const at = reader.at;
    const kind = exportKinds[reader.byte()];
    if (kind === undefined) throw malformed(at, "malformed export kind");
    return { name, kind, index: reader.u32() };
  });
}

function functionItems(reader: Reader): ConstantExpression[] {
  const code = opcode("ref.func");
  return vector(reader, "elements", () => {
    const at = reader.at;
    return [{ code, at, a: reader.u32(), b: 0, end: reader.at, targets: [] }];
  });
}

/** Spec 5.5.12: bit 0 passive or declarative, bit 1 explicit table index or declarative, bit 2 expressions instead of function indices. */
export function readElements(reader: Reader): ElementSegment[] {
  return vector(reader, "element segments", () => {
    const at = reader.at;
    const flags = reader.u32();
    if (flags > 7) throw malformed(at, "malformed elements segment kind");
    const active = (flags & 1) === 0;
    const index = active && flags & 2 ? reader.u32() : 0;
    const mode = active
      ? ({ kind: "active", index, offset: readConstantExpression(reader) } as const)
      : ({ kind: flags & 2 ? "declarative" : "passive" } as const);
    let type: ValueType = funcref;
    if (flags & 3) {
      if (flags & 4) type = readReferenceType(reader);
      else if (reader.byte() !== 0) throw malformed(reader.at - 1, "malformed element kind");
    }
    const items = flags & 4 ? vector(reader, "elements", () => readConstantExpression(reader)) : functionItems(reader);
    return { type, mode, items };
  });
}

export function readData(reader: Reader): DataSegment[] {
  return vector(reader, "data segments", () => {
    const at = reader.at;
    const flags = reader.u32();
    if (flags > 2) throw malformed(at, "malformed data segment kind");
    const index = flags === 2 ? reader.u32() : 0;
    const mode =
      flags === 1 ? ({ kind: "passive" } as const) : ({ kind: "active", index, offset: readConstantExpression(reader) } as const);
    return { mode, bytes: reader.take(reader.u32()) };
  });
}

function readLocals(reader: Reader): ValueType[] {
  const locals: ValueType[] = [];
  const groups = reader.count(decodeLimits.locals, "local groups");
  let total = 0;
  const counts: { readonly count: number; readonly type: ValueType }[] = [];
  for (let i = 0; i < groups; i++) {
    const count = reader.u32();
    const type = readValueType(reader);
    total += count;
    if (total > 0xffffffff) throw malformed(reader.at, "too many locals");
    counts.push({ count, type });
  }
  if (total > decodeLimits.locals)
    throw new CodedError("MF_WASM_LIMIT", `a function declares ${total} locals, ${decodeLimits.locals} are allowed; split the function`);
  for (const { count, type } of counts) for (let i = 0; i < count; i++) locals.push(type);
  return locals;
}

function readBody(reader: Reader): FunctionBody {
  const size = reader.u32();
  const start = reader.at;
  if (size > reader.end - start) throw malformed(start, "unexpected end: length out of bounds");
  const end = start + size;
  const body = new Reader(reader.bytes, start, end);
  const locals = readLocals(body);
  const codeStart = body.at;
  const operators: Operator[] = [];
  let depth = 1;
  while (depth > 0) {
    if (body.done) throw malformed(body.at, "unexpected end: END opcode expected");
    const operator = readOperator(body);
    operators.push(operator);
    if (operator.code === opEnd) depth--;
    else if (openers.has(operator.code)) depth++;
  }
  if (!body.done) throw malformed(body.at, "END opcode expected: bytes after the function's end");
  reader.at = end;
  return { start, codeStart, end, locals, operators };
}

export function readBodies(reader: Reader): FunctionBody[] {
  if (reader.end - reader.at > decodeLimits.codeBytes)
    throw new CodedError("MF_WASM_LIMIT", `the code section has ${reader.end - reader.at} bytes, ${decodeLimits.codeBytes} are allowed`);
  return vector(reader, "function bodies", () => readBody(reader));
}
