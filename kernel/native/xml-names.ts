/**
 * Names of a parse of XML: each is looked up by its bytes, and has the engine's atom for it. A record also says where the element that is
 * being read has its first child of that name (xml-values.ts), so that finding the others takes no search.
 *
 *    0 u32  address of the name        16 u32  element whose child was found last; 20 u32 pair of its first
 *    4 u32  length                     24 u32  an object that an element of this name became
 *    8 u32  hash                       28 u32  flags
 *   12 u32  atom
 */
import {
  Context, JS_FreeAtom, JS_FreeValue, js_free, js_malloc, JS_NewAtomLen, JS_NewStringLen, JS_ValueToAtom, objectValue, tagException, tagOf,
} from "./engine";
import { namesAlike } from "../runtime/formats/xml-faults";
import { forgetNames, isWelcome } from "./names";
import { randomState } from "./state";
import { addressIn, append, atArrays, atArraysEnd, atBuckets, atMask, fault, get, lengthOf, makeTable, names, set, setLength } from "./xml-state";

const nameBytes: u32 = 32;
const nameLength: usize = 4;
const nameHash: usize = 8;
export const nameAtom: usize = 12;
export const nameOwner: usize = 16;
export const nameFirst: usize = 20;
export const nameLike: usize = 24;
const nameFlags: usize = 28;
/** The name is in the list of arrays; it ends one there, behind a dot. */
const isListed: u32 = 1;
const endsListed: u32 = 2;
/** The record has a copy of the name. */
const ownsName: u32 = 4;

const firstBuckets: u32 = 64;

/** Makes the tables; false while an exception stands. */
export function beginNames(here: Context): bool {
  if (!makeTable(here, names, nameBytes * 32)) return false;
  setLength(names, nameBytes); // 0 is no name
  return makeBuckets(here, firstBuckets);
}

function makeBuckets(here: Context, count: u32): bool {
  const buckets = js_malloc(here, <usize>count << 2);
  if (buckets === 0) return false;
  memory.fill(buckets, 0, <usize>count << 2);
  set(atBuckets, buckets);
  set(atMask, count - 1);
  return true;
}

export function endNames(here: Context): void {
  forgetNames();
  for (let offset = nameBytes; offset < lengthOf(names); offset += nameBytes) {
    const name = addressIn(names, offset);
    JS_FreeAtom(here, load<u32>(name, nameAtom));
    const like: usize = load<u32>(name, nameLike);
    if (like !== 0) JS_FreeValue(here, objectValue(like));
    if ((load<u32>(name, nameFlags) & ownsName) !== 0) js_free(here, load<u32>(name));
  }
  const buckets: usize = get(atBuckets);
  if (buckets !== 0) js_free(here, buckets);
  set(atBuckets, 0);
}

/**
 * SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF"), keyed with the machine's seed, which a sender of messages does not
 * know: whatever the names, few of them share a bucket. The length is part of the key instead of the last word; only 32 bits are used.
 */
function hashOf(at: usize, length: usize): u32 {
  const first = load<u64>(randomState()) ^ length;
  const second = load<u64>(randomState(), 8);
  let v0 = first ^ 0x736f6d6570736575;
  let v1 = second ^ 0x646f72616e646f6d;
  let v2 = first ^ 0x6c7967656e657261;
  let v3 = second ^ 0x7465646279746573;
  const words = (length + 7) >> 3;
  for (let i: usize = 0; i < words + 3; i++) {
    let word: u64 = 0;
    if (i < words) {
      word = load<u64>(at + (i << 3));
      const left = length - (i << 3);
      if (left < 8) word <<= (8 - left) << 3;
    } else if (i === words) v2 ^= 0xff;
    v3 ^= word;
    v0 += v1;
    v2 += v3;
    v1 = rotl<u64>(v1, 13) ^ v0;
    v3 = rotl<u64>(v3, 16) ^ v2;
    v0 = rotl<u64>(v0, 32) + v3;
    v2 += v1;
    v3 = rotl<u64>(v3, 21) ^ v0;
    v1 = rotl<u64>(v1, 17) ^ v2;
    v2 = rotl<u64>(v2, 32);
    v0 ^= word;
  }
  const hash = v0 ^ v1 ^ v2 ^ v3;
  return <u32>(hash ^ (hash >> 32));
}

// @ts-ignore: decorator
@inline
export function sameBytes(a: usize, b: usize, length: usize): bool {
  for (; length >= 8; length -= 8) {
    if (load<u64>(a) !== load<u64>(b)) return false;
    a += 8;
    b += 8;
  }
  return length === 0 || (load<u64>(a) ^ load<u64>(b)) << ((8 - length) << 3) === 0;
}

/** The record of a name, as an offset; 0 while an exception stands. */
export function intern(here: Context, at: usize, length: usize): u32 {
  const hash = hashOf(at, length);
  const mask = get(atMask);
  const buckets: usize = get(atBuckets);
  let bucket = hash & mask;
  while (true) {
    const offset = load<u32>(buckets + (<usize>bucket << 2));
    if (offset === 0) break;
    const name = addressIn(names, offset);
    if (load<u32>(name, nameHash) === hash && load<u32>(name, nameLength) === length && sameBytes(load<u32>(name), at, length)) return offset;
    bucket = (bucket + 1) & mask;
  }
  return addName(here, at, length, hash);
}

/** As `intern`, for a name that will not stay as it stands in the text. */
export function internCopy(here: Context, at: usize, length: usize): u32 {
  const known = lengthOf(names);
  const offset = intern(here, at, length);
  if (offset < known) return offset; // known before, or 0
  const copy = js_malloc(here, length + 8); // read eight bytes at a time
  if (copy === 0) return 0;
  memory.copy(copy, at, length);
  const name = addressIn(names, offset);
  store<u32>(name, <u32>copy);
  store<u32>(name, ownsName, nameFlags);
  return offset;
}

function isAscii(at: usize, length: usize): bool {
  for (let i: usize = 0; i < length; i++) if (load<u8>(at + i) >= 0x80) return false;
  return true;
}

function atomOf(here: Context, at: usize, length: usize): u32 {
  // JS_NewAtomLen takes the bytes of a key that is not ASCII for its characters where such an atom exists.
  if (isAscii(at, length)) return JS_NewAtomLen(here, at, length);
  const text = JS_NewStringLen(here, at, length);
  if (tagOf(text) === tagException) return 0;
  const atom = JS_ValueToAtom(here, text);
  JS_FreeValue(here, text);
  return atom;
}

function addName(here: Context, at: usize, length: usize, hash: u32): u32 {
  const offset = lengthOf(names);
  if (offset / nameBytes > get(atMask) >> 1 && !rehash(here)) return 0;
  const atom = atomOf(here, at, length);
  if (atom === 0) return 0;
  if (!isWelcome(atom)) {
    JS_FreeAtom(here, atom);
    return <u32>fault(namesAlike, at);
  }
  const name = append(here, names, nameBytes);
  if (name === 0) {
    JS_FreeAtom(here, atom);
    return 0;
  }
  store<u32>(name, <u32>at);
  store<u32>(name, <u32>length, nameLength);
  store<u32>(name, hash, nameHash);
  store<u32>(name, atom, nameAtom);
  store<u64>(name, 0, nameOwner);
  store<u32>(name, 0, nameLike);
  store<u32>(name, flagsOf(at, length), nameFlags);
  place(offset, hash);
  return offset;
}

function place(offset: u32, hash: u32): void {
  const mask = get(atMask);
  const buckets: usize = get(atBuckets);
  let bucket = hash & mask;
  while (load<u32>(buckets + (<usize>bucket << 2)) !== 0) bucket = (bucket + 1) & mask;
  store<u32>(buckets + (<usize>bucket << 2), offset);
}

function rehash(here: Context): bool {
  const before: usize = get(atBuckets);
  if (!makeBuckets(here, (get(atMask) + 1) << 2)) return false;
  js_free(here, before);
  for (let offset = nameBytes; offset < lengthOf(names); offset += nameBytes) place(offset, load<u32>(addressIn(names, offset), nameHash));
  return true;
}

/** The end of the entry of the list of arrays that begins at `at`. */
function entryEnd(at: usize): usize {
  const end: usize = get(atArraysEnd);
  while (at < end && load<u8>(at) !== 0) at++;
  return at;
}

function flagsOf(at: usize, length: usize): u32 {
  let flags: u32 = 0;
  for (let entry: usize = get(atArrays), end: usize = get(atArraysEnd); entry < end; ) {
    const to = entryEnd(entry);
    const size = to - entry;
    if (size === length && memory.compare(entry, at, length) === 0) flags |= isListed;
    if (size > length && load<u8>(to - length - 1) === 0x2e && memory.compare(to - length, at, length) === 0) flags |= endsListed;
    entry = to + 1;
  }
  return flags;
}

/** True if a single child of this name is in an array. */
export function isArray(parent: u32, child: u32): bool {
  const name = addressIn(names, child);
  const flags = load<u32>(name, nameFlags);
  if ((flags & isListed) !== 0) return true;
  if ((flags & endsListed) === 0) return false;
  const around = addressIn(names, parent);
  const first: usize = load<u32>(around, nameLength);
  const second: usize = load<u32>(name, nameLength);
  for (let entry: usize = get(atArrays), end: usize = get(atArraysEnd); entry < end; ) {
    const to = entryEnd(entry);
    if (
      to - entry === first + 1 + second &&
      load<u8>(entry + first) === 0x2e &&
      memory.compare(entry, load<u32>(around), first) === 0 &&
      memory.compare(entry + first + 1, load<u32>(name), second) === 0
    )
      return true;
    entry = to + 1;
  }
  return false;
}
