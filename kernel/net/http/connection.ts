/**
 * A caller's connection: what its structure holds, and its table. Requests come one after another; the next is read once the answer to the
 * one before was written, so that answers are in order and a caller that reads nothing is not read from.
 *
 *     reading   head ─▶ body │ chunks ─▶ whole ─▶ head of the next
 *     answer    none ─▶ writing ─▶ written
 *     both over: the next request, or `lingering` until the peer has the last answer, and closes
 */
import { Bytes, bytesSize, drop } from "../bytes";
import { take } from "../memory";
import { clearTimer, connectionTimer, setTimer, Timer } from "../timers";
import { now } from "../host";
import { Chunks } from "./chunks";

export const readingHead: u32 = 0, readingBody: u32 = 1, readingChunks: u32 = 2, readWhole: u32 = 3, lingering: u32 = 4;
export const noAnswer: u32 = 0, writingAnswer: u32 = 1, answerWritten: u32 = 2;

@unmanaged
export class Connection extends Timer {
  stream: u32 = 0;
  /** Big endian. */
  address: u32 = 0;
  /** The port it was opened at. */
  port: u32 = 0;
  reading: u32 = 0;
  answer: u32 = 0;
  /** Of the request: its head's bytes so far, and where the look for their end goes on. */
  head: usize = 0;
  scanned: u32 = 0;
  /** Bytes of the body that are still to come; of chunks their decoder's state. */
  left: u64 = 0;
  chunks: usize = 0;
  /** Where the body goes, 0: nowhere; how many bytes it has, and may have. */
  sink: usize = 0;
  bodyLength: u32 = 0;
  bodyMost: u32 = 0;
  discarded: u64 = 0;
  /** Microseconds: when the request's first byte came. */
  began: u64 = 0;
  isHeadMethod: bool = false;
  keepsAlive: bool = false;
  /** The peer sends no more; the answer is the connection's last. */
  hasEnded: bool = false;
  /** Bytes wait in the carrier for `resume`. */
  isKept: bool = false;
  hasSocket: bool = false;
  /** The answer: its head, then its body, and how many bytes of both were written. */
  out: usize = 0;
  bodyAt: usize = 0;
  answerBytes: u32 = 0;
  written: u32 = 0;
  /** Block to give back once the answer was written. */
  block: usize = 0;
  /** The worker on the request. */
  owner: usize = 0;
  next: u32 = 0;
}

const chunksSize: u32 = 16;

let places: usize = 0;
let most: u32 = 0;
let streams: usize = 0;
let mostStream: u32 = 0;
let firstFree: u32 = 0;
/** Places that were used, from the first on: those beyond are zero. */
let used: u32 = 0;
/** Open connections. */
export let openConnections: u32 = 0;
/** Connections refused because there were too many. */
export let refusedConnections: u32 = 0;

/** Takes memory for so many connections, whose streams have numbers up to `streamNumbers`. */
export function startConnections(count: u32, streamNumbers: u32): bool {
  const each = connectionSize();
  places = take(count * each);
  streams = take((streamNumbers + 1) << 2);
  if (places === 0 || streams === 0) return false;
  most = count;
  mostStream = streamNumbers;
  return true;
}

/** A place that was not used yet. */
function newPlace(): Connection {
  const c = connectionAt(used++);
  const own = changetype<usize>(c) + offsetof<Connection>();
  c.kind = connectionTimer;
  c.head = own;
  c.out = own + bytesSize;
  c.chunks = own + 2 * bytesSize;
  return c;
}

/** A place that was used before. */
function freePlace(): Connection {
  const c = connectionAt(firstFree - 1);
  firstFree = c.next;
  return c;
}

function connectionSize(): u32 {
  return (<u32>offsetof<Connection>() + 2 * bytesSize + chunksSize + 15) & ~15;
}

function connectionAt(index: u32): Connection {
  return changetype<Connection>(places + <usize>index * connectionSize());
}

/** Bytes that a connection takes in the tables. */
export function bytesOfConnection(): u32 {
  return connectionSize() + 4;
}

export function headOf(c: Connection): Bytes { return changetype<Bytes>(c.head); }
export function outOf(c: Connection): Bytes { return changetype<Bytes>(c.out); }
export function chunksOf(c: Connection): Chunks { return changetype<Chunks>(c.chunks); }

/** The connection of a stream; null: the stream is another's. */
export function connectionOf(stream: u32): Connection | null {
  if (stream > mostStream) return null;
  const at = load<u32>(streams + (<usize>stream << 2));
  return at === 0 ? null : changetype<Connection>(<usize>at);
}

/** A connection for a new stream; null: there are too many. */
export function openConnection(stream: u32, address: u32, port: u32): Connection | null {
  if ((firstFree === 0 && used === most) || stream > mostStream) {
    refusedConnections++;
    return null;
  }
  const c = firstFree === 0 ? newPlace() : freePlace();
  openConnections++;
  store<u32>(streams + (<usize>stream << 2), <u32>changetype<usize>(c));
  c.stream = stream;
  c.address = address;
  c.port = port;
  c.hasEnded = false;
  c.isKept = false;
  c.hasSocket = true;
  c.owner = 0;
  c.block = 0;
  c.reading = readingHead;
  c.answer = noAnswer;
  c.scanned = 0;
  c.began = 0;
  return c;
}

/** Its stream is over, and all it held is free. */
export function forgetConnection(c: Connection): void {
  clearTimer(c);
  drop(headOf(c));
  drop(outOf(c));
  c.hasSocket = false;
  store<u32>(streams + (<usize>c.stream << 2), 0);
  openConnections--;
  c.next = firstFree;
  firstFree = <u32>((changetype<usize>(c) - places) / connectionSize()) + 1;
}

/** The connection's time: it is over so many microseconds from now. */
export function allow(c: Connection, us: u64): void {
  setTimer(c, now() + us);
}

/** Calls for each open connection that reads a head and has no byte of it. */
export function eachIdle(call: (c: Connection) => void): void {
  for (let index: u32 = 0; index < used; index++) {
    const c = connectionAt(index);
    if (c.hasSocket && c.reading === readingHead && c.answer === noAnswer && headOf(c).length === 0) call(c);
  }
}
