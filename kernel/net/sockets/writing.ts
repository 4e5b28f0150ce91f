/**
 * The way out. Bytes are gathered for one system call: a stream's head and body go together, once it pushes or another stream writes. What
 * the kernel has no room for waits in a block; until that is sent, writes take nothing.
 */
import { allocate, release } from "../blocks";
import { closedReset } from "../streams";
import { again, inProgress, interrupted, shutdown, transmit } from "./host";
import { gatherBytes } from "./limits";
import { Flag, list, Stream, streamOf } from "./streams";

// @ts-ignore: decorator
@lazy const gathered: usize = memory.data(16384, 16);
let gatheredLength: u32 = 0;
/** The stream whose bytes are gathered. */
let gatherer: u32 = 0;

/** The socket is broken: the user hears of it from the next poll. */
export function fail(stream: Stream, reason: u32): void {
  stream.flags = (stream.flags | Flag.broken) & ~Flag.writable;
  stream.reason = reason;
  list(stream);
}

/** Sends; returns how many bytes the kernel took. */
function sendSome(stream: Stream, at: usize, length: u32): u32 {
  if ((stream.flags & Flag.writable) === 0) return 0;
  const count = transmit(stream.socket, <u32>at, length);
  if (count >= 0) {
    if (<u32>count < length) stream.flags &= ~Flag.writable;
    return count;
  }
  if (count === again || count === inProgress || count === interrupted) stream.flags &= ~Flag.writable;
  else fail(stream, closedReset);
  return 0;
}

/** Sends what was gathered; the rest waits in a block. */
export function flush(): void {
  const stream = streamOf(gatherer);
  const length = gatheredLength;
  gatherer = gatheredLength = 0;
  if (stream === null || length === 0) return;
  const count = sendSome(stream, gathered, length);
  if (count === length || (stream.flags & Flag.broken) !== 0) return;
  const block = allocate(length - count);
  if (block === 0) return fail(stream, closedReset);
  memory.copy(block, gathered + count, length - count);
  stream.unsent = block;
  stream.unsentAt = 0;
  stream.unsentLength = length - count;
}

/** Bytes that may be gathered for the stream now. */
function roomToGather(number: u32, stream: Stream): u32 {
  if (gatherer !== number) flush();
  if (stream.unsentLength !== 0 || (stream.flags & (Flag.writable | Flag.broken | Flag.finished)) !== Flag.writable) return 0;
  return gatherBytes - (gatherer === number ? gatheredLength : 0);
}

export function write(number: u32, from: usize, length: u32): u32 {
  const stream = streamOf(number);
  if (stream === null) return 0;
  if ((stream.flags & Flag.broken) !== 0) return length; // nobody gets it, and `closed` follows
  let taken: u32 = 0;
  while (taken < length) {
    if (length - taken >= gatherBytes) {
      flush();
      const count = roomToGather(number, stream) === 0 ? 0 : sendSome(stream, from + taken, length - taken);
      taken += count;
      if (count === 0) break;
      continue;
    }
    const room = roomToGather(number, stream);
    if (room === 0 && gatherer !== number) break;
    if (room < length - taken) {
      flush();
      if (roomToGather(number, stream) === 0) break;
      continue;
    }
    memory.copy(gathered + gatheredLength, from + taken, length - taken);
    gatherer = number;
    gatheredLength += length - taken;
    taken = length;
  }
  if ((stream.flags & Flag.broken) !== 0) return length;
  if (taken < length) stream.flags |= Flag.wantsRoom;
  return taken;
}

export function push(number: u32): void {
  if (gatherer === number) flush();
}

export function roomOf(number: u32): u32 {
  const stream = streamOf(number);
  return stream === null ? 0 : roomToGather(number, stream);
}

export function finish(number: u32): void {
  push(number);
  const stream = streamOf(number);
  if (stream === null || (stream.flags & Flag.finished) !== 0) return;
  stream.flags = (stream.flags | Flag.finished) & ~Flag.wantsRoom;
  shutWhenSent(stream);
}

function shutWhenSent(stream: Stream): void {
  if ((stream.flags & (Flag.finished | Flag.shut | Flag.broken | Flag.connecting)) !== Flag.finished || stream.unsentLength !== 0) return;
  stream.flags |= Flag.shut;
  shutdown(stream.socket);
  if ((stream.flags & Flag.ended) !== 0) list(stream); // both sides are over
}

/** The kernel has room again: sends what waits. True: the stream's user may write. */
export function sendUnsent(stream: Stream): bool {
  while (stream.unsentLength !== 0) {
    const count = sendSome(stream, stream.unsent + stream.unsentAt, stream.unsentLength);
    if (count === 0) return false;
    stream.unsentAt += count;
    stream.unsentLength -= count;
  }
  forgetUnsent(stream);
  shutWhenSent(stream);
  return true;
}

export function forgetUnsent(stream: Stream): void {
  release(stream.unsent);
  stream.unsent = 0;
  stream.unsentLength = 0;
}

/** Forgets what was gathered for a stream that is over. */
export function forgetGathered(number: u32): void {
  if (gatherer === number) gatherer = gatheredLength = 0;
}
