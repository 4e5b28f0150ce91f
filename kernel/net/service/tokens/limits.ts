/** Bounds of tokens and of the keys of their issuers. */

/** Longest set of keys in bytes, and keys that are kept of one. */
export const keysBytes: u32 = 131_072;
export const keysKept: u32 = 64;
/** Bits of an RSA modulus: the work grows with their square. */
export const leastModulusBits: u32 = 2048;
export const mostModulusBits: u32 = 4096;
/** Bytes of RSA's public exponent. */
export const exponentBytes: u32 = 4;
/** Members of a header, a set of claims or a key. */
export const members: u32 = 128;
/** Tokens whose signature was found right, and need not be verified again. */
export const tokensKnown: u32 = 256;

/** Microseconds: of a fetch, from one that was good to the next, and until its keys are good no more. */
export const fetchUs: u64 = 5_000_000;
export const refreshUs: u64 = 300_000_000;
export const freshUs: u64 = 600_000_000;
/** Least time between two fetches that a token asks for. */
export const cooldownUs: u64 = 10_000_000;
/** Until a fetch that failed is tried again: doubled with each. */
export const leastRetryUs: u64 = 1_000_000;
export const mostRetryUs: u64 = 60_000_000;
/** Between two lines of the log about the same issuer. */
export const repeatedLogUs: u64 = 60_000_000;

/** Verifying takes at most half of the processor, and at most so many microseconds at once: a flood of wrong tokens holds up nothing else. */
export const verifyCreditUs: i64 = 250_000;
