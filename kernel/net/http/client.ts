/**
 * The HTTP/1.1 client over streams.ts: one exchange on a connection of its own, which is closed after it.
 *
 *     connecting ─▶ head ─▶ body │ chunks │ untilEnd ─▶ answered, or failed; then `closing` until the stream is over
 *
 * Answers of a peer are hostile: heads and bodies are bounded, and framing that readers disagree about is refused.
 */
import { allocateZeroed, release } from "../blocks";
import { Bytes, bytesSize, drop, put } from "../bytes";
import { now } from "../host";
import { abort, connect, finish, push, write } from "../streams";
import { callTimer, clearTimer, setTimer, Timer } from "../timers";
import { beginChunks, Chunks, chunksBroken, chunksOver, dataOf, inData, takeFraming, tookData } from "./chunks";
import { contentLength, headEnd, headGood, isChunked, readAnswer, status } from "./head";
import { wholeHeadBytes } from "./limits";

const connecting: u32 = 0, head: u32 = 1, body: u32 = 2, chunked: u32 = 3, untilEnd: u32 = 4, closing: u32 = 5;

/** Reasons of a failure: no connection; it broke; the answer is malformed, too long, or there is no memory for it. */
export const unreached: u32 = 1, broken: u32 = 2, malformed: u32 = 3, tooBig: u32 = 4, noRoom: u32 = 5;

@unmanaged
export class Client extends Timer {
  next: usize = 0;
  /** The one that asked; 0: nobody waits any more. */
  owner: usize = 0;
  stream: u32 = 0;
  state: u32 = 0;
  /** The request: two pieces of memory that the owner keeps. */
  headAt: usize = 0;
  headLength: u32 = 0;
  bodyAt: usize = 0;
  bodyLength: u32 = 0;
  written: u32 = 0;
  isHeadMethod: bool = false;
  /** It fetches an issuer's keys. */
  isOfKeys: bool = false;
  /** Of the answer. */
  status: u32 = 0;
  scanned: u32 = 0;
  left: u64 = 0;
  /** Bytes of the body so far, those that are kept, and the most there may be. */
  count: u32 = 0;
  kept: u32 = 0;
  most: u32 = 0;
}

type Told = (client: Client) => void;
type Failed = (client: Client, reason: u32) => void;

/** The answer's head is there, as head.ts has it: what is put into `answerOf` now stands before the body. */
let headCame: Told = (_client: Client): void => {};
let answered: Told = (_client: Client): void => {};
let failed: Failed = (_client: Client, _reason: u32): void => {};

export function onAnswerHead(call: Told): void { headCame = call; }
export function onAnswered(call: Told): void { answered = call; }
export function onFailed(call: Failed): void { failed = call; }

let first: usize = 0;
/** Exchanges under way, those that only wait for their stream's end included. */
export let exchanges: u32 = 0;

const closingUs: u64 = 5_000_000;

function linesOf(client: Client): Bytes { return changetype<Bytes>(changetype<usize>(client) + offsetof<Client>()); }
/** The answer, for its owner. */
export function answerOf(client: Client): Bytes { return changetype<Bytes>(changetype<usize>(client) + offsetof<Client>() + bytesSize); }
function chunksOf(client: Client): Chunks { return changetype<Chunks>(changetype<usize>(client) + offsetof<Client>() + 2 * bytesSize); }

/** A request to make; null: there is no room. */
export function newClient(owner: usize): Client | null {
  const at = allocateZeroed(<u32>offsetof<Client>() + 2 * bytesSize + 16);
  if (at === 0) return null;
  const client = changetype<Client>(at);
  client.kind = callTimer;
  client.owner = owner;
  return client;
}

/** Connects and sends. False, and the client is gone, when there is no room for another connection. */
export function startClient(client: Client, address: u32, port: u32, us: u64): bool {
  const stream = connect(address, port);
  if (stream === 0 || !setTimer(client, now() + us)) {
    if (stream !== 0) abort(stream);
    return forget(client), false;
  }
  client.stream = stream;
  client.next = first;
  first = changetype<usize>(client);
  exchanges++;
  return true;
}

function clientOf(stream: u32): Client | null {
  for (let at = first; at !== 0; at = changetype<Client>(at).next) if (changetype<Client>(at).stream === stream) return changetype<Client>(at);
  return null;
}

function forget(client: Client): void {
  clearTimer(client);
  drop(linesOf(client));
  drop(answerOf(client));
  release(changetype<usize>(client));
}

/** Takes a client off the list and frees it; its stream is over. */
function remove(client: Client): void {
  const own = changetype<usize>(client);
  if (first === own) first = client.next;
  else for (let at = first; at !== 0; at = changetype<Client>(at).next) if (changetype<Client>(at).next === own) changetype<Client>(at).next = client.next;
  exchanges--;
  forget(client);
}

/** Nobody waits for the answer any more. */
export function cancelClient(client: Client): void {
  client.owner = 0;
  if (client.stream !== 0) {
    abort(client.stream);
    remove(client);
  } else forget(client);
}

// ---- the carrier's events

export function clientConnected(stream: u32): void {
  const client = clientOf(stream);
  if (client === null || client.state !== connecting) return;
  client.state = head;
  writeMore(client);
}

export function clientWritable(stream: u32): void {
  const client = clientOf(stream);
  if (client !== null && client.state !== connecting && client.state !== closing) writeMore(client);
}

function writeMore(client: Client): void {
  const all = client.headLength + client.bodyLength;
  while (client.written < all) {
    const inHead = client.written < client.headLength;
    const at = inHead ? client.headAt + client.written : client.bodyAt + (client.written - client.headLength);
    const length = (inHead ? client.headLength : all) - client.written;
    const count = write(client.stream, at, length);
    client.written += count;
    if (count < length) return;
  }
  push(client.stream);
}

export function clientReceived(stream: u32, at: usize, length: u32): u32 {
  const client = clientOf(stream);
  if (client === null) return length;
  let taken: u32 = 0;
  while (taken < length && client.state !== closing) taken += takeSome(client, at + taken, length - taken);
  return length;
}

export function clientEnded(stream: u32): void {
  const client = clientOf(stream);
  if (client === null || client.state === closing) return;
  if (client.state === untilEnd) succeed(client);
  else fail(client, broken);
}

export function clientClosed(stream: u32): void {
  const client = clientOf(stream);
  if (client === null) return;
  const state = client.state;
  if (state !== closing) tellFailed(client, state === connecting ? unreached : broken);
  remove(client);
}

/** The exchange's time is over, and the client is gone. Whoever waits for its answer, or 0. */
export function clientDue(client: Client): usize {
  const owner = client.state === closing ? 0 : client.owner;
  abort(client.stream);
  remove(client);
  return owner;
}

// ---- the answer

function takeSome(client: Client, at: usize, length: u32): u32 {
  switch (client.state) {
    case head: return takeHead(client, at, length);
    case body: {
      const count = client.left < <u64>length ? <u32>client.left : length;
      client.left -= count;
      if (keep(client, at, count) && client.left === 0) succeed(client);
      return count;
    }
    case chunked: return takeChunks(client, at, length);
    case untilEnd:
      keep(client, at, length);
      return length;
    default:
      fail(client, malformed);
      return length;
  }
}

function takeHead(client: Client, at: usize, length: u32): u32 {
  const lines = linesOf(client);
  const before = lines.length;
  put(lines, at, length);
  if (lines.broken) return fail(client, noRoom), length;
  const end = headEnd(lines.at, client.scanned, lines.length);
  client.scanned = lines.length;
  if (end < 0 || (end === 0 && lines.length > wholeHeadBytes)) return fail(client, malformed), length;
  if (end === 0) return length;
  if (readAnswer(lines.at, end) !== headGood || status === 101) return fail(client, malformed), length;
  client.scanned = 0;
  const taken = <u32>end - before;
  if (status < 200) { // an interim answer
    drop(lines);
    return taken;
  }
  client.status = status;
  const isEmpty = client.isHeadMethod || status === 204 || status === 304 || (contentLength === 0 && !isChunked);
  client.left = contentLength > 0 ? contentLength : 0;
  client.state = isEmpty || contentLength > 0 ? body : isChunked ? chunked : untilEnd;
  if (isChunked) beginChunks(chunksOf(client));
  if (contentLength > <i64>client.most && !isEmpty) return fail(client, tooBig), length;
  headCame(client);
  if (client.state === closing) return length;
  drop(lines);
  if (isEmpty) succeed(client);
  return taken;
}

function takeChunks(client: Client, at: usize, length: u32): u32 {
  const chunks = chunksOf(client);
  if (inData(chunks)) {
    const count = dataOf(chunks, length);
    tookData(chunks, count);
    keep(client, at, count);
    return count;
  }
  const count = takeFraming(chunks, at, length);
  if (chunksBroken(chunks)) fail(client, malformed);
  else if (chunksOver(chunks)) succeed(client);
  return count;
}

/** Keeps bytes of the body; false, and the exchange has failed, if they are too many. */
function keep(client: Client, at: usize, length: u32): bool {
  client.count += length;
  if (client.count > client.most) return fail(client, tooBig), false;
  const wanted = client.count > client.kept ? max<i32>(0, <i32>client.kept - <i32>(client.count - length)) : length;
  const answer = answerOf(client);
  put(answer, at, wanted);
  if (answer.broken) return fail(client, noRoom), false;
  return true;
}

function succeed(client: Client): void {
  close(client);
  if (client.owner !== 0) answered(client);
  drop(answerOf(client));
}

function fail(client: Client, reason: u32): void {
  close(client);
  tellFailed(client, reason);
}

function tellFailed(client: Client, reason: u32): void {
  if (client.owner !== 0) failed(client, reason);
  drop(answerOf(client));
}

/** Nothing more is said; the stream is over when the peer closes, or soon. */
function close(client: Client): void {
  client.state = closing;
  drop(linesOf(client));
  setTimer(client, now() + closingUs);
  finish(client.stream);
}
