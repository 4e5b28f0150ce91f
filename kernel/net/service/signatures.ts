/**
 * Signatures of bodies, as gateway/contract/http/signatures.ts has them, with HMAC-SHA-256: what the head claims is kept with the message, and
 * checked once its body is whole.
 */
import { allocateZeroed, release } from "../blocks";
import { Bytes, clear, drop, putByte, startsWith } from "../bytes";
import { wall } from "../host";
import { lineNamed, lineOf, valueAt, valueLength } from "../http/head";
import { readBase64 } from "./base64";
import { firstWay, Way } from "./config";
import { signatureBytes, signaturesRead } from "./limits";
import { eventOf, Message } from "./message";
import { addSha256, beginHmac, digestBytes, endHmac } from "./sha256";

/** The type of a way that is a signature, and its forms (abi/service.ts). */
export const signatureType: u32 = 3;
const hex: u32 = 0, stripe: u32 = 2, slack: u32 = 3, standard: u32 = 4;

/** Results of a check. */
export const signatureValid: u32 = 0, signatureInvalid: u32 = 1, signatureExpired: u32 = 2;

/** Of one way: the header with the signature, and those of time and id, behind each other in the same block. */
@unmanaged
class Claim {
  next: usize = 0;
  way: usize = 0;
  signature: usize = 0;
  signatureLength: u32 = 0;
  time: usize = 0;
  timeLength: u32 = 0;
  id: usize = 0;
  idLength: u32 = 0;
}

function lengthOf(line: i32): u32 {
  return line < 0 ? 0 : valueLength(line);
}

function copyTo(to: usize, line: i32, length: u32): usize {
  if (length > 0) memory.copy(to, valueAt(line), length);
  return to;
}

/** True if the head has a signature for a way of the group. */
export function claimsSignature(group: u32): bool {
  for (let each = firstWay; each !== 0; each = changetype<Way>(each).next) {
    const way = changetype<Way>(each);
    if (way.group === group && way.type === signatureType && lineNamed(way.header, way.headerLength) >= 0) return true;
  }
  return false;
}

/** Keeps with the message what its head claims. False without memory. */
export function keepSignatures(m: Message, group: u32): bool {
  for (let each = firstWay; each !== 0; each = changetype<Way>(each).next) {
    const way = changetype<Way>(each);
    if (way.group !== group || way.type !== signatureType) continue;
    const line = lineNamed(way.header, way.headerLength);
    if (line >= 0 && !keepOne(m, way, line)) return false;
  }
  return true;
}

function keepOne(m: Message, way: Way, line: i32): bool {
  const time = way.form === slack ? lineOf("x-slack-request-timestamp") : way.form === standard ? lineOf("webhook-timestamp") : -1;
  const id = way.form === standard ? lineOf("webhook-id") : -1;
  const signatureLength = lengthOf(line);
  const timeLength = lengthOf(time);
  const idLength = lengthOf(id);
  const own = <u32>offsetof<Claim>();
  if (signatureLength + timeLength + idLength > signatureBytes) return true; // too long to be one: as if it did not fit
  const at = allocateZeroed(own + signatureLength + timeLength + idLength);
  if (at === 0) return false;
  const claim = changetype<Claim>(at);
  claim.way = changetype<usize>(way);
  claim.signature = copyTo(at + own, line, signatureLength);
  claim.signatureLength = signatureLength;
  claim.time = copyTo(at + own + signatureLength, time, timeLength);
  claim.timeLength = timeLength;
  claim.id = copyTo(at + own + signatureLength + timeLength, id, idLength);
  claim.idLength = idLength;
  claim.next = m.firstClaim;
  m.firstClaim = at;
  return true;
}

// ---- the check

// @ts-ignore: decorator
@lazy const wanted: usize = memory.data(32, 16);
// @ts-ignore: decorator
@lazy const given: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy const marks: usize = memory.data<u8>([46, 118, 48, 58]); // ".v0:"

/** Checks what a message claims, whose body is whole; forgets it. */
export function checkSignatures(m: Message): u32 {
  let result = signatureInvalid;
  clear(given);
  while (m.firstClaim !== 0) {
    const claim = changetype<Claim>(m.firstClaim);
    if (result !== signatureValid) {
      const found = checkOne(m, claim);
      if (found !== signatureInvalid) result = found;
    }
    m.firstClaim = claim.next;
    release(changetype<usize>(claim));
  }
  drop(given);
  return result;
}

function checkOne(m: Message, claim: Claim): u32 {
  const way = changetype<Way>(claim.way);
  if (way.form === stripe) findTime(claim);
  sign(m, claim, way);
  if (!fits(claim, way)) return signatureInvalid;
  if (way.form < stripe) return signatureValid;
  const seconds = secondsOf(claim);
  return seconds >= 0 && Math.abs(wall() - seconds * 1000) <= <f64>way.toleranceMs ? signatureValid : signatureExpired;
}

/** Writes to `wanted` what the signature must be. */
function sign(m: Message, claim: Claim, way: Way): void {
  if (way.form === standard && startsWith(way.secret, way.secretLength, "whsec_")) {
    given.length = 0;
    readBase64(given, way.secret + 6, way.secretLength - 6);
    beginHmac(given.at, given.length);
  } else beginHmac(way.secret, way.secretLength);
  if (way.form === standard) {
    addSha256(claim.id, claim.idLength);
    addSha256(marks, 1);
  }
  if (way.form === slack) addSha256(marks + 1, 3);
  if (way.form >= stripe) {
    addSha256(claim.time, claim.timeLength);
    addSha256(way.form === slack ? marks + 3 : marks, 1);
  }
  const b = eventOf(m);
  addSha256(b.at + m.bodyStart, b.length - m.bodyStart);
  endHmac(wanted);
}

/** True if one of the signatures that are given is the one that is wanted. */
function fits(claim: Claim, way: Way): bool {
  const separator: u32 = way.form === stripe ? 44 : way.form === standard ? 32 : 0;
  const end = claim.signature + claim.signatureLength;
  let read: u32 = 0;
  let isFound = false;
  for (let from = claim.signature; from < end && read < signaturesRead; ) {
    let to = from;
    while (to < end && (separator === 0 || <u32>load<u8>(to) !== separator)) to++;
    const at = way.form === stripe ? withoutSpace(from, to) : from;
    const text = afterPrefix(at, <u32>(to - at), way);
    if (text !== 0) {
      read++;
      given.length = 0;
      const length = <u32>(to - text);
      if (way.form === hex || way.form === stripe || way.form === slack) readHex(text, length);
      else readBase64(given, text, length);
      if (isWanted()) isFound = true;
    }
    from = to + 1;
  }
  return isFound;
}

function withoutSpace(from: usize, to: usize): usize {
  while (from < to && load<u8>(from) === 32) from++;
  return from;
}

/** Where the signature begins behind its prefix; 0: it has another, or nothing behind it. */
function afterPrefix(at: usize, length: u32, way: Way): usize {
  if (length <= way.prefixLength || memory.compare(at, way.prefix, way.prefixLength) !== 0) return 0;
  return at + way.prefixLength;
}

/** Compares all bytes, whatever they are. */
function isWanted(): bool {
  if (given.broken || given.length !== digestBytes) return false;
  let difference: u32 = 0;
  for (let index: u32 = 0; index < digestBytes; index++) difference |= <u32>load<u8>(given.at + index) ^ <u32>load<u8>(wanted + index);
  return difference === 0;
}

function digitOf(byte: u32): u32 {
  if (byte - 48 < 10) return byte - 48;
  return (byte | 32) - 97 < 6 ? (byte | 32) - 87 : 16;
}

/** As Node reads hexadecimal: up to the first pair that is malformed. */
function readHex(at: usize, length: u32): void {
  for (let index: u32 = 0; index + 1 < length && given.length <= digestBytes; index += 2) {
    const high = digitOf(load<u8>(at + index));
    const low = digitOf(load<u8>(at + index + 1));
    if (high > 15 || low > 15) return;
    putByte(given, (high << 4) | low);
  }
}

/** Stripe has the time in the same header: `t=SECONDS`, of several the first. */
function findTime(claim: Claim): void {
  const end = claim.signature + claim.signatureLength;
  for (let from = claim.signature; from < end; ) {
    let to = from;
    while (to < end && load<u8>(to) !== 44) to++;
    const at = withoutSpace(from, to);
    if (to - at > 2 && load<u16>(at) === 0x3d74) { // "t="
      claim.time = at + 2;
      let last = to;
      while (last > claim.time && load<u8>(last - 1) === 32) last--;
      claim.timeLength = <u32>(last - claim.time);
      return;
    }
    from = to + 1;
  }
}

/** Seconds since 1970; negative for a malformed time. */
function secondsOf(claim: Claim): f64 {
  if (claim.timeLength === 0 || claim.timeLength > 12) return -1;
  let seconds: f64 = 0;
  for (let index: u32 = 0; index < claim.timeLength; index++) {
    const digit = <u32>load<u8>(claim.time + index) - 48;
    if (digit > 9) return -1;
    seconds = seconds * 10 + digit;
  }
  return seconds;
}
