/**
 * One exchange of a send or a call with its outlet, from its first attempt to its last: names, connections, answers, retries and backoff as
 * gateway/delivery/outbox has them.
 *
 *     resolving ─▶ exchanging ─▶ over
 *       ▲    └──────────┴─▶ backing off ─┐
 *       └────────────────────────────────┘
 */
import { allocateZeroed, release } from "../blocks";
import { Bytes, clear, put, putByte, putNumber, putText } from "../bytes";
import { now, random } from "../host";
import {
  answerOf, broken, cancelClient, Client, clientDue, exchanges, malformed, newClient, noRoom, onAnswered, onAnswerHead, onFailed, startClient,
  tooBig, unreached,
} from "../http/mod";
import { lineOf, valueAt, valueLength } from "../http/head";
import { onResolved, resolve } from "../names";
import { clearTimer, pauseTimer, setTimer, Timer } from "../timers";
import { beginAnswerFrame, endAnswerFrame, resolveFailure } from "./answers";
import { beginOpenCircuit, leaveCircuit, mayAttempt, peerFailed, peerIsWell } from "./circuit";
import { Outlet } from "./config";
import { beginFailure, clearFailure, gatewaysFault, origin, peersFault, reason } from "./ends";
import { answerBytes, callsUnderWay, quotedBytes, requestAttempts, requestWaitMs } from "./limits";
import { fail, giveEvent, outOfMemory } from "./machines";
import { Message } from "./message";
import { startSends } from "./outlets";
import { readNumber } from "./settings";
import { issuerFetched, issuerNamed } from "./tokens/issuers";
import { takesTokens } from "./variant";

const resolving: u32 = 1, exchanging: u32 = 2, backingOff: u32 = 3;

/** A send or a call. Its list begins with `next`, as message.ts frees it. */
@unmanaged
export class Exchange {
  next: usize = 0;
  /** A timer of its own: of waiting for the name, or to try again. */
  timer: usize = 0;
  message: usize = 0;
  outlet: usize = 0;
  client: usize = 0;
  state: u32 = 0;
  number: u32 = 0;
  attempt: u32 = 0;
  ask: u32 = 0;
  nextNamed: usize = 0;
  isCall: bool = false;
  isHead: bool = false;
  /** `now()` when it began, and when nobody waits for it any more; 0: only the message's own time counts. */
  beganUs: u64 = 0;
  untilUs: u64 = 0;
  /** Of the answer: milliseconds to wait before the next attempt, negative without such a header. */
  retryAfterMs: f64 = 0;
  /** Block of the head; the body of a send lies in its frame, that of a call behind the head. */
  head: usize = 0;
  headLength: u32 = 0;
  body: usize = 0;
  bodyLength: u32 = 0;
  /** Of a line of the log: they lie in the send's frame. */
  key: usize = 0;
  keyLength: u32 = 0;
  contentType: usize = 0;
  contentTypeLength: u32 = 0;
  /** Where the body of an answer begins in its frame. */
  answerStart: u32 = 0;
}

/** Begins with a `Timer`, and names its exchange. */
@unmanaged
export class Pause extends Timer {
  exchange: usize = 0;
}

/** Exchanges that wait for a name. */
let asks: u32 = 0;
let waitingForNames: usize = 0;
/** Registers for the events of names and of the client. */
export function startExchanges(): void {
  onResolved(named);
  onAnswerHead(headCame);
  onAnswered(answered);
  onFailed(failed);
}

/** A send or a call of a message; null without memory. */
export function newExchange(m: Message, outlet: Outlet, isCall: bool, number: u32): Exchange | null {
  const at = allocateZeroed(offsetof<Exchange>());
  const pause = allocateZeroed(offsetof<Pause>());
  if (at === 0 || pause === 0) {
    release(at);
    release(pause);
    return null;
  }
  const exchange = changetype<Exchange>(at);
  exchange.timer = pause;
  exchange.message = changetype<usize>(m);
  exchange.outlet = changetype<usize>(outlet);
  exchange.isCall = isCall;
  exchange.number = number;
  changetype<Pause>(pause).kind = pauseTimer;
  changetype<Pause>(pause).exchange = at;
  return exchange;
}

/** Ends it, whatever it waits for. */
export function freeExchange(exchange: Exchange): void {
  forgetName(exchange);
  leaveCircuit(changetype<Outlet>(exchange.outlet), changetype<usize>(exchange));
  clearTimer(changetype<Pause>(exchange.timer));
  if (exchange.client !== 0) cancelClient(changetype<Client>(exchange.client));
  release(exchange.timer);
  release(exchange.head);
  release(changetype<usize>(exchange));
}

// ---- attempts

/** Begins an attempt. */
export function begin(exchange: Exchange): void {
  const outlet = changetype<Outlet>(exchange.outlet);
  if (!mayAttempt(outlet, changetype<usize>(exchange))) {
    beginOpenCircuit(outlet);
    return giveUp(exchange);
  }
  exchange.attempt++;
  exchange.state = resolving;
  waitForName(exchange);
  exchange.retryAfterMs = -1;
  if (!pause(exchange, attemptUs(exchange))) return busy(exchange);
  if (!resolve(outlet.host, outlet.hostLength, exchange.ask)) busy(exchange);
}

/** Microseconds of one attempt: the outlet's, and no more than are left for the request as a whole. */
function attemptUs(exchange: Exchange): u64 {
  const most = <u64>changetype<Outlet>(exchange.outlet).timeoutMs * 1000;
  const time = now();
  return exchange.untilUs === 0 ? most : min<u64>(most, exchange.untilUs > time ? exchange.untilUs - time : 1);
}

/** False when there is no room for its timer. */
function pause(exchange: Exchange, us: u64): bool {
  return setTimer(changetype<Pause>(exchange.timer), now() + us);
}

/** The exchange waits for a name. */
function waitForName(exchange: Exchange): void {
  exchange.ask = ++asks & 0x7fffffff; // the other half are the issuers'
  exchange.nextNamed = waitingForNames;
  waitingForNames = changetype<usize>(exchange);
}

/** It waits for one no more. */
function forgetName(exchange: Exchange): void {
  if (exchange.ask === 0) return;
  exchange.ask = 0;
  const own = changetype<usize>(exchange);
  if (waitingForNames === own) waitingForNames = exchange.nextNamed;
  else for (let at = waitingForNames; at !== 0; at = changetype<Exchange>(at).nextNamed) if (changetype<Exchange>(at).nextNamed === own) changetype<Exchange>(at).nextNamed = exchange.nextNamed;
}

/** A name has its address, or none: 0. */
function named(ask: u32, address: u32): void {
  let at = waitingForNames;
  while (at !== 0 && changetype<Exchange>(at).ask !== ask) at = changetype<Exchange>(at).nextNamed;
  if (at === 0) {
    if (takesTokens) issuerNamed(ask, address);
    return;
  }
  const exchange = changetype<Exchange>(at);
  forgetName(exchange);
  if (address === 0) return unresolved(exchange);
  const client = exchanges < callsUnderWay ? newClient(changetype<usize>(exchange)) : null;
  if (client === null) return busy(exchange);
  client.headAt = exchange.head;
  client.headLength = exchange.headLength;
  client.bodyAt = exchange.body;
  client.bodyLength = exchange.bodyLength;
  client.isHeadMethod = exchange.isHead;
  client.most = answerBytes;
  client.kept = exchange.isCall ? answerBytes : quotedBytes; // of a send's answer the beginning is logged
  clearTimer(changetype<Pause>(exchange.timer));
  if (!startClient(client, address, changetype<Outlet>(exchange.outlet).port, attemptUs(exchange))) return busy(exchange);
  exchange.state = exchanging;
  exchange.client = changetype<usize>(client);
}

// ---- ends of attempts

function putHost(exchange: Exchange): void {
  const outlet = changetype<Outlet>(exchange.outlet);
  put(reason, outlet.host, outlet.hostLength);
  if (outlet.port === 80) return;
  putByte(reason, 58);
  putNumber(reason, outlet.port);
}

function unresolved(exchange: Exchange): void {
  forgetName(exchange);
  beginFailure(peersFault, 0, "MF_HTTP_FAILED");
  putHost(exchange);
  putText(reason, ": the name has no address, or the DNS server does not answer: check the outlet's url and the network's dns");
  retry(exchange, true, true);
}

/** Too many exchanges, or no memory, at once: it is tried again like a peer that was not reached. */
function busy(exchange: Exchange): void {
  forgetName(exchange);
  beginFailure(gatewaysFault, 503, "MF_OUTLET_BUSY");
  putText(reason, "too many requests to outlets are under way: send less at once, or give the machine more memory");
  retry(exchange, true, true);
}

/** The time of an attempt is over, or the wait before the next one. */
export function pauseDue(timer: Pause): void {
  const exchange = changetype<Exchange>(timer.exchange);
  if (exchange.state === backingOff) return begin(exchange);
  forgetName(exchange);
  late(exchange);
}

/** The time of an exchange is over; of one that only waits for its stream's end nobody is told. */
export function exchangeDue(client: Client): void {
  const isOfKeys = client.isOfKeys;
  const owner = clientDue(client);
  if (owner === 0) return;
  if (takesTokens) if (isOfKeys) return issuerFetched(owner, 0, 0);
  const exchange = changetype<Exchange>(owner);
  exchange.client = 0;
  late(exchange);
}

function late(exchange: Exchange): void {
  const outlet = changetype<Outlet>(exchange.outlet);
  beginFailure(peersFault, 504, "MF_OUTLET_TIMEOUT");
  put(reason, outlet.name, outlet.nameLength);
  putText(reason, " did not answer within ");
  putNumber(reason, outlet.timeoutMs);
  putText(reason, " ms: check the peer, or raise the outlet's timeout");
  retry(exchange, true, false);
}

function failed(client: Client, why: u32): void {
  if (takesTokens) if (client.isOfKeys) return issuerFetched(client.owner, changetype<usize>(client), why);
  const exchange = changetype<Exchange>(client.owner);
  client.owner = 0;
  exchange.client = 0;
  if (why === noRoom) {
    beginFailure(gatewaysFault, 503, "MF_MEMORY_BUSY");
    putText(reason, "the gateway is out of memory for messages and could not read the answer: try again later, or give the machine more");
    return retry(exchange, true, false);
  }
  beginFailure(peersFault, 0, why === tooBig ? "MF_HTTP_ANSWER_TOO_BIG" : why === malformed ? "MF_HTTP_ANSWER_GARBAGE" : "MF_HTTP_FAILED");
  putHost(exchange);
  if (why === tooBig) putText(reason, " answered with more than an answer may have: request less");
  else if (why === malformed) putText(reason, " answered with what is not HTTP/1.1: check the outlet's url");
  else putText(reason, why === unreached ? ": no connection: check the outlet's url, and that the peer runs" : ": the connection broke before the whole answer was there");
  retry(exchange, true, why === unreached);
}

/** Statuses that may change with time (connectors/http/outlet.ts). */
function isTransient(status: u32): bool {
  return status >= 500 || status === 408 || status === 425 || status === 429;
}

function headCame(client: Client): void {
  if (takesTokens) if (client.isOfKeys) return;
  const exchange = changetype<Exchange>(client.owner);
  if (client.owner === 0) return;
  const line = lineOf("retry-after");
  const seconds = line < 0 ? 86_401 : readNumber(valueAt(line), valueLength(line), 86_400);
  exchange.retryAfterMs = seconds > 86_400 ? -1 : <f64>seconds * 1000;
  exchange.answerStart = exchange.isCall ? beginAnswerFrame(answerOf(client), exchange.number, client.status) : 0;
}

function answered(client: Client): void {
  if (takesTokens) if (client.isOfKeys) return issuerFetched(client.owner, changetype<usize>(client), 0);
  const exchange = changetype<Exchange>(client.owner);
  const outlet = changetype<Outlet>(exchange.outlet);
  const status = client.status;
  client.owner = 0;
  exchange.client = 0;
  if (!isTransient(status)) peerIsWell(outlet);
  if (!exchange.isCall && status >= 200 && status <= 299) return sent(exchange, outlet);
  const isFinal = !isTransient(status) || exchange.retryAfterMs > requestWaitMs;
  if (exchange.isCall && isFinal) {
    if (isTransient(status)) peerFailed(outlet, exchange.retryAfterMs);
    return giveAnswer(exchange, answerOf(client));
  }
  beginFailure(peersFault, 0, "MF_HTTP_STATUS");
  putHost(exchange);
  putText(reason, " answered ");
  putNumber(reason, status);
  quote(answerOf(client), exchange.answerStart);
  retry(exchange, isTransient(status), false);
}

/** Puts the beginning of an answer's body, printable. */
function quote(b: Bytes, from: u32): void {
  if (b.length <= from) return;
  putText(reason, ": ");
  let isGap = false;
  for (let index = from; index < b.length && index < from + quotedBytes; index++) {
    const byte = <u32>load<u8>(b.at + index);
    if (byte < 33 || byte > 126) isGap = true;
    else {
      if (isGap) putByte(reason, 32);
      isGap = false;
      putByte(reason, byte);
    }
  }
}

/** Takes an exchange off the calls of its message. */
function leave(exchange: Exchange): void {
  const m = changetype<Message>(exchange.message);
  const own = changetype<usize>(exchange);
  if (m.firstCall === own) m.firstCall = exchange.next;
  else for (let at = m.firstCall; at !== 0; at = changetype<Exchange>(at).next) if (changetype<Exchange>(at).next === own) changetype<Exchange>(at).next = exchange.next;
  m.openCalls--;
}

function giveAnswer(exchange: Exchange, answer: Bytes): void {
  const m = changetype<Message>(exchange.message);
  const number = exchange.number;
  const start = exchange.answerStart;
  leave(exchange);
  freeExchange(exchange);
  if (start === 0) {
    beginFailure(peersFault, 0, "MF_ANSWER_LIMIT");
    putText(reason, "the answer's headers have more bytes than a machine takes: request less");
    if (!resolveFailure(m, number)) outOfMemory(m);
    return;
  }
  endAnswerFrame(answer, start);
  const block = answer.at;
  const length = answer.length;
  clear(answer);
  if (!giveEvent(m, 2, 0, block, length)) outOfMemory(m);
}

/** A peer has taken responsibility for a send. */
function sent(exchange: Exchange, outlet: Outlet): void {
  const m = changetype<Message>(exchange.message);
  outlet.sent++;
  outlet.pending--;
  m.firstSend = exchange.next;
  freeExchange(exchange);
  startSends(m);
}

/** Tries again after a while, or gives up with the failure that ends.ts has. */
function retry(exchange: Exchange, isRetryable: bool, isUnreached: bool): void {
  const outlet = changetype<Outlet>(exchange.outlet);
  const m = changetype<Message>(exchange.message);
  const time = now();
  if (isRetryable && origin === peersFault) peerFailed(outlet, exchange.retryAfterMs);
  const waitMs = exchange.retryAfterMs >= 0 ? exchange.retryAfterMs : backoffMs(exchange, outlet);
  const waitUs = <u64>(waitMs * 1000);
  const most = exchange.isCall ? min<u32>(outlet.attempts, requestAttempts) : outlet.attempts;
  const isLast = exchange.attempt >= most && (exchange.isCall || !isUnreached);
  const isLate = exchange.isCall
    ? exchange.untilUs !== 0 && time + waitUs >= exchange.untilUs
    : <f64>(time - exchange.beganUs) / 1000 + waitMs > outlet.retryAgeMs;
  if (isRetryable && !isLast && !isLate && pause(exchange, waitUs)) {
    outlet.retries++;
    exchange.state = backingOff;
    return clearFailure();
  }
  giveUp(exchange);
}

/** Ends it with the failure that ends.ts has. */
function giveUp(exchange: Exchange): void {
  const m = changetype<Message>(exchange.message);
  if (!exchange.isCall) {
    changetype<Outlet>(exchange.outlet).dead++;
    return fail(m);
  }
  const number = exchange.number;
  leave(exchange);
  freeExchange(exchange);
  if (!resolveFailure(m, number)) outOfMemory(m);
}

// ---- backoff

// @ts-ignore: decorator
@lazy const chance: usize = memory.data(4, 4);

/** Doubled each time from the least to the most, of which a random half to whole is taken (gateway/contract/backoff.ts). */
function backoffMs(exchange: Exchange, outlet: Outlet): f64 {
  let whole: f64 = outlet.leastMs;
  for (let attempt: u32 = 1; attempt < exchange.attempt && whole < <f64>outlet.mostMs; attempt++) whole *= 2;
  whole = min<f64>(whole, outlet.mostMs);
  random(<u32>chance, 4);
  return Math.round(whole / 2 + (whole / 2) * (<f64>load<u32>(chance) / 4294967296));
}
