/** The way in, and the end: bytes of a stream that is readable go to its user; what that leaves is kept in a block, and offered again. */
import { allocate, release } from "../blocks";
import { closed, closedRefused, closedReset, closedTimeout, closedUnreachable, closedWell, connected, ended, received, writable } from "../streams";
import { again, close, interrupted, receive, refused, timedOut } from "./host";
import { readBytes, readsAtOnce } from "./limits";
import { Flag, freeStream, list, numberOf, Stream } from "./streams";
import { fail, forgetGathered, forgetUnsent, sendUnsent } from "./writing";

// @ts-ignore: decorator
@lazy const input: usize = memory.data(65536, 16);

/** Frees what the stream holds, and its number. */
export function drop(stream: Stream, isReset: bool): void {
  forgetGathered(numberOf(stream));
  release(stream.held);
  stream.held = 0;
  forgetUnsent(stream);
  close(stream.socket, u32(isReset));
  freeStream(stream);
}

function over(stream: Stream, reason: u32): void {
  const number = numberOf(stream);
  drop(stream, reason !== closedWell);
  closed(number, reason);
}

/** False after an event in which the stream was ended, and perhaps its place used again. */
function isOpen(stream: Stream, generation: u32): bool {
  return (stream.flags & Flag.open) !== 0 && stream.generation === generation;
}

/** Offers bytes; returns how many were taken, all of them where the stream is over. */
function offer(stream: Stream, at: usize, length: u32): u32 {
  const generation = stream.generation;
  const taken = min<u32>(received(numberOf(stream), at, length), length);
  if (!isOpen(stream, generation)) return length;
  if (taken < length) stream.flags |= Flag.held;
  return taken;
}

/** Keeps what the user has left. */
function keep(stream: Stream, at: usize, length: u32): void {
  const block = allocate(length);
  if (block === 0) return fail(stream, closedReset);
  memory.copy(block, at, length);
  stream.held = block;
  stream.heldAt = 0;
  stream.heldLength = length;
}

/** Offers what was left once the user has resumed. */
function offerHeld(stream: Stream): void {
  const generation = stream.generation;
  const block = stream.held;
  const taken = offer(stream, block + stream.heldAt, stream.heldLength);
  if (!isOpen(stream, generation)) return;
  stream.heldAt += taken;
  stream.heldLength -= taken;
  if (stream.heldLength > 0) return;
  release(block);
  stream.held = 0;
}

function read(stream: Stream): void {
  const generation = stream.generation;
  for (let count: u32 = 0; count < readsAtOnce; count++) {
    if ((stream.flags & (Flag.readable | Flag.held | Flag.ended | Flag.broken)) !== Flag.readable) return;
    const length = receive(stream.socket, <u32>input, readBytes);
    if (length === interrupted) continue;
    if (length === again) stream.flags &= ~Flag.readable;
    else if (length < 0) fail(stream, length === timedOut ? closedTimeout : closedReset);
    else if (length === 0) {
      stream.flags |= Flag.ended;
      ended(numberOf(stream));
    } else {
      // Another event tells what comes after a short read, but not an end that was told with these bytes.
      if (<u32>length < readBytes && (stream.flags & Flag.ending) === 0) stream.flags &= ~Flag.readable;
      const taken = offer(stream, input, length);
      if (!isOpen(stream, generation)) return;
      if (taken < <u32>length) keep(stream, input + taken, length - taken);
    }
    if (!isOpen(stream, generation)) return;
  }
  list(stream);
}

/** A connection of ours is there, or is not: only a call tells. */
function finishConnecting(stream: Stream): void {
  const result = receive(stream.socket, <u32>input, 0);
  if (result < 0 && result !== again) {
    const reason = result === refused ? closedRefused : result === timedOut ? closedTimeout : closedUnreachable;
    return over(stream, reason);
  }
  stream.flags &= ~Flag.connecting;
  connected(numberOf(stream));
}

/** Does what a listed stream has to do. */
export function work(stream: Stream): void {
  const generation = stream.generation;
  if ((stream.flags & Flag.connecting) !== 0) {
    if ((stream.flags & Flag.writable) === 0) return;
    finishConnecting(stream);
    if (!isOpen(stream, generation)) return;
  }
  if (stream.heldLength !== 0 && (stream.flags & Flag.held) === 0) {
    offerHeld(stream);
    if (!isOpen(stream, generation)) return;
  }
  read(stream);
  if (!isOpen(stream, generation)) return;
  if ((stream.flags & Flag.writable) !== 0 && sendUnsent(stream) && (stream.flags & (Flag.wantsRoom | Flag.writable)) === (Flag.wantsRoom | Flag.writable)) {
    stream.flags &= ~Flag.wantsRoom;
    writable(numberOf(stream));
    if (!isOpen(stream, generation)) return;
  }
  if ((stream.flags & Flag.broken) !== 0) over(stream, stream.reason);
  else if ((stream.flags & (Flag.ended | Flag.shut)) === (Flag.ended | Flag.shut)) over(stream, closedWell);
}
