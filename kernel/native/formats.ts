/** The formats' functions of kernel/runtime/native.ts (functions.ts has the others). */
import { clonePlain } from "./clone";
import { encodeBytes, encodeUtf16, reverseBytes } from "./charset-write";
import { beginCsv, parseCsv } from "./csv";
import { csvText, unlikeRows } from "./csv-write";
import { Context, exceptionValue, JS_FreeCString, JS_NewNumber, JS_NewStringLen, JS_NewStringUTF16, JS_NewUint8ArrayCopy, JS_ThrowTypeError, JS_ToCStringLen2, js_free, js_malloc, JSValue, tagOf, tagRope, tagString, trueValue } from "./engine";
import { argument, bytesOf, integer, noBytes } from "./functions";
import { decodeMultibyte, stateBytes, tableBytes } from "./multibyte";
import { encodeMultibyte, invertIndex, mostBytes, pointerBytes } from "./multibyte-write";
import { scratch } from "./state";
import { asciiRun, decode, malformedAt, throwMalformed } from "./text";
import { parseXml } from "./xml";
import { xmlText } from "./xml-write";

// @ts-ignore: decorator
@inline
function isText(value: JSValue): bool {
  return tagOf(value) === tagString || tagOf(value) === tagRope;
}

export function js_xml(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const names = argument(values, count, 2);
  let arrays: usize = 0;
  let arraysLength: usize = 0;
  if (isText(names)) {
    arrays = JS_ToCStringLen2(context, scratch(), names, 0);
    if (arrays === 0) return exceptionValue;
    arraysLength = load<u32>(scratch());
  }
  const value = readXml(context, argument(values, count, 0), <u32>integer(argument(values, count, 1)), arrays, arraysLength);
  if (arrays !== 0) JS_FreeCString(context, arrays);
  return value;
}

function readXml(context: Context, input: JSValue, options: u32, arrays: usize, arraysLength: usize): JSValue {
  if (isText(input)) {
    const text = JS_ToCStringLen2(context, scratch(), input, 0);
    if (text === 0) return exceptionValue;
    const value = parseXml(context, text, load<u32>(scratch()), options, arrays, arraysLength);
    JS_FreeCString(context, text);
    return value;
  }
  let at = bytesOf(context, input);
  if (at === noBytes) return exceptionValue;
  let length = load<u32>(scratch());
  const malformed = malformedAt(at, length);
  if (malformed >= 0) return throwMalformed(context, malformed);
  if (length >= 3 && load<u16>(at) === 0xbbef && load<u8>(at, 2) === 0xbf) {
    at += 3; // a byte order mark
    length -= 3;
  }
  return parseXml(context, at, length, options, arrays, arraysLength);
}

// "not a text"
// @ts-ignore: decorator
@lazy const noText: usize = memory.data<u8>([110, 111, 116, 32, 97, 32, 116, 101, 120, 116, 0]);
const mostDelimiterBytes: u32 = 4;

export function js_csv(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const text = argument(values, count, 0);
  const delimiter = argument(values, count, 1);
  if (!isText(delimiter)) return JS_ThrowTypeError(context, noText, 0);
  const bytes = JS_ToCStringLen2(context, scratch(), delimiter, 0);
  if (bytes === 0) return exceptionValue;
  const size = load<u32>(scratch());
  const isFit = size > 0 && size <= mostDelimiterBytes;
  if (isFit) beginCsv(<u32>integer(argument(values, count, 2)), bytes, size);
  JS_FreeCString(context, bytes);
  if (!isFit) return JS_ThrowTypeError(context, noText, 0);
  const most = <u32>integer(argument(values, count, 3));
  if (!isText(text)) {
    const at = bytesOf(context, text);
    return at === noBytes ? exceptionValue : parseCsv(context, at, load<u32>(scratch()), most, argument(values, count, 4));
  }
  const from = JS_ToCStringLen2(context, scratch(), text, 0);
  if (from === 0) return exceptionValue;
  const value = parseCsv(context, from, load<u32>(scratch()), most, argument(values, count, 4));
  JS_FreeCString(context, from);
  return value;
}

/** Characters of the bytes from 0x80 on. */
const highBytes: u32 = 128;
// @ts-ignore: decorator
@lazy const high: usize = memory.data(256, 8); // highBytes × 2

/** Reads the table of a charset; false while an exception stands. */
function readHigh(context: Context, table: JSValue): bool {
  const text = isText(table) ? JS_ToCStringLen2(context, scratch(), table, 0) : 0;
  if (text === 0) {
    if (!isText(table)) JS_ThrowTypeError(context, noText, 0);
    return false;
  }
  const length = load<u32>(scratch());
  const units = js_malloc(context, (<usize>length << 1) + 2); // never nothing, which is no allocation
  const isFit = units !== 0 && decode(text, length, units) === <i32>highBytes;
  if (isFit) memory.copy(high, units, highBytes << 1);
  else if (units !== 0) JS_ThrowTypeError(context, noText, 0);
  if (units !== 0) js_free(context, units);
  JS_FreeCString(context, text);
  return isFit;
}

export function js_decodeBytes(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  if (!readHigh(context, argument(values, count, 1))) return exceptionValue;
  const at = bytesOf(context, argument(values, count, 0));
  if (at === noBytes) return exceptionValue;
  const length = load<u32>(scratch());
  if (asciiRun(at, length) === length) return JS_NewStringLen(context, at, length);
  const units = js_malloc(context, <usize>length << 1);
  if (units === 0) return exceptionValue;
  for (let i: usize = 0; i < length; i++) {
    const byte = <u32>load<u8>(at + i);
    store<u16>(units + (i << 1), byte < 0x80 ? <u16>byte : load<u16>(high + ((byte - 0x80) << 1)));
  }
  const value = JS_NewStringUTF16(context, units, length);
  js_free(context, units);
  return value;
}

/** Throws TypeError for a charset that is not there, and for tables or a state that are too short for it. */
export function js_decodeMultibyte(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const charset = <u32>integer(argument(values, count, 1));
  const state = bytesOf(context, argument(values, count, 3));
  if (state === noBytes) return exceptionValue;
  const isRoomy = load<u32>(scratch()) >= stateBytes;
  const table = bytesOf(context, argument(values, count, 2));
  if (table === noBytes) return exceptionValue;
  if (!isRoomy || tableBytes(charset) === 0 || load<u32>(scratch()) < tableBytes(charset)) return JS_ThrowTypeError(context, noText, 0);
  const at = bytesOf(context, argument(values, count, 0));
  if (at === noBytes) return exceptionValue;
  const length = load<u32>(scratch());
  const units = js_malloc(context, (<usize>length << 1) + 2); // never nothing, which is no allocation
  if (units === 0) return exceptionValue;
  const options = <u32>integer(argument(values, count, 4));
  const written = decodeMultibyte(charset, at, length, units, <u32>integer(argument(values, count, 5)), table, state, options);
  const value = JS_NewStringUTF16(context, units, written);
  js_free(context, units);
  return value;
}

/** Bytes that were written, or the place of what the charset lacks. */
function encoded(context: Context, bytes: usize, written: i32): JSValue {
  return written < 0 ? JS_NewNumber(context, -1 - written) : JS_NewUint8ArrayCopy(context, bytes, written);
}

/** The engine's bytes of a text, their number in scratch()+0; 0: an exception stands. */
function textOf(context: Context, value: JSValue): usize {
  if (isText(value)) return JS_ToCStringLen2(context, scratch(), value, 0);
  JS_ThrowTypeError(context, noText, 0);
  return 0;
}

export function js_encodeBytes(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  if (!readHigh(context, argument(values, count, 1))) return exceptionValue;
  const text = textOf(context, argument(values, count, 0));
  if (text === 0) return exceptionValue;
  const length = load<u32>(scratch());
  const reverse = js_malloc(context, reverseBytes + length);
  let value = exceptionValue;
  if (reverse !== 0) {
    const out = reverse + reverseBytes;
    value = encoded(context, out, encodeBytes(text, length, high, reverse, out, argument(values, count, 2) === trueValue));
    js_free(context, reverse);
  }
  JS_FreeCString(context, text);
  return value;
}

export function js_encodeUtf16(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const text = textOf(context, argument(values, count, 0));
  if (text === 0) return exceptionValue;
  const length = load<u32>(scratch());
  const out = js_malloc(context, (<usize>length << 1) + 2); // never nothing, which is no allocation
  let value = exceptionValue;
  if (out !== 0) {
    value = encoded(context, out, encodeUtf16(text, length, out, argument(values, count, 1) === trueValue, argument(values, count, 2) === trueValue));
    js_free(context, out);
  }
  JS_FreeCString(context, text);
  return value;
}

/** Throws TypeError for a charset that is not there, and for tables that are too short for it. */
export function js_encodeMultibyte(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const charset = <u32>integer(argument(values, count, 1));
  const table = bytesOf(context, argument(values, count, 2));
  if (table === noBytes) return exceptionValue;
  if (tableBytes(charset) === 0 || load<u32>(scratch()) < tableBytes(charset)) return JS_ThrowTypeError(context, noText, 0);
  const text = textOf(context, argument(values, count, 0));
  if (text === 0) return exceptionValue;
  const length = load<u32>(scratch());
  const pointers = js_malloc(context, pointerBytes(charset) + mostBytes(length));
  let value = exceptionValue;
  if (pointers !== 0) {
    const out = pointers + pointerBytes(charset);
    invertIndex(charset, table, pointers);
    value = encoded(context, out, encodeMultibyte(charset, text, length, out, table, pointers, <u32>integer(argument(values, count, 3))));
    js_free(context, pointers);
  }
  JS_FreeCString(context, text);
  return value;
}

export function js_clone(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  return clonePlain(context, argument(values, count, 0));
}

export function js_csvText(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const delimiter = <u32>integer(argument(values, count, 2));
  return csvText(context, argument(values, count, 0), argument(values, count, 1), delimiter, <u32>integer(argument(values, count, 3)));
}

export function js_unlikeRows(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  return unlikeRows(context, argument(values, count, 0));
}

export function js_xmlText(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  return xmlText(context, argument(values, count, 0), argument(values, count, 1));
}
