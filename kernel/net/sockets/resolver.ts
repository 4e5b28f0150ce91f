/** The system's DNS server, from /etc/resolv.conf (resolv.conf(5)): the first `nameserver` with an IPv4 address. */
import { isText } from "../bytes";
import { readAddress } from "../service/settings";

function isSpace(byte: u32): bool { return byte === 32 || byte === 9; }

/** The address of the first name server, big endian, or 0. */
export function readResolver(at: usize, length: u32): u32 {
  for (let from: u32 = 0; from < length; ) {
    let end = from;
    while (end < length && load<u8>(at + end) !== 10) end++;
    let word = from;
    while (word < end && !isSpace(load<u8>(at + word))) word++;
    let value = word;
    while (value < end && isSpace(load<u8>(at + value))) value++;
    let last = value;
    while (last < end && !isSpace(load<u8>(at + last))) last++;
    const address = isText(at + from, word - from, "nameserver") ? readAddress(at + value, last - value) : 0;
    if (address !== 0) return address;
    from = end + 1;
  }
  return 0;
}
