/** XML's text as it is meant: references, line ends and white space replaced where they stand (XML 1.0, §2.11, §3.3.3, §4.1). */
import {
  attributeOpen, characterReference, entityUnknown, lessThanInAttribute, referencedCharacter, referenceOpen,
} from "../runtime/formats/xml-faults";
import { allowedUntil, findInAttribute, runEnd, sizeOf } from "./xml-scan";
import { atEnd, atReturns, fault, faultOf, get } from "./xml-state";

/** The character that the reference read last stands for. */
// @ts-ignore: decorator
@lazy const reference: usize = memory.data(4, 4);

/** Reads the reference whose `&` is at `at`; `reference` has its character then. */
export function readReference(at: usize): usize {
  const from = at + 1;
  let to = from;
  while (true) {
    to = runEnd(to);
    if (load<u8>(to) !== 0x23) break;
    to++;
  }
  const end: usize = get(atEnd);
  if (to >= end) return fault(referenceOpen, end);
  if (load<u8>(to) !== 0x3b) return fault(referenceOpen, to + sizeOf(load<u8>(to)));
  const length = to - from;
  if (load<u8>(from) === 0x23) return readCharacterReference(from + 1, to);
  const name = load<u32>(from);
  let point: u32 = 0;
  if (length === 2) point = (name & 0xffff) === 0x746c ? 0x3c : (name & 0xffff) === 0x7467 ? 0x3e : 0; // lt gt
  else if (length === 3) point = (name & 0xffffff) === 0x706d61 ? 0x26 : 0; // amp
  else if (length === 4) point = name === 0x736f7061 ? 0x27 : name === 0x746f7571 ? 0x22 : 0; // apos quot
  if (point === 0) return faultOf(entityUnknown, at, from, length);
  store<u32>(reference, point);
  return to + 1;
}

function readCharacterReference(at: usize, to: usize): usize {
  const isHex = load<u8>(at) === 0x78;
  if (isHex) at++;
  if (at === to) return fault(characterReference, to + 1);
  let point: u32 = 0;
  for (; at < to; at++) {
    const byte = <u32>load<u8>(at);
    let digit = byte - 0x30;
    if (digit > 9) digit = isHex && (byte | 0x20) - 0x61 < 6 ? (byte | 0x20) - 0x57 : 16;
    if (digit > 15) return fault(characterReference, to + 1);
    if (point <= 0x10ffff) point = point * (isHex ? 16 : 10) + digit;
  }
  const allowed = point >= 0x20 ? point < 0xd800 || (point >= 0xe000 && point <= 0x10ffff && point !== 0xfffe && point !== 0xffff) : point === 9 || point === 10 || point === 13;
  if (!allowed) return fault(referencedCharacter, to + 1);
  store<u32>(reference, point);
  return to + 1;
}

/** Writes the character of `reference` and returns the place behind it. */
export function writeReference(to: usize): usize {
  const point = load<u32>(reference);
  if (point < 0x80) {
    store<u8>(to, <u8>point);
    return to + 1;
  }
  if (point < 0x800) {
    store<u8>(to, <u8>(0xc0 | (point >> 6)));
    store<u8>(to, <u8>(0x80 | (point & 0x3f)), 1);
    return to + 2;
  }
  if (point < 0x10000) {
    store<u8>(to, <u8>(0xe0 | (point >> 12)));
    store<u8>(to, <u8>(0x80 | ((point >> 6) & 0x3f)), 1);
    store<u8>(to, <u8>(0x80 | (point & 0x3f)), 2);
    return to + 3;
  }
  store<u8>(to, <u8>(0xf0 | (point >> 18)));
  store<u8>(to, <u8>(0x80 | ((point >> 12) & 0x3f)), 1);
  store<u8>(to, <u8>(0x80 | ((point >> 6) & 0x3f)), 2);
  store<u8>(to, <u8>(0x80 | (point & 0x3f)), 3);
  return to + 4;
}

/** Moves text down to `to`, with its line ends as XML has them (§2.11). Returns the place behind it. */
export function moveText(to: usize, from: usize, end: usize): usize {
  if (get(atReturns) === 0) {
    if (to !== from) memory.copy(to, from, end - from);
    return to + (end - from);
  }
  for (; from < end; from++) {
    let byte = load<u8>(from);
    if (byte === 0x0d) {
      byte = 0x0a;
      if (from + 1 < end && load<u8>(from, 1) === 0x0a) from++;
    }
    store<u8>(to++, byte);
  }
  return to;
}

/** The end of the attribute value read last. */
// @ts-ignore: decorator
@lazy const valueEnd: usize = memory.data(4, 4);

// @ts-ignore: decorator
@inline
export function attributeEnd(): usize {
  return load<u32>(valueEnd);
}

/** An attribute's value, behind its quote (production 10): it stands from there to `valueEnd` then. Returns the place behind it. */
export function readAttributeValue(at: usize, quote: u32): usize {
  const quotes: u64 = quote === 0x22 ? 0x2222222222222222 : 0x2727272727272727;
  let to = at;
  let run = at; // behind the last reference
  let from = at; // of what is not in its place yet
  while (true) {
    const stop = findInAttribute(at, quotes);
    if (stop >= get(atEnd)) return fault(attributeOpen, run);
    const byte = <u32>load<u8>(stop);
    if (byte < 0x20) {
      if (to !== from) memory.copy(to, from, stop - from);
      to += stop - from;
      at = stop + 1;
      // Line ends and tabs become spaces (§3.3.3); what is not allowed is found where the run ends.
      if (byte === 0x0d && load<u8>(at) === 0x0a) at++;
      store<u8>(to++, 0x20);
      from = at;
      continue;
    }
    if (allowedUntil(stop) === 0) return 0;
    if (to !== from) memory.copy(to, from, stop - from);
    to += stop - from;
    if (byte === quote) {
      store<u32>(valueEnd, <u32>to);
      return stop + 1;
    }
    if (byte === 0x3c) return fault(lessThanInAttribute, stop);
    at = readReference(stop);
    if (at === 0) return 0;
    to = writeReference(to);
    run = from = at;
  }
}
