/**
 * The native half of the kernel: AssemblyScript that shares the engine's memory and table. The monitor calls `eventBuffer`,
 * writes the event's frame there, calls `step`, and reads `effects`; the engine calls the twelve imports' stand-ins below.
 * docs/ABI.md, "Calling a machine", has the contract.
 */
import {
  Context, exceptionValue, free, JS_Call, JS_DupValue, JS_ExecutePendingJob, JS_FreeValue, JS_GetException, JS_IsJobPending, JS_IsUncatchableError,
  JS_NewCFunction2, JS_SetHostPromiseRejectionTracker, JS_SetPropertyStr, JSValue, malloc, qjs_get_context_ptr, qjs_get_runtime_ptr, tagException, tagOf,
  undefinedValue,
} from "./engine";
import {
  js_bytes, js_decodeUtf8, js_digest, js_emit, js_encodeUtf8, js_equal, js_exhausted, js_hmac, js_json, js_kind, js_mentionsCharset, js_number, js_random, js_randomFloat, js_stringify, js_text,
  partAddress,
} from "./functions";
import { js_aes, js_curve, js_edwards, js_modularPower, js_repeatHmac, js_rsaPrivate } from "./crypto";
import { js_clone, js_csv, js_csvText, js_decodeBytes, js_decodeMultibyte, js_encodeBytes, js_encodeMultibyte, js_encodeUtf16, js_unlikeRows, js_xml, js_xmlText } from "./formats";
import { js_deflate, js_inflate } from "./packing";
import { rememberPrototypes } from "./json-write";
import { notePlace, notePlaceNow, rememberError } from "./place";
import { fillRandom, seedRandom } from "./random";
import {
  context, forgetExhaustion, inbox, inboxCapacity, isExhausted, isPlaceNoted, outbox, outboxLength, rejectionFunction, runtime, setContext, setFunctions, setInbox, setInboxCapacity, setInboxLength,
  randomState, scratch, setOutbox, setOutboxCapacity, setOutboxLength, setOutboxRecords, setPlaceNoted, setRuntime, setTimeMs, settleFunction, stepFunction, timeMs,
} from "./state";

const frameHeader: u32 = 8;
const frameMagic: u32 = 0x0259464d; // "MFY", version 2
const deliver: u8 = 1;
const bufferBytes: u32 = 16 << 10;

// Results of `step` other than the number of effect bytes.
const interrupted: i32 = -1;
const escaped: i32 = -2;

/** The answer of the runtime's `settle` when it gave the message up (kernel/runtime/boot.ts). */
const settledAsFailed: i32 = 2;

/** The natives of parts, by name: an executable whose flow does not have them is built without (scripts/build-kernel.mjs). */
export { js_aes, js_curve, js_edwards, js_modularPower, js_repeatHmac, js_rsaPrivate };
export { js_clone, js_csv, js_csvText, js_decodeMultibyte, js_deflate, js_encodeMultibyte, js_inflate, js_unlikeRows, js_xml, js_xmlText };

/** Prepares the buffers and remembers the context. Once, at image build, after the engine's own start. */
export function boot(): void {
  setContext(qjs_get_context_ptr());
  setRuntime(qjs_get_runtime_ptr());
  rememberPrototypes(context());
  rememberError(context());
  setInbox(malloc(bufferBytes));
  setInboxCapacity(bufferBytes);
  setOutbox(malloc(bufferBytes));
  setOutboxCapacity(bufferBytes);
  seedRandom(randomState()); // all zero until the first message
  const tracker = onRejection;
  JS_SetHostPromiseRejectionTracker(runtime(), tracker.index, 0);
}

/** Sets native function `index` as property `name` (a C string) of the object in `box`; false when there is no such function. */
export function define(box: usize, name: usize, index: i32): bool {
  const at = functionIndex(index);
  if (at === 0) return false;
  JS_SetPropertyStr(context(), load<u64>(box), name, JS_NewCFunction2(context(), at, name, 0, 0, 0));
  return true;
}

function functionIndex(index: i32): u32 {
  switch (index) {
    case 0: { const f = js_kind; return f.index; }
    case 1: { const f = js_text; return f.index; }
    case 2: { const f = js_bytes; return f.index; }
    case 3: { const f = js_json; return f.index; }
    case 4: { const f = js_number; return f.index; }
    case 5: { const f = js_emit; return f.index; }
    case 6: { const f = js_encodeUtf8; return f.index; }
    case 7: { const f = js_decodeUtf8; return f.index; }
    case 8: { const f = js_random; return f.index; }
    case 9: { const f = js_randomFloat; return f.index; }
    case 10: { const f = js_digest; return f.index; }
    case 11: { const f = js_hmac; return f.index; }
    case 12: { const f = js_equal; return f.index; }
    case 13: { const f = js_stringify; return f.index; }
    case 14: { const f = js_exhausted; return f.index; }
    case 15: { const f = js_mentionsCharset; return f.index; }
    case 16: { const f = js_xml; return f.index; }
    case 17: { const f = js_csv; return f.index; }
    case 18: { const f = js_decodeBytes; return f.index; }
    case 19: { const f = js_aes; return f.index; }
    case 20: { const f = js_repeatHmac; return f.index; }
    case 21: { const f = js_modularPower; return f.index; }
    case 22: { const f = js_rsaPrivate; return f.index; }
    case 23: { const f = js_curve; return f.index; }
    case 24: { const f = js_edwards; return f.index; }
    case 25: { const f = js_inflate; return f.index; }
    case 26: { const f = js_deflate; return f.index; }
    case 27: { const f = js_clone; return f.index; }
    case 28: { const f = js_csvText; return f.index; }
    case 29: { const f = js_unlikeRows; return f.index; }
    case 30: { const f = js_xmlText; return f.index; }
    case 31: { const f = js_decodeMultibyte; return f.index; }
    case 32: { const f = js_encodeBytes; return f.index; }
    case 33: { const f = js_encodeUtf16; return f.index; }
    case 34: { const f = js_encodeMultibyte; return f.index; }
    default: return 0;
  }
}

/** Keeps the runtime's three functions; each argument is the address of a boxed value. */
export function adopt(step: usize, settle: usize, rejection: usize): void {
  const here = context();
  setFunctions(JS_DupValue(here, load<u64>(step)), JS_DupValue(here, load<u64>(settle)), JS_DupValue(here, load<u64>(rejection)));
}

/** Where to write an event's frame of `length` bytes; 0 when there is no memory for it. */
export function eventBuffer(length: u32): usize {
  if (length + 1 > inboxCapacity()) {
    const larger = malloc(length + 1);
    if (larger === 0) return 0;
    free(inbox());
    setInbox(larger);
    setInboxCapacity(length + 1);
  }
  setInboxLength(length);
  return inbox();
}

/** Address of the effects' frame after a step. */
export function effects(): usize {
  return outbox();
}

/** Takes the pending exception, which ends the step, and notes where: `interrupted` is the engine's own, which no flow can catch. */
function cutShort(here: Context): i32 {
  const error = JS_GetException(here);
  const status = JS_IsUncatchableError(error) !== 0 ? interrupted : escaped;
  if (!isPlaceNoted()) notePlace(here, error);
  JS_FreeValue(here, error);
  return status;
}

function call(here: Context, callee: JSValue): i32 {
  const result = JS_Call(here, callee, undefinedValue, 0, 0);
  if (tagOf(result) === tagException) return cutShort(here);
  JS_FreeValue(here, result);
  return 0;
}

/** Ends the step. Without memory nothing counts but a failure that says so. */
function settle(here: Context): i32 {
  const result = JS_Call(here, settleFunction(), undefinedValue, 0, 0);
  if (tagOf(result) === tagException) return cutShort(here);
  return isExhausted() && <i32>result !== settledAsFailed ? escaped : 0;
}

/** Writes the head of the effects' frame: it holds every record that was complete, also when the step was cut off in the middle of one. */
export function closeFrame(): void {
  store<u32>(outbox(), frameMagic);
  store<u32>(outbox(), outboxLength(), 4);
}

/** After a trap: the frame is whole already, and gets a record of where the trap was unless that traps as well. */
export function noteTrap(): void {
  notePlaceNow(context());
  closeFrame();
}

/**
 * For the monitor, before it tells the interpreter to stop: notes the last call or property of what is running. The exception that ends
 * the step knows the head of the loop at best, and is asked where no such line is known. Does nothing within itself: what a flow
 * put into `Error.prepareStackTrace` may be told to stop as well.
 */
export function noteInterrupt(): void {
  if (isPlaceNoted()) return;
  setPlaceNoted(true);
  setPlaceNoted(notePlaceNow(context(), true));
}

/**
 * Runs the machine with the event in the buffer until nothing is left to do at this instant. Returns the length of the effects'
 * frame, -1 when the monitor interrupted it, or -2 when memory ran out, whatever became of that, or an exception left the runtime; the
 * frame is complete in every case, so that what was logged is not lost. After -1 and -2 a `fail` at its end says where that was.
 */
export function step(): i32 {
  const here = context();
  forgetExhaustion();
  if (isPlaceNoted()) setPlaceNoted(false);
  setOutboxLength(frameHeader);
  setOutboxRecords(0);
  setTimeMs(load<f64>(partAddress(0)));
  if (load<u8>(inbox() + frameHeader) === deliver) seedRandom(partAddress(1));
  let status = call(here, stepFunction());
  while (status === 0 && JS_IsJobPending(runtime()) !== 0) {
    if (JS_ExecutePendingJob(runtime(), scratch()) < 0) status = cutShort(here);
  }
  if (status === 0) status = settle(here);
  closeFrame();
  return status === 0 ? <i32>outboxLength() : status;
}

/** Length of the effects' frame, also after a step that failed. */
export function effectsLength(): u32 {
  return outboxLength();
}

// @ts-ignore: decorator
@lazy const rejectionValues: usize = memory.data(24, 8);

/** `void JSHostPromiseRejectionTracker(JSContext *, JSValueConst promise, JSValueConst reason, bool is_handled, void *opaque)` */
function onRejection(here: Context, promise: JSValue, reason: JSValue, handled: i32, opaque: usize): void {
  const callee = rejectionFunction();
  if (callee === 0) return;
  store<u64>(rejectionValues, promise);
  store<u64>(rejectionValues, reason, 8);
  store<u64>(rejectionValues, (<u64>1 << 32) | <u64>(handled !== 0), 16);
  const result = JS_Call(here, callee, undefinedValue, 3, rejectionValues);
  JS_FreeValue(here, tagOf(result) === tagException ? JS_GetException(here) : result); // no stack or memory left to note it: not the tracker's fault to report
}

// The engine's imports. None of them reaches outside: time is the event's, randomness is seeded by it, files do not exist.

const errnoSuccess: i32 = 0;
const errnoBadFile: i32 = 8;
const errnoNotSupported: i32 = 52;

/** Every clock shows the event's time. */
export function clock_time_get(clock: i32, precision: i64, result: usize): i32 {
  store<u64>(result, <u64>timeMs() * 1_000_000); // multiplied as integers: a double has no room for nanoseconds since 1970
  return errnoSuccess;
}

export function random_get(target: usize, length: u32): i32 {
  fillRandom(target, length);
  return errnoSuccess;
}

/** Pretends to have written: what the engine prints for its own debugging goes nowhere. */
export function fd_write(file: i32, vectors: usize, count: i32, written: usize): i32 {
  let total: u32 = 0;
  for (let i = 0; i < count; i++) total += load<u32>(vectors + (<usize>i << 3), 4);
  store<u32>(written, total);
  return errnoSuccess;
}

export function fd_close(file: i32): i32 { return errnoNotSupported; }
export function fd_fdstat_get(file: i32, result: usize): i32 { return errnoBadFile; }
export function fd_seek(file: i32, offset: i64, whence: i32, result: usize): i32 { return errnoNotSupported; }
/** Seconds east of UTC: machines live in UTC. */
export function host_get_timezone_offset(high: i32, low: i32): i32 { return 0; }
export function host_promise_rejection(promise: i32, reason: i32, handled: i32): void {}
/** There is nothing to load: a flow is one bundle. */
export function host_module_normalize(base: i32, name: i32): i32 { return 0; }
export function host_module_load(name: i32, length: i32): i32 { return 0; }
export function host_call(name: i32, length: i32, self: i32, count: i32, values: i32): i32 { return 0; }
