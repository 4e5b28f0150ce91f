/** Bounds of the DNS client (RFC 1035). Times in microseconds. */

const second: u64 = 1_000_000;

/** Names known or asked for, and lookups that wait for them. */
export const knownNames: u32 = 32, lookups: u32 = 256;
export const mostName: u32 = 253;
export const dnsInterval: u64 = second, dnsTries: u32 = 4;
/** Seconds for which an answer is kept, whatever it says; and for which a name that has no address is not asked for again. */
export const leastTtl: u32 = 1, mostTtl: u32 = 3600, failedTtl: u32 = 5;
/** Steps along a chain of CNAMEs, and of compressed names in one message. */
export const aliases: u32 = 8, nameJumps: u32 = 16;
