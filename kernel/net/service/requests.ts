/** Requests to outlets as bytes: their path below the outlet's, their head. Machines may be compromised, and never leave the outlet's url. */
import { Bytes, clear, drop, equal, equalIgnoringCase, lower, put, putByte, putNumber, putText } from "../bytes";
import { Outlet, Pair } from "./config";
import { askedPath, forOutlet, hasContentType, hasKey, putContentType, putHeaderLines } from "./headers";
import { flowOfMessage, idOf, Message, nonceAt, nonceLength } from "./message";

// @ts-ignore: decorator
@lazy const target: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy const lines: Bytes = changetype<Bytes>(memory.data(16, 8));

/** Results: the head is made; headers, path or method are refused; there is no memory. */
export const requestMade: u32 = 0, headersRefused: u32 = 1, pathRefused: u32 = 2, methodRefused: u32 = 3, noMemory: u32 = 4;

/** The parts of a request, set by whoever makes one. */
@unmanaged
export class Wanted {
  outlet: usize = 0;
  /** Length 0: the outlet's own. */
  method: usize = 0;
  methodLength: u32 = 0;
  contentType: usize = 0;
  contentTypeLength: u32 = 0;
  /** JSON. */
  headers: usize = 0;
  headersLength: u32 = 0;
  bodyLength: u32 = 0;
  /** Number of the call, or of the send; they are counted apart. */
  number: u32 = 0;
  isCall: bool = false;
  /** Set when the head is made: HEAD and GET have no body. */
  isBodiless: bool = false;
  isHead: bool = false;
}

let outletHeaders: usize = 0;

/** True for a header that the outlet's own headers override. */
function isOutlets(at: usize, length: u32): bool {
  for (let each = outletHeaders; each !== 0; each = changetype<Pair>(each).next) {
    const pair = changetype<Pair>(each);
    if (equalIgnoringCase(pair.name, pair.nameLength, at, length)) return true;
  }
  return false;
}

function isOutletsText(name: string): bool {
  for (let each = outletHeaders; each !== 0; each = changetype<Pair>(each).next) {
    const pair = changetype<Pair>(each);
    if (pair.nameLength !== <u32>name.length) continue;
    let isSame = true;
    for (let index: u32 = 0; index < pair.nameLength; index++) if (lower(load<u8>(pair.name + index)) !== <u32>name.charCodeAt(index)) isSame = false;
    if (isSame) return true;
  }
  return false;
}

/** Puts the whole head of a request for a message. */
export function putRequest(out: Bytes, m: Message, wanted: Wanted): u32 {
  const outlet = changetype<Outlet>(wanted.outlet);
  outletHeaders = outlet.headers;
  clear(lines);
  if (!putHeaderLines(lines, wanted.headers, wanted.headersLength, forOutlet, isOutlets)) return drop(lines), headersRefused;
  const result = putFirstLine(out, outlet, wanted);
  drop(askedPath);
  if (result === requestMade) putRest(out, m, outlet, wanted);
  const isBroken = lines.broken || out.broken;
  drop(lines);
  return result === requestMade && isBroken ? noMemory : result;
}

function putFirstLine(out: Bytes, outlet: Outlet, wanted: Wanted): u32 {
  const length = wanted.methodLength > 0 ? wanted.methodLength : outlet.methodLength;
  const at = wanted.methodLength > 0 ? wanted.method : outlet.method;
  if (length > 32 || isWord(at, length, "connect")) return methodRefused;
  for (let index: u32 = 0; index < length; index++) {
    const byte = lower(load<u8>(at + index));
    if (byte - 97 > 25) return methodRefused;
    putByte(out, byte - 32);
  }
  wanted.isHead = isWord(at, length, "head");
  wanted.isBodiless = wanted.isHead || isWord(at, length, "get");
  putByte(out, 32);
  if (askedPath.length === 0) put(out, outlet.path, outlet.pathLength);
  else {
    clear(target);
    const isBelow = putPathBelow(outlet);
    put(out, target.at, target.length);
    drop(target);
    if (!isBelow) return pathRefused;
  }
  putText(out, " HTTP/1.1\r\n");
  return requestMade;
}

function isWord(at: usize, length: u32, word: string): bool {
  if (length !== <u32>word.length) return false;
  for (let index: u32 = 0; index < length; index++) if (lower(load<u8>(at + index)) !== <u32>word.charCodeAt(index)) return false;
  return true;
}

function putRest(out: Bytes, m: Message, outlet: Outlet, wanted: Wanted): void {
  putText(out, "host: ");
  put(out, outlet.host, outlet.hostLength);
  if (outlet.port !== 80) {
    putByte(out, 58);
    putNumber(out, outlet.port);
  }
  putText(out, "\r\n");
  for (let each = outlet.headers; each !== 0; each = changetype<Pair>(each).next) putPair(out, changetype<Pair>(each));
  if (outlet.basic !== 0 && !isOutletsText("authorization")) {
    putText(out, "authorization: Basic ");
    putBase64(out, outlet.basic, outlet.basicLength);
    putText(out, "\r\n");
  }
  put(out, lines.at, lines.length);
  if (!hasContentType && !isOutletsText("content-type")) putContentType(out, wanted.contentType, wanted.contentTypeLength);
  put(out, m.passed, m.passedLength);
  if (!hasKey && !isOutletsText("idempotency-key")) putKey(out, m, wanted);
  if (!wanted.isBodiless) {
    putText(out, "content-length: ");
    putNumber(out, wanted.bodyLength);
    putText(out, "\r\n");
  }
  putText(out, "connection: close\r\n\r\n");
}

/** A header of the configuration: bytes that HTTP can't carry end it. */
function putPair(out: Bytes, pair: Pair): void {
  put(out, pair.name, pair.nameLength);
  putText(out, ": ");
  for (let index: u32 = 0; index < pair.valueLength; index++) {
    const byte = <u32>load<u8>(pair.value + index);
    if (byte === 9 || (byte >= 32 && byte !== 127)) putByte(out, byte);
  }
  putText(out, "\r\n");
}

/** The same for every attempt at this send or call, and for no other message: flow/id/random/number. */
function putKey(out: Bytes, m: Message, wanted: Wanted): void {
  putText(out, "idempotency-key: ");
  putSendKey(out, m, wanted.isCall, wanted.number);
  putText(out, "\r\n");
}

/** Puts the key of a send or a call: the same for each attempt at it. */
export function putSendKey(out: Bytes, m: Message, isCall: bool, number: u32): void {
  put(out, flowOfMessage(m).name, flowOfMessage(m).nameLength);
  putByte(out, 47);
  put(out, idOf(m), m.idLength);
  putByte(out, 47);
  put(out, nonceAt(m), nonceLength);
  putText(out, isCall ? "/call/" : "/");
  putNumber(out, number);
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export function putBase64(out: Bytes, at: usize, length: u32): void {
  for (let from: u32 = 0; from < length; from += 3) {
    const count = min<u32>(length - from, 3);
    let bits: u32 = 0;
    for (let index: u32 = 0; index < 3; index++) bits = (bits << 8) | (index < count ? <u32>load<u8>(at + from + index) : 0);
    for (let index: u32 = 0; index < 4; index++) putByte(out, index <= count ? alphabet.charCodeAt((bits >> (18 - 6 * index)) & 63) : 61);
  }
}

// ---- paths

/** Puts the asked path below the outlet's, with both queries. False if it would leave it, or set a parameter that the outlet sets. */
function putPathBelow(outlet: Outlet): bool {
  let ownPath: u32 = 0;
  while (ownPath < outlet.pathLength && load<u8>(outlet.path + ownPath) !== 63) ownPath++;
  const own = outlet.path + ownPath + 1;
  const ownLength = ownPath < outlet.pathLength ? outlet.pathLength - ownPath - 1 : 0;
  let path: u32 = 0;
  while (path < askedPath.length && load<u8>(askedPath.at + path) !== 63 && load<u8>(askedPath.at + path) !== 35) path++;
  put(target, outlet.path, ownPath);
  if (ownPath === 0 || load<u8>(outlet.path + ownPath - 1) !== 47) putByte(target, 47);
  let from: u32 = 0;
  while (from < path && load<u8>(askedPath.at + from) === 47) from++;
  if (!isSafe(askedPath.at + from, path - from)) return false;
  for (; from < path; from++) putEncoded(load<u8>(askedPath.at + from));
  const hasQuery = path < askedPath.length && load<u8>(askedPath.at + path) === 63;
  let end = path + 1;
  while (end < askedPath.length && load<u8>(askedPath.at + end) !== 35) end++;
  const queryLength = hasQuery ? end - path - 1 : 0;
  if (ownLength + queryLength > 0) putByte(target, 63);
  put(target, own, ownLength);
  if (queryLength === 0) return true;
  if (ownLength > 0) {
    if (repeats(own, ownLength, askedPath.at + path + 1, queryLength)) return false;
    putByte(target, 38);
  }
  for (let index = path + 1; index < end; index++) putEncoded(load<u8>(askedPath.at + index));
  return true;
}

/** Puts a byte that a request line can carry, or as %xx. */
function putEncoded(byte: u32): void {
  if (byte > 32 && byte < 127 && byte !== 34 && byte !== 60 && byte !== 62 && byte !== 96 && byte !== 123 && byte !== 125) return putByte(target, byte);
  putByte(target, 37);
  const high = byte >> 4;
  const low = byte & 15;
  putByte(target, high < 10 ? 48 + high : 55 + high);
  putByte(target, low < 10 ? 48 + low : 55 + low);
}

/** False for a path with a part of one dot or two, in any spelling, or an encoded slash: servers disagree on what those are below. */
function isSafe(at: usize, length: u32): bool {
  let dots = true;
  let count: u32 = 0;
  for (let index: u32 = 0; index <= length; ) {
    if (index === length || load<u8>(at + index) === 47) {
      if (dots && count > 0 && count < 3) return false;
      dots = true;
      count = 0;
      index++;
      continue;
    }
    const byte = load<u8>(at + index);
    const isEncoded = byte === 37 && index + 2 < length;
    const first = isEncoded ? load<u8>(at + index + 1) : 0;
    const second = isEncoded ? lower(load<u8>(at + index + 2)) : 0;
    if (byte === 92 || (first === 50 && second === 102) || (first === 53 && second === 99)) return false; // \ %2f %5c
    const isDot = byte === 46 || (first === 50 && second === 101);
    if (!isDot) dots = false;
    count++;
    index += isDot && byte === 37 ? 3 : 1;
  }
  return true;
}

// @ts-ignore: decorator
@lazy const one: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy const other: Bytes = changetype<Bytes>(memory.data(16, 8));

/** True if two queries have a parameter in common, as lenient servers read names; also when a name is not ASCII. */
function repeats(own: usize, ownLength: u32, asked: usize, askedLength: u32): bool {
  let isRepeated = false;
  for (let from: u32 = 0; from < askedLength && !isRepeated; from = nextName(asked, from, askedLength)) {
    clear(other);
    if (!putName(other, asked + from, askedLength - from)) isRepeated = true;
    for (let place: u32 = 0; place < ownLength && !isRepeated; place = nextName(own, place, ownLength)) {
      clear(one);
      isRepeated = !putName(one, own + place, ownLength - place) || equal(one.at, one.length, other.at, other.length);
      drop(one);
    }
    drop(other);
  }
  return isRepeated;
}

function isBetween(byte: u32): bool { return byte === 38 || byte === 59; }

function nextName(at: usize, from: u32, length: u32): u32 {
  while (from < length && !isBetween(load<u8>(at + from))) from++;
  return from + 1;
}

function hexDigit(byte: u32): u32 {
  if (byte - 48 < 10) return byte - 48;
  return (byte | 32) - 97 < 6 ? (byte | 32) - 87 : 256;
}

/** Puts a parameter's name without case, brackets, and anything but letters and digits. False if it is not ASCII. */
function putName(b: Bytes, at: usize, length: u32): bool {
  for (let index: u32 = 0; index < length; index++) {
    let byte = <u32>load<u8>(at + index);
    if (byte === 61 || isBetween(byte)) break;
    if (byte === 37 && index + 2 < length) {
      const code = (hexDigit(load<u8>(at + index + 1)) << 4) + hexDigit(load<u8>(at + index + 2));
      if (code < 256) {
        byte = code;
        index += 2;
      }
    }
    if (byte > 127) return false;
    if (byte === 91) break;
    byte = lower(byte);
    if (byte - 97 < 26 || byte - 48 < 10) putByte(b, byte);
  }
  return !b.broken;
}
