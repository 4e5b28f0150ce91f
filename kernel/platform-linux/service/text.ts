/** Lines that the platform itself writes, on descriptor 2. */
import { address, call, Call } from "../cpu";

const lineBytes: u32 = 1024;
// @ts-ignore: decorator
@lazy const line: usize = memory.data(1024, 8);
let length: u32 = 0;

export function putByte(byte: u32): void {
  if (length < lineBytes) store<u8>(line + length++, byte);
}

/** Puts ASCII. */
export function put(text: string): void {
  for (let index = 0; index < text.length; index++) putByte(text.charCodeAt(index));
}

/** Begins the line of a fault. */
export function beginFault(code: string): void {
  put("mayfly: ");
  put(code);
  put(": ");
}

export function putNumber(value: u64): void {
  if (value >= 10) putNumber(value / 10);
  putByte(48 + <u32>(value % 10));
}

/** Puts a big-endian address. */
export function putAddress(value: u32): void {
  for (let shift = 24; shift >= 0; shift -= 8) {
    if (shift < 24) putByte(46);
    putNumber((value >> shift) & 255);
  }
}

/** Moves the line, of at most 1,024 bytes, to an address of this module; returns its length. */
export function takeLine(to: usize): u32 {
  const taken = length;
  memory.copy(to, line, taken);
  length = 0;
  return taken;
}

/** Writes the line. */
export function endLine(): void {
  if (length === lineBytes) length--;
  store<u8>(line + length++, 10);
  call(Call.write, 2, address(line), length);
  length = 0;
}
