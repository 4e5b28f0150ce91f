/** Streams over the kernel's sockets: carries streams.ts, as stack/ does on metal. linux.ts calls the rest. */
import { now } from "../host";
import * as streams from "../streams";
import * as host from "./host";
import { aborted, again, brokenEvents, interrupted, peerEndedEvent, readableEvent, writableEvent } from "./host";
import { acceptPauseUs, acceptsAtOnce, listeners, mostStreams, spareSockets } from "./limits";
import { firstQuery, queryEvent } from "./queries";
import { drop, work } from "./reading";
import { anyListed, firstOfList, Flag, freeNumber, lastOfList, list, openStream, startStreams, streamOf, takeListed } from "./streams";
import { finish, flush, push, roomOf, write } from "./writing";

/** Numbers of listening sockets in events: this, and the next ones. */
export const firstListener: u32 = 0x10000;

let limit: u32 = 0;
/** Requested ports of the listening sockets. */
// @ts-ignore: decorator
@lazy const ports: usize = memory.data(8, 4);
let listening: u32 = 0;
/** A bit for each listening socket that may have connections. */
let acceptable: u32 = 0;
/** When connections are taken again; 0: at once. */
let acceptAt: u64 = 0;
/** Port that the first listening socket really has. */
export let ownPort: u32 = 0;
// @ts-ignore: decorator
@lazy const peer: usize = memory.data(8, 4);

/** Takes the memory for streams; returns how many there may be, 0 without memory. */
export function startSockets(): u32 {
  const free = host.sockets();
  if (free <= spareSockets) return 0;
  limit = min<u32>(mostStreams, free - spareSockets);
  if (!startStreams(limit)) return 0;
  streams.carryWrite(write);
  streams.carryPush(push);
  streams.carryResume(resume);
  streams.carryFinish(finish);
  streams.carryAbort(abort);
  streams.carryConnect(connect);
  streams.carryLocalPort(localPort);
  streams.carryRoom(roomOf);
  streams.carryListen(listen);
  return limit;
}

function listen(port: u32): bool {
  if (port === 0) {
    listening = acceptable = 0;
    host.unlisten();
    return true;
  }
  if (listening === listeners) return false;
  store<u32>(ports + (<usize>listening << 2), port);
  const actual = host.listen(port);
  if (listening++ === 0) ownPort = actual;
  return true;
}

function localPort(number: u32): u32 {
  const stream = streamOf(number);
  return stream === null ? 0 : stream.port;
}

function resume(number: u32): void {
  const stream = streamOf(number);
  if (stream === null || (stream.flags & Flag.held) === 0) return;
  stream.flags &= ~Flag.held;
  list(stream);
}

function abort(number: u32): void {
  const stream = streamOf(number);
  if (stream !== null) drop(stream, true);
}

function connect(address: u32, port: u32): u32 {
  const number = freeNumber();
  if (number === 0) return 0;
  const socket = host.connect(address, port, number, 0);
  if (socket < 0) return 0;
  openStream(socket, Flag.connecting, 0);
  return number;
}

/** The kernel has something to tell about a number. */
export function event(number: u32, events: u32): void {
  if (number >= firstQuery) return queryEvent(number - firstQuery);
  if (number >= firstListener) {
    if (number - firstListener < listening) acceptable |= 1 << (number - firstListener);
    return;
  }
  const stream = streamOf(number);
  if (stream === null) return;
  if ((events & (readableEvent | brokenEvents | peerEndedEvent)) !== 0) stream.flags |= Flag.readable;
  if ((events & (brokenEvents | peerEndedEvent)) !== 0) stream.flags |= Flag.ending;
  if ((events & (writableEvent | brokenEvents)) !== 0) stream.flags |= Flag.writable;
  list(stream);
}

function acceptFrom(index: u32): void {
  for (let count: u32 = 0; count < acceptsAtOnce; count++) {
    const number = freeNumber();
    const socket = host.accept(index, number, <u32>peer);
    if (socket === interrupted || socket === aborted) continue;
    if (socket === again) {
      acceptable &= ~(1 << index);
      return;
    }
    if (socket < 0) { // no descriptor, or no memory of the system
      acceptAt = now() + acceptPauseUs;
      return;
    }
    if (number === 0) host.close(socket, 1);
    else {
      const stream = openStream(socket, Flag.writable, load<u32>(ports + (<usize>index << 2)));
      if (!streams.opened(number, load<u32>(peer), load<u32>(peer, 4)) && streamOf(number) === stream) drop(stream, true);
    }
    if (listening === 0) return;
  }
}

/** Runs what events have made due. */
export function runSockets(): void {
  if (acceptable !== 0 && (acceptAt === 0 || now() >= acceptAt)) {
    acceptAt = 0;
    for (let index: u32 = 0; index < listening; index++) if ((acceptable & (1 << index)) !== 0) acceptFrom(index);
  }
  // Streams that are listed meanwhile have their turn at the next call.
  const last = lastOfList();
  for (let isLast = last === 0; !isLast; ) {
    isLast = firstOfList() === last;
    const stream = takeListed();
    if (stream !== null) work(stream);
  }
}

/** Sends what was written in this turn. True: `runSockets` has something to do. */
export function flushSockets(): bool {
  flush();
  return anyListed();
}

/** The time of the next call of `runSockets`, as `now()` counts. */
export function socketsDue(): u64 {
  if (anyListed()) return 0;
  return acceptable === 0 ? u64.MAX_VALUE : acceptAt;
}
