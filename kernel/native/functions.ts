/**
 * The functions of kernel/runtime/native.ts, as C functions of the engine:
 * `JSValue f(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)`.
 *
 * Arguments are taken as they are: no valueOf, toString or getter of the flow runs while a native holds an address. Only encodeUtf8 converts,
 * before anything else. A function that fails leaves an exception behind and returns `exceptionValue`: "out of memory" when an allocation
 * failed, never a value that could be taken for an answer.
 */
import {
  boolValue, Context, exceptionValue, falseValue, float64Of, isFloat64, JS_DupValue, JS_FreeCString, JS_FreeValue, JS_GetUint8Array, JS_HasException, JS_NewNumber,
  JS_NewUint8ArrayCopy, JS_ThrowOutOfMemory, JS_ThrowRangeError, JS_ThrowTypeError, JS_ToCStringLen2, JS_ToString, JSValue, tagBool, tagException,
  tagInt, tagOf, tagRope, tagString, tagUndefined, trueValue, undefinedValue,
} from "./engine";
import { digest, digestBytes, hmac } from "./digest";
import { parseJson } from "./json";
import { stringifyJson } from "./json-write";
import { fits, reserve } from "./outbox";
import { fillRandom } from "./random";
import {
  inbox, isExhausted, keptBytes, outbox, outboxLength, outboxRecords, scratch, setKeptBytes, setOutboxLength, setOutboxRecords,
} from "./state";
import { newText, replaceSurrogates } from "./text";

const frameHeader: u32 = 8;
const recordHeader: u32 = 4;
const absent: u32 = 0xffffffff;
const mostRecords: u32 = 100_000; // hardLimits.effectsPerStep
const mostParts: u32 = 16; // hardLimits.partsPerRecord
const mostKeptBytes: u32 = 16 << 10;

/** No address: an exception stands. */
export const noBytes: usize = <usize>-1;
/** No length: an exception stands. */
const failed: i64 = -2;

// "too many effects", "not an effect", "not an algorithm"
// @ts-ignore: decorator
@lazy const tooMany: usize = memory.data<u8>([116, 111, 111, 32, 109, 97, 110, 121, 32, 101, 102, 102, 101, 99, 116, 115, 0]);
// @ts-ignore: decorator
@lazy const noKind: usize = memory.data<u8>([110, 111, 116, 32, 97, 110, 32, 101, 102, 102, 101, 99, 116, 0]);
// @ts-ignore: decorator
@lazy const noAlgorithm: usize = memory.data<u8>([110, 111, 116, 32, 97, 110, 32, 97, 108, 103, 111, 114, 105, 116, 104, 109, 0]);

/** The digest computed last. */
// @ts-ignore: decorator
@lazy const digested: usize = memory.data(64, 16);

// @ts-ignore: decorator
@inline
export function argument(values: usize, count: i32, index: i32): JSValue {
  return index < count ? load<u64>(values + (<usize>index << 3)) : undefinedValue;
}

/** An argument that is a number, as an integer; -1 for anything else. Converts nothing. */
export function integer(value: JSValue): i32 {
  if (tagOf(value) === tagInt) return <i32>value;
  if (!isFloat64(value)) return -1;
  const number = float64Of(value);
  return number >= 0 && number < 2147483648.0 ? <i32>number : -1;
}

/** Address of an event part, its length in scratch()+0; 0 when absent. The monitor wrote the frame, so it is well formed. */
function part(index: i32): usize {
  const record = inbox() + frameHeader;
  const count = <i32>load<u8>(record, 1);
  if (index < 0 || index >= count) return 0;
  const lengths = record + recordHeader;
  let at = lengths + (<usize>count << 2);
  for (let i = 0; i < index; i++) {
    const length = load<u32>(lengths + (<usize>i << 2));
    if (length !== absent) at += length;
  }
  const length = load<u32>(lengths + (<usize>index << 2));
  if (length === absent) return 0;
  store<u32>(scratch(), length);
  return at;
}

export function partAddress(index: i32): usize {
  return part(index);
}

export function js_kind(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  return <u64>load<u8>(inbox() + frameHeader);
}

export function js_text(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const at = part(integer(argument(values, count, 0)));
  return at === 0 ? undefinedValue : newText(context, at, load<u32>(scratch()), argument(values, count, 1) === trueValue);
}

export function js_bytes(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const at = part(integer(argument(values, count, 0)));
  return at === 0 ? undefinedValue : JS_NewUint8ArrayCopy(context, at, load<u32>(scratch()));
}

export function js_number(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const at = part(integer(argument(values, count, 0)));
  return JS_NewNumber(context, at === 0 || load<u32>(scratch()) !== 8 ? NaN : load<f64>(at));
}

/** The engine's parser wants a zero byte behind the text: the byte there is put back afterwards (the inbox has one to spare). */
export function js_json(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  let at = part(integer(argument(values, count, 0)));
  if (at === 0) return undefinedValue;
  let length = load<u32>(scratch());
  if (length >= 3 && load<u8>(at) === 0xef && load<u8>(at, 1) === 0xbb && load<u8>(at, 2) === 0xbf) {
    at += 3; // a byte order mark is not part of the text (RFC 8259 §8.1)
    length -= 3;
  }
  if (length === 0) return undefinedValue;
  const behind = load<u8>(at + length);
  store<u8>(at + length, 0);
  const value = parseJson(context, at, length);
  store<u8>(at + length, behind);
  keep(context, value, length);
  return value;
}

export function js_stringify(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  return stringifyJson(context, argument(values, count, 0));
}

export function js_exhausted(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  return boolValue(isExhausted());
}

/** True when "charset" stands in a part, in letters of either case. */
export function js_mentionsCharset(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const at = part(integer(argument(values, count, 0)));
  if (at === 0) return falseValue;
  const length = load<u32>(scratch());
  const lower: u64 = 0x20202020202020;
  for (let i: u32 = 0; i + 8 <= length; i++)
    if ((((load<u64>(at + i) | lower) ^ 0x74657372616863) & 0xffffffffffffff) === 0) return trueValue; // "charset", the first letter last
  return falseValue;
}

/**
 * A machine is thrown away with all it holds when its message is done, so taking a message's value apart at the end of the handler, as
 * counts of references do, is work for nothing (a tenth of the reference flow's step). One reference more leaves the value where it is.
 * Together the texts may have `mostKeptBytes`: a machine that waits and reads answer after answer does not grow by them.
 */
function keep(context: Context, value: JSValue, length: u32): void {
  if (tagOf(value) === tagException) return;
  const kept = keptBytes() + length;
  if (kept > mostKeptBytes) return;
  setKeptBytes(kept);
  JS_DupValue(context, value);
}

/** Throws for a frame or a step that would be too long. */
function throwTooMany(context: Context): i64 {
  JS_ThrowRangeError(context, tooMany, 0);
  return failed;
}

/** The address of `more` bytes, `size` bytes behind the end of the outbox; 0 when an exception stands. */
function roomBehind(context: Context, size: u32, more: u32): usize {
  if (!fits(size, more)) {
    throwTooMany(context);
    return 0;
  }
  const at = reserve(size + more);
  if (at !== 0) return at + size;
  JS_ThrowOutOfMemory(context);
  return 0;
}

/** Writes one part behind the `size` bytes that its record has. Returns its length, `absent`, or `failed`: an exception stands. */
function writePart(context: Context, value: JSValue, size: u32): i64 {
  const tag = tagOf(value);
  if (tag === tagUndefined) return absent;
  if (tag === tagInt || isFloat64(value)) {
    const at = roomBehind(context, size, 8);
    if (at === 0) return failed;
    store<f64>(at, tag === tagInt ? <f64>(<i32>value) : float64Of(value));
    return 8;
  }
  if (tag === tagBool) {
    const at = roomBehind(context, size, 1);
    if (at === 0) return failed;
    store<u8>(at, <u8>value);
    return 1;
  }
  if (tag === tagString || tag === tagRope) return writeTextPart(context, value, size);
  const from = bytesOf(context, value);
  if (from === noBytes) return failed;
  const length = load<u32>(scratch());
  const at = roomBehind(context, size, length);
  if (at === 0) return failed;
  memory.copy(at, from, length);
  return length;
}

function writeTextPart(context: Context, value: JSValue, size: u32): i64 {
  const from = JS_ToCStringLen2(context, scratch(), value, 0);
  if (from === 0) return failed;
  const length = load<u32>(scratch());
  const at = roomBehind(context, size, length);
  if (at !== 0) {
    memory.copy(at, from, length);
    replaceSurrogates(at, length);
  }
  JS_FreeCString(context, from);
  return at === 0 ? failed : <i64>length;
}

/** The record counts when it is whole: one that fails, or in which the step is cut off, does not go out. */
export function js_emit(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const kind = count < 1 ? -1 : integer(argument(values, count, 0));
  const parts = <u32>(count - 1);
  if (kind < 0 || kind > 255) return JS_ThrowTypeError(context, noKind, 0);
  let size = recordHeader + (parts << 2);
  if (parts > mostParts || outboxRecords() >= mostRecords) {
    throwTooMany(context);
    return exceptionValue;
  }
  if (roomBehind(context, 0, size) === 0) return exceptionValue;
  for (let i: u32 = 0; i < parts; i++) {
    const length = writePart(context, argument(values, count, <i32>i + 1), size);
    if (length < 0) return exceptionValue;
    store<u32>(outbox() + outboxLength() + recordHeader + (i << 2), <u32>length);
    if (length !== absent) size += <u32>length;
  }
  store<u32>(outbox() + outboxLength(), <u32>kind | (parts << 8));
  setOutboxLength(outboxLength() + size);
  setOutboxRecords(outboxRecords() + 1);
  return undefinedValue;
}

export function js_encodeUtf8(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const text = JS_ToString(context, argument(values, count, 0));
  if (tagOf(text) === tagException) return exceptionValue;
  const from = JS_ToCStringLen2(context, scratch(), text, 0);
  JS_FreeValue(context, text);
  if (from === 0) return exceptionValue;
  const length = load<u32>(scratch());
  const value = JS_NewUint8ArrayCopy(context, from, length);
  JS_FreeCString(context, from);
  if (tagOf(value) === tagException) return exceptionValue;
  replaceSurrogates(bytesOf(context, value), length);
  return value;
}

/** Address of a Uint8Array's bytes, their number in scratch()+0; `noBytes` for anything else: an exception stands. */
export function bytesOf(context: Context, value: JSValue): usize {
  const at = JS_GetUint8Array(context, scratch(), value);
  return at === 0 && JS_HasException(context) !== 0 ? noBytes : at;
}

export function js_decodeUtf8(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const at = bytesOf(context, argument(values, count, 0));
  if (at === noBytes) return exceptionValue;
  return newText(context, at, load<u32>(scratch()), argument(values, count, 1) === trueValue);
}

export function js_random(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const at = bytesOf(context, argument(values, count, 0));
  if (at === noBytes) return exceptionValue;
  fillRandom(at, load<u32>(scratch()));
  return undefinedValue;
}

export function js_randomFloat(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const at = scratch();
  fillRandom(at, 8);
  return JS_NewNumber(context, <f64>(load<u64>(at) >> 11) * (1.0 / 9007199254740992.0));
}

export function js_digest(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const algorithm = integer(argument(values, count, 0));
  const size = digestBytes(algorithm);
  const at = bytesOf(context, argument(values, count, 1));
  if (at === noBytes) return exceptionValue;
  if (size === 0) return JS_ThrowTypeError(context, noAlgorithm, 0);
  digest(algorithm, at, load<u32>(scratch()), digested);
  return JS_NewUint8ArrayCopy(context, digested, size);
}

export function js_hmac(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const algorithm = integer(argument(values, count, 0));
  const size = digestBytes(algorithm);
  const key = bytesOf(context, argument(values, count, 1));
  if (key === noBytes) return exceptionValue;
  const keyLength = load<u32>(scratch());
  const at = bytesOf(context, argument(values, count, 2));
  if (at === noBytes) return exceptionValue;
  if (size === 0) return JS_ThrowTypeError(context, noAlgorithm, 0);
  hmac(algorithm, key, keyLength, at, load<u32>(scratch()), digested);
  return JS_NewUint8ArrayCopy(context, digested, size);
}

/** Looks at every byte of both whatever they hold (CWE-208). */
export function js_equal(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const a = bytesOf(context, argument(values, count, 0));
  if (a === noBytes) return exceptionValue;
  const aLength = load<u32>(scratch());
  const b = bytesOf(context, argument(values, count, 1));
  if (b === noBytes) return exceptionValue;
  if (aLength !== load<u32>(scratch())) return boolValue(false);
  let difference: u32 = 0;
  for (let i: u32 = 0; i < aLength; i++) difference |= <u32>load<u8>(a + i) ^ <u32>load<u8>(b + i);
  return boolValue(difference === 0);
}
