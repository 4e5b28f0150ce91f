/**
 * Heads of HTTP/1.1: RFC 9112, 2 to 6, as strictly as Node's parser where both read the same, and more strictly where readers before us could
 * take it otherwise. The last head that was read stands here; its addresses are those of the bytes it was read from.
 */
import { equalIgnoringCase, isText, isTextIgnoringCase, lower } from "../bytes";
import { headBytes, headerLines } from "./limits";

// ---- the head

export let methodAt: usize = 0, methodLength: u32 = 0;
/** Of a request; of an answer the status. */
export let targetAt: usize = 0, targetLength: u32 = 0;
export let status: u32 = 0;
/** Of HTTP/1.x. */
export let minor: u32 = 1;
export let lines: u32 = 0;
/** −1: none is given. */
export let contentLength: i64 = -1;
export let isChunked: bool = false;
export let hasHost: bool = false;
export let closes: bool = false;
export let keepsAlive: bool = false;
/** 1: `100-continue`; 2: something else is expected. */
export let expects: u32 = 0;

/** name u32 │ its length u32 │ value u32 │ its length u32 */
// @ts-ignore: decorator
@lazy const table: usize = memory.data(16_016, 16);

export function nameAt(line: u32): usize { return <usize>load<u32>(table + (<usize>line << 4)); }
export function nameLength(line: u32): u32 { return load<u32>(table + (<usize>line << 4), 4); }
export function valueAt(line: u32): usize { return <usize>load<u32>(table + (<usize>line << 4), 8); }
export function valueLength(line: u32): u32 { return load<u32>(table + (<usize>line << 4), 12); }

/** Index of the first line with this name, in lower case, or −1. */
export function lineOf(name: string): i32 {
  for (let line: u32 = 0; line < lines; line++) if (isTextIgnoringCase(nameAt(line), nameLength(line), name)) return line;
  return -1;
}

/** The same for a name in memory. */
export function lineNamed(at: usize, length: u32): i32 {
  for (let line: u32 = 0; line < lines; line++) if (equalIgnoringCase(nameAt(line), nameLength(line), at, length)) return line;
  return -1;
}

// ---- reading

/** Results of reading: the head is good; it is malformed; it is too long, or has too many lines. */
export const headGood: u32 = 0, headBad: u32 = 400, headLong: u32 = 431, headMany: u32 = 1431;

/** Counts the heads that were read. */
export let heads: u32 = 0;
let counted: u32 = 0;
let hasTransferCoding: bool = false;

function begin(): void {
  heads++;
  lines = 0;
  counted = 0;
  minor = 1;
  contentLength = -1;
  isChunked = hasHost = closes = keepsAlive = hasTransferCoding = false;
  expects = 0;
}

/** RFC 9110, 5.6.2. */
export function isToken(byte: u32): bool {
  if ((byte | 32) - 97 < 26 || byte - 48 < 10) return true;
  switch (byte) {
    case 33: case 35: case 36: case 37: case 38: case 39: case 42: case 43: case 45: case 46: case 94: case 95: case 96: case 124: case 126:
      return true;
    default:
      return false;
  }
}

/**
 * The end of a head within `length` bytes: how many it has with its empty line, 0 when it is not there yet, −1 for a line that does not end
 * in CR LF. `from`: where to look from; what is before has been looked at.
 */
export function headEnd(at: usize, from: u32, length: u32): i32 {
  for (let index = from; index < length; index++) {
    if (load<u8>(at + index) !== 10) continue;
    if (index === 0 || load<u8>(at + index - 1) !== 13) return -1;
    if (index >= 3 && load<u8>(at + index - 2) === 10) return index + 1;
  }
  return 0;
}

/** The index of the next LF, or `end`. */
function lineFeed(at: usize, end: usize): usize {
  while (at < end && load<u8>(at) !== 10) at++;
  return at;
}

/** Reads a request's whole head, empty line included. */
export function readRequest(at: usize, length: u32): u32 {
  begin();
  const end = at + length;
  const first = lineFeed(at, end);
  if (!readRequestLine(at, first - 1)) return headBad;
  const result = readLines(first + 1, end);
  if (result !== headGood) return result;
  if (contentLength >= 0 && hasTransferCoding) return headBad; // RFC 9112, 6.1: an attack, or a reader before us is broken
  if (hasTransferCoding && (!isChunked || minor === 0)) return headBad;
  return minor > 0 && !hasHost ? headBad : headGood; // RFC 9112, 3.2
}

/** False if the bytes so far can't become a request's head: refused at once, instead of when the sender's time is over. */
export function canBecomeRequest(at: usize, length: u32): bool {
  begin();
  const end = at + length;
  let from = at;
  for (let line: u32 = 0; ; line++) {
    const feed = lineFeed(from, end);
    if (feed >= end) break;
    if (line === 0 ? !readRequestLine(from, feed - 1) : readLine(from, feed - 1) !== headGood) return false;
    from = feed + 1;
  }
  if (from > at) return true;
  for (; from < end && load<u8>(from) !== 32; from++) {
    const byte = load<u8>(from);
    if (from - at > 16 || !(byte - 65 < 26 || byte === 45)) return false;
  }
  return true;
}

/** Reads header lines up to the empty one. */
function readLines(from: usize, end: usize): u32 {
  while (from < end) {
    const feed = lineFeed(from, end);
    if (feed === from + 1) return headGood;
    const result = readLine(from, feed - 1);
    if (result !== headGood) return result;
    from = feed + 1;
  }
  return headGood;
}

function isMethod(at: usize, length: u32): bool {
  switch (length) {
    case 3: return isText(at, 3, "GET") || isText(at, 3, "PUT") || isText(at, 3, "ACL");
    case 4: return isText(at, 4, "POST") || isText(at, 4, "HEAD") || isText(at, 4, "COPY") || isText(at, 4, "LOCK") || isText(at, 4, "MOVE") || isText(at, 4, "BIND") || isText(at, 4, "LINK");
    case 5: return isText(at, 5, "PATCH") || isText(at, 5, "TRACE") || isText(at, 5, "MKCOL") || isText(at, 5, "MERGE") || isText(at, 5, "PURGE") || isText(at, 5, "QUERY");
    case 6: return isText(at, 6, "DELETE") || isText(at, 6, "SEARCH") || isText(at, 6, "UNLOCK") || isText(at, 6, "REBIND") || isText(at, 6, "UNBIND") || isText(at, 6, "REPORT") || isText(at, 6, "NOTIFY") || isText(at, 6, "UNLINK");
    case 7: return isText(at, 7, "OPTIONS");
    case 8: return isText(at, 8, "PROPFIND") || isText(at, 8, "CHECKOUT") || isText(at, 8, "M-SEARCH");
    case 9: return isText(at, 9, "PROPPATCH") || isText(at, 9, "SUBSCRIBE");
    case 10: return isText(at, 10, "MKACTIVITY") || isText(at, 10, "MKCALENDAR");
    case 11: return isText(at, 11, "UNSUBSCRIBE");
    default: return false;
  }
}

/** method SP target SP HTTP/1.x; `end`: of the line, before its CR. */
function readRequestLine(at: usize, end: usize): bool {
  let from = at;
  while (from < end && load<u8>(from) !== 32) from++;
  methodAt = at;
  methodLength = <u32>(from - at);
  if (!isMethod(at, methodLength) || from >= end) return false;
  targetAt = ++from;
  while (from < end && load<u8>(from) !== 32) {
    const byte = load<u8>(from);
    if (byte < 33 || byte > 126) return false;
    from++;
  }
  targetLength = <u32>(from - targetAt);
  counted += targetLength;
  if (targetLength === 0 || end - from !== 9 || !isText(from, 8, " HTTP/1.")) return false;
  minor = <u32>load<u8>(from, 8) - 48;
  return minor <= 1 && isTarget();
}

function isTarget(): bool {
  const first = <u32>load<u8>(targetAt);
  if (first === 47) return true;
  if (first === 42) return targetLength === 1;
  return authorityLength() > 0;
}

/** Bytes of the target before its authority: of an absolute form (RFC 9112, 3.2.2). */
export function authorityOffset(): u32 {
  if (targetLength > 7 && isTextIgnoringCase(targetAt, 7, "http://")) return 7;
  return targetLength > 8 && isTextIgnoringCase(targetAt, 8, "https://") ? 8 : 0;
}

/** Bytes of the authority in an absolute form; 0: the target has none. */
export function authorityLength(): u32 {
  const offset = authorityOffset();
  if (offset === 0) return 0;
  let end = offset;
  for (; end < targetLength; end++) {
    const byte = load<u8>(targetAt + end);
    if (byte === 47 || byte === 63 || byte === 35) break;
  }
  return end - offset;
}

/** name ":" OWS value OWS; `end`: of the line, before its CR. Takes what it says of the message's length, and the connection. */
function readLine(at: usize, end: usize): u32 {
  let from = at;
  while (from < end && isToken(load<u8>(from))) from++;
  const name = <u32>(from - at);
  if (name === 0 || from >= end || load<u8>(from) !== 58) return headBad;
  from++;
  while (from < end && (load<u8>(from) === 32 || load<u8>(from) === 9)) from++;
  let last = end;
  while (last > from && (load<u8>(last - 1) === 32 || load<u8>(last - 1) === 9)) last--;
  for (let index = from; index < last; index++) {
    const byte = load<u8>(index);
    if ((byte < 32 && byte !== 9) || byte === 127) return headBad;
  }
  const value = <u32>(last - from);
  counted += name + value;
  if (counted >= headBytes) return headLong;
  if (lines >= headerLines) return headMany;
  const row = table + (<usize>(lines++) << 4);
  store<u32>(row, <u32>at);
  store<u32>(row, name, 4);
  store<u32>(row, <u32>from, 8);
  store<u32>(row, value, 12);
  return note(at, name, from, value) ? headGood : headBad;
}

function note(at: usize, name: u32, value: usize, length: u32): bool {
  switch (name) {
    case 4:
      if (isTextIgnoringCase(at, 4, "host")) hasHost = true;
      return true;
    case 6:
      if (isTextIgnoringCase(at, 6, "expect")) expects = isTextIgnoringCase(value, length, "100-continue") ? 1 : 2;
      return true;
    case 10:
      if (isTextIgnoringCase(at, 10, "connection")) noteConnection(value, length);
      return true;
    case 14:
      return !isTextIgnoringCase(at, 14, "content-length") || noteLength(value, length);
    case 17:
      if (!isTextIgnoringCase(at, 17, "transfer-encoding")) return true;
      // One coding only: of several the last decides, and readers disagree on the others.
      isChunked = !hasTransferCoding && isTextIgnoringCase(value, length, "chunked");
      hasTransferCoding = true;
      return isChunked;
    default:
      return true;
  }
}

/** Digits only, and once: RFC 9112, 6.3 would let equal ones pass, for which no honest sender has a use. */
function noteLength(value: usize, length: u32): bool {
  if (contentLength >= 0 || length === 0 || length > 18) return false;
  let total: i64 = 0;
  for (let index: u32 = 0; index < length; index++) {
    const digit = <u32>load<u8>(value + index) - 48;
    if (digit > 9) return false;
    total = total * 10 + digit;
  }
  contentLength = total;
  return true;
}

function noteConnection(at: usize, length: u32): void {
  const end = at + length;
  while (at < end) {
    while (at < end && (load<u8>(at) === 44 || load<u8>(at) === 32 || load<u8>(at) === 9)) at++;
    let stop = at;
    while (stop < end && load<u8>(stop) !== 44) stop++;
    let last = stop;
    while (last > at && (load<u8>(last - 1) === 32 || load<u8>(last - 1) === 9)) last--;
    const size = <u32>(last - at);
    if (isTextIgnoringCase(at, size, "close")) closes = true;
    else if (isTextIgnoringCase(at, size, "keep-alive")) keepsAlive = true;
    at = stop;
  }
}

/** Reads an answer's whole head, empty line included. `length`: of the head. */
export function readAnswer(at: usize, length: u32): u32 {
  begin();
  const end = at + length;
  const feed = lineFeed(at, end);
  if (feed - at < 13 || !isText(at, 7, "HTTP/1.")) return headBad;
  minor = <u32>load<u8>(at, 7) - 48;
  if (minor > 1 || load<u8>(at, 8) !== 32) return headBad;
  status = 0;
  for (let index: usize = 9; index < 12; index++) {
    const digit = <u32>load<u8>(at + index) - 48;
    if (digit > 9) return headBad;
    status = status * 10 + digit;
  }
  if (status < 100 || (load<u8>(at, 12) !== 32 && load<u8>(at, 12) !== 13)) return headBad;
  const result = readLines(feed + 1, end);
  if (result !== headGood) return result;
  return contentLength >= 0 && hasTransferCoding ? headBad : headGood;
}

/** The name that repeats and may stand once only (RFC 9112, 3.2; RFC 9110, 5.3), or an empty text. */
export function repeatedName(): string {
  let seen: u32 = 0;
  for (let line: u32 = 0; line < lines; line++) {
    const at = nameAt(line);
    const length = nameLength(line);
    if (length !== 4 && length !== 12 && length !== 13) continue;
    const first = lower(load<u8>(at));
    const bit: u32 = first === 104 && isTextIgnoringCase(at, length, "host") ? 1
      : first === 99 && isTextIgnoringCase(at, length, "content-type") ? 2
      : first === 97 && isTextIgnoringCase(at, length, "authorization") ? 4 : 0;
    if ((seen & bit) !== 0) return bit === 1 ? "host" : bit === 2 ? "content-type" : "authorization";
    seen |= bit;
  }
  return "";
}
