/**
 * JSON.stringify, for plain data; whatever is not plain makes the writer give up, and the engine's own writes the whole value. Nothing
 * can have been seen of the attempt: it reads memory and runs no code of the flow, no getter, no toJSON, no proxy.
 *
 *   objects of the class Object, arrays without holes, strings, numbers, booleans, null  →  written
 *   undefined  →  left out of objects, null in arrays
 *   any other class, accessors, keys that are integers (their order differs), a toJSON in sight  →  given up
 *   deeper than `mostDepth`, cycles among it, or longer than a frame of effects  →  given up
 *
 * The text, UTF-8, is written behind what is in the outbox, where most of what is written here goes next. `at` is the address to write to;
 * 0 says that there is nothing to write any more, given up or, with `thrown`, because an exception stands.
 */
import {
  Context, exceptionValue, float64Of, float64Value, isFloat64, JS_FreeValue, JS_GetClassProto, JS_JSONStringify, JS_NewStringLen, JS_ToString, JSValue,
  nullValue, tagBool, tagException, tagInt, tagNull, tagObject, tagOf, tagRope, tagString, tagUndefined, undefinedValue,
} from "./engine";
import { isDigit, quote, special } from "./json-scan";
import {
  arrayCount, arrayElements, atomIsString, atomToJson, bucketBytes, classArray, classObject, flagExotic, flagFast, objectClass, objectFlags, objectShape,
  objectValues, propertyAtom, propertyBytes, propertyEnumerable, propertySpecial, runtimeAtoms, shapeBuckets, shapeProperties, shapePrototype,
  shapeTable, sliceStart, stringCharacters, stringHash, stringIsSlice, stringKind,
} from "./objects";
import { reserve } from "./outbox";
import { arrayPrototype, objectPrototype, outbox, outboxCapacity, outboxLength, runtime, setPrototypes } from "./state";
import { fourBytes, isLow, threeBytes, twoBytes } from "./utf8";

/** How deep objects and arrays are written here. Each level is one or two calls on the stack of the machine below. */
const mostDepth: u32 = 64;
/** Prototypes between an object and Object.prototype. */
const mostPrototypes: u32 = 4;
/** Array.prototype has about forty. */
const mostPrototypeProperties: u32 = 100;
/** Before a value and within a text there is always room for so many bytes: a number, an escape, `mostDepth` brackets that close. */
const spareBytes: u32 = 256;

const comma: u32 = 0x2c;
const colon: u32 = 0x3a;
const backslash: u32 = 0x5c;

// The text under way: the last address at which `spareBytes` are left; whether an exception stands.
// @ts-ignore: decorator
@lazy const state: usize = memory.data(8, 8);
const atLimit: usize = 0;
const atThrown: usize = 4;

/** The engine's prototypes of plain objects and arrays. Neither address changes while the machine exists. */
export function rememberPrototypes(here: Context): void {
  setPrototypes(<u32>JS_GetClassProto(here, classObject), <u32>JS_GetClassProto(here, classArray));
}

/** Begins a text behind what is in the outbox. */
export function beginText(): void {
  setLimit();
  store<u32>(state, 0, atThrown);
}

/** True if an exception stands. */
export function hasFailed(): bool {
  return load<u32>(state, atThrown) !== 0;
}

function setLimit(): void {
  store<u32>(state, outbox() + outboxCapacity() - spareBytes, atLimit);
}

/** Where to continue so that `more` bytes and the spare ones fit. */
// @ts-ignore: decorator
@inline
export function room(at: usize, more: usize): usize {
  return at + more <= <usize>load<u32>(state, atLimit) ? at : grow(at, more);
}

function grow(at: usize, more: usize): usize {
  const written = at - outbox() - outboxLength();
  const from = reserve(written + more + spareBytes);
  setLimit();
  return from === 0 ? 0 : from + written;
}

// @ts-ignore: decorator
@inline
function shapeOf(object: usize): usize {
  return load<u32>(object, objectShape);
}

// @ts-ignore: decorator
@inline
function prototypeOf(shape: usize): usize {
  return load<u32>(shape, shapePrototype);
}

// @ts-ignore: decorator
@inline
function firstProperty(shape: usize): usize {
  return shape + shapeTable + (load<u32>(shape, shapeBuckets) + 1) * bucketBytes;
}

// @ts-ignore: decorator
@inline
export function isOrdinary(object: usize): bool {
  return load<u16>(object, objectClass) === classObject && (load<u8>(object, objectFlags) & flagExotic) === 0;
}

/** True if a prototype has a toJSON of its own, or too many properties to look. */
export function mayHaveToJson(prototype: usize): bool {
  const shape = shapeOf(prototype);
  const count = load<u32>(shape, shapeProperties);
  if (count > mostPrototypeProperties) return true;
  let property = firstProperty(shape);
  for (const end = property + count * propertyBytes; property < end; property += propertyBytes)
    if (load<u32>(property, propertyAtom) === atomToJson) return true;
  return false;
}

/** True if an object's prototypes have no toJSON; Object.prototype is checked elsewhere, once. */
function isPlainPrototype(prototype: usize): bool {
  for (let i: u32 = 0; i < mostPrototypes; i++) {
    if (prototype === 0 || prototype === objectPrototype()) return true;
    if (!isOrdinary(prototype) || mayHaveToJson(prototype)) return false;
    prototype = prototypeOf(shapeOf(prototype));
  }
  return false;
}

function writeWord(at: usize, word: u32): usize {
  store<u32>(at, word);
  return at + 4;
}

// @ts-ignore: decorator
@inline
function hexDigit(value: u32): u32 {
  return value + (value < 10 ? 0x30 : 0x57);
}

function writeUnit(at: usize, unit: u32): usize {
  store<u16>(at, <u16>(backslash | (0x75 << 8)));
  return writeWord(at + 2, hexDigit(unit >> 12) | (hexDigit((unit >> 8) & 15) << 8) | (hexDigit((unit >> 4) & 15) << 16) | (hexDigit(unit & 15) << 24));
}

/** The escape of a quote, a backslash or a control character (ECMA-262, QuoteJSONString). */
function writeEscape(at: usize, character: u32): usize {
  let short = character;
  if (character < 0x20) {
    if (character === 0x0a) short = 0x6e;
    else if (character === 0x0d) short = 0x72;
    else if (character === 0x09) short = 0x74;
    else if (character === 0x08) short = 0x62;
    else if (character === 0x0c) short = 0x66;
    else return writeUnit(at, character);
  }
  store<u16>(at, <u16>(backslash | (short << 8)));
  return at + 2;
}

/** Characters of 8 bits. A word that ends with the last of them is read backwards from there: before them is the string's header. */
// @ts-ignore: decorator
@inline
function writeNarrow(at: usize, from: usize, end: usize): usize {
  while (from < end) {
    const left = end - from;
    let count: usize = 8;
    let word: u64;
    if (left >= 8) word = load<u64>(from);
    else {
      word = (load<u64>(end - 8) >> ((8 - left) << 3)) | (0x2020202020202020 << (left << 3));
      count = left;
    }
    store<u64>(at, word);
    const hits = special(word);
    if (hits === 0) {
      at += count;
      from += count;
      continue;
    }
    count = <usize>(ctz(hits) >> 3);
    at += count;
    from += count;
    const character = <u32>load<u8>(from++);
    if (character < 0x80) at = writeEscape(at, character);
    else {
      store<u16>(at, twoBytes(character));
      at += 2;
    }
    at = room(at, end - from);
    if (at === 0) return 0;
  }
  return at;
}

/** Characters of 16 bits. Surrogates that have no other half are escaped. */
function writeWide(at: usize, from: usize, end: usize): usize {
  while (from < end) {
    at = room(at, 0);
    if (at === 0) return 0;
    const unit = <u32>load<u16>(from);
    from += 2;
    if (unit < 0x80) {
      if (unit < 0x20 || unit === quote || unit === backslash) at = writeEscape(at, unit);
      else store<u8>(at++, <u8>unit);
    } else if (unit < 0x800) {
      store<u16>(at, twoBytes(unit));
      at += 2;
    } else if ((unit & 0xf800) !== 0xd800) {
      store<u32>(at, threeBytes(unit));
      at += 3;
    } else {
      const next = from < end ? <u32>load<u16>(from) : 0;
      if (unit > 0xdbff || !isLow(next)) at = writeUnit(at, unit);
      else {
        from += 2;
        at = writeWord(at, fourBytes(unit, next));
      }
    }
  }
  return at;
}

function writeText(at: usize, text: usize): usize {
  const header = load<u32>(text);
  const length = header & 0x7fffffff;
  at = room(at, length);
  if (at === 0) return 0;
  let from = text + stringCharacters;
  const kind = load<u32>(text, stringHash) & stringKind;
  if (kind !== 0) {
    if (kind !== stringIsSlice) return 0;
    from = <usize>load<u32>(text, stringCharacters) + stringCharacters + load<u32>(text, sliceStart);
  }
  store<u8>(at++, <u8>quote);
  at = header === length ? writeNarrow(at, from, from + length) : writeWide(at, from, from + (length << 1));
  if (at === 0) return 0;
  store<u8>(at, <u8>quote);
  return at + 1;
}

export function stringValue(text: usize): JSValue {
  return ((<u64>tagString) << 32) | <u64>text;
}

/** The engine's string of a value, without code of the flow: ropes and numbers. 0 when an exception stands. */
export function stringOf(here: Context, value: JSValue): usize {
  const made = JS_ToString(here, value);
  if (tagOf(made) !== tagException) return <u32>made;
  store<u32>(state, 1, atThrown);
  return 0;
}

function writeRope(here: Context, at: usize, value: JSValue): usize {
  const text = stringOf(here, value);
  if (text === 0) return 0;
  at = writeText(at, text);
  JS_FreeValue(here, stringValue(text));
  return at;
}

// @ts-ignore: decorator
@inline
function tenth(value: u32): u32 {
  return <u32>((<u64>value * 0xcccccccd) >> 35);
}

/** An integer below 10^8: its digits gather in a word, the last one first. */
function writeShort(at: usize, value: u32): usize {
  let word: u64 = 0;
  let count: usize = 0;
  do {
    const rest = tenth(value);
    word = (word << 8) | <u64>(0x30 + value - rest * 10);
    value = rest;
    count++;
  } while (value !== 0);
  store<u64>(at, word);
  return at + count;
}

/** The last `count` digits of an integer, at most 8. */
function lastDigits(value: u32, count: u32): u64 {
  let word: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const rest = tenth(value);
    word = (word << 8) | <u64>(0x30 + value - rest * 10);
    value = rest;
  }
  return word;
}

/** An integer below 10^16. */
function writeInteger(at: usize, value: u64): usize {
  if (value < 100_000_000) return writeShort(at, <u32>value);
  const high = value / 100_000_000;
  at = writeShort(at, <u32>high);
  store<u64>(at, lastDigits(<u32>(value - high * 100_000_000), 8));
  return at + 8;
}

// @ts-ignore: decorator
@inline
export function writeInt32(at: usize, value: i32): usize {
  if (value >= 0) return writeInteger(at, value);
  store<u8>(at, 0x2d);
  return writeInteger(at + 1, -(<i64>value));
}

/**
 * Integers up to 2^53, and m / 10^k for the least k up to 7 where m, of at most 15 digits, is such that the double nearest to m / 10^k,
 * which is what a division of two doubles without error gives, is this one. No two decimals of up to 15 digits have the same nearest
 * double, so none with fewer digits has, and this is the text that Number::toString (ECMA-262 §6.1.6.1.20) asks for; from 10^-6 on it has
 * no exponent. Everything else the engine writes.
 */
export function writeDouble(here: Context, at: usize, value: f64): usize {
  const size = abs(value);
  if (!(size < Infinity)) return writeWord(at, 0x6c6c756e);
  if (size < 9007199254740992.0) {
    const whole = <u64>size;
    if (<f64>whole === size) {
      if (value < 0) store<u8>(at++, 0x2d);
      return writeInteger(at, whole);
    }
    let power: u64 = 1;
    for (let digits: u32 = 1; digits <= 7 && size >= 1e-6; digits++) {
      power *= 10;
      const shifted = size * <f64>power;
      if (shifted >= 1e15 - 1) break;
      const mantissa = <u64>(shifted + 0.5);
      if (<f64>mantissa / <f64>power !== size) continue;
      if (value < 0) store<u8>(at++, 0x2d);
      at = writeInteger(at, whole);
      store<u64>(at, 0x2e | (lastDigits(<u32>(mantissa - whole * power), digits) << 8));
      return at + 1 + digits;
    }
  }
  return writeByEngine(here, at, value);
}

function writeByEngine(here: Context, at: usize, value: f64): usize {
  const text = stringOf(here, float64Value(value));
  if (text === 0) return 0;
  const from = text + stringCharacters;
  at = writeNarrow(at, from, from + load<u32>(text));
  JS_FreeValue(here, stringValue(text));
  return at;
}

/**
 * True if a key that is a string may be one of the integers from 2^31 to 2^32 - 2, which have ten digits: those come first, as the others do
 * whose atoms are integers. Two of its characters tell enough.
 */
// @ts-ignore: decorator
@inline
function mayBeInteger(text: usize): bool {
  const header = load<u32>(text);
  if (header << 1 !== 10 << 1) return false;
  return isDigit(load<u8>(text, stringCharacters)) && isDigit(load<u8>(text + (4 << (header >> 31)), stringCharacters));
}

function writeObject(here: Context, at: usize, object: usize, depth: u32): usize {
  const shape = shapeOf(object);
  const prototype = prototypeOf(shape);
  if (prototype !== objectPrototype() && !isPlainPrototype(prototype)) return 0;
  const atoms: usize = load<u32>(runtime(), runtimeAtoms);
  let property = firstProperty(shape);
  let held: usize = load<u32>(object, objectValues);
  let before: u32 = 0x7b;
  for (const end = property + load<u32>(shape, shapeProperties) * propertyBytes; property < end; property += propertyBytes, held += 8) {
    const flags = load<u32>(property);
    const atom = load<u32>(property, propertyAtom);
    if (atom === atomToJson) return 0;
    if ((flags & propertyEnumerable) === 0) continue; // also those that were deleted
    if ((flags & propertySpecial) !== 0 || <i32>atom < 0) return 0;
    const value = load<u64>(held);
    if (tagOf(value) === tagUndefined) continue;
    const text: usize = load<u32>(atoms + (<usize>atom << 2));
    if (load<u32>(text, stringHash) >> 30 !== atomIsString) continue;
    if (mayBeInteger(text)) return 0;
    store<u8>(at, <u8>before);
    before = comma;
    at = writeText(at + 1, text);
    if (at === 0) return 0;
    store<u8>(at, <u8>colon);
    at = writeValue(here, at + 1, value, depth);
    if (at === 0) return 0;
  }
  if (before !== comma) store<u8>(at++, 0x7b);
  store<u8>(at, 0x7d);
  return at + 1;
}

function writeArray(here: Context, at: usize, array: usize, depth: u32): usize {
  const shape = shapeOf(array);
  if ((load<u8>(array, objectFlags) & flagFast) === 0 || prototypeOf(shape) !== arrayPrototype() || load<u32>(shape, shapeProperties) !== 1) return 0;
  const count = load<u32>(array, arrayCount);
  if (load<u64>(load<u32>(array, objectValues)) !== <u64>count) return 0; // `length`, an integer
  let held: usize = load<u32>(array, arrayElements);
  let before: u32 = 0x5b;
  for (const end = held + (<usize>count << 3); held < end; held += 8) {
    store<u8>(at, <u8>before);
    before = comma;
    const value = load<u64>(held);
    at = writeValue(here, at + 1, tagOf(value) === tagUndefined ? nullValue : value, depth);
    if (at === 0) return 0;
  }
  if (before !== comma) store<u8>(at++, 0x5b);
  store<u8>(at, 0x5d);
  return at + 1;
}

/** Writes a value that is in objects and arrays `depth` deep. Returns where the text goes on, or 0. */
function writeValue(here: Context, at: usize, value: JSValue, depth: u32): usize {
  at = room(at, 0);
  if (at === 0) return 0;
  const tag = tagOf(value);
  if (tag === tagString) return writeText(at, <u32>value);
  if (tag === tagInt) return writeInt32(at, <i32>value);
  if (tag === tagObject) {
    const object: usize = <u32>value;
    if (depth === mostDepth) return 0;
    if (isOrdinary(object)) return writeObject(here, at, object, depth + 1);
    return load<u16>(object, objectClass) === classArray ? writeArray(here, at, object, depth + 1) : 0;
  }
  if (isFloat64(value)) return writeDouble(here, at, float64Of(value));
  if (tag === tagNull) return writeWord(at, 0x6c6c756e);
  if (tag === tagBool) {
    if (<i32>value !== 0) return writeWord(at, 0x65757274);
    store<u8>(at, 0x66);
    return writeWord(at + 1, 0x65736c61);
  }
  return tag === tagRope ? writeRope(here, at, value) : 0;
}

/** The result of JSON.stringify for a value. */
export function stringifyJson(here: Context, value: JSValue): JSValue {
  if (!mayHaveToJson(objectPrototype()) && !mayHaveToJson(arrayPrototype()) && prototypeOf(shapeOf(arrayPrototype())) === objectPrototype()) {
    beginText();
    const end = writeValue(here, outbox() + outboxLength(), value, 0);
    if (end !== 0) {
      const from = outbox() + outboxLength();
      return JS_NewStringLen(here, from, end - from);
    }
    if (hasFailed()) return exceptionValue;
  }
  return JS_JSONStringify(here, value, undefinedValue, undefinedValue);
}
