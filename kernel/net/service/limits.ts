/** Bounds of the small gateway in the guest: the gateway's own (gateway/contract/limits.ts), as far as a machine's memory allows them. */

/** Messages that are queued, running or waiting; a message's index is its machine's slot (kernel/drivers/parked.ts has as many). */
export const messages: u32 = 1024;
/** Memory that one message is counted with when the tables are made, in bytes. */
export const bytesPerMessage: u32 = 8192;
/** Memory that one connection is counted with, in bytes, and the most connections. */
export const bytesPerConnection: u32 = 4096;
export const connections: u32 = 10_000;
export const leastConnections: u32 = 16;

/** Of one machine. */
export const openCalls: u32 = 256;
export const openTimers: u32 = 512;
export const callsPerMessage: u32 = 10_000;
export const stepsPerMessage: u32 = 100_000;
export const sendBytesPerMessage: u64 = 64 << 20;
export const effectsPerStep: u32 = 100_000;

/** Texts of a frame, in bytes (abi/limits.ts). */
export const nameBytes: u32 = 256;
export const keyBytes: u32 = 1024;
export const logTextBytes: u32 = 16_384;
export const headersBytes: u32 = 65_536;
export const errorTextBytes: u32 = 16_384;
export const frameBytes: u32 = 64 << 20;
export const questionBytes: u32 = 16_384;

/** Of the service's frame and of config.json, in bytes; of the frame, records. */
export const configBytes: u32 = 65_536;
export const records: u32 = 512;
export const settings: u32 = 256;
/** Longest text once its settings are filled in, in bytes. */
export const textBytes: u32 = 8192;

/** Bytes of an id; a longer one is shortened and ends in its hash. */
export const idBytes: u32 = 200;
/** UTF-16 units of a path's parameter. */
export const parameterUnits: u32 = 500;
/** Parameters of a path. */
export const parameters: u32 = 16;
/** Depth of JSON that is read. */
export const jsonDepth: u32 = 64;
/** Bytes of a log line's fields, and of its text on the console. */
export const logFieldBytes: u32 = 8192;
/** Failures that are counted one by one; the rest counts as `other`. */
export const failureCodes: u32 = 200;
/** Attempts at a request that a flow awaits. */
export const requestAttempts: u32 = 3;
/** Longest Retry-After a request waits for, in milliseconds. */
export const requestWaitMs: f64 = 1000;
/** Longest answer of an outlet, in bytes. */
export const answerBytes: u32 = 16 << 20;
/** Bytes of an answer that a failure quotes. */
export const quotedBytes: u32 = 200;
/** Bytes of the headers that a signature is in, and signatures of one request that are looked at (gateway/contract/limits.ts). */
export const signatureBytes: u32 = 8192;
export const signaturesRead: u32 = 16;
/** Requests to outlets under way at once. */
export const callsUnderWay: u32 = 256;
