/** Keys of an issuer, from its set (RFC 7517), in a form that signatures are verified with: which of them may verify a token is jose's rule. */
import { allocate, allocateZeroed, release } from "../../blocks";
import { Bytes, clear, drop, equal } from "../../bytes";
import { keysKept, exponentBytes, leastModulusBits, mostModulusBits } from "./limits";
import {
  beginItems, dropMembers, find, isArray, isObject, isString, isValue, nextItem, putString, readObject, valueAt, valueLength,
} from "./members";
import { putBase64Url } from "./text";
import { curveOf, ecdsa, ed25519, isOnCurve, kindOf, rsaKeyBytes, useRsaKey } from "./verify";

const kindRsa: u32 = 1, kindCurve: u32 = 2, kindEd: u32 = 3;

@unmanaged
export class Key {
  next: usize = 0;
  kind: u32 = 0;
  /** Bits of its curve. */
  curve: u32 = 0;
  /** As verify.ts takes it; 0: the key can't be used. */
  data: usize = 0;
  /** Bytes of an RSA modulus. */
  size: u32 = 0;
  /** Its name in a block of its own; 0: it has none. */
  kid: usize = 0;
  kidLength: u32 = 0;
  /** The only algorithm it is for + 1; 0: any of its kind. */
  algorithm: u32 = 0;
}

// @ts-ignore: decorator
@lazy const names: StaticArray<string> = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];
export const algorithms: u32 = 11;

/** Number of the algorithm that the member found last names; `algorithms`: an unknown one. */
export function algorithmOf(): u32 {
  for (let index: u32 = 0; index < algorithms; index++) if (isValue(names[index])) return index;
  return algorithms;
}

// @ts-ignore: decorator
@lazy const text: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy const more: Bytes = changetype<Bytes>(memory.data(16, 8));

export function freeKeys(first: usize): void {
  for (let at = first; at !== 0; ) {
    const key = changetype<Key>(at);
    at = key.next;
    release(key.data);
    release(key.kid);
    release(changetype<usize>(key));
  }
}

/** Keys of the set that was read last. */
export let firstKey: usize = 0;

/** Reads a set of keys. False if it is malformed, or there is no memory: nothing is kept of it then. */
export function readKeys(at: usize, length: u32): bool {
  firstKey = 0;
  const isRead = readSet(at, length);
  drop(text);
  drop(more);
  dropMembers();
  if (!isRead) {
    freeKeys(firstKey);
    firstKey = 0;
  }
  return isRead;
}

function readSet(at: usize, length: u32): bool {
  if (!readObject(at, length) || !find("keys") || !isArray()) return false;
  let last: usize = 0;
  let count: u32 = 0;
  beginItems();
  while (nextItem()) {
    if (!isObject()) return false;
    if (count === keysKept) return false;
    const from = valueAt;
    const size = valueLength;
    // A key of which servers might read different things is nobody's: whoever names it is refused.
    if (!readObject(from, size) || !mayVerify()) continue;
    const key = readKey();
    if (key === 0) return false;
    if (last === 0) firstKey = key;
    else changetype<Key>(last).next = key;
    last = key;
    count++;
  }
  return true;
}

/** By `use`, `key_ops` and `ext`. */
function mayVerify(): bool {
  if (find("use") && !isValue("sig")) return false;
  if (find("ext") && load<u8>(valueAt) !== 116 && load<u8>(valueAt) !== 102) return false;
  if (!find("key_ops")) return true;
  if (!isArray()) return false;
  let verifies = false;
  beginItems();
  while (nextItem()) {
    if (!isString()) return false;
    if (isValue("verify")) {
      if (verifies) return false;
      verifies = true;
    }
  }
  return verifies;
}

/** The key whose members were read; 0 without memory. */
function readKey(): usize {
  const at = allocateZeroed(offsetof<Key>());
  if (at === 0) return 0;
  const key = changetype<Key>(at);
  if (find("kty")) key.kind = isValue("RSA") ? kindRsa : isValue("EC") ? kindCurve : isValue("OKP") ? kindEd : 0;
  if (find("alg")) key.algorithm = algorithmOf() + 1;
  if (find("crv")) key.curve = isValue("P-256") ? 256 : isValue("P-384") ? 384 : isValue("P-521") ? 521 : isValue("Ed25519") ? 25519 : 0;
  if (find("kid")) {
    if (!isString()) key.kind = 0; // no token can name it, and none without a name may take it for the only one
    else if (!keepName(key)) return release(at), 0;
  }
  if (find("d")) return at; // a secret key is no business of whoever verifies
  if (key.kind === kindRsa) readRsa(key);
  else if (key.kind === kindCurve && key.curve !== 0 && key.curve !== 25519) readPoint(key);
  else if (key.kind === kindEd && key.curve === 25519) readEd(key);
  return at;
}

function keepName(key: Key): bool {
  text.length = 0;
  if (!putString(text)) return false;
  key.kid = allocate(text.length);
  if (key.kid === 0) return false;
  memory.copy(key.kid, text.at, text.length);
  key.kidLength = text.length;
  return true;
}

/** Puts the bytes of a member. */
function putMember(b: Bytes, name: string): bool {
  b.length = 0;
  return find(name) && isString() && putBase64Url(b, valueAt + 1, valueLength - 2) && !b.broken;
}

function readRsa(key: Key): void {
  if (!putMember(text, "n") || !putMember(more, "e")) return;
  let at = text.at;
  let size = text.length;
  while (size > 0 && load<u8>(at) === 0) {
    at++;
    size--;
  }
  const bits: u32 = size === 0 ? 0 : 8 * size - (<u32>clz<u32>(load<u8>(at)) - 24);
  if (bits < leastModulusBits || bits > mostModulusBits || (load<u8>(at + size - 1) & 1) === 0) return;
  let exponent: u32 = 0;
  let digits: u32 = 0;
  for (let index: u32 = 0; index < more.length; index++) {
    exponent = (exponent << 8) | load<u8>(more.at + index);
    if (exponent > 0) digits++;
  }
  if (digits > exponentBytes || exponent < 3 || (exponent & 1) === 0) return;
  key.data = allocate(rsaKeyBytes(size));
  if (key.data === 0) return;
  key.size = size;
  useRsaKey(key.data, at, size, exponent);
}

function readPoint(key: Key): void {
  const size: u32 = key.curve === 256 ? 32 : key.curve === 384 ? 48 : 66;
  if (!putMember(text, "x") || !putMember(more, "y") || text.length !== size || more.length !== size) return;
  const at = allocate(2 * size);
  if (at === 0) return;
  memory.copy(at, text.at, size);
  memory.copy(at + size, more.at, size);
  if (isOnCurve(key.curve, at)) key.data = at;
  else release(at);
}

function readEd(key: Key): void {
  if (!putMember(text, "x") || text.length !== 32) return;
  key.data = allocate(32);
  if (key.data !== 0) memory.copy(key.data, text.at, 32);
}

function fits(key: Key, algorithm: u32): bool {
  if (key.algorithm > 0 && key.algorithm - 1 !== algorithm) return false;
  const kind = kindOf(algorithm);
  if (kind === ecdsa) return key.kind === kindCurve && key.curve === curveOf(algorithm);
  if (kind === ed25519) return key.kind === kindEd && key.curve === 25519;
  return key.kind === kindRsa;
}

/** The key for a token, of those that it could mean; `candidates` counts them: only one is right. */
export let candidates: u32 = 0;
export function keyFor(first: usize, algorithm: u32, hasKid: bool, kid: usize, kidLength: u32): usize {
  let found: usize = 0;
  candidates = 0;
  for (let at = first; at !== 0; at = changetype<Key>(at).next) {
    const key = changetype<Key>(at);
    if (!fits(key, algorithm) || (hasKid && (key.kid === 0 || !equal(key.kid, key.kidLength, kid, kidLength)))) continue;
    candidates++;
    found = at;
  }
  return found;
}

export function startText(): void {
  clear(text);
  clear(more);
}
