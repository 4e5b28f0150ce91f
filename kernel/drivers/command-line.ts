/** The command line: words apart by spaces, as Linux has it. */
import { commandLine, commandLineLength } from "./boot-info";

/** Devices named on one command line at most. */
export const mostDevices: u32 = 32;

function matches(at: usize, end: usize, word: string): bool {
  const length = <usize>word.length;
  if (at + length > end) return false;
  for (let i: usize = 0; i < length; i++) if (<u16>load<u8>(at + i) !== load<u16>(changetype<usize>(word) + (i << 1))) return false;
  return true;
}

/** Address behind the `ordinal`th word that begins with `prefix`, or 0. */
export function findWord(prefix: string, ordinal: u32): usize {
  let at = commandLine();
  const end = at + commandLineLength();
  let seen: u32 = 0;
  while (at < end) {
    while (at < end && load<u8>(at) === 32) at++;
    if (matches(at, end, prefix) && seen++ === ordinal) return at + <usize>prefix.length;
    while (at < end && load<u8>(at) !== 32) at++;
  }
  return 0;
}

export function hasWord(word: string): bool {
  const behind = findWord(word, 0);
  return behind !== 0 && (load<u8>(behind) === 32 || load<u8>(behind) === 0);
}

/** Where `readNumber` stopped. */
export let readEnd: usize = 0;

/** A decimal number, or a hexadecimal one after 0x. */
export function readNumber(from: usize): u64 {
  let at = from;
  let value: u64 = 0;
  let base: u64 = 10;
  if (load<u8>(at) === 48 && (load<u8>(at, 1) | 32) === 120) {
    base = 16;
    at += 2;
  }
  for (let digits = 0; digits < 16; digits++, at++) {
    const character = <u32>load<u8>(at) | 32;
    let digit: u32 = 255;
    if (character >= 48 && character <= 57) digit = character - 48;
    else if (character >= 97 && character <= 102) digit = character - 87;
    if (<u64>digit >= base) break;
    value = value * base + digit;
  }
  readEnd = at;
  return value;
}
