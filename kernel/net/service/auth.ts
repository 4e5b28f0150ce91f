/** Credentials of callers: a bearer token, a user with a password, keys in a header, signatures of the body, as gateway/contract/http/authentication.ts has them. */
import { Bytes, clear, drop, equalIgnoringCase, lower, put, putByte, putLatin, putText } from "../bytes";
import { lineNamed, lineOf, lines, nameAt, nameLength, valueAt, valueLength } from "../http/head";
import { readBase64 } from "./base64";
import { firstWay, Way } from "./config";
import { claimsSignature, signatureType } from "./signatures";
import { takesTokens, tokenType } from "./variant";

/** Results of a look at the credentials. `bySignature`: the body has to be seen first; `byToken`: the issuer's keys say it. */
export const rightCaller: u32 = 0, noCredentials: u32 = 1, wrongCredentials: u32 = 2, bySignature: u32 = 3, byToken: u32 = 4;
/** Name of the caller whose credentials were right; length 0: it has none. */
export let callerAt: usize = 0, callerLength: u32 = 0;

export function forgetCaller(): void {
  callerLength = 0;
  if (takesTokens) claimsLength = 0;
}

/** Its claims, as JSON; length 0: it has none. */
export let claimsAt: usize = 0, claimsLength: u32 = 0;

/** The holder of a token. */
export function setHolder(at: usize, length: u32, claims: usize, ofClaims: u32): void {
  callerAt = at;
  callerLength = length;
  claimsAt = claims;
  claimsLength = ofClaims;
}

// @ts-ignore: decorator
@lazy const given: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy const user: Bytes = changetype<Bytes>(memory.data(16, 8));

/** Compares in a time that depends on what is given only. */
function isSecret(b: Bytes, way: Way): bool {
  let difference = b.length ^ way.secretLength;
  let wanted: u32 = 0;
  for (let index: u32 = 0; index < b.length; index++) {
    difference |= <u32>load<u8>(b.at + index) ^ <u32>load<u8>(way.secret + wanted);
    wanted = wanted + 1 === way.secretLength ? 0 : wanted + 1;
  }
  return difference === 0 && way.secretLength > 0;
}

/** The credentials of an `authorization` header under a scheme, into `given`. False for another scheme. */
function readScheme(at: usize, length: u32, scheme: string): bool {
  const name = <u32>scheme.length;
  if (length <= name || load<u8>(at + name) !== 32) return false;
  for (let index: u32 = 0; index < name; index++) if (lower(load<u8>(at + index)) !== <u32>scheme.charCodeAt(index)) return false;
  let from = name;
  while (from < length && (load<u8>(at + from) === 32 || load<u8>(at + from) === 9)) from++;
  readLatin(at + from, length - from);
  return true;
}

function readLatin(at: usize, length: u32): void {
  given.length = 0;
  for (let index: u32 = 0; index < length; index++) putLatin(given, load<u8>(at + index));
}

/** A key in a header; of a repeated one all values, as Node joins them. */
function readKey(line: i32): void {
  readLatin(valueAt(line), valueLength(line));
  for (let other = <u32>line + 1; other < lines; other++) {
    if (!equalIgnoringCase(nameAt(line), nameLength(line), nameAt(other), nameLength(other))) continue;
    putText(given, ", ");
    for (let index: u32 = 0; index < valueLength(other); index++) putLatin(given, load<u8>(valueAt(other) + index));
  }
}

/** Looks for the credentials of a group in the head of the request that head.ts has. */
export function checkCaller(group: u32): u32 {
  clear(given);
  clear(user);
  callerLength = 0;
  const line = lineOf("authorization");
  const at: usize = line < 0 ? <usize>0 : valueAt(line);
  const length = line < 0 ? 0 : valueLength(line);
  const result = checkWays(group, at, length);
  drop(given);
  drop(user);
  return result;
}

function checkWays(group: u32, at: usize, length: u32): u32 {
  let gave = length > 0;
  for (let each = firstWay; each !== 0; each = changetype<Way>(each).next) {
    const way = changetype<Way>(each);
    if (way.group !== group) continue;
    if (way.type === 0) {
      if (readScheme(at, length, "bearer") && isSecret(given, way) && !given.broken) return rightCaller;
    } else if (way.type === 1) {
      if (!readScheme(at, length, "basic")) continue;
      user.length = 0;
      readBase64(user, given.at, given.length);
      if (isSecret(user, way) && !user.broken) return rightCaller;
    } else if (way.type === 2) {
      const key = lineNamed(way.header, way.headerLength);
      if (key < 0) continue;
      gave = true;
      readKey(key);
      if (!isSecret(given, way) || given.broken) continue;
      callerAt = way.caller;
      callerLength = way.callerLength;
      return rightCaller;
    }
  }
  if (claimsSignature(group)) return bySignature;
  if (takesTokens) if (showsToken(group, at, length)) return byToken;
  return gave ? wrongCredentials : noCredentials;
}

/** True for what could be a token: three parts under a way of the group that takes tokens. */
function showsToken(group: u32, at: usize, length: u32): bool {
  if (!hasWay(group, tokenType) || !readScheme(at, length, "bearer")) return false;
  let dots: u32 = 0;
  for (let index: u32 = 0; index < given.length; index++) if (load<u8>(given.at + index) === 46) dots++;
  return dots === 2;
}

function hasWay(group: u32, type: u32): bool {
  for (let each = firstWay; each !== 0; each = changetype<Way>(each).next)
    if (changetype<Way>(each).group === group && changetype<Way>(each).type === type) return true;
  return false;
}

/** Puts the credentials under the scheme `bearer`. */
export function putBearer(b: Bytes): void {
  const line = lineOf("authorization");
  clear(given);
  if (line >= 0 && readScheme(valueAt(line), valueLength(line), "bearer")) put(b, given.at, given.length);
  drop(given);
}

/** True if the credentials are in the header `authorization`. */
function isAuthorization(way: Way): bool {
  if (takesTokens) if (way.type === tokenType) return true;
  return way.type < 2;
}

/** True for a header that has a secret of this group: it has done its work, and is no business of the flow's. */
export function isSecretHeader(group: u32, name: usize, length: u32): bool {
  for (let each = firstWay; each !== 0; each = changetype<Way>(each).next) {
    const way = changetype<Way>(each);
    if (way.group === group && way.type === 2 && equalIgnoringCase(name, length, way.header, way.headerLength)) return true;
  }
  return false;
}

/** Puts what a caller of this group should send: "the authorization header or the header x-api-key". */
export function putWanted(b: Bytes, group: u32): void {
  let hasHeader = false;
  let isFirst = true;
  for (let each = firstWay; each !== 0; each = changetype<Way>(each).next) {
    const way = changetype<Way>(each);
    if (way.group !== group || (isAuthorization(way) ? hasHeader : isRepeated(way))) continue;
    if (!isFirst) putText(b, " or ");
    isFirst = false;
    if (isAuthorization(way)) {
      hasHeader = true;
      putText(b, "the authorization header");
      continue;
    }
    putText(b, way.type === signatureType ? "a signature in " : "the header ");
    for (let index: u32 = 0; index < way.headerLength; index++) putByte(b, load<u8>(way.header + index));
  }
}

/** True if an earlier way of the group has the same header. */
function isRepeated(way: Way): bool {
  for (let each = firstWay; each !== changetype<usize>(way); each = changetype<Way>(each).next) {
    const other = changetype<Way>(each);
    if (other.group === way.group && other.type === way.type && equalIgnoringCase(other.header, other.headerLength, way.header, way.headerLength)) return true;
  }
  return false;
}

/** Puts the challenges of a group; false: it has none. */
export function putChallenges(b: Bytes, group: u32): bool {
  let count: u32 = 0;
  for (let each = firstWay; each !== 0; each = changetype<Way>(each).next) {
    const way = changetype<Way>(each);
    if (way.group !== group || !isAuthorization(way)) continue;
    if (count++ > 0) putText(b, ", ");
    putText(b, way.type !== 1 ? "Bearer realm=\"mayfly\"" : "Basic realm=\"mayfly\", charset=\"UTF-8\"");
  }
  return count > 0;
}
