/** Base64, as Node reads it: of either alphabet, what is neither is read over, up to the first `=`. */
import { Bytes, putByte } from "../bytes";

function sextet(byte: u32): u32 {
  if (byte - 65 < 26) return byte - 65;
  if (byte - 97 < 26) return byte - 71;
  if (byte - 48 < 10) return byte + 4;
  if (byte === 43 || byte === 45) return 62;
  return byte === 47 || byte === 95 ? 63 : 64;
}

/** Puts the bytes that a text is. */
export function readBase64(b: Bytes, at: usize, length: u32): void {
  let bits: u32 = 0;
  let held: u32 = 0;
  for (let index: u32 = 0; index < length; index++) {
    const byte = <u32>load<u8>(at + index);
    if (byte === 61) break;
    const value = sextet(byte);
    if (value > 63) continue;
    held = (held << 6) | value;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    putByte(b, (held >> bits) & 255);
  }
}
