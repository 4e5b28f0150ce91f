/**
 * The engine's C interface as AssemblyScript sees it, and the layout of its values.
 *
 * A JSValue is 64 bits, NaN-boxed: the upper half is a tag, the lower half a pointer or an integer; doubles are stored with an
 * offset so that no double looks like a tag (quickjs.h, "JS_NAN_BOXING"; tags checked against quickjs-wasi 3.6.2 by boot.test.ts).
 */
export type JSValue = u64;
export type Context = usize;

export const tagString: i32 = -7;
export const tagRope: i32 = -6;
export const tagObject: i32 = -1;
export const tagInt: i32 = 0;
export const tagBool: i32 = 1;
export const tagNull: i32 = 2;
export const tagUndefined: i32 = 3;
export const tagException: i32 = 6;
const tagFirst: i32 = -9;
const tagFloat64: i32 = 8;
const float64Offset: u64 = (<u64>(0x7ff80000 - tagFirst + 1)) << 32;

export const undefinedValue: JSValue = (<u64>tagUndefined) << 32;
export const exceptionValue: JSValue = (<u64>tagException) << 32;
export const nullValue: JSValue = (<u64>tagNull) << 32;
export const falseValue: JSValue = (<u64>tagBool) << 32;
export const trueValue: JSValue = ((<u64>tagBool) << 32) | 1;

/** A property that can be written, enumerated and configured (quickjs.h, JS_PROP_C_W_E). */
export const propertyOrdinary: i32 = 7;

// @ts-ignore: decorator
@inline
export function tagOf(value: JSValue): i32 {
  return <i32>(value >> 32);
}

// @ts-ignore: decorator
@inline
export function isFloat64(value: JSValue): bool {
  return <u32>(tagOf(value) - tagFirst) >= <u32>(tagFloat64 - tagFirst);
}

// @ts-ignore: decorator
@inline
export function float64Of(value: JSValue): f64 {
  return reinterpret<f64>(value + float64Offset);
}

/** The value of a double that is not NaN. */
// @ts-ignore: decorator
@inline
export function float64Value(value: f64): JSValue {
  return reinterpret<u64>(value) - float64Offset;
}

// @ts-ignore: decorator
@inline
export function objectValue(address: usize): JSValue {
  return ((<u64>tagObject) << 32) | <u64>address;
}

// @ts-ignore: decorator
@inline
export function boolValue(flag: bool): JSValue {
  return ((<u64>tagBool) << 32) | <u64>flag;
}

// @ts-ignore: decorator
@external("engine", "malloc")
export declare function malloc(size: usize): usize;
// @ts-ignore: decorator
@external("engine", "free")
export declare function free(pointer: usize): void;
// @ts-ignore: decorator
@external("engine", "js_malloc")
export declare function js_malloc(context: Context, size: usize): usize;
// @ts-ignore: decorator
@external("engine", "js_free")
export declare function js_free(context: Context, pointer: usize): void;
// @ts-ignore: decorator
@external("engine", "JS_Call")
export declare function JS_Call(context: Context, callee: JSValue, self: JSValue, count: i32, values: usize): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_FreeValue")
export declare function JS_FreeValue(context: Context, value: JSValue): void;
// @ts-ignore: decorator
@external("engine", "JS_DupValue")
export declare function JS_DupValue(context: Context, value: JSValue): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_NewNumber")
export declare function JS_NewNumber(context: Context, value: f64): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_NewStringLen")
export declare function JS_NewStringLen(context: Context, bytes: usize, length: usize): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_NewStringUTF16")
export declare function JS_NewStringUTF16(context: Context, units: usize, length: usize): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_ToCStringLen2")
export declare function JS_ToCStringLen2(context: Context, length: usize, value: JSValue, cesu8: i32): usize;
// @ts-ignore: decorator
@external("engine", "JS_FreeCString")
export declare function JS_FreeCString(context: Context, bytes: usize): void;
// @ts-ignore: decorator
@external("engine", "JS_ParseJSON")
export declare function JS_ParseJSON(context: Context, bytes: usize, length: usize, fileName: usize): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_JSONStringify")
export declare function JS_JSONStringify(context: Context, value: JSValue, replacer: JSValue, space: JSValue): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_ToString")
export declare function JS_ToString(context: Context, value: JSValue): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_GetClassProto")
export declare function JS_GetClassProto(context: Context, kind: u32): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_NewObject")
export declare function JS_NewObject(context: Context): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_NewArrayFrom")
export declare function JS_NewArrayFrom(context: Context, count: i32, values: usize): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_NewAtomLen")
export declare function JS_NewAtomLen(context: Context, bytes: usize, length: usize): u32;
// @ts-ignore: decorator
@external("engine", "JS_ValueToAtom")
export declare function JS_ValueToAtom(context: Context, value: JSValue): u32;
// @ts-ignore: decorator
@external("engine", "JS_FreeAtom")
export declare function JS_FreeAtom(context: Context, atom: u32): void;
// @ts-ignore: decorator
@external("engine", "JS_DefinePropertyValue")
export declare function JS_DefinePropertyValue(context: Context, object: JSValue, atom: u32, value: JSValue, flags: i32): i32;
// @ts-ignore: decorator
@external("engine", "JS_NewUint8ArrayCopy")
export declare function JS_NewUint8ArrayCopy(context: Context, bytes: usize, length: usize): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_GetUint8Array")
export declare function JS_GetUint8Array(context: Context, length: usize, value: JSValue): usize;
// @ts-ignore: decorator
@external("engine", "JS_NewCFunction2")
export declare function JS_NewCFunction2(context: Context, callee: usize, name: usize, length: i32, kind: i32, magic: i32): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_SetPropertyStr")
export declare function JS_SetPropertyStr(context: Context, object: JSValue, name: usize, value: JSValue): i32;
// @ts-ignore: decorator
@external("engine", "JS_GetPropertyStr")
export declare function JS_GetPropertyStr(context: Context, object: JSValue, name: usize): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_GetGlobalObject")
export declare function JS_GetGlobalObject(context: Context): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_CallConstructor")
export declare function JS_CallConstructor(context: Context, callee: JSValue, count: i32, values: usize): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_ThrowRangeError")
export declare function JS_ThrowRangeError(context: Context, format: usize, values: usize): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_ThrowTypeError")
export declare function JS_ThrowTypeError(context: Context, format: usize, values: usize): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_ThrowOutOfMemory")
export declare function JS_ThrowOutOfMemory(context: Context): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_HasException")
export declare function JS_HasException(context: Context): i32;
// @ts-ignore: decorator
@external("engine", "JS_GetException")
export declare function JS_GetException(context: Context): JSValue;
// @ts-ignore: decorator
@external("engine", "JS_IsUncatchableError")
export declare function JS_IsUncatchableError(value: JSValue): i32;
// @ts-ignore: decorator
@external("engine", "JS_ExecutePendingJob")
export declare function JS_ExecutePendingJob(runtime: usize, context: usize): i32;
// @ts-ignore: decorator
@external("engine", "JS_IsJobPending")
export declare function JS_IsJobPending(runtime: usize): i32;
// @ts-ignore: decorator
@external("engine", "JS_SetHostPromiseRejectionTracker")
export declare function JS_SetHostPromiseRejectionTracker(runtime: usize, callback: usize, opaque: usize): void;
// @ts-ignore: decorator
@external("engine", "qjs_get_context_ptr")
export declare function qjs_get_context_ptr(): Context;
// @ts-ignore: decorator
@external("engine", "qjs_get_runtime_ptr")
export declare function qjs_get_runtime_ptr(): usize;
