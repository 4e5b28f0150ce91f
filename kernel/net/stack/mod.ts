/** TCP/IP over one Ethernet interface. Carries streams.ts and names.ts; main.ts calls the rest. */

/** Takes an address instead of asking DHCP for one. Addresses are big-endian numbers; gateway and dns may be 0. Call before `startStack`. */
export function useAddress(_address: u32, _prefixBits: u32, _gateway: u32, _dns: u32): void {}

/** Begins DHCP or uses the configured address. `bytes` of memory become tables and blocks. */
export function startStack(_macHigh: u32, _macLow: u32, _bytes: u32): void {}

/** True once there is an address. */
export function hasAddress(): bool { return false; }

/** One frame that came in; not padded, without its checksum. */
export function receiveFrame(_at: usize, _length: u32): void {}

/** Runs what is due; the time of the next call, u64.MAX_VALUE for never. */
export function runStack(): u64 { return u64.MAX_VALUE; }
