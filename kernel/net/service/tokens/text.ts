/** Base64url as tokens have it (RFC 7515, 2): without padding, white space or bits that are left over. Unlike base64.ts it reads over nothing. */
import { Bytes, reserve, sequenceAt } from "../../bytes";

function sextet(byte: u32): u32 {
  if (byte - 65 < 26) return byte - 65;
  if (byte - 97 < 26) return byte - 71;
  if (byte - 48 < 10) return byte + 4;
  return byte === 45 ? 62 : byte === 95 ? 63 : 64;
}

/** Puts the bytes that a text is. False if it is malformed, or there is no memory. */
export function putBase64Url(b: Bytes, at: usize, length: u32): bool {
  if (length % 4 === 1 || !reserve(b, (length / 4) * 3 + 3)) return false;
  let to = b.at + b.length;
  let held: u32 = 0;
  let bits: u32 = 0;
  for (let index: u32 = 0; index < length; index++) {
    const value = sextet(load<u8>(at + index));
    if (value > 63) return false;
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    store<u8>(to++, held >> bits);
  }
  b.length = <u32>(to - b.at);
  return (held & ((1 << bits) - 1)) === 0;
}

/** True if bytes are UTF-8. */
export function isUtf8(at: usize, length: u32): bool {
  const end = at + length;
  while (at < end) {
    const size: u32 = load<u8>(at) < 128 ? 1 : sequenceAt(at, end);
    if (size === 0) return false;
    at += size;
  }
  return true;
}
