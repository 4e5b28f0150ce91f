/** Bounds of a partition's log on a stream. */
const kib = 1024;

/** Longest name of a file, and of a node. */
export const longestName = 200;
export const longestNode = 64;
/** Bytes of a message beside its data: subject, header line and the server's own headers. */
export const headerBytes = 2 * kib;
/** Longest data of one message, whatever the server would take. */
export const longestDataBytes = 1024 * kib;
/** A change that the servers do not acknowledge is repeated for this time, then it is refused; whether it happened is found out later. */
export const changeMs = 20_000;
/** The same for reading a message. */
export const readMs = 10_000;
/** A consumer that has sent nothing for this time is given up. */
export const silentMs = 1_500;
export const consumedAtOnce = 4_000;
/** First and longest delay before something is repeated. */
export const repeatMs = { first: 20, most: 1_000 } as const;
/** Changes whose end is unknown and that are remembered at once; at the last one the log is asked before anything else is written. */
export const doubtsAtMost = 64;
/** Messages that are asked for at once. */
export const getsAtOnce = 64;
/** Messages kept in memory after they were read, in bytes for each partition. */
export const keptBytes = 1024 * kib;
/** Free space is asked for at most this often. */
export const spaceMs = 2_000;
/** Free space where neither stream nor account has a bound: what the servers' disks have can't be seen. */
export const unboundedBytes = 2 ** 50;
/** Removals stay in the stream until there are twice as many, so that what servers show again of a removed file is known. */
export const removalsKept = 256;
/** Until a server acknowledges a message, and until it answers another request. */
export const appendMs = 3_000;
export const requestMs = 5_000;
/** A checkpoint is written once this much was logged: a take-over reads what is live and this. */
export const checkpointBytes = 16 * 1024 * kib;
/** Answers in turn that the next message is missing, while the log goes on behind it, before it counts as another node's. */
export const missedAtMost = 8;
/** Readings of a stream at a take-over before its damage is believed. */
export const readings = 4;
/** Messages that are deleted at once: few, since it can wait. */
export const deletesAtOnce = 16;
