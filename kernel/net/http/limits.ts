/** Bounds of HTTP; those of the gateway's server (gateway/contract/limits.ts), where it has the same. */

/** Bytes of target, names and values of a request's or an answer's head, together. */
export const headBytes: u32 = 16_384;
/** Bytes of a head with everything between those. */
export const wholeHeadBytes: u32 = 32_768;
/** Header lines of a request. */
export const headerLines: u32 = 1000;
/** Bytes of all extensions of a body's chunks, and of its trailers. */
export const chunkExtrasBytes: u32 = 16_384;
/** Bytes of a body that nobody wants any more, before its connection is cut. */
export const discardedBytes: u64 = 1 << 20;

/** Microseconds: of a request's head, of a whole request, between two requests, without progress of an answer, after the last answer. */
export const headUs: u64 = 10_000_000;
export const requestUs: u64 = 60_000_000;
export const idleUs: u64 = 65_000_000;
export const stalledUs: u64 = 60_000_000;
export const lingerUs: u64 = 30_000_000;
/** As `idleUs`, for the header that says so. */
export const idleText = "65";
