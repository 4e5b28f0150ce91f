/** Bounds of the carrier over sockets. */

/** Streams at once, at most 65,535. */
export const mostStreams: u32 = 16_384;
/** Descriptors that are kept free: to refuse a connection one must be taken first, and names are asked for by sockets of their own. */
export const spareSockets: u32 = 40;
/** Bytes of one read, and reads of one stream before others have their turn. */
export const readBytes: u32 = 65_536;
export const readsAtOnce: u32 = 8;
/** Connections taken before others have their turn. */
export const acceptsAtOnce: u32 = 64;
/** Bytes that are gathered in one turn, and streams that they may belong to; a longer write than the last goes at once. */
export const gatherBytes: u32 = 65_536, gatherings: u32 = 64, directBytes: u32 = 16_384;
/** Without descriptors or memory of the system, connections are taken again after this time, in microseconds. */
export const acceptPauseUs: u64 = 100_000;
/** Listening sockets: the service's, and that of its health. */
export const listeners: u32 = 2;
