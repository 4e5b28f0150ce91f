/**
 * XML of plain data, all on one line; for whatever is not plain it gives up, and formats/xml-format.ts writes all of it, or says what is wrong.
 * Nothing can have been seen of the attempt: it reads memory and runs no code of the flow.
 *
 *   elements: objects of the class Object and with its prototype, whose properties are ordinary values; lists without holes, of no lists
 *   names: of ASCII; texts: of characters that XML has; finite numbers, booleans, null
 */
import { Context, exceptionValue, JS_NewStringLen, JSValue, tagNull, tagObject, tagOf, tagString, tagUndefined, undefinedValue } from "./engine";
import { beginText, hasFailed, isOrdinary, mayHaveToJson, room } from "./json-write";
import {
  arrayCount, arrayElements, atomIsString, atomToJson, bucketBytes, classArray, flagFast, objectClass, objectFlags, objectShape, objectValues, propertyAtom,
  propertyBytes, propertyEnumerable, propertySpecial, runtimeAtoms, shapeBuckets, shapeProperties, shapePrototype, shapeTable, stringCharacters, stringHash,
  stringKind,
} from "./objects";
import { putScalar } from "./plain-write";
import { objectPrototype, outbox, outboxLength, runtime } from "./state";

/** How deep elements are nested here. */
const mostDepth: u32 = 64;

const opening: u8 = 0x3c;
const closing: u8 = 0x3e;
const slash: u8 = 0x2f;
const quote: u8 = 0x22;

// Of a property's name.
const isElement: u32 = 0, isAttribute: u32 = 1, isText: u32 = 2, isOther: u32 = 3;

/** True for a name of ASCII (XML 1.0, productions 4 to 5), from a character of the string on. */
function isName(text: usize, from: u32): bool {
  const length = load<u32>(text);
  if (length >> 31 !== 0 || length <= from || (load<u32>(text, stringHash) & stringKind) !== 0) return false;
  let at = text + stringCharacters + from;
  for (const end = text + stringCharacters + length, first = at; at < end; at++) {
    const byte = <u32>load<u8>(at);
    const isStart = (byte | 0x20) - 0x61 < 26 || byte === 0x5f || byte === 0x3a;
    if (!isStart && (at === first || !(byte - 0x30 < 10 || byte === 0x2d || byte === 0x2e))) return false;
  }
  return true;
}

/** Writes characters of a name that was checked. */
function putName(given: usize, text: usize, from: u32): usize {
  const length = load<u32>(text) - from;
  const at = room(given, length);
  if (at === 0) return 0;
  memory.copy(at, text + stringCharacters + from, length);
  return at + length;
}

/** The reference for a byte, without its ampersand, the first letter lowest; 0 for one that stands for itself. */
function referenceOf(byte: u32, isInAttribute: bool): u64 {
  if (byte > closing) return 0;
  if (byte === 0x26) return 0x3b706d61; // amp;
  if (byte === opening) return 0x3b746c; // lt;
  if (byte === closing) return 0x3b7467; // gt;
  if (byte === 0x0d) return 0x3b333123; // #13;
  if (!isInAttribute) return 0;
  if (byte === quote) return 0x3b746f7571; // quot;
  if (byte === 0x09) return 0x3b3923; // #9;
  return byte === 0x0a ? 0x3b303123 : 0; // #10;
}

// @ts-ignore: decorator
@inline
function lettersOf(reference: u64): usize {
  return (71 - <usize>clz(reference)) >> 3;
}

/** Puts references into what was written from an offset on up to `end`. Gives up on characters that XML can't have. */
function escaped(offset: usize, end: usize, isInAttribute: bool): usize {
  let more: usize = 0;
  for (let at = outbox() + offset; at < end; at++) {
    const byte = <u32>load<u8>(at);
    if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return 0;
    if (byte === 0xef && at + 2 < end && load<u8>(at, 1) === 0xbf && load<u8>(at, 2) >= 0xbe) return 0; // U+FFFE, U+FFFF
    const reference = referenceOf(byte, isInAttribute);
    if (reference !== 0) more += lettersOf(reference);
  }
  if (more === 0) return end;
  const behind = room(end, more);
  if (behind === 0) return 0;
  const start = outbox() + offset;
  let to = behind + more;
  for (let at = behind; at > start; ) {
    const byte = <u32>load<u8>(--at);
    const reference = referenceOf(byte, isInAttribute);
    if (reference === 0) store<u8>(--to, <u8>byte);
    else {
      const letters = lettersOf(reference);
      to -= letters + 1;
      store<u8>(to, 0x26);
      for (let letter: usize = 0; letter < letters; letter++) store<u8>(to + 1 + letter, <u8>(reference >> (letter << 3)));
    }
  }
  return behind + more;
}

/** Writes a scalar with its references; nothing for null. */
function putText(here: Context, at: usize, value: JSValue, isInAttribute: bool): usize {
  if (tagOf(value) === tagNull) return at;
  const offset = at - outbox();
  const end = putScalar(here, at, value);
  return end === 0 ? 0 : escaped(offset, end, isInAttribute);
}

/** Kind of a property by its name. */
function kindOf(text: usize): u32 {
  const length = load<u32>(text);
  if (length >> 31 !== 0 || (load<u32>(text, stringHash) & stringKind) !== 0) return isOther;
  const first = length === 0 ? 0 : <u32>load<u8>(text, stringCharacters);
  if (first === 0x40) return isName(text, 1) ? isAttribute : isOther;
  if (length === 5 && load<u32>(text, stringCharacters) === 0x78657423 && load<u8>(text, stringCharacters + 4) === 0x74) return isText;
  return isName(text, 0) ? isElement : isOther;
}

/** Writes properties of one kind, one after another. Gives up on those that are no names. */
function putProperties(here: Context, given: usize, object: usize, wanted: u32, depth: u32): usize {
  const shape = <usize>load<u32>(object, objectShape);
  const atoms: usize = load<u32>(runtime(), runtimeAtoms);
  let property = shape + shapeTable + (load<u32>(shape, shapeBuckets) + 1) * bucketBytes;
  let held: usize = load<u32>(object, objectValues);
  let at = given;
  for (const end = property + load<u32>(shape, shapeProperties) * propertyBytes; property < end; property += propertyBytes, held += 8) {
    const flags = load<u32>(property);
    const atom = load<u32>(property, propertyAtom);
    if (atom === atomToJson) return 0;
    if ((flags & propertyEnumerable) === 0) continue; // also those that were deleted
    if ((flags & propertySpecial) !== 0 || <i32>atom < 0) return 0;
    const text: usize = load<u32>(atoms + (<usize>atom << 2));
    if (load<u32>(text, stringHash) >> 30 !== atomIsString) continue;
    const value = load<u64>(held);
    if (tagOf(value) === tagUndefined) continue;
    const kind = kindOf(text);
    if (kind === isOther) return 0;
    if (kind !== wanted) continue;
    if (kind === isAttribute) at = putAttribute(here, at, text, value);
    else at = kind === isText ? putText(here, at, value, false) : putElement(here, at, text, value, depth);
    if (at === 0) return 0;
  }
  return at;
}

function putAttribute(here: Context, given: usize, name: usize, value: JSValue): usize {
  let at = room(given, 0);
  if (at === 0) return 0;
  store<u8>(at, 0x20);
  at = putName(at + 1, name, 1);
  if (at === 0) return 0;
  store<u16>(at, 0x223d); // ="
  at = putText(here, at + 2, value, true);
  if (at === 0) return 0;
  store<u8>(at, quote);
  return room(at + 1, 0);
}

/** True if all that was written from an offset on is white space. */
function isSpace(offset: usize, end: usize): bool {
  for (let at = outbox() + offset; at < end; at++) {
    const byte = <u32>load<u8>(at);
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0a) return false;
  }
  return true;
}

/** Writes text and elements of an object. */
function putContent(here: Context, given: usize, object: usize, depth: u32): usize {
  const offset = given - outbox();
  const text = putProperties(here, given, object, isText, depth);
  if (text === 0) return 0;
  const textOffset = text - outbox();
  const end = putProperties(here, text, object, isElement, depth);
  if (end === 0) return 0;
  // White space beside elements is layout.
  const isLayout = textOffset > offset && end - outbox() > textOffset && isSpace(offset, outbox() + textOffset);
  return isLayout ? 0 : end;
}

function putSingle(here: Context, given: usize, name: usize, value: JSValue, depth: u32): usize {
  let at = room(given, 0);
  if (at === 0) return 0;
  store<u8>(at, opening);
  at = putName(at + 1, name, 0);
  if (at === 0) return 0;
  const isObject = tagOf(value) === tagObject;
  if (isObject) {
    if (depth === mostDepth || !isOrdinary(<u32>value) || load<u32>(load<u32>(<u32>value, objectShape), shapePrototype) !== objectPrototype()) return 0;
    at = putProperties(here, at, <u32>value, isAttribute, depth);
    if (at === 0) return 0;
  }
  store<u8>(at++, closing);
  const offset = at - outbox();
  at = isObject ? putContent(here, at, <u32>value, depth + 1) : putText(here, at, value, false);
  if (at === 0) return 0;
  at = room(at, 0);
  if (at === 0) return 0;
  if (at === outbox() + offset) {
    store<u16>(at - 1, 0x3e2f); // />
    return at + 1;
  }
  store<u16>(at, (<u16>slash << 8) | opening);
  at = putName(at + 2, name, 0);
  if (at === 0) return 0;
  store<u8>(at, closing);
  return at + 1;
}

/** Writes an element, or one for each item of a list. */
function putElement(here: Context, given: usize, name: usize, value: JSValue, depth: u32): usize {
  const array = <usize>(<u32>value);
  if (tagOf(value) !== tagObject || load<u16>(array, objectClass) !== classArray) return putSingle(here, given, name, value, depth);
  const count = load<u32>(array, arrayCount);
  if ((load<u8>(array, objectFlags) & flagFast) === 0 || load<u64>(load<u32>(array, objectValues)) !== <u64>count) return 0;
  let at = given;
  for (let index: u32 = 0; index < count; index++) {
    const item = load<u64>(<usize>load<u32>(array, arrayElements) + (<usize>index << 3));
    if (tagOf(item) === tagUndefined) continue;
    at = putSingle(here, at, name, item, depth); // which gives up on a list
    if (at === 0) return 0;
  }
  return at;
}

/** The text of a root element, which is no list; undefined if it gives up. */
export function xmlText(here: Context, name: JSValue, value: JSValue): JSValue {
  if (tagOf(name) !== tagString || !isName(<u32>name, 0) || mayHaveToJson(objectPrototype())) return undefinedValue;
  beginText();
  const end = putSingle(here, outbox() + outboxLength(), <u32>name, value, 0);
  if (end === 0) return hasFailed() ? exceptionValue : undefinedValue;
  const from = outbox() + outboxLength();
  return JS_NewStringLen(here, from, end - from);
}
