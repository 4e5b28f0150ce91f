/**
 * The port between the carriers of bytes (stack/ on metal, sockets on Linux) and their users (http/, service/). A stream is two
 * sequences of bytes, one each way. Its number is small (an index + 1, below 65,536) and free again after `closed` or `abort`.
 *
 * Each side registers its functions once, at start, and calls those of the other. All addresses are in net's memory, and bytes at
 * `at` are valid during the call only.
 *
 * Order of a stream's events: `opened` (a peer has connected) or `connected` (to a peer, after `connect`), then `received`,
 * `writable` and `ended` in any number, then `closed`. A `connect` that fails is `closed` without `connected`.
 * Functions of the carrier may be called from within events; `received` is never called from within them.
 */

/** Reasons of `closed`. */
export const closedWell: u32 = 0, closedReset: u32 = 1, closedTimeout: u32 = 2, closedRefused: u32 = 3, closedUnreachable: u32 = 4;

type Opened = (stream: u32, peerAddress: u32, peerPort: u32) => bool;
type Received = (stream: u32, at: usize, length: u32) => u32;
type Told = (stream: u32) => void;
type Closed = (stream: u32, reason: u32) => void;
type Write = (stream: u32, at: usize, length: u32) => u32;
type Connect = (address: u32, port: u32) => u32;
type Ask = (at: u32) => u32;
type Listen = (port: u32) => bool;

// ---- events, to the user

/** A peer's connection is open. Addresses are big-endian numbers (10.0.2.15 is 0x0a00020f). False refuses it: the peer gets a reset, and `closed` is not called. */
export let opened: Opened = (_stream: u32, _address: u32, _port: u32): bool => false;
export let connected: Told = (_stream: u32): void => {};
/** Bytes in order; returns how many were consumed. The rest is kept, and offered again (perhaps with more) after `resume`. */
export let received: Received = (_stream: u32, _at: usize, length: u32): u32 => length;
/** After `write` took less than it was given: there is room again. */
export let writable: Told = (_stream: u32): void => {};
/** The peer sends no more; called after all its bytes were consumed. Writing goes on until `finish`. */
export let ended: Told = (_stream: u32): void => {};
/** The stream is over and its number free. Exactly once for each stream that was opened, or that `connect` gave, and that was not aborted. */
export let closed: Closed = (_stream: u32, _reason: u32): void => {};

export function onOpened(call: Opened): void { opened = call; }
export function onConnected(call: Told): void { connected = call; }
export function onReceived(call: Received): void { received = call; }
export function onWritable(call: Told): void { writable = call; }
export function onEnded(call: Told): void { ended = call; }
export function onClosed(call: Closed): void { closed = call; }

// ---- functions of the carrier

/** Copies as many bytes as fit; returns how many. Full segments may go at once, the rest with `push` or `finish`. */
export let write: Write = (_stream: u32, _at: usize, _length: u32): u32 => 0;
/** All that was written goes as soon as the peer takes it. */
export let push: Told = (_stream: u32): void => {};
/** Offers kept bytes again: at the next poll, not from within this call. */
export let resume: Told = (_stream: u32): void => {};
/** The end of what this side sends, after what was written; pushes. The peer's bytes still come. */
export let finish: Told = (_stream: u32): void => {};
/** Ends the stream at once, with a reset; there are no events after it, and its number is free. */
export let abort: Told = (_stream: u32): void => {};
/** Begins a connection: the stream's number, or 0 when there is no room. Events come later. */
export let connect: Connect = (_address: u32, _port: u32): u32 => 0;
/** The local port of a stream. */
export let localPort: Ask = (_stream: u32): u32 => 0;
/** Bytes that `write` would take now. */
export let room: Ask = (_stream: u32): u32 => 0;
/** Takes connections to this port; false when there are too many ports. Port 0: takes no new connection at all from now on. */
export let listen: Listen = (_port: u32): bool => false;

export function carryWrite(call: Write): void { write = call; }
export function carryPush(call: Told): void { push = call; }
export function carryResume(call: Told): void { resume = call; }
export function carryFinish(call: Told): void { finish = call; }
export function carryAbort(call: Told): void { abort = call; }
export function carryConnect(call: Connect): void { connect = call; }
export function carryLocalPort(call: Ask): void { localPort = call; }
export function carryRoom(call: Ask): void { room = call; }
export function carryListen(call: Listen): void { listen = call; }
