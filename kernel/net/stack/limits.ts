/** Bounds of the network stack. Times in microseconds. */

export const second: u64 = 1_000_000;
export const never: u64 = u64.MAX_VALUE;

/** Longest IP packet: Ethernet's. */
export const mtu: u32 = 1500;

// ---- ARP
/** Neighbours known at once; beyond, the one that was used least recently is evicted. */
export const neighbours: u32 = 32;
/** Packets that wait for an answer, of all neighbours together. */
export const waitingPackets: u32 = 16;
export const neighbourAge: u64 = 60 * second;
export const arpInterval: u64 = second;
export const arpTries: u32 = 3;

// ---- ICMP
/** Answers to echo requests and errors, in a second. */
export const icmpPerSecond: u32 = 200;

// ---- TCP
export const listeners: u32 = 4;
/** Connections: a slot for every so many bytes of the stack's memory, within these bounds. */
export const bytesPerConnection: u32 = 1024, leastConnections: u32 = 8, mostConnections: u32 = 8192;
/** Unit of buffers, in bytes, and units of a connection in each direction: a power of two that makes 64 KiB. */
export const blockBits: u32 = 11, blockBytes: u32 = 1 << blockBits, ringBlocks: u32 = 32;
/** Longest segment sent and taken, and the shortest that a peer can talk this side into sending. */
export const mostSegment: u32 = 1460, leastSegment: u32 = 64;
/** Segment size when the peer names none (RFC 9293, 3.7.1). */
export const unnamedSegment: u32 = 536;
/** Handshakes that were not completed; SYN cookies answer beyond. 2 × answerTimeout is the age of the oldest cookie that is taken. */
export const halfOpenMost: u32 = 128;
export const cookieAge: u64 = 8 * second;
/** Retransmissions of a SYN or of its answer. */
export const synTries: u32 = 5, synAnswerTries: u32 = 3;
/** Pieces out of order that a connection holds. */
export const ranges: u32 = 4;
/** RFC 6298 has a least timeout of one second; 200 ms is what most stacks take. */
export const leastTimeout: u32 = 200_000, firstTimeout: u32 = 1_000_000, mostTimeout: u32 = 60_000_000;
/** A peer that is silent for this long after bytes were sent, and one that answers but takes no byte, is given up. */
export const silentMost: u64 = 100 * second, stalledMost: u64 = 300 * second;
export const ackDelay: u64 = 40_000;
/** Between answers to segments that don't fit (RFC 5961, 7), for each connection. */
export const challengeInterval: u64 = 100_000;
export const keepAliveIdle: u64 = 75 * second, keepAliveInterval: u64 = 15 * second, keepAliveTries: u32 = 4;
/** Twice the life of a segment in the network; shorter for the oldest when slots are short. */
export const timeWait: u64 = 60 * second;
/** Segments sent at most by one call. */
export const burst: u32 = 64;
export const mostWindow: u32 = 256 * 1024;
/** Timers are looked at this often, at most. */
export const tick: u64 = 5_000;

// ---- DHCP (RFC 2131); the first interval is shorter than its four seconds, because a service waits for the address
export const dhcpInterval: u64 = second, dhcpMostInterval: u64 = 32 * second;
export const dhcpRequestTries: u32 = 4;
/** Leases that are shorter count as this long; renewals are this far apart at least. */
export const leastLease: u32 = 60;
