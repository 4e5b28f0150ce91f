/** Network byte order, and comparison of sequence numbers. */

// @ts-ignore: decorator
@inline export function be16(at: usize): u32 { return <u32>bswap<u16>(load<u16>(at)); }
// @ts-ignore: decorator
@inline export function be32(at: usize): u32 { return bswap<u32>(load<u32>(at)); }
// @ts-ignore: decorator
@inline export function put16(at: usize, value: u32): void { store<u16>(at, bswap<u16>(<u16>value)); }
// @ts-ignore: decorator
@inline export function put32(at: usize, value: u32): void { store<u32>(at, bswap<u32>(value)); }
/** a < b, modulo 2³². */
// @ts-ignore: decorator
@inline export function before(a: u32, b: u32): bool { return <i32>(a - b) < 0; }
