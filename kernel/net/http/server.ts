/** The HTTP/1.1 server over streams.ts: requests in order from each connection, to whoever registered for them (`mod.ts`). */
import { drop, reserve, put, Bytes } from "../bytes";
import { release } from "../blocks";
import { now } from "../host";
import { abort, finish, localPort, onClosed, onConnected, onEnded, onOpened, onReceived, onWritable, push, resume, write } from "../streams";
import { clearTimer } from "../timers";
import { beginChunks, chunksBroken, chunksOver, dataOf, inData, takeFraming, tookData } from "./chunks";
import { clientClosed, clientConnected, clientEnded, clientReceived, clientWritable } from "./client";
import {
  allow, answerWritten, chunksOf, Connection, connectionOf, eachIdle, forgetConnection, headOf, lingering, noAnswer, openConnection, outOf,
  readingBody, readingChunks, readingHead, readWhole, writingAnswer,
} from "./connection";
import {
  canBecomeRequest, closes, contentLength, expects, headBad, headEnd, headGood, headLong, isChunked, keepsAlive, methodAt, methodLength,
  minor, readRequest, repeatedName,
} from "./head";
import { discardedBytes, headUs, idleUs, lingerUs, requestUs, stalledUs, wholeHeadBytes } from "./limits";
import { isText, putText } from "../bytes";

type Told = (c: Connection) => void;
type Named = (c: Connection, name: string) => void;

// ---- events, to the user

/** A request's head is there (head.ts has it, during the call). Answers it, or sets `sink` and `bodyMost`. */
let asked: Told = (_c: Connection): void => {};
/** Its body is whole, in `sink`. */
let whole: Told = (_c: Connection): void => {};
/** The body is longer than `bodyMost`, or there is no memory for it: to be answered. */
let tooLong: Told = (_c: Connection): void => {};
let noRoom: Told = (_c: Connection): void => {};
/** The request has more lines than allowed, or repeats a header that stands once: to be answered. */
let tooMany: Told = (_c: Connection): void => {};
let repeated: Named = (_c: Connection, _name: string): void => {};
/** The caller is gone before its answer was written; `owner` is set. */
let left: Told = (_c: Connection): void => {};

export function onAsked(call: Told): void { asked = call; }
export function onWhole(call: Told): void { whole = call; }
export function onTooLong(call: Told): void { tooLong = call; }
export function onNoRoom(call: Told): void { noRoom = call; }
export function onTooMany(call: Told): void { tooMany = call; }
export function onRepeated(call: Named): void { repeated = call; }
export function onLeft(call: Told): void { left = call; }

/** True: answers close their connections, and idle ones are closed. */
export let isClosing: bool = false;

// ---- the carrier's events

export function opened(stream: u32, address: u32, _peerPort: u32): bool {
  const c = openConnection(stream, address, localPort(stream));
  if (c === null) return false;
  allow(c, headUs);
  return true;
}

export function received(stream: u32, at: usize, length: u32): u32 {
  const c = connectionOf(stream);
  if (c === null) return clientReceived(stream, at, length);
  let taken: u32 = 0;
  while (taken < length && c.hasSocket && c.reading !== readWhole) taken += takeSome(c, at + taken, length - taken);
  if (!c.hasSocket) return length;
  c.isKept = taken < length;
  return taken;
}

export function ended(stream: u32): void {
  const c = connectionOf(stream);
  if (c === null) return clientEnded(stream);
  if (c.hasEnded) return;
  c.hasEnded = true;
  if (c.reading === lingering) return end(c);
  if (c.reading === readWhole) return; // it waits for its answer
  if (c.answer !== noAnswer || c.reading !== readingHead || headOf(c).length > 0) c.answer === noAnswer ? refuse(c, headBad) : cut(c);
  else end(c);
}

export function closed(stream: u32, _reason: u32): void {
  const c = connectionOf(stream);
  if (c !== null) gone(c);
  else clientClosed(stream);
}

export function writable(stream: u32): void {
  const c = connectionOf(stream);
  if (c === null) clientWritable(stream);
  else if (c.answer === writingAnswer) writeMore(c);
}

// ---- reading

function takeSome(c: Connection, at: usize, length: u32): u32 {
  switch (c.reading) {
    case readingHead: return takeHead(c, at, length);
    case readingBody: return takeBody(c, at, length);
    case readingChunks: return takeChunks(c, at, length);
    default: return length;
  }
}

/** Takes a head, or what there is of one. A head that comes in one piece is read where it lies. */
function takeHead(c: Connection, at: usize, length: u32): u32 {
  const head = headOf(c);
  let skipped: u32 = 0;
  if (head.length === 0) {
    while (skipped < length && (load<u8>(at + skipped) === 13 || load<u8>(at + skipped) === 10)) skipped++; // RFC 9112, 2.2
    if (skipped === length) return length;
    at += skipped;
    length -= skipped;
    c.began = now();
    const end = headEnd(at, 0, length);
    if (end > 0) {
      take(c, at, end);
      return skipped + end;
    }
    if (end < 0) return refuse(c, headBad), skipped + length;
    allow(c, headUs);
  }
  const before = head.length;
  put(head, at, length);
  if (head.broken) return cut(c), skipped + length;
  const end = headEnd(head.at, c.scanned, head.length);
  c.scanned = head.length;
  if (end > 0) {
    take(c, head.at, end);
    if (c.hasSocket) drop(head);
    return skipped + <u32>end - before;
  }
  if (end < 0 || !canBecomeRequest(head.at, head.length)) refuse(c, headBad);
  else if (head.length > wholeHeadBytes) refuse(c, headLong);
  return skipped + length;
}

/** Takes a whole head. */
function take(c: Connection, at: usize, length: u32): void {
  const result = readRequest(at, length);
  if (result === headBad || result === headLong) return refuse(c, result);
  c.scanned = 0;
  c.sink = 0;
  c.bodyLength = 0;
  c.discarded = 0;
  c.isHeadMethod = isText(methodAt, methodLength, "HEAD");
  c.keepsAlive = minor > 0 ? !closes : keepsAlive && !closes;
  c.left = contentLength > 0 ? contentLength : 0;
  c.reading = isChunked ? readingChunks : contentLength > 0 ? readingBody : readWhole;
  if (isChunked) beginChunks(chunksOf(c));
  clearTimer(c);
  if (c.reading !== readWhole) allow(c, requestUs);
  ask(c, result);
  if (!c.hasSocket || c.answer !== noAnswer) return;
  if (c.reading === readWhole) return whole(c);
  if (c.left > <u64>c.bodyMost && !isChunked) return tooLong(c);
  if (expects === 1) sayContinue(c);
}

function ask(c: Connection, result: u32): void {
  if (result !== headGood) {
    c.keepsAlive = false;
    return tooMany(c);
  }
  const name = repeatedName();
  if (name.length > 0) {
    c.keepsAlive = false;
    return repeated(c, name);
  }
  if (methodLength === 7 && isText(methodAt, 7, "CONNECT")) return cut(c); // as Node without a handler for it
  asked(c);
}

function sayContinue(c: Connection): void {
  const out = outOf(c);
  putText(out, "HTTP/1.1 100 Continue\r\n\r\n");
  if (out.broken || write(c.stream, out.at, out.length) < out.length) return cut(c);
  push(c.stream);
  drop(out);
}

function takeBody(c: Connection, at: usize, length: u32): u32 {
  const count = c.left < <u64>length ? <u32>c.left : length;
  c.left -= count;
  keep(c, at, count);
  if (c.hasSocket && c.left === 0 && c.reading === readingBody) bodyOver(c);
  return count;
}

function takeChunks(c: Connection, at: usize, length: u32): u32 {
  const chunks = chunksOf(c);
  if (inData(chunks)) {
    const count = dataOf(chunks, length);
    tookData(chunks, count);
    keep(c, at, count);
    return count;
  }
  const count = takeFraming(chunks, at, length);
  if (chunksBroken(chunks)) c.answer === noAnswer ? refuse(c, headBad) : cut(c);
  else if (chunksOver(chunks)) bodyOver(c);
  return count;
}

/** Keeps bytes of the body, or throws them away where the answer does not need them. */
function keep(c: Connection, at: usize, length: u32): void {
  if (c.answer !== noAnswer || c.sink === 0) {
    c.discarded += length;
    if (c.discarded > discardedBytes) cut(c);
    return;
  }
  if (<u64>c.bodyLength + length > <u64>c.bodyMost) return tooLong(c);
  const sink = changetype<Bytes>(c.sink);
  if (!reserve(sink, length)) return noRoom(c);
  put(sink, at, length);
  c.bodyLength += length;
}

function bodyOver(c: Connection): void {
  c.reading = readWhole;
  if (c.answer === writingAnswer) return allow(c, stalledUs);
  clearTimer(c);
  if (c.answer === noAnswer) whole(c);
  else if (c.answer === answerWritten) nextRequest(c);
}

// ---- answers

/** Bytes that are no request, or came too slowly: as the gateway answers them. */
export function refuse(c: Connection, status: u32): void {
  if (c.owner !== 0) left(c);
  const out = outOf(c);
  drop(out);
  putText(out, "HTTP/1.1 ");
  putText(out, status === headLong ? "431 Request Header Fields Too Large" : status === 408 ? "408 Request Timeout" : "400 Bad Request");
  putText(out, "\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
  c.keepsAlive = false;
  c.reading = readWhole; // what follows is no request, however long the answer takes
  send(c, 0, 0);
}

/** Sends the answer whose head is in `out`, and its body after it. `block` is given back at the end. */
export function send(c: Connection, bodyAt: usize, bodyLength: u32, block: usize = 0): void {
  const out = outOf(c);
  if (out.broken) {
    release(block);
    return cut(c);
  }
  c.owner = 0;
  c.answer = writingAnswer;
  c.bodyAt = bodyAt;
  c.answerBytes = out.length + bodyLength;
  c.written = 0;
  c.block = block;
  if (c.reading === readWhole) clearTimer(c);
  writeMore(c);
}

function writeMore(c: Connection): void {
  const out = outOf(c);
  const before = c.written;
  while (c.written < c.answerBytes) {
    const inHead = c.written < out.length;
    const at = inHead ? out.at + c.written : c.bodyAt + (c.written - out.length);
    const length = (inHead ? out.length : c.answerBytes) - c.written;
    const count = write(c.stream, at, length);
    if (!c.hasSocket) return;
    c.written += count;
    if (count < length) break;
  }
  if (c.written < c.answerBytes) {
    if (c.written > before || c.place === 0) allow(c, stalledUs);
    return;
  }
  drop(out);
  release(c.block);
  c.block = 0;
  c.answer = answerWritten;
  if (!c.keepsAlive || c.hasEnded || isClosing) return linger(c);
  push(c.stream);
  if (c.reading === readWhole) nextRequest(c);
}

function nextRequest(c: Connection): void {
  c.reading = readingHead;
  c.answer = noAnswer;
  c.scanned = 0;
  allow(c, idleUs);
  if (c.isKept) resume(c.stream);
}

/** The connection's last answer was written: it is closed once the peer has it. What the peer still sends is thrown away. */
function linger(c: Connection): void {
  c.reading = lingering;
  drop(headOf(c));
  const hasEnded = c.hasEnded;
  finish(c.stream);
  if (!c.hasSocket) return;
  allow(c, lingerUs);
  if (c.isKept && !hasEnded) resume(c.stream);
}

/** Nothing is said any more. */
function end(c: Connection): void {
  c.keepsAlive = false;
  linger(c);
}

/** Ends a connection at once. */
export function cut(c: Connection): void {
  const stream = c.stream;
  gone(c);
  abort(stream);
}

function gone(c: Connection): void {
  release(c.block);
  c.block = 0;
  const isOwned = c.owner !== 0;
  forgetConnection(c);
  if (isOwned) left(c);
  c.owner = 0;
}

/** The connection's time is over. */
export function connectionDue(c: Connection): void {
  if (c.reading === lingering || c.answer !== noAnswer) return cut(c);
  if (c.reading === readingHead && headOf(c).length === 0) return end(c);
  refuse(c, 408);
}

/** From now on answers say that the connection ends, and idle ones are closed. */
export function beginClosing(): void {
  isClosing = true;
  eachIdle(end);
}

export function listenForCallers(): void {
  onOpened(opened);
  onConnected(clientConnected);
  onReceived(received);
  onEnded(ended);
  onClosed(closed);
  onWritable(writable);
}
