/** The ends of messages: the flow's reply, a failure as the caller is told it (gateway/contract/failure.ts), and the log's line. */
import { Bytes, clear, drop, put, putText } from "../bytes";
import { now } from "../host";
import { beginAnswer, Connection, endAnswer, putLength, putLineOf } from "../http/mod";
import { Route } from "./config";
import { putContentType } from "./headers";
import { beginLine, endLine, error, putMember, warn } from "./log";
import { flowOfMessage, idOf, Message } from "./message";
import { countDuration, countFailure } from "./metrics";
import { detail, sendProblemOf } from "./problems";

/** Origins of failures. */
export const callersFault: u32 = 0, flowsFault: u32 = 1, peersFault: u32 = 2, gatewaysFault: u32 = 3;

/** The failure that is told next. Texts in memory are copied nowhere. */
export let origin: u32 = 0, status: u32 = 0;
// @ts-ignore: decorator
@lazy export const code: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy export const reason: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy export const stack: Bytes = changetype<Bytes>(memory.data(16, 8));

/** Begins a failure, whose `reason` and `stack` are put by whoever calls. */
export function beginFailure(from: u32, wanted: u32, name: string): void {
  clearFailure();
  origin = from;
  status = wanted;
  putText(code, name);
}

/** The same for a code in memory. */
export function beginFailureOf(from: u32, wanted: u32, at: usize, length: u32): void {
  clearFailure();
  origin = from;
  status = wanted;
  put(code, at, length);
}

/** Forgets the failure: it is told nobody. */
export function clearFailure(): void {
  drop(code);
  drop(reason);
  drop(stack);
}

function putTold(route: Route): u32 {
  const isGiven = status >= 400 && status <= 599;
  if (origin === peersFault) {
    putText(detail, "a system that the flow called failed or did not answer; the gateway's log has the reason under the message's id");
    return isGiven ? status : 502;
  }
  if (origin === flowsFault && !isGiven && !route.fullErrors)
    putText(detail, "the flow failed on this message; the gateway's log has the reason under the message's id");
  else put(detail, reason.at, reason.length);
  return isGiven ? status : origin === callersFault ? 400 : 500;
}

/** Logs and counts the failure, and tells the caller. */
export function tellFailure(m: Message): void {
  const level = origin === callersFault ? warn : error;
  if (beginLine(level, m)) {
    putMember("code", code.at, code.length);
    if (stack.length > 0) putMember("stack", stack.at, stack.length);
    endLine(level, reason.at, reason.length);
  }
  const flow = flowOfMessage(m);
  countFailure(flow, code.at, code.length);
  flow.dead++;
  const at = m.connection;
  m.connection = 0;
  if (at !== 0) {
    clear(detail);
    const told = putTold(changetype<Route>(m.route));
    sendProblemOf(changetype<Connection>(at), told, code.at, code.length, idOf(m), m.idLength);
  }
  clearFailure();
}

/** Answers with the flow's reply; `m.headers` are header lines, checked before. The block of the reply's frame goes to the connection. */
export function tellReply(m: Message, block: usize): void {
  const flow = flowOfMessage(m);
  flow.done++;
  countDuration(flow, now() - m.receivedUs);
  const at = m.connection;
  m.connection = 0;
  if (at === 0) return drop(linesOf(m, block));
  const c = changetype<Connection>(at);
  const replied = m.status === 0 ? 204 : m.status;
  const out = beginAnswer(c, replied);
  put(out, m.headers, m.headersLength);
  putContentType(out, m.contentType, m.contentTypeLength);
  putLineOf(out, "mayfly-message-id", idOf(m), m.idLength);
  const isBodiless = replied === 204 || replied === 205 || replied === 304;
  if (!isBodiless || replied === 205) putLength(out, isBodiless ? 0 : m.bodyLength);
  if (isBodiless) {
    drop(linesOf(m, block));
    endAnswer(c, 0, 0);
    return;
  }
  drop(linesOf(m, 0));
  endAnswer(c, m.body, m.bodyLength, block);
}

// @ts-ignore: decorator
@lazy const lines: Bytes = changetype<Bytes>(memory.data(16, 8));

/** The message's header lines, and its reply's block, to be given back. */
function linesOf(m: Message, block: usize): Bytes {
  lines.at = block;
  drop(lines);
  lines.at = m.headers;
  m.headers = 0;
  return lines;
}
