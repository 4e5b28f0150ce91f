/** Imports of the module "host": the drivers on metal, the platform on Linux, the harness in tests. Addresses are in net's memory. */

/** Monotonic, in microseconds. */
// @ts-ignore: decorator
@external("host", "now")
export declare function now(): u64;
/** Milliseconds since 1970. */
// @ts-ignore: decorator
@external("host", "wall")
export declare function wall(): f64;
/** Fills `length` bytes with secret random ones. */
// @ts-ignore: decorator
@external("host", "random")
export declare function random(at: u32, length: u32): void;
/** Bytes to the console. */
// @ts-ignore: decorator
@external("host", "print")
export declare function print(at: u32, length: u32): void;
/** Metal: an Ethernet frame without its checksum, at most 1,514 bytes; copied before this returns, padded by the host. */
// @ts-ignore: decorator
@external("host", "send")
export declare function send(at: u32, length: u32): void;
/** The end, after draining. */
// @ts-ignore: decorator
@external("host", "off")
export declare function off(code: u32): void;
