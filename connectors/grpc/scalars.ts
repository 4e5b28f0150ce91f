/** Scalars of messages, from their JSON. */

/** Its place in the message: `items[3].price`. */
export class JsonFault extends Error {
  readonly place: string;

  constructor(place: string, message: string) {
    super(message);
    this.place = place;
  }
}

/** Integers of 64 bits are text in JSON: a number has 53. */
export const isLongType = (type: string): boolean => /^(?:u?int|sint|s?fixed)64$/.test(type);

const ranges: ReadonlyMap<string, readonly [bigint, bigint]> = new Map(
  [
    [["int32", "sint32", "sfixed32"], -(2n ** 31n), 2n ** 31n - 1n],
    [["uint32", "fixed32"], 0n, 2n ** 32n - 1n],
    [["int64", "sint64", "sfixed64"], -(2n ** 63n), 2n ** 63n - 1n],
    [["uint64", "fixed64"], 0n, 2n ** 64n - 1n],
  ].flatMap(([names, least, most]) => (names as string[]).map((name) => [name, [least as bigint, most as bigint]] as const)),
);

/** A scalar as protobufjs takes it; integers of 64 bits as text. */
export function scalarFromJson(type: string, value: unknown, place: string): unknown {
  const range = ranges.get(type);
  if (range !== undefined) return integerFromJson(type, value, place, range);
  if (type === "string") {
    if (typeof value !== "string") throw new JsonFault(place, "must be a text");
    return value;
  }
  if (type === "bool") {
    if (typeof value !== "boolean") throw new JsonFault(place, "must be true or false");
    return value;
  }
  if (type === "bytes") {
    if (typeof value !== "string" || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) throw new JsonFault(place, "must be base64");
    return Buffer.from(value, "base64");
  }
  const number = typeof value === "string" && /^(?:NaN|-?Infinity|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)$/.test(value) ? Number(value) : value;
  if (typeof number !== "number") throw new JsonFault(place, "must be a number");
  if (type === "float" && Number.isFinite(number) && !Number.isFinite(Math.fround(number)))
    throw new JsonFault(place, "is beyond what a float holds");
  return number;
}

function integerFromJson(type: string, value: unknown, place: string, [least, most]: readonly [bigint, bigint]): number | string {
  let integer: bigint | undefined;
  if (typeof value === "number" && Number.isInteger(value)) integer = BigInt(value);
  else if (typeof value === "string" && /^-?\d{1,20}$/.test(value)) integer = BigInt(value);
  if (integer === undefined) throw new JsonFault(place, "must be a whole number");
  if (integer < least || integer > most) throw new JsonFault(place, `is beyond what ${type} holds`);
  if (typeof value === "number" && !Number.isSafeInteger(value))
    throw new JsonFault(place, "has more digits than a JSON number keeps: write it as a text");
  return isLongType(type) ? String(integer) : Number(integer);
}
