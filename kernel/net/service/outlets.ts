/**
 * Sends and calls of flows to outlets. Sends are carried out one after another once the flow is complete, and before its caller has the
 * reply: there is no journal that would keep them.
 */
import { release } from "../blocks";
import { Bytes, clear, drop, put, putText } from "../bytes";
import { now } from "../host";
import { resolveFailure } from "./answers";
import { Outlet } from "./config";
import { outletOf, putUnknownOutlet } from "./effects";
import { beginFailure, flowsFault, gatewaysFault, peersFault, reason } from "./ends";
import { begin, Exchange, freeExchange, newExchange } from "./exchanges";
import { trouble } from "./headers";
import { flowOfMessage, Message } from "./message";
import { beginLine, endLine, putCount, putMember } from "./log";
import { allSent } from "./machines";
import { count, isAbsent, partAt, partLength } from "./records";
import { headersRefused, methodRefused, noMemory, pathRefused, putRequest, putSendKey, requestMade, Wanted } from "./requests";

// @ts-ignore: decorator
@lazy const wanted: Wanted = changetype<Wanted>(memory.data(64, 8));
// @ts-ignore: decorator
@lazy const head: Bytes = changetype<Bytes>(memory.data(16, 8));

/** Makes the head in `head`. 0, or why not; then `code` and `reason` of ends.ts say it, but for headers. */
function makeHead(m: Message, outlet: Outlet, first: u32, isCall: bool, number: u32): u32 {
  wanted.outlet = changetype<usize>(outlet);
  wanted.method = isCall ? partAt(3) : 0;
  wanted.methodLength = isCall ? partLength(3) : 0;
  wanted.contentType = partAt(first);
  wanted.contentTypeLength = partLength(first);
  wanted.headers = partAt(first + 1);
  wanted.headersLength = partLength(first + 1);
  wanted.bodyLength = partLength(isCall ? 7 : 4);
  wanted.isCall = isCall;
  wanted.number = number;
  clear(head);
  return putRequest(head, m, wanted);
}

/** Keeps a `send` until the flow is complete; its record is the current one. False: `trouble` says why, or there is no memory. */
export function addSend(m: Message, outlet: Outlet): bool {
  if (outlet.isLine) return addLine(m, outlet);
  const result = makeHead(m, outlet, 2, false, m.sends - 1);
  if (result !== requestMade) {
    drop(head);
    if (result === pathRefused) putText(trouble, "its path points outside the outlet's url");
    else if (result === methodRefused) putText(trouble, "its method can't be used");
    return false;
  }
  const exchange = newExchange(m, outlet, false, m.sends - 1);
  if (exchange === null) return drop(head), false;
  exchange.head = head.at;
  exchange.headLength = head.length;
  exchange.body = partAt(4);
  exchange.bodyLength = wanted.isBodiless ? 0 : partLength(4);
  exchange.isHead = wanted.isHead;
  clear(head);
  addExchange(m, outlet, exchange);
  return true;
}

function addLine(m: Message, outlet: Outlet): bool {
  const exchange = newExchange(m, outlet, false, m.sends - 1);
  if (exchange === null) return false;
  if (!isAbsent(1)) {
    exchange.key = partAt(1);
    exchange.keyLength = partLength(1);
  }
  exchange.contentType = partAt(2);
  exchange.contentTypeLength = partLength(2);
  exchange.body = partAt(4);
  exchange.bodyLength = partLength(4);
  addExchange(m, outlet, exchange);
  return true;
}

function addExchange(m: Message, outlet: Outlet, exchange: Exchange): void {
  if (m.lastSend === 0) m.firstSend = changetype<usize>(exchange);
  else changetype<Exchange>(m.lastSend).next = changetype<usize>(exchange);
  m.lastSend = changetype<usize>(exchange);
  outlet.pending++;
}

/** Makes a `call`, whose record is the current one. False without memory. */
export function startCall(m: Message): bool {
  const number = <u32>count(0, 4294967295);
  const operation = <u32>count(1, 2);
  if (operation === 1) return refuseFetch(m, number);
  if (operation === 2) {
    putFailure(gatewaysFault, "MF_STANDALONE_STATE", "a service without a journal keeps no state: ask a database by an outlet, or run the flow with `mayfly serve`");
    return resolveFailure(m, number);
  }
  const outlet = outletOf(flowOfMessage(m), partAt(2), partLength(2));
  if (outlet === null) {
    putFailure(flowsFault, "MF_OUTLET_UNKNOWN", "");
    putUnknownOutlet(reason, flowOfMessage(m), partAt(2), partLength(2));
    return resolveFailure(m, number);
  }
  if (outlet.isLine) {
    putFailure(flowsFault, "MF_OUTLET_NO_ANSWER", "the outlet ");
    put(reason, outlet.name, outlet.nameLength);
    putText(reason, " (log) can't answer: use send");
    return resolveFailure(m, number);
  }
  const result = makeHead(m, outlet, 4, true, number);
  if (result !== requestMade) return drop(head), refuseCall(m, number, result);
  const exchange = newExchange(m, outlet, true, number);
  if (exchange === null) return drop(head), false;
  exchange.headLength = head.length;
  exchange.bodyLength = wanted.isBodiless ? 0 : partLength(7);
  put(head, partAt(7), exchange.bodyLength); // the frame is gone before the exchange is over
  exchange.head = head.at;
  exchange.body = head.at + exchange.headLength;
  exchange.isHead = wanted.isHead;
  if (head.broken) return drop(head), release(exchange.timer), release(changetype<usize>(exchange)), false;
  clear(head);
  const timeoutMs = <u64>count(6, 2147483647);
  exchange.beganUs = now();
  exchange.untilUs = timeoutMs === 0 ? 0 : exchange.beganUs + timeoutMs * 1000;
  exchange.next = m.firstCall;
  m.firstCall = changetype<usize>(exchange);
  m.openCalls++;
  outlet.requests++;
  begin(exchange);
  return true;
}

function putFailure(origin: u32, code: string, sentence: string): void {
  beginFailure(origin, 0, code);
  putText(reason, sentence);
}

function refuseFetch(m: Message, number: u32): bool {
  putFailure(flowsFault, "MF_HOST_NOT_DECLARED", "a service by itself reaches declared outlets only: add an http outlet under `to`, and use request");
  return resolveFailure(m, number);
}

function refuseCall(m: Message, number: u32, result: u32): bool {
  if (result === noMemory) return false;
  if (result === headersRefused) {
    putFailure(flowsFault, "MF_HEADER_INVALID", "request to ");
    put(reason, partAt(2), partLength(2));
    putText(reason, ": ");
    put(reason, trouble.at, trouble.length);
    drop(trouble);
  } else if (result === methodRefused) putFailure(peersFault, "MF_METHOD_INVALID", "this is not a method that the outlet can use: write GET, POST or another in letters");
  else putFailure(peersFault, "MF_PATH_REFUSED", "the path points outside the outlet's url, or its query repeats a parameter of the url: ask for one below it");
  return resolveFailure(m, number);
}

/** Begins the next send of a complete flow; lines of the log are written on the way. */
export function startSends(m: Message): void {
  while (m.firstSend !== 0) {
    const exchange = changetype<Exchange>(m.firstSend);
    const outlet = changetype<Outlet>(exchange.outlet);
    if (!outlet.isLine) {
      exchange.beganUs = now();
      return begin(exchange);
    }
    writeLine(m, outlet, exchange);
    outlet.sent++;
    outlet.pending--;
    m.firstSend = exchange.next;
    freeExchange(exchange);
  }
  m.lastSend = 0;
  allSent(m);
}

// @ts-ignore: decorator
@lazy const sendKey: Bytes = changetype<Bytes>(memory.data(16, 8));

/** As the gateway's log outlet writes it (connectors/log/outlet.ts). */
function writeLine(m: Message, outlet: Outlet, exchange: Exchange): void {
  if (!beginLine(outlet.level, m)) return;
  putMember("outlet", outlet.name, outlet.nameLength);
  clear(sendKey);
  putSendKey(sendKey, m, false, exchange.number);
  putMember("send", sendKey.at, sendKey.length);
  drop(sendKey);
  if (exchange.key !== 0) putMember("key", exchange.key, exchange.keyLength);
  putMember("contentType", exchange.contentType, exchange.contentTypeLength);
  putCount("bytes", exchange.bodyLength);
  putMember("body", exchange.body, min<u32>(exchange.bodyLength, outlet.mostBytes));
  endLine(outlet.level, outlet.text, outlet.textLength);
}

/** Ends all that is under way for a message. */
export function cancelCalls(m: Message): void {
  while (m.firstCall !== 0) {
    const exchange = changetype<Exchange>(m.firstCall);
    m.firstCall = exchange.next;
    freeExchange(exchange);
  }
  while (m.firstSend !== 0) {
    const exchange = changetype<Exchange>(m.firstSend);
    m.firstSend = exchange.next;
    changetype<Outlet>(exchange.outlet).pending--;
    freeExchange(exchange);
  }
  m.openCalls = 0;
  m.lastSend = 0;
}
