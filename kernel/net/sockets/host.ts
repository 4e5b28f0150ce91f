/**
 * Imports of the module "host" on Linux, beside host.ts: the platform makes the system calls (kernel/platform-linux/service/sockets.ts).
 * A socket is a descriptor; negative results are errno. Each socket tells its events by the number that it was given.
 */

/** Listens on a port; returns the port, which the command line may have changed. Ends the process where that can't be. Only before serving. */
// @ts-ignore: decorator
@external("host", "listen")
export declare function listen(port: u32): u32;
/** Closes all listening sockets. */
// @ts-ignore: decorator
@external("host", "unlisten")
export declare function unlisten(): void;
/** The next connection to listener `index`; the peer's address and port, two u32, go to `at`. */
// @ts-ignore: decorator
@external("host", "accept")
export declare function accept(index: u32, number: u32, at: u32): i32;
/** Begins a connection, or makes a socket for datagrams to one address. */
// @ts-ignore: decorator
@external("host", "connect")
export declare function connect(address: u32, port: u32, number: u32, isDatagram: u32): i32;
// @ts-ignore: decorator
@external("host", "receive")
export declare function receive(socket: i32, at: u32, length: u32): i32;
// @ts-ignore: decorator
@external("host", "transmit")
export declare function transmit(socket: i32, at: u32, length: u32): i32;
/** The end of what this side sends. */
// @ts-ignore: decorator
@external("host", "shutdown")
export declare function shutdown(socket: i32): void;
/** Closes a socket, with a reset or without. */
// @ts-ignore: decorator
@external("host", "close")
export declare function close(socket: i32, isReset: u32): void;
/** Descriptors that this process may still open. */
// @ts-ignore: decorator
@external("host", "sockets")
export declare function sockets(): u32;

/** errno of asm-generic/errno-base.h and errno.h: nothing there now; refused; not established yet. */
export const again: i32 = -11, interrupted: i32 = -4, aborted: i32 = -103, inProgress: i32 = -115, refused: i32 = -111, timedOut: i32 = -110;

/** Bits of events (EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP). */
export const readableEvent: u32 = 0x1, writableEvent: u32 = 0x4, brokenEvents: u32 = 0x18, peerEndedEvent: u32 = 0x2000;
