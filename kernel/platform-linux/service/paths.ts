/** Paths of files that are read before the filter of system calls is there. */
import { address } from "../cpu";

// "/proc/self/pagemap"
// @ts-ignore: decorator
@lazy const pagemapText: usize = memory.data<u8>([
  47, 112, 114, 111, 99, 47, 115, 101, 108, 102, 47, 112, 97, 103, 101, 109, 97, 112, 0
]);
// "/etc/resolv.conf"
// @ts-ignore: decorator
@lazy const resolverText: usize = memory.data<u8>([
  47, 101, 116, 99, 47, 114, 101, 115, 111, 108, 118, 46, 99, 111, 110, 102, 0
]);

export function pagemap(): u64 { return address(pagemapText); }
export function resolver(): u64 { return address(resolverText); }
