/**
 * The functions of kernel/runtime/native.ts, as C functions of the engine:
 * `JSValue f(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)`.
 */
import {
  boolValue, Context, exceptionValue, float64Of, free, isFloat64, JS_DupValue, JS_FreeCString, JS_GetUint8Array, JS_NewNumber, JS_NewUint8ArrayCopy,
  JS_ThrowRangeError, JS_ThrowTypeError, JS_ToCStringLen2, JS_ToFloat64, JSValue, malloc, tagBool, tagException, tagInt, tagOf,
  tagRope, tagString, tagUndefined, undefinedValue,
} from "./engine";
import { digest, digestBytes, hmac } from "./digest";
import { parseJson } from "./json";
import { stringifyJson } from "./json-write";
import { reserve } from "./outbox";
import { fillRandom } from "./random";
import { inbox, inboxLength, keptBytes, outbox, outboxLength, outboxRecords, scratch, setKeptBytes, setOutboxLength, setOutboxRecords } from "./state";
import { newText, replaceSurrogates } from "./text";

const frameHeader: u32 = 8;
const recordHeader: u32 = 4;
const absent: u32 = 0xffffffff;
const mostRecords: u32 = 100_000; // hardLimits.effectsPerStep
const mostParts: u32 = 16; // hardLimits.partsPerRecord
const mostKeptBytes: u32 = 16 << 10;

// "too many effects", "not bytes", "malformed UTF-8"
// @ts-ignore: decorator
@lazy const tooMany: usize = memory.data<u8>([116, 111, 111, 32, 109, 97, 110, 121, 32, 101, 102, 102, 101, 99, 116, 115, 0]);
// @ts-ignore: decorator
@lazy const notBytes: usize = memory.data<u8>([110, 111, 116, 32, 98, 121, 116, 101, 115, 0]);
// @ts-ignore: decorator
@lazy const malformed: usize = memory.data<u8>([109, 97, 108, 102, 111, 114, 109, 101, 100, 32, 85, 84, 70, 45, 56, 0]);

// @ts-ignore: decorator
@inline
function argument(values: usize, index: i32): JSValue {
  return load<u64>(values + (<usize>index << 3));
}

function integer(context: Context, value: JSValue): i32 {
  if (tagOf(value) === tagInt) return <i32>value;
  const at = scratch();
  return JS_ToFloat64(context, at, value) < 0 ? -1 : <i32>load<f64>(at);
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
  const at = part(integer(context, argument(values, 0)));
  return at === 0 ? undefinedValue : newText(context, at, load<u32>(scratch()), false);
}

export function js_bytes(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const at = part(integer(context, argument(values, 0)));
  return at === 0 ? undefinedValue : JS_NewUint8ArrayCopy(context, at, load<u32>(scratch()));
}

export function js_number(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const at = part(integer(context, argument(values, 0)));
  return JS_NewNumber(context, at === 0 || load<u32>(scratch()) !== 8 ? NaN : load<f64>(at));
}

/** The engine's parser wants a zero byte behind the text: the byte there is put back afterwards (the inbox has one to spare). */
export function js_json(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  let at = part(integer(context, argument(values, 0)));
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
  return count < 1 ? undefinedValue : stringifyJson(context, argument(values, 0));
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

/** Appends one part; its length, `absent`, or -2 when there is no room or it is of no known type. */
function appendPart(context: Context, value: JSValue): i64 {
  const tag = tagOf(value);
  if (tag === tagUndefined) return absent;
  if (tag === tagInt || isFloat64(value)) {
    const at = reserve(8);
    if (at === 0) return -2;
    store<f64>(at, tag === tagInt ? <f64>(<i32>value) : float64Of(value));
    setOutboxLength(outboxLength() + 8);
    return 8;
  }
  if (tag === tagBool) {
    const at = reserve(1);
    if (at === 0) return -2;
    store<u8>(at, <u8>value);
    setOutboxLength(outboxLength() + 1);
    return 1;
  }
  const isText = tag === tagString || tag === tagRope;
  const from = isText ? JS_ToCStringLen2(context, scratch(), value, 0) : JS_GetUint8Array(context, scratch(), value);
  const length = load<u32>(scratch());
  if (from === 0 && (isText || length !== 0)) return -2;
  const at = reserve(length);
  if (at !== 0) {
    memory.copy(at, from, length);
    if (isText) replaceSurrogates(at, length);
    setOutboxLength(outboxLength() + length);
  }
  if (isText) JS_FreeCString(context, from);
  return at === 0 ? -2 : <i64>length;
}

export function js_emit(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const parts = <u32>(count - 1);
  const begin = outboxLength();
  const header = recordHeader + (parts << 2);
  const at = count < 1 || parts > mostParts || outboxRecords() >= mostRecords ? 0 : reserve(header);
  if (at === 0) return JS_ThrowRangeError(context, tooMany, 0);
  store<u32>(at, (<u32>integer(context, argument(values, 0)) & 0xff) | (parts << 8));
  setOutboxLength(begin + header);
  for (let i: u32 = 0; i < parts; i++) {
    const length = appendPart(context, argument(values, <i32>i + 1));
    if (length < 0) {
      setOutboxLength(begin); // nothing of a record that failed goes out
      return JS_ThrowRangeError(context, tooMany, 0);
    }
    store<u32>(outbox() + begin + recordHeader + (i << 2), <u32>length);
  }
  setOutboxRecords(outboxRecords() + 1);
  return undefinedValue;
}

export function js_encodeUtf8(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const from = JS_ToCStringLen2(context, scratch(), argument(values, 0), 0);
  if (from === 0) return exceptionValue;
  const length = load<u32>(scratch());
  const value = JS_NewUint8ArrayCopy(context, from, length);
  JS_FreeCString(context, from);
  if (tagOf(value) === -1) {
    const copied = JS_GetUint8Array(context, scratch(), value);
    replaceSurrogates(copied, length);
  }
  return value;
}

/** Address of a Uint8Array argument, its length in scratch()+0. Throws and returns -1 when it is not one. */
function bytesArgument(context: Context, values: usize, index: i32): usize {
  store<u32>(scratch(), 0);
  const at = JS_GetUint8Array(context, scratch(), argument(values, index));
  if (at === 0 && load<u32>(scratch()) !== 0) return <usize>-1;
  return at;
}

export function js_decodeUtf8(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const at = bytesArgument(context, values, 0);
  if (at === <usize>-1) return exceptionValue;
  const fatal = count > 1 && <i32>argument(values, 1) === 1;
  const value = newText(context, at, load<u32>(scratch()), fatal);
  return tagOf(value) === tagUndefined ? JS_ThrowTypeError(context, malformed, 0) : value;
}

export function js_random(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const at = bytesArgument(context, values, 0);
  if (at === <usize>-1) return exceptionValue;
  fillRandom(at, load<u32>(scratch()));
  return undefinedValue;
}

export function js_randomFloat(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const at = scratch();
  fillRandom(at, 8);
  return JS_NewNumber(context, <f64>(load<u64>(at) >> 11) * (1.0 / 9007199254740992.0));
}

export function js_digest(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const algorithm = integer(context, argument(values, 0));
  const at = bytesArgument(context, values, 1);
  const size = digestBytes(algorithm);
  if (at === <usize>-1) return exceptionValue;
  if (size === 0) return JS_ThrowTypeError(context, notBytes, 0);
  const length = load<u32>(scratch());
  const target = malloc(64);
  if (target === 0) return undefinedValue;
  digest(algorithm, at, length, target);
  const value = JS_NewUint8ArrayCopy(context, target, size);
  free(target);
  return value;
}

export function js_hmac(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const algorithm = integer(context, argument(values, 0));
  const key = bytesArgument(context, values, 1);
  const keyLength = load<u32>(scratch());
  if (key === <usize>-1) return exceptionValue;
  const at = bytesArgument(context, values, 2);
  const length = load<u32>(scratch());
  const size = digestBytes(algorithm);
  if (at === <usize>-1) return exceptionValue;
  if (size === 0) return JS_ThrowTypeError(context, notBytes, 0);
  const target = malloc(64);
  if (target === 0) return undefinedValue;
  hmac(algorithm, key, keyLength, at, length, target);
  const value = JS_NewUint8ArrayCopy(context, target, size);
  free(target);
  return value;
}

/** Looks at every byte of both whatever they hold (CWE-208). */
export function js_equal(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const a = bytesArgument(context, values, 0);
  const aLength = load<u32>(scratch());
  if (a === <usize>-1) return exceptionValue;
  const b = bytesArgument(context, values, 1);
  const bLength = load<u32>(scratch());
  if (b === <usize>-1) return exceptionValue;
  if (aLength !== bLength) return boolValue(false);
  let difference: u32 = 0;
  for (let i: u32 = 0; i < aLength; i++) difference |= <u32>load<u8>(a + i) ^ <u32>load<u8>(b + i);
  return boolValue(difference === 0);
}
