/** The Internet checksum (RFC 1071), in the processor's byte order: the one's complement sum does not mind. */

/** Adds `length` bytes to an unfolded sum. */
export function sum(at: usize, length: u32, start: u64): u64 {
  let total = start;
  const end = at + length;
  while (at + 8 <= end) {
    const word = load<u64>(at);
    total += (word & 0xffffffff) + (word >> 32);
    at += 8;
  }
  if (at + 4 <= end) {
    total += <u64>load<u32>(at);
    at += 4;
  }
  if (at + 2 <= end) {
    total += <u64>load<u16>(at);
    at += 2;
  }
  if (at < end) total += <u64>load<u8>(at);
  return total;
}

/** The field's value for an unfolded sum; of a packet that is whole, 0. Stored with `store<u16>` as it is. */
export function fold(total: u64): u32 {
  total = (total & 0xffffffff) + (total >> 32);
  total = (total & 0xffff) + (total >> 16);
  total = (total & 0xffff) + (total >> 16);
  total = (total & 0xffff) + (total >> 16);
  return ~(<u32>total) & 0xffff;
}

/** Sum of the pseudo header of TCP and UDP, with the addresses (source, then destination) at `addresses`. */
// @ts-ignore: decorator
@inline export function pseudo(addresses: usize, protocol: u32, length: u32): u64 {
  return <u64>load<u32>(addresses) + <u64>load<u32>(addresses, 4) + <u64>(protocol << 8) + <u64>bswap<u16>(<u16>length);
}
