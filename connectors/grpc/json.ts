/**
 * Messages as JSON, by their type (https://protobuf.dev/programming-guides/json/). What differs from the page:
 *
 *   a field without presence is written with its default, so that a flow can read it
 *   google.protobuf.Any is { "@type": its url, "value": its bytes in base64 }
 *   google.protobuf.FieldMask is an object with `paths`
 */
import type { Enum, Field, Type } from "protobufjs";
import { CodedError } from "#base";
import { messageOf } from "../shared/explain.ts";
import { quoteLimits } from "../shared/limits.ts";
import { grpcLimits } from "./limits.ts";
import { isLongType, JsonFault, scalarFromJson } from "./scalars.ts";
import { wellKnown } from "./well-known.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The message as JSON values. Throws MF_GRPC_MESSAGE for bytes that are no such message. */
export function decodeMessage(type: Type, bytes: Uint8Array): unknown {
  try {
    return toJson(type, type.decode(bytes) as unknown as Fields);
  } catch (cause) {
    throw new CodedError("MF_GRPC_MESSAGE", `the bytes are no ${type.name}: ${messageOf(cause).slice(0, quoteLimits.text)}`, { cause });
  }
}

/** The bytes of a message. Throws MF_GRPC_JSON where the JSON does not fit its type. */
export function encodeMessage(type: Type, value: unknown): Uint8Array {
  try {
    return type.encode(fromJson(type, value, "", 0) as Record<string, unknown>).finish();
  } catch (cause) {
    const place = cause instanceof JsonFault && cause.place !== "" ? `${cause.place} ` : "";
    throw new CodedError("MF_GRPC_JSON", `the JSON is no ${type.name}: ${place}${messageOf(cause).slice(0, quoteLimits.text)}`, { cause });
  }
}

/** lowerCamelCase as protoc has it, or the file's own name for it. */
function jsonName({ name, options }: Field): string {
  const own: unknown = options?.["json_name"];
  return typeof own === "string" ? own : name.replace(/_+(.?)/g, (_, next: string) => next.toUpperCase());
}

function toJson(type: Type, message: Fields): unknown {
  const form = wellKnown(type);
  if (form !== undefined) return form.toJson(message, type, fieldToJson);
  const entries: [string, unknown][] = [];
  for (const field of shapeOf(type).fields) {
    const value = Object.hasOwn(message, field.name) ? (message[field.name] ?? undefined) : undefined;
    if (value !== undefined || !hasPresence(field)) entries.push([jsonName(field), fieldToJson(field, value)]);
  }
  return Object.fromEntries(entries);
}

/** Messages have presence in every edition, whatever protobufjs says of them. */
function hasPresence({ hasPresence: own, map, repeated, resolvedType }: Field): boolean {
  return own || (!map && !repeated && resolvedType !== null && !("valuesById" in resolvedType));
}

function fieldToJson(unresolved: Field, value: unknown): unknown {
  const field = unresolved.resolve();
  if (value === undefined) return emptyOf(field);
  if (field.map) return mapToJson(field, value as Fields);
  return field.repeated ? (value as readonly unknown[]).map((each) => valueToJson(field, each)) : valueToJson(field, value);
}

/** The value that a field without presence has when it is not in the bytes. */
function emptyOf(field: Field): unknown {
  if (field.map) return {};
  if (field.repeated) return [];
  return field.type === "bytes" ? "" : valueToJson(field, field.typeDefault);
}

/** Of a map field: protobufjs declares it only on a class that its own types do not see as a field. */
const keyTypeOf = (field: Field): string => (field as Field & { readonly keyType: string }).keyType;

function mapToJson(field: Field, value: Fields): unknown {
  const keyType = keyTypeOf(field);
  const isUnsigned = keyType === "uint64" || keyType === "fixed64";
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [isLongType(keyType) ? longKey(key, isUnsigned) : key, valueToJson(field, each)]),
  );
}

/** protobufjs keeps the keys of such maps as the eight characters of their bytes, the lowest first. */
function longKey(hash: string, isUnsigned: boolean): string {
  let bits = 0n;
  for (let at = 7; at >= 0; at -= 1) bits = (bits << 8n) | BigInt(hash.charCodeAt(at));
  return String(isUnsigned ? bits : BigInt.asIntN(64, bits));
}

function valueToJson({ type, resolvedType }: Field, value: unknown): unknown {
  if (resolvedType !== null) {
    if ("valuesById" in resolvedType) return enumToJson(resolvedType, value as number);
    return toJson(resolvedType, value as Fields);
  }
  if (type === "bytes") return Buffer.from(value as Uint8Array).toString("base64");
  if (isLongType(type)) return String(value);
  if ((type === "float" || type === "double") && !Number.isFinite(value)) return String(value);
  if (type === "float") return Number((value as number).toPrecision(7)) === value ? value : shortFloat(value as number);
  return value;
}

/** The shortest number that is the same float. */
function shortFloat(value: number): number {
  for (let digits = 6; digits <= 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

function enumToJson({ fullName, valuesById }: Enum, value: number): unknown {
  if (fullName === ".google.protobuf.NullValue") return null;
  return valuesById[value] ?? value;
}

function fromJson(type: Type, value: unknown, place: string, depth: number): unknown {
  if (depth > grpcLimits.depth) throw new JsonFault(place, `has more than ${grpcLimits.depth} levels`);
  const form = wellKnown(type);
  if (form !== undefined) return form.fromJson(value, place, type, (field, each, at) => fieldFromJson(field, each, at, depth + 1));
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new JsonFault(place, "must be an object");
  const { fields, byName } = shapeOf(type);
  const message: Record<string, unknown> = Object.create(null);
  for (const [name, each] of Object.entries(value)) {
    const at = place === "" ? name : `${place}.${name}`;
    const field = byName.get(name);
    if (field === undefined) throw new JsonFault(at.slice(0, quoteLimits.text), `is no field of ${type.name}`);
    if (each === null && !takesNull(field)) continue;
    const { partOf } = field;
    if (partOf !== null && partOf.oneof.some((other) => message[other] !== undefined))
      throw new JsonFault(at, `is one of ${partOf.name} too many`);
    if (message[field.name] !== undefined) throw new JsonFault(at, "is there twice");
    message[field.name] = fieldFromJson(field, each, at, depth);
  }
  for (const field of fields)
    if (field.required && message[field.name] === undefined)
      throw new JsonFault(place === "" ? field.name : `${place}.${field.name}`, "is missing");
  return message;
}

interface Shape {
  readonly fields: readonly Field[];
  /** By both names that each may have. */
  readonly byName: ReadonlyMap<string, Field>;
}

const shapes = new WeakMap<Type, Shape>();

/** Fields of a type, each with its own type found. */
function shapeOf(type: Type): Shape {
  let shape = shapes.get(type);
  if (shape === undefined) {
    const fields = type.fieldsArray.map((field) => field.resolve());
    shape = { fields, byName: new Map(fields.flatMap((field) => [[field.name, field] as const, [jsonName(field), field] as const])) };
    shapes.set(type, shape);
  }
  return shape;
}

/** JSON's null is a value of these. */
function takesNull({ repeated, map, resolvedType }: Field): boolean {
  return (
    !repeated && !map && (resolvedType?.fullName === ".google.protobuf.Value" || resolvedType?.fullName === ".google.protobuf.NullValue")
  );
}

function fieldFromJson(unresolved: Field, value: unknown, place: string, depth: number): unknown {
  const field = unresolved.resolve();
  if (field.map) return mapFromJson(field, value, place, depth);
  if (!field.repeated) return valueFromJson(field, value, place, depth);
  if (!Array.isArray(value)) throw new JsonFault(place, "must be a list");
  return value.map((each, index) => valueFromJson(field, each, `${place}[${index}]`, depth));
}

function mapFromJson(field: Field, value: unknown, place: string, depth: number): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new JsonFault(place, "must be an object");
  const keyType = keyTypeOf(field);
  const map: Record<string, unknown> = Object.create(null);
  for (const [key, each] of Object.entries(value)) {
    const at = `${place}[${JSON.stringify(key.slice(0, quoteLimits.name))}]`;
    if (keyType === "bool" && key !== "true" && key !== "false") throw new JsonFault(at, "must have true or false as its key");
    if (keyType !== "bool" && keyType !== "string") scalarFromJson(keyType, key, at);
    const name = keyType === "bool" && key === "false" ? "" : key; // protobufjs writes a key by its truth
    map[name] = valueFromJson(field, each, at, depth);
  }
  return map;
}

function valueFromJson({ type, resolvedType }: Field, value: unknown, place: string, depth: number): unknown {
  if (resolvedType === null) return scalarFromJson(type, value, place);
  if ("valuesById" in resolvedType) return enumFromJson(resolvedType, value, place);
  return fromJson(resolvedType, value, place, depth + 1);
}

function enumFromJson({ name, fullName, values }: Enum, value: unknown, place: string): number {
  if (fullName === ".google.protobuf.NullValue" && value === null) return 0;
  if (typeof value === "string" && Object.hasOwn(values, value)) return values[value] as number;
  if (typeof value === "number" && Number.isInteger(value) && value === (value | 0)) return value;
  throw new JsonFault(place, `must be a value of ${name}: ${Object.keys(values).slice(0, 8).join(", ")}`);
}
