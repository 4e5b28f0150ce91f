/** Where a step was when it was cut off: a `fail` record at the end of its effects, of which the monitor takes the stack. */
import {
  Context, JS_CallConstructor, JS_FreeCString, JS_FreeValue, JS_GetException, JS_GetGlobalObject, JS_GetPropertyStr, JS_ToCStringLen2, JSValue, tagException, tagObject,
  tagOf, tagRope, tagString,
} from "./engine";
import { reserve } from "./outbox";
import { errorConstructor, outboxLength, outboxRecords, scratch, setErrorConstructor, setOutboxLength, setOutboxRecords } from "./state";
import { replaceSurrogates } from "./text";

// @ts-ignore: decorator
@lazy const errorName: usize = memory.data<u8>([0x45, 0x72, 0x72, 0x6f, 0x72, 0]); // "Error"
// @ts-ignore: decorator
@lazy const stackName: usize = memory.data<u8>([0x73, 0x74, 0x61, 0x63, 0x6b, 0]); // "stack"
// @ts-ignore: decorator
@lazy const code: usize = memory.data<u8>([0x4d, 0x46, 0x5f, 0x43, 0x55, 0x54, 0x5f, 0x4f, 0x46, 0x46]); // "MF_CUT_OFF"
const codeBytes: u32 = 10;

// @ts-ignore: decorator
@lazy const missing: usize = memory.data<u8>([0x28, 0x6d, 0x69, 0x73, 0x73, 0x69, 0x6e, 0x67, 0x29]); // "(missing)"
const missingBytes: u32 = 9;

const failEffect: u32 = 7;
/** Code, message, stack, retry, status. */
const parts: u32 = 5;
const headBytes: u32 = 4 + 4 * parts;
const mostStackBytes: u32 = 8 << 10;

/** Once, at image build: the flow may put anything in its place. */
export function rememberError(here: Context): void {
  const global = JS_GetGlobalObject(here);
  setErrorConstructor(JS_GetPropertyStr(here, global, errorName));
  JS_FreeValue(here, global);
}

/** Whole lines of a stack, up to so many bytes. */
function wholeLines(from: usize, length: u32): u32 {
  if (length <= mostStackBytes) return length;
  let end = mostStackBytes;
  while (end > 0 && load<u8>(from + end - 1) !== 0x0a) end--;
  return end;
}

function writeRecord(from: usize, length: u32): void {
  const size = headBytes + codeBytes + length + 1 + 8;
  const at = reserve(size);
  if (at === 0) return;
  store<u32>(at, failEffect | (parts << 8));
  store<u32>(at, codeBytes, 4);
  store<u32>(at, 0, 8);
  store<u32>(at, length, 12);
  store<u32>(at, 1, 16);
  store<u32>(at, 8, 20);
  const data = at + headBytes;
  memory.copy(data, code, codeBytes);
  memory.copy(data + codeBytes, from, length);
  replaceSurrogates(data + codeBytes, length);
  store<u8>(data + codeBytes + length, 1);
  store<f64>(data + codeBytes + length + 1, 0);
  setOutboxLength(outboxLength() + size);
  setOutboxRecords(outboxRecords() + 1);
}

/** True when the first line of a stack says no line: its function has passed nothing yet that notes one. */
function lacksLine(from: usize, length: u32): bool {
  let end: u32 = 0;
  while (end < length && load<u8>(from + end) !== 0x0a) end++;
  return end >= missingBytes && memory.compare(from + end - missingBytes, missing, missingBytes) === 0;
}

/** Writes the record of an error's stack, and says so; not where it has none, or none that is `exact`. */
export function notePlace(here: Context, error: JSValue, exact: bool = false): bool {
  if (tagOf(error) !== tagObject) return false;
  let noted = false;
  const stack = JS_GetPropertyStr(here, error, stackName);
  const tag = tagOf(stack);
  if (tag === tagString || tag === tagRope) {
    const from = JS_ToCStringLen2(here, scratch(), stack, 0);
    if (from !== 0) {
      const length = load<u32>(scratch());
      noted = !exact || !lacksLine(from, length);
      if (noted) writeRecord(from, wholeLines(from, length));
      JS_FreeCString(here, from);
    }
  }
  JS_FreeValue(here, tag === tagException ? JS_GetException(here) : stack);
  return noted;
}

/** As notePlace, of the functions that are running: each at the last call or property it noted. */
export function notePlaceNow(here: Context, exact: bool = false): bool {
  const error = JS_CallConstructor(here, errorConstructor(), 0, 0);
  if (tagOf(error) === tagException) JS_FreeValue(here, JS_GetException(here));
  return notePlace(here, error, exact);
}
