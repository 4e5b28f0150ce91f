/** `resolve` events (abi/events.ts): answers of outlets, and failures of calls with whose fault they are. */
import { allocate } from "../blocks";
import { Bytes, clear, drop, equal, isTextIgnoringCase, lower, put, putByte, putF64, putJson, putText, putU32 } from "../bytes";
import { lines, nameAt, nameLength, valueAt, valueLength } from "../http/head";
import { isFirst, nextOf } from "../http/names";
import { code, origin, reason, status as failureStatus } from "./ends";
import { headersBytes } from "./limits";
import { giveEvent } from "./machines";
import { Message } from "./message";
import { absent, doorMagic } from "./records";

const partsAt: u32 = 12;
const mostCode: u32 = 64;
const mostReason: u32 = 4096;

function setLength(b: Bytes, part: u32, length: u32): void {
  if (!b.broken) store<u32>(b.at + partsAt + (<usize>part << 2), length);
}

/** Puts the head of the frame, with time and number; lengths are set as parts come. */
function beginFrame(b: Bytes, number: u32): void {
  clear(b);
  putU32(b, doorMagic);
  putU32(b, 0);
  putU32(b, 0x0702); // resolve, seven parts
  for (let part: u32 = 0; part < 7; part++) putU32(b, absent);
  putF64(b, 0);
  putF64(b, number);
  setLength(b, 0, 8);
  setLength(b, 1, 8);
}

/** Puts the frame of an answer up to its body, with the headers that head.ts has. Where the body begins; 0: the headers are too long. */
export function beginAnswerFrame(b: Bytes, number: u32, status: u32): u32 {
  beginFrame(b, number);
  putF64(b, status);
  setLength(b, 4, 8);
  const from = b.length;
  putHeaders(b);
  setLength(b, 5, b.length - from);
  return b.length - from > headersBytes ? 0 : b.length;
}

/** The body is whole. */
export function endAnswerFrame(b: Bytes, bodyStart: u32): void {
  setLength(b, 6, b.length - bodyStart);
  if (!b.broken) store<u32>(b.at, b.length, 4);
}

function isOfConnection(line: u32): bool {
  const at = nameAt(line);
  const length = nameLength(line);
  switch (length) {
    case 2: return isTextIgnoringCase(at, length, "te");
    case 6: return isTextIgnoringCase(at, length, "expect");
    case 7: return isTextIgnoringCase(at, length, "upgrade") || isTextIgnoringCase(at, length, "trailer");
    case 9: return isTextIgnoringCase(at, length, "__proto__");
    case 10: return isTextIgnoringCase(at, length, "connection") || isTextIgnoringCase(at, length, "keep-alive");
    case 16: return isTextIgnoringCase(at, length, "proxy-connection");
    case 17: return isTextIgnoringCase(at, length, "transfer-encoding");
    default: return false;
  }
}

function putHeaders(b: Bytes): void {
  putByte(b, 123);
  let separates = false;
  for (let line: u32 = 0; line < lines; line++) {
    if (isOfConnection(line) || !isFirst(line)) continue;
    putText(b, separates ? ",\"" : "\"");
    separates = true;
    for (let index: u32 = 0; index < nameLength(line); index++) putByte(b, lower(load<u8>(nameAt(line) + index)));
    putText(b, "\":");
    const isList = nextOf(line) >= 0;
    let separator: u32 = 91;
    for (let each: i32 = line; each >= 0; each = nextOf(each)) {
      if (isList) putByte(b, separator);
      separator = 44;
      putJson(b, valueAt(each), valueLength(each));
    }
    if (isList) putByte(b, 93);
  }
  putByte(b, 125);
}

// ---- failures

// @ts-ignore: decorator
@lazy const frame: Bytes = changetype<Bytes>(memory.data(16, 8));

/** Gives a machine the failure that ends.ts has as the answer of a call, and remembers whose fault it is. False without memory. */
export function resolveFailure(m: Message, number: u32): bool {
  beginFrame(frame, number);
  const codeLength = min<u32>(code.length, mostCode);
  const reasonLength = min<u32>(reason.length, mostReason);
  put(frame, code.at, codeLength);
  put(frame, reason.at, reasonLength);
  putF64(frame, 0);
  putText(frame, "{}");
  setLength(frame, 2, codeLength);
  setLength(frame, 3, reasonLength);
  setLength(frame, 4, 8);
  setLength(frame, 5, 2);
  setLength(frame, 6, 0);
  const isMade = !frame.broken && addBlame(m, code.at, codeLength);
  drop(code);
  drop(reason);
  if (!isMade) return drop(frame), false;
  store<u32>(frame.at, frame.length, 4);
  const block = frame.at;
  const length = frame.length;
  clear(frame);
  return giveEvent(m, 2, 0, block, length);
}

export let blamedOrigin: u32 = 0, blamedStatus: u32 = 0;

/** next u32 │ origin u32 │ status u32 │ length u32 │ code */
function addBlame(m: Message, at: usize, length: u32): bool {
  for (let each = m.firstBlame; each !== 0; each = <usize>load<u32>(each)) {
    if (!equal(each + 16, load<u32>(each, 12), at, length)) continue;
    store<u32>(each, origin, 4);
    store<u32>(each, failureStatus, 8);
    return true;
  }
  const row = allocate(16 + length);
  if (row === 0) return false;
  store<u32>(row, <u32>m.firstBlame);
  store<u32>(row, origin, 4);
  store<u32>(row, failureStatus, 8);
  store<u32>(row, length, 12);
  memory.copy(row + 16, at, length);
  m.firstBlame = row;
  return true;
}

/** Finds the blame of a code that a call of this message failed with; false: no call did. */
export function blameOf(m: Message, at: usize, length: u32): bool {
  for (let each = m.firstBlame; each !== 0; each = <usize>load<u32>(each)) {
    if (!equal(each + 16, load<u32>(each, 12), at, length)) continue;
    blamedOrigin = load<u32>(each, 4);
    blamedStatus = load<u32>(each, 8);
    return true;
  }
  return false;
}
