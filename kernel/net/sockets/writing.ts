/**
 * The way out. Bytes are gathered, each stream's together, until `flush`: a head and its body are one system call, and answers of one turn of
 * the loop leave one after another, so that a peer that waits for several is woken once. What the kernel has no room for waits in a block;
 * until that is sent, writes take nothing.
 */
import { allocate, release } from "../blocks";
import { closedReset } from "../streams";
import { again, inProgress, interrupted, shutdown, transmit } from "./host";
import { directBytes, gatherBytes, gatherings } from "./limits";
import { Flag, list, Stream, streamOf } from "./streams";

// @ts-ignore: decorator
@lazy const gathered: usize = memory.data(65536, 16);
let gatheredLength: u32 = 0;
/** For each stream whose bytes are gathered, in order: its number u32 (0: it is over), where they end u32. */
// @ts-ignore: decorator
@lazy const pieces: usize = memory.data(512, 8);
let pieceCount: u32 = 0;
/** The stream of the last piece. */
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

/** Sends what was gathered; what the kernel does not take waits in a block. */
export function flush(): void {
  const count = pieceCount;
  pieceCount = gatherer = gatheredLength = 0;
  let from: u32 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const piece = pieces + (<usize>index << 3);
    const end = load<u32>(piece, 4);
    const stream = streamOf(load<u32>(piece));
    if (stream !== null) {
      stream.flags &= ~Flag.gathered;
      sendPiece(stream, gathered + from, end - from);
    }
    from = end;
  }
}

function sendPiece(stream: Stream, at: usize, length: u32): void {
  const count = sendSome(stream, at, length);
  if ((stream.flags & Flag.broken) !== 0) return;
  if (count === length) return shutWhenSent(stream);
  const block = allocate(length - count);
  if (block === 0) return fail(stream, closedReset);
  memory.copy(block, at + count, length - count);
  stream.unsent = block;
  stream.unsentAt = 0;
  stream.unsentLength = length - count;
}

/** Bytes that may be gathered for the stream now. */
function roomToGather(number: u32, stream: Stream): u32 {
  const isOther = gatherer !== number;
  if (isOther && ((stream.flags & Flag.gathered) !== 0 || pieceCount === gatherings)) flush();
  if (stream.unsentLength !== 0 || (stream.flags & (Flag.writable | Flag.broken | Flag.finished)) !== Flag.writable) return 0;
  return gatherBytes - gatheredLength;
}

function gather(number: u32, stream: Stream, from: usize, length: u32): void {
  memory.copy(gathered + gatheredLength, from, length);
  gatheredLength += length;
  if (gatherer !== number) {
    gatherer = number;
    stream.flags |= Flag.gathered;
    store<u32>(pieces + (<usize>pieceCount << 3), number);
    pieceCount++;
  }
  store<u32>(pieces + (<usize>(pieceCount - 1) << 3), gatheredLength, 4);
}

export function write(number: u32, from: usize, length: u32): u32 {
  const stream = streamOf(number);
  if (stream === null) return 0;
  if ((stream.flags & Flag.broken) !== 0) return length; // nobody gets it, and `closed` follows
  const isLong = length >= directBytes;
  if (isLong || roomToGather(number, stream) < length) flush();
  let taken: u32 = 0;
  if (roomToGather(number, stream) !== 0) {
    if (isLong) taken = sendSome(stream, from, length);
    else {
      gather(number, stream, from, length);
      taken = length;
    }
  }
  if ((stream.flags & Flag.broken) !== 0) return length;
  if (taken < length) stream.flags |= Flag.wantsRoom;
  return taken;
}

/** Bytes that are gathered go with the turn of the loop. */
export function push(_number: u32): void {}

export function roomOf(number: u32): u32 {
  const stream = streamOf(number);
  return stream === null ? 0 : roomToGather(number, stream);
}

export function finish(number: u32): void {
  const stream = streamOf(number);
  if (stream === null || (stream.flags & Flag.finished) !== 0) return;
  stream.flags = (stream.flags | Flag.finished) & ~Flag.wantsRoom;
  shutWhenSent(stream);
}

function shutWhenSent(stream: Stream): void {
  const flags = stream.flags & (Flag.finished | Flag.shut | Flag.broken | Flag.connecting | Flag.gathered);
  if (flags !== Flag.finished || stream.unsentLength !== 0) return;
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
  if (gatherer === number) gatherer = 0;
  for (let index: u32 = 0; index < pieceCount; index++) {
    const piece = pieces + (<usize>index << 3);
    if (load<u32>(piece) === number) store<u32>(piece, 0);
  }
}
