import { CodedError } from "#base";
import { decodeLimits } from "./limits.ts";
import { opcodeInfo, unsupportedFeature, unsupportedType } from "./opcodes.ts";
import { malformed } from "./errors.ts";
import type { Reader } from "./reader.ts";
import { externref, f32, f64, funcref, i32, i64, type Operator, type ValueType } from "./types.ts";

const none: readonly number[] = [];

export function unsupported(offset: number, feature: string): CodedError {
  return new CodedError(
    "MF_WASM_UNSUPPORTED",
    `the module uses ${feature} at byte ${offset}, which the compiler does not do; build it without that feature`,
  );
}

function refusedType(at: number, type: number, what: string): CodedError {
  const feature = unsupportedType(type);
  return feature === undefined ? malformed(at, `malformed ${what} type`) : unsupported(at, feature);
}

export function readValueType(reader: Reader): ValueType {
  const at = reader.at;
  const type = reader.byte();
  if (type === i32 || type === i64 || type === f32 || type === f64 || type === funcref || type === externref) return type;
  throw refusedType(at, type, "value");
}

export function readReferenceType(reader: Reader): ValueType {
  const at = reader.at;
  const type = reader.byte();
  if (type === funcref || type === externref) return type;
  throw refusedType(at, type, "reference");
}

function zeroByte(reader: Reader): void {
  if (reader.byte() !== 0) throw malformed(reader.at - 1, "zero byte expected");
}

function blockType(reader: Reader): number {
  const at = reader.at;
  const type = reader.s33();
  if (type >= 0 || type === -64) return type;
  const value = type + 128;
  if (value === i32 || value === i64 || value === f32 || value === f64 || value === funcref || value === externref) return type;
  throw refusedType(at, value, "block");
}

/** Reads one operator with its immediates (spec 5.4). */
export function readOperator(reader: Reader): Operator {
  const at = reader.at;
  let code = reader.byte();
  if (code === 0xfc) code = 0x100 + reader.u32();
  const info = opcodeInfo(code);
  if (info === undefined) {
    const feature = unsupportedFeature(code);
    throw feature === undefined ? malformed(at, "illegal opcode") : unsupported(at, feature);
  }
  let a = 0;
  let b = 0;
  let targets = none;
  switch (info.immediate) {
    case "none":
      break;
    case "block":
      a = blockType(reader);
      break;
    case "label":
    case "function":
    case "local":
    case "global":
    case "table":
    case "data":
    case "element":
      a = reader.u32();
      break;
    case "labels": {
      const count = reader.count(decodeLimits.branchTargets, "branch targets");
      const list: number[] = [];
      for (let i = 0; i <= count; i++) list.push(reader.u32());
      targets = list;
      break;
    }
    case "indirect":
    case "elementTable":
    case "tables":
      a = reader.u32();
      b = reader.u32();
      break;
    case "memory":
      zeroByte(reader);
      break;
    case "memories":
      zeroByte(reader);
      zeroByte(reader);
      break;
    case "dataMemory":
      a = reader.u32();
      zeroByte(reader);
      break;
    case "memarg":
      b = reader.u32();
      if (b >= 32) throw malformed(at, "malformed memop flags");
      a = reader.u32();
      break;
    case "i32":
      a = reader.s32();
      break;
    case "i64": {
      const value = reader.s64();
      a = value.low;
      b = value.high;
      break;
    }
    case "f32":
      a = reader.bits32();
      break;
    case "f64":
      a = reader.bits32();
      b = reader.bits32();
      break;
    case "types":
      b = reader.u32();
      if (b > reader.end - reader.at) throw malformed(reader.at, "unexpected end");
      for (let i = 0; i < b; i++) a = readValueType(reader);
      break;
    case "reference":
      a = readReferenceType(reader);
      break;
  }
  return { code, at, end: reader.at, a, b, targets };
}
