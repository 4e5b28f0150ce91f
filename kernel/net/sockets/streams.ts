/**
 * The table of streams over sockets, and the list of those with something to do. The kernel tells each change once (edge-triggered), so a
 * stream remembers that it is readable or writable until a call says otherwise. What the kernel tells is a hint: only calls tell the truth.
 */
import { take } from "../memory";

export const enum Flag {
  /** In use; without it the place is free. */
  open = 1,
  connecting = 2,
  readable = 4,
  writable = 8,
  /** The user has left bytes, and has not resumed. */
  held = 16,
  /** A write took less than it was given. */
  wantsRoom = 32,
  /** The peer's end was told. */
  ended = 64,
  finished = 128,
  /** The end of this side was sent. */
  shut = 256,
  /** The socket is broken: `closed` follows. */
  broken = 512,
  listed = 1024,
  /** The kernel has told of the peer's end, or of an error: bytes before it may still be there. */
  ending = 2048,
  /** Bytes to send are gathered. */
  gathered = 4096,
}

@unmanaged
export class Stream {
  socket: i32;
  flags: u32;
  /** Requested port of the listener; 0: a connection of ours. */
  port: u32;
  /** Number of the next free or listed stream. */
  next: u32;
  /** Bytes the user has left: a block, where they begin in it, and how many there are. */
  held: usize;
  heldAt: u32;
  heldLength: u32;
  /** Bytes that the kernel had no room for, as well. */
  unsent: usize;
  unsentAt: u32;
  unsentLength: u32;
  reason: u32;
  /** Counts the streams of this place. */
  generation: u32;
}

const streamBytes: usize = offsetof<Stream>();

let places: usize = 0;
let most: u32 = 0;
let used: u32 = 0;
let firstFree: u32 = 0;
let firstListed: u32 = 0, lastListed: u32 = 0;

/** Takes memory for so many streams; false without it. */
export function startStreams(count: u32): bool {
  places = take(count * <u32>streamBytes);
  most = count;
  return places !== 0;
}

// @ts-ignore: decorator
@inline function at(number: u32): Stream { return changetype<Stream>(places + <usize>(number - 1) * streamBytes); }

/** The open stream of a number, or null. */
export function streamOf(number: u32): Stream | null {
  if (number === 0 || number > used) return null;
  const stream = at(number);
  return (stream.flags & Flag.open) === 0 ? null : stream;
}

export function numberOf(stream: Stream): u32 {
  return <u32>((changetype<usize>(stream) - places) / streamBytes) + 1;
}

/** The number that the next stream gets; 0: there are too many. */
export function freeNumber(): u32 {
  if (firstFree !== 0) return firstFree;
  return used < most ? used + 1 : 0;
}

/** Opens the stream of `freeNumber`. */
export function openStream(socket: i32, flags: u32, port: u32): Stream {
  const number = freeNumber();
  if (number > used) used = number;
  else firstFree = at(number).next;
  const stream = at(number);
  stream.socket = socket;
  stream.flags = flags | Flag.open;
  stream.port = port;
  stream.next = 0;
  stream.held = stream.unsent = 0;
  stream.heldLength = stream.unsentLength = 0;
  stream.reason = 0;
  stream.generation++;
  return stream;
}

/** Frees the number. A stream that is listed is freed when its turn comes. */
export function freeStream(stream: Stream): void {
  const isListed = (stream.flags & Flag.listed) !== 0;
  stream.flags = stream.flags & Flag.listed;
  if (!isListed) giveBack(stream);
}

function giveBack(stream: Stream): void {
  stream.next = firstFree;
  firstFree = numberOf(stream);
}

/** Puts a stream on the list. */
export function list(stream: Stream): void {
  if ((stream.flags & Flag.listed) !== 0) return;
  const number = numberOf(stream);
  stream.flags |= Flag.listed;
  stream.next = 0;
  if (lastListed === 0) firstListed = number;
  else at(lastListed).next = number;
  lastListed = number;
}

export function anyListed(): bool { return firstListed !== 0; }

/** Numbers of the streams that were listed first and last; 0: none. */
export function firstOfList(): u32 { return firstListed; }
export function lastOfList(): u32 { return lastListed; }

/** Takes the first stream off the list; null: it is over and was freed, or the list is empty. */
export function takeListed(): Stream | null {
  if (firstListed === 0) return null;
  const stream = at(firstListed);
  firstListed = stream.next;
  if (firstListed === 0) lastListed = 0;
  stream.flags &= ~Flag.listed;
  stream.next = 0;
  if ((stream.flags & Flag.open) !== 0) return stream;
  giveBack(stream);
  return null;
}
