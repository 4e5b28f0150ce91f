/** Compression's functions of kernel/runtime/native.ts. A call does a bounded piece of work and allocates nothing. */
import { deflate, deflateBytes } from "./deflate";
import { Context, exceptionValue, JS_ThrowTypeError, JSValue } from "./engine";
import { argument, bytesOf, noBytes } from "./functions";
import { inflate, inflateLeastBytes } from "./inflate";
import { scratch } from "./state";

// "not long enough"
// @ts-ignore: decorator
@lazy const tooShort: usize = memory.data<u8>([110, 111, 116, 32, 108, 111, 110, 103, 32, 101, 110, 111, 117, 103, 104, 0]);

/** An integer as a value. */
// @ts-ignore: decorator
@inline
function integerValue(value: i32): JSValue {
  return <u64>(<u32>value);
}

export function js_inflate(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const work = bytesOf(context, argument(values, count, 0));
  if (work === noBytes) return exceptionValue;
  const workBytes = load<u32>(scratch());
  const input = bytesOf(context, argument(values, count, 1));
  if (input === noBytes) return exceptionValue;
  if (workBytes < inflateLeastBytes) return JS_ThrowTypeError(context, tooShort, 0);
  return integerValue(inflate(work, workBytes, input, load<u32>(scratch())));
}

export function js_deflate(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const work = bytesOf(context, argument(values, count, 0));
  if (work === noBytes) return exceptionValue;
  const workBytes = load<u32>(scratch());
  const input = bytesOf(context, argument(values, count, 1));
  if (input === noBytes) return exceptionValue;
  if (workBytes < deflateBytes) return JS_ThrowTypeError(context, tooShort, 0);
  return integerValue(deflate(work, input, load<u32>(scratch())));
}
