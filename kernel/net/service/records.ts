/**
 * Frames, read where they lie (abi/frame.ts): total on hostile bytes. One frame is read at a time.
 *
 *     if (!openFrame(at, length, magic)) …
 *     while (nextRecord()) { kind, parts, textAt(0), … }
 *     if (frameBroken) …
 */
export let kind: u32 = 0;
export let parts: u32 = 0;
export let frameBroken: bool = false;
/** False once a part of this record was not what it was read as. */
export let valid: bool = true;

export const doorMagic: u32 = 0x0259464d; // "MFY", version 2
export const serviceMagic: u32 = 0x0253464d; // "MFS", version 2
export const absent: u32 = 0xffffffff;
const mostParts: u32 = 16;

let next: usize = 0;
let end: usize = 0;
// @ts-ignore: decorator
@lazy const places: usize = memory.data(128, 16);

export function openFrame(at: usize, length: u32, magic: u32): bool {
  frameBroken = length < 8 || load<u32>(at) !== magic || load<u32>(at, 4) !== length;
  next = at + 8;
  end = frameBroken ? next : at + length;
  return !frameBroken;
}

/** Reads the next record's places. False at the end, and for a frame that is broken. */
export function nextRecord(): bool {
  if (next >= end) return false;
  valid = true;
  if (next + 4 > end) return fail();
  kind = load<u8>(next);
  parts = load<u8>(next, 1);
  if (load<u16>(next, 2) !== 0 || parts > mostParts) return fail();
  let data = next + 4 + (<usize>parts << 2);
  if (data > end) return fail();
  for (let part: u32 = 0; part < parts; part++) {
    const length = load<u32>(next + 4 + (<usize>part << 2));
    const row = places + (<usize>part << 3);
    store<u32>(row, length === absent ? 0 : <u32>data);
    store<u32>(row, length, 4);
    if (length === absent) continue;
    if (<u64>length > <u64>(end - data)) return fail();
    data += length;
  }
  next = data;
  return true;
}

function fail(): bool {
  frameBroken = true;
  next = end;
  return false;
}

/** The record is misshapen when it has not so many parts. */
export function expect(count: u32): void {
  if (parts !== count) valid = false;
}

export function isAbsent(part: u32): bool {
  return part >= parts || load<u32>(places + (<usize>part << 3), 4) === absent;
}

/** Where a part lies; its length is `partLength`. */
export function partAt(part: u32): usize {
  return part >= parts ? 0 : <usize>load<u32>(places + (<usize>part << 3));
}

/** 0 for an absent part. */
export function partLength(part: u32): u32 {
  return isAbsent(part) ? 0 : load<u32>(places + (<usize>part << 3), 4);
}

/** A text or bytes that must be there, of at most `most` bytes. */
export function textAt(part: u32, most: u32): usize {
  if (isAbsent(part) || partLength(part) > most) valid = false;
  return partAt(part);
}

/** A text that may be absent. */
export function optionalText(part: u32, most: u32): usize {
  if (part >= parts || partLength(part) > most) valid = false;
  return partAt(part);
}

/** A finite number. */
export function number(part: u32): f64 {
  const value = partLength(part) === 8 ? load<f64>(partAt(part)) : NaN;
  if (isFinite(value)) return value;
  valid = false;
  return 0;
}

/** A whole number from 0 to `most`. */
export function count(part: u32, most: f64): f64 {
  const value = number(part);
  if (value >= 0 && value <= most && Math.floor(value) === value) return value;
  valid = false;
  return 0;
}

export function byte(part: u32): u32 {
  if (partLength(part) !== 1) {
    valid = false;
    return 0;
  }
  return load<u8>(partAt(part));
}

/** The kind of a frame's last record as the drivers find it (kernel/drivers/machines.ts): they end the machine where it is the last effect. */
export function lastKind(at: usize, length: u32): u32 {
  let position: u64 = 8;
  let last: u32 = 0;
  while (position + 4 <= <u64>length) {
    last = load<u8>(at + <usize>position);
    const count = <u64>load<u8>(at + <usize>position, 1);
    let behind = position + 4 + 4 * count;
    if (behind > <u64>length) return 0;
    for (let part: u64 = 0; part < count; part++) {
      const size = load<u32>(at + <usize>(position + 4 + 4 * part));
      if (size !== absent) behind += size;
    }
    position = behind;
  }
  return last;
}
