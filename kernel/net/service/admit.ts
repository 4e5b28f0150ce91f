/** Requests: refused, answered here, or made a message. What the gateway's server and its http source do, with the same answers. */
import { Bytes, clear, drop, isText, isTextIgnoringCase, put, putJson, putNumber, putText } from "../bytes";
import {
  beginAnswer, Connection, endAnswer, isClosing, onAsked, onLeft, onNoRoom, onRepeated, onTooLong, onTooMany, onWhole, putLength, putLine,
} from "../http/mod";
import { contentLength, expects, isChunked, lineOf, methodAt, methodLength, valueAt, valueLength } from "../http/head";
import { headerLines } from "../http/limits";
import { bySignature, byToken, checkCaller, forgetCaller, noCredentials, putChallenges, putWanted, rightCaller } from "./auth";
import { flowOf, healthPort, Route } from "./config";
import { beginEvent, endEvent, eventMade, eventUnmade, headersTooLong, pathAt, pathLength, splitTarget } from "./deliver";
import { frameBytes, headersBytes } from "./limits";
import { closeMessage, eventOf, flowOfMessage, idOf, Message, openMessage, queued, receiving } from "./message";
import { countFailure, countRefusal, putMetrics } from "./metrics";
import { detail, extra, refuseForNow, refuseWith, sendProblem, sendProblemOf } from "./problems";
import { enqueue, giveUp } from "./machines";
import { findRoute, putMethods } from "./routes";
import { checkSignatures, keepSignatures, signatureExpired, signatureValid } from "./signatures";
import { judge } from "./tokens/mod";
import { takesTokens } from "./variant";

export function startAdmission(): void {
  onAsked(asked);
  onWhole(whole);
  onTooLong(tooLong);
  onNoRoom(noRoom);
  onTooMany(tooMany);
  onRepeated(repeated);
  onLeft(left);
}

function isMethod(method: string): bool {
  return isText(methodAt, methodLength, method);
}

function isPath(path: string): bool {
  return isText(pathAt, pathLength, path);
}

function asked(c: Connection): void {
  if (expects === 2) {
    putLength(beginAnswer(c, 417), 0);
    return endAnswer(c, 0, 0);
  }
  splitTarget();
  if (healthPort === 0 || c.port === healthPort) {
    if (isPath("/healthz") || isPath("/ping") || isPath("/ready") || isPath("/metrics")) return probe(c);
  }
  const isServed = healthPort === 0 || c.port !== healthPort;
  let route = isServed ? findRoute(methodAt, methodLength, pathAt, pathLength) : null;
  if (route === null && isServed && isMethod("HEAD")) route = findGet();
  if (route === null) unrouted(c, isServed);
  else admit(c, route);
}

// @ts-ignore: decorator
@lazy const get: usize = memory.data<u8>([71, 69, 84]);

function findGet(): Route | null {
  return findRoute(get, 3, pathAt, pathLength);
}

// ---- answers of ours

// @ts-ignore: decorator
@lazy const body: Bytes = changetype<Bytes>(memory.data(16, 8));

function probe(c: Connection): void {
  const isRead = isMethod("GET") || isMethod("HEAD");
  if (!isRead) {
    putText(extra, "allow: GET, HEAD, OPTIONS\r\n");
    if (isMethod("OPTIONS")) return empty(c, 204);
    return refuseWith(c, 405, "MF_METHOD_NOT_ALLOWED", "this path accepts GET, HEAD, OPTIONS");
  }
  clear(body);
  if (isPath("/metrics")) {
    putMetrics(body);
    return say(c, 200, "text/plain; version=0.0.4; charset=utf-8");
  }
  if (isPath("/ready")) {
    putText(body, isClosing ? "{\"ready\":false}\n" : "{\"ready\":true}\n");
    putText(extra, "cache-control: no-store\r\nx-content-type-options: nosniff\r\n");
    return say(c, isClosing ? 503 : 200, "application/json");
  }
  if (isPath("/ping")) putText(body, "pong\n");
  else putText(body, isClosing ? "stopping\n" : "ok\n");
  say(c, isClosing && isPath("/healthz") ? 503 : 200, "text/plain");
}

/** Answers with `body`. */
function say(c: Connection, status: u32, type: string): void {
  if (body.broken) {
    drop(body);
    return busy(c);
  }
  const out = beginAnswer(c, status);
  put(out, extra.at, extra.length);
  drop(extra);
  putLine(out, "content-type", type);
  putLength(out, body.length);
  endAnswer(c, body.at, body.length, body.at);
}

/** An answer of header lines only: those in `extra`. */
function empty(c: Connection, status: u32): void {
  const out = beginAnswer(c, status);
  put(out, extra.at, extra.length);
  drop(extra);
  endAnswer(c, 0, 0);
}

function unrouted(c: Connection, isServed: bool): void {
  if (isClosing) return refuseForNow(c, "MF_STOPPING", "the gateway is stopping: try the next gateway");
  if (isMethod("OPTIONS") && isPath("*")) return empty(c, 204);
  clear(body);
  if (!isServed || !putMethods(body, pathAt, pathLength)) {
    drop(body);
    return refuseWith(c, 404, "MF_NOT_FOUND", "no flow is served at this path: check `from` in mayfly.yaml");
  }
  putText(extra, "allow: ");
  put(extra, body.at, body.length);
  putText(extra, "\r\n");
  putText(detail, "this path accepts ");
  put(detail, body.at, body.length);
  drop(body);
  if (!isMethod("OPTIONS")) return sendProblem(c, 405, "MF_METHOD_NOT_ALLOWED");
  drop(detail);
  empty(c, 204);
}

function tooMany(c: Connection): void {
  putText(detail, "the request has more than ");
  putNumber(detail, headerLines);
  putText(detail, " header lines: send fewer");
  sendProblem(c, 431, "MF_HEADERS_LIMIT");
}

function repeated(c: Connection, name: string): void {
  putText(detail, "the request must have one ");
  putText(detail, name);
  putText(detail, " line: send the header once");
  sendProblem(c, 400, "MF_REQUEST_INVALID");
}

function busy(c: Connection): void {
  c.keepsAlive = false;
  refuseForNow(c, "MF_MEMORY_BUSY", "the gateway is out of memory for messages: try again later");
}

// ---- messages

function admit(c: Connection, route: Route): void {
  forgetCaller();
  let credentials = rightCaller;
  if (route.group > 0) {
    credentials = checkCaller(route.group - 1);
    if (takesTokens) if (credentials === byToken) {
      if (!judge(c, route.group - 1)) return;
      credentials = rightCaller;
    }
    if (credentials !== rightCaller && credentials !== bySignature) return denied(c, route.group - 1, credentials);
  }
  if ((isChunked || contentLength > 0) && isPacked()) return unknownEncoding(c);
  if (isClosing) return refused(c, route, "MF_STOPPING", "the gateway is stopping: send the message again, to the next gateway");
  let m: Message | null = null;
  if (flowOf(route).pending < flowOf(route).queue) m = openMessage(changetype<usize>(c), changetype<usize>(route));
  if (m === null) return refused(c, route, "MF_FLOW_BUSY", "the flow's queue is full: try again later");
  let result = beginEvent(m, c, route);
  if (result === eventMade && credentials === bySignature && !keepSignatures(m, route.group - 1)) result = eventUnmade;
  if (result === eventMade) {
    m.isUnproven = credentials === bySignature;
    c.owner = changetype<usize>(m);
    c.sink = changetype<usize>(eventOf(m));
    c.bodyMost = min<u32>(route.bodyLimit, frameBytes - headersBytes - eventOf(m).length);
    return;
  }
  if (result === eventUnmade) busy(c);
  else if (result === headersTooLong) tooLongForMachine(c, m);
  else refuseWith(c, 400, "MF_PATH_INVALID", "the path contains a control character: remove it");
  closeMessage(m);
}

function refused(c: Connection, route: Route, code: string, sentence: string): void {
  clear(body);
  putText(body, code);
  countRefusal(flowOf(route), body.at, body.length);
  drop(body);
  refuseForNow(c, code, sentence);
}

function denied(c: Connection, group: u32, result: u32): void {
  if (result === noCredentials) {
    putText(detail, "this path requires credentials: send ");
    putWanted(detail, group);
  } else putText(detail, "the credentials are wrong");
  challenge(group);
  sendProblem(c, 401, "MF_UNAUTHORIZED");
}

function challenge(group: u32): void {
  putText(extra, "www-authenticate: ");
  if (putChallenges(extra, group)) putText(extra, "\r\n");
  else drop(extra);
}

function isPacked(): bool {
  const line = lineOf("content-encoding");
  return line >= 0 && valueLength(line) > 0 && !isTextIgnoringCase(valueAt(line), valueLength(line), "identity");
}

/** A machine has no memory to unpack bodies of strangers in. */
function unknownEncoding(c: Connection): void {
  const line = lineOf("content-encoding");
  putText(detail, "the content encoding ");
  putJson(detail, valueAt(line), min<u32>(valueLength(line), 64));
  putText(detail, " is not supported: use none");
  putLine(extra, "accept-encoding", "identity");
  sendProblem(c, 415, "MF_BODY_ENCODING");
}

function tooLongForMachine(c: Connection, m: Message): void {
  putText(detail, "the message is too long for a machine (headers at most ");
  putNumber(detail, headersBytes);
  putText(detail, " bytes): send less");
  clear(body);
  putText(body, "MF_MESSAGE_LIMIT");
  countFailure(flowOfMessage(m), body.at, body.length);
  sendProblemOf(c, 413, body.at, body.length, idOf(m), m.idLength);
  drop(body);
}

/** The message of a connection, whose answer is another now. */
function takeOwner(c: Connection): Message | null {
  const owner = c.owner;
  c.owner = 0;
  return owner === 0 ? null : changetype<Message>(owner);
}

function whole(c: Connection): void {
  const m = changetype<Message>(c.owner);
  const b = eventOf(m);
  if (b.broken) return noRoom(c);
  if (m.isUnproven) {
    const found = checkSignatures(m);
    if (found !== signatureValid) return unsigned(c, found);
  }
  endEvent(m);
  m.state = queued;
  flowOfMessage(m).received++;
  enqueue(m);
}

function unsigned(c: Connection, found: u32): void {
  const m = takeOwner(c);
  if (m === null) return;
  const group = changetype<Route>(m.route).group - 1;
  closeMessage(m);
  challenge(group);
  if (found === signatureExpired) return refuseWith(c, 401, "MF_SIGNATURE_EXPIRED", "the signature is of another time: check the sender's clock, and send it anew");
  refuseWith(c, 401, "MF_SIGNATURE_INVALID", "the signature does not fit the body");
}

function tooLong(c: Connection): void {
  const m = takeOwner(c);
  if (m !== null) closeMessage(m);
  c.keepsAlive = false;
  putText(detail, "the body is longer than ");
  putNumber(detail, c.bodyMost);
  putText(detail, " bytes, as sent or decompressed: send less, or raise bodyLimit (and `memory`, if that is the limit)");
  sendProblem(c, 413, "MF_BODY_LIMIT");
}

function noRoom(c: Connection): void {
  const m = takeOwner(c);
  if (m !== null) closeMessage(m);
  busy(c);
}

/** The caller has left. */
function left(c: Connection): void {
  const m = takeOwner(c);
  if (m === null) return;
  m.connection = 0;
  flowOfMessage(m).cancelled++;
  if (m.state === receiving) closeMessage(m);
  else giveUp(m);
}
