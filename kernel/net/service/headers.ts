/** Headers that a machine gave, as JSON: checked, and made header lines of HTTP. Machines may be compromised. */
import { Bytes, clear, drop, isText, lower, put, putByte, putJson, putText } from "../bytes";
import { isToken } from "../http/head";
import { accept, atEnd, openJson, peek, readString } from "./json";

/** Kinds of what the headers are for: a reply, and a request to an outlet, which has a path. */
export const forReply: u32 = 0, forOutlet: u32 = 1;

/** Why the headers are refused. */
// @ts-ignore: decorator
@lazy export const trouble: Bytes = changetype<Bytes>(memory.data(16, 8));
/** The `:path` of a request; length 0: none. */
// @ts-ignore: decorator
@lazy export const askedPath: Bytes = changetype<Bytes>(memory.data(16, 8));
/** Content type among the headers of a request. */
export let hasContentType: bool = false;
export let hasKey: bool = false;

// @ts-ignore: decorator
@lazy const name: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy const value: Bytes = changetype<Bytes>(memory.data(16, 8));

/**
 * Puts a line for each value of each header, but for those that the connection or the gateway sets. False, and `trouble` says why, if they
 * are no headers that HTTP carries. `isOwn`: names that stand already.
 */
export function putHeaderLines(out: Bytes, at: usize, length: u32, use: u32, isOwn: (at: usize, length: u32) => bool): bool {
  clear(trouble);
  clear(askedPath);
  hasContentType = hasKey = false;
  openJson(at, length);
  if (length === 0) return true;
  const isGood = readObject(out, use, isOwn);
  drop(name);
  drop(value);
  return isGood;
}

function say(sentence: string): bool {
  putText(trouble, sentence);
  return false;
}

function sayOf(before: string, after: string): bool {
  putText(trouble, before);
  putJson(trouble, name.at, min<u32>(name.length, 64));
  putText(trouble, after);
  return false;
}

function readObject(out: Bytes, use: u32, isOwn: (at: usize, length: u32) => bool): bool {
  if (peek() !== 123) return say(atEnd() ? "headers are not JSON" : "headers are not an object");
  accept(123);
  if (accept(125)) return atEnd() || say("headers are not JSON");
  do {
    name.length = 0;
    if (!readString(name) || !accept(58)) return say("headers are not JSON");
    const isPath = use === forOutlet && isText(name.at, name.length, ":path");
    if (!isPath && !isName()) return sayOf("", " is not a header name");
    const isKept = !isPath && !isSetByUs(use) && !isOwn(name.at, name.length);
    if (!readValues(out, isKept, isPath)) return false;
  } while (accept(44));
  return (accept(125) && atEnd()) || say("headers are not JSON");
}

function isName(): bool {
  if (name.length === 0 || isText(name.at, name.length, "__proto__")) return false;
  for (let index: u32 = 0; index < name.length; index++) {
    const byte = load<u8>(name.at + index);
    if (!isToken(byte)) return false;
    store<u8>(name.at + index, <u8>lower(byte));
  }
  if (isText(name.at, name.length, "content-type")) hasContentType = true;
  if (isText(name.at, name.length, "idempotency-key")) hasKey = true;
  return true;
}

/** Names that belong to the connection, or that the gateway sets. */
function isSetByUs(use: u32): bool {
  const at = name.at;
  switch (name.length) {
    case 2: return isText(at, 2, "te");
    case 4: return use === forOutlet && isText(at, 4, "host");
    case 6: return isText(at, 6, "expect");
    case 7: return isText(at, 7, "upgrade") || isText(at, 7, "trailer");
    case 10: return isText(at, 10, "connection") || isText(at, 10, "keep-alive");
    case 12: return use === forReply && isText(at, 12, "content-type");
    case 14: return isText(at, 14, "content-length");
    case 15: return use === forOutlet && isText(at, 15, "accept-encoding");
    case 16: return isText(at, 16, "proxy-connection") || (use === forReply && isText(at, 16, "mayfly-duplicate"));
    case 17: return isText(at, 17, "transfer-encoding") || (use === forReply && isText(at, 17, "mayfly-message-id"));
    default: return false;
  }
}

function readValues(out: Bytes, isKept: bool, isPath: bool): bool {
  const isList = accept(91);
  if (isList && accept(93)) return true;
  do {
    value.length = 0;
    if (peek() !== 34) return sayOf("header ", " is not text");
    if (!readString(value)) return say("headers are not JSON");
    if (isPath) {
      askedPath.length = 0;
      put(askedPath, value.at, value.length);
    } else if (!toLatin()) return sayOf("header ", " contains characters that the protocol can't carry in a header: encode them");
    if (!isKept) continue;
    put(out, name.at, name.length);
    putText(out, ": ");
    put(out, value.at, value.length);
    putText(out, "\r\n");
  } while (isList && accept(44));
  return !isList || accept(93) || say("headers are not JSON");
}

/** Makes the value Latin-1 where it stands. False if HTTP can't carry it (RFC 9110, 5.5). */
function toLatin(): bool {
  let to: u32 = 0;
  for (let from: u32 = 0; from < value.length; from++) {
    let byte = <u32>load<u8>(value.at + from);
    if ((byte < 32 && byte !== 9) || byte === 127) return false;
    if (byte > 127) {
      if ((byte !== 0xc2 && byte !== 0xc3) || from + 1 >= value.length) return false;
      byte = ((byte & 3) << 6) | (<u32>load<u8>(value.at + ++from) & 63);
    }
    store<u8>(value.at + to++, byte);
  }
  value.length = to;
  return true;
}

/** Puts a content type as a line: what is not printable is left out. */
export function putContentType(out: Bytes, at: usize, length: u32): void {
  if (length === 0) return;
  putText(out, "content-type: ");
  for (let index: u32 = 0; index < length; index++) {
    const byte = <u32>load<u8>(at + index);
    if (byte === 9 || (byte >= 32 && byte < 127)) putByte(out, byte);
  }
  putText(out, "\r\n");
}
