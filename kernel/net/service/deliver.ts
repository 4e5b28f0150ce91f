/** The `deliver` event of a request (abi/events.ts), with the headers that the gateway's http source would give it. */
import { Bytes, clear, drop, isTextIgnoringCase, lower, put, putByte, putF64, putJson, putLatinJson, putText, putU32, startsWith } from "../bytes";
import { Connection, putIsoDate } from "../http/mod";
import {
  authorityLength, authorityOffset, lineNamed, lineOf, lines, methodAt, methodLength, nameAt, nameLength, targetAt, targetLength, valueAt,
  valueLength,
} from "../http/head";
import { isFirst, nextOf, repeats } from "../http/names";
import { callerAt, callerLength, claimsAt, claimsLength, isSecretHeader } from "./auth";
import { flowOf, hasSeveral, Pair, Route, Schedule } from "./config";
import { headersBytes, idBytes } from "./limits";
import { eventOf, idOf, Message, setNewId } from "./message";
import { absent, doorMagic } from "./records";
import { found, parameterNameAt, parameterNameLength, putParameter } from "./routes";
import { writeSha256 } from "./sha256";
import { takesTokens } from "./variant";

/** Path and query of the request. */
export let pathAt: usize = 0, pathLength: u32 = 0, queryAt: usize = 0, queryLength: u32 = 0;
let hasAuthority: bool = false;

// @ts-ignore: decorator
@lazy const root: usize = memory.data<u8>([47]);

/** Splits the target. RFC 9112, 3.2.2: an absolute form is accepted, and its authority replaces the Host header. */
export function splitTarget(): void {
  let at = targetAt;
  let length = targetLength;
  const authority = load<u8>(at) === 47 ? 0 : authorityLength();
  hasAuthority = authority > 0;
  if (hasAuthority) {
    const skipped = authorityOffset() + authority;
    at += skipped;
    length -= skipped;
    for (let index: u32 = 0; index < length; index++) if (load<u8>(at + index) === 35) length = index;
  }
  let mark: u32 = 0;
  while (mark < length && load<u8>(at + mark) !== 63) mark++;
  pathAt = at;
  pathLength = mark;
  queryAt = at + mark + 1;
  queryLength = mark < length ? length - mark - 1 : 0;
  if (hasAuthority && (mark === 0 || load<u8>(at) !== 47)) {
    pathAt = root;
    pathLength = 1;
  }
}

/** Offsets of the time and of the seed in the event. */
export const timeOffset: u32 = 48;
export const seedOffset: u32 = 56;
const lengthsOffset: u32 = 12;

// @ts-ignore: decorator
@lazy const joined: Bytes = changetype<Bytes>(memory.data(16, 8));

/** Results of making an event. */
export const eventMade: u32 = 0, pathUnusable: u32 = 1, headersTooLong: u32 = 2, eventUnmade: u32 = 3;

/** Makes the event up to its body, which is put behind it as it comes. */
export function beginEvent(m: Message, c: Connection, route: Route): u32 {
  const b = eventOf(m);
  setId(m, route);
  const from = beginParts(m, "http");
  const isUsable = putHeaders(b, c, route);
  if (b.broken) return eventUnmade;
  if (!isUsable) return pathUnusable;
  const length = b.length - from;
  if (length > headersBytes) return headersTooLong;
  endHeaders(m, from);
  keepPassed(m, route);
  return eventMade;
}

/** The event up to its headers; where they begin. */
function beginParts(m: Message, source: string): u32 {
  const b = eventOf(m);
  putU32(b, doorMagic);
  putU32(b, 0);
  putU32(b, 0x0901); // deliver, nine parts
  for (let part: u32 = 0; part < 9; part++) putU32(b, absent);
  putF64(b, 0);
  for (let word: u32 = 0; word < 8; word++) putU32(b, 0);
  put(b, idOf(m), m.idLength);
  putText(b, source);
  putF64(b, 1);
  setLength(b, 0, 8);
  setLength(b, 1, 32);
  setLength(b, 2, m.idLength);
  setLength(b, 3, source.length);
  setLength(b, 4, 8);
  return b.length;
}

function endHeaders(m: Message, from: u32): void {
  const b = eventOf(m);
  setLength(b, 6, b.length - from);
  m.bodyStart = b.length;
}

/** Makes the whole event of a run by the clock, `dueMs` since 1970. False without memory. */
export function makeScheduled(m: Message, schedule: Schedule, dueMs: f64): bool {
  const b = eventOf(m);
  const route = changetype<Route>(schedule.route);
  clear(joined);
  put(joined, flowOf(route).name, flowOf(route).nameLength);
  putByte(joined, 45);
  put(joined, schedule.name, schedule.nameLength);
  putByte(joined, 45);
  putIsoDate(joined, dueMs);
  keepId(m);
  drop(joined);
  const from = beginParts(m, "cron");
  putText(b, "{\"mayfly-scheduled-time\":\"");
  putIsoDate(b, dueMs);
  putText(b, "\"");
  member(b, "content-type");
  putJson(b, schedule.contentType, schedule.contentTypeLength);
  putOwn(b, route);
  putByte(b, 125);
  endHeaders(m, from);
  if (schedule.body !== 0) put(b, schedule.body, schedule.bodyLength);
  else {
    putText(b, "{\"scheduled\":\"");
    putIsoDate(b, dueMs);
    putText(b, "\"}");
  }
  endEvent(m);
  return !b.broken;
}

/** Keeps what requests to outlets pass on of this one. */
function keepPassed(m: Message, route: Route): void {
  clear(joined);
  const trace = lineOf("traceparent");
  if (trace >= 0 && keeps(trace, route)) {
    putLine(joined, "traceparent", trace);
    const state = lineOf("tracestate");
    if (state >= 0 && keeps(state, route)) putLine(joined, "tracestate", state);
  }
  const correlation = lineOf("x-correlation-id");
  if (correlation >= 0 && keeps(correlation, route)) putLine(joined, "x-correlation-id", correlation);
  if (joined.broken) return drop(joined);
  m.passed = joined.at;
  m.passedLength = joined.length;
}

function putLine(b: Bytes, name: string, line: i32): void {
  putText(b, name);
  putText(b, ": ");
  join(b, line, ", ");
  putText(b, "\r\n");
}

/** The body is whole. */
export function endEvent(m: Message): void {
  const b = eventOf(m);
  setLength(b, 8, b.length - m.bodyStart);
  if (!b.broken) store<u32>(b.at, b.length, 4);
}

function setLength(b: Bytes, part: u32, length: u32): void {
  if (!b.broken) store<u32>(b.at + lengthsOffset + (<usize>part << 2), length);
}

// ---- the id

/** The sender's id, fit for headers and keys (gateway/delivery/seeds.ts, cleanId); or a new one. */
function setId(m: Message, route: Route): void {
  const line = lineNamed(route.idHeader, route.idHeaderLength);
  if (line < 0 || !keeps(line, route)) return setNewId(m);
  clear(joined);
  join(joined, line, ", ");
  const raw = joined.at;
  const length = joined.length;
  if (length === 0) return setNewId(m);
  clear(joined);
  const isOurs = length >= 3 && startsWith(raw, length, "mf-");
  for (let index: u32 = 0; index < length; index++) {
    const byte = <u32>load<u8>(raw + index);
    if ((index === 0 && isOurs) || byte < 0x21 || byte === 0x25 || byte > 0x7e) putEncoded(joined, byte);
    else putByte(joined, byte);
  }
  keepId(m);
  drop(joined);
  joined.at = raw;
  drop(joined);
}

function keepId(m: Message): void {
  const to = idOf(m);
  if (joined.length < idBytes) {
    m.idLength = joined.length;
    memory.copy(to, joined.at, joined.length);
    return;
  }
  memory.copy(to, joined.at, idBytes - 65);
  store<u8>(to + idBytes - 65, 126);
  writeSha256(joined.at, joined.length, to + idBytes - 64);
  m.idLength = idBytes;
}

function putEncoded(b: Bytes, byte: u32): void {
  putByte(b, 37);
  const high = byte >> 4;
  const low = byte & 15;
  putByte(b, high < 10 ? 48 + high : 87 + high);
  putByte(b, low < 10 ? 48 + low : 87 + low);
}

// ---- headers

/** Headers that end here, or that are made anew from the body, are not the flow's; nor are those that hold secrets, and `mayfly-…`. */
function keeps(line: u32, route: Route): bool {
  const at = nameAt(line);
  const length = nameLength(line);
  if (length >= 7 && startsWithIgnoringCase(at, "mayfly-")) return false;
  if (route.group > 0 && (isTextIgnoringCase(at, length, "authorization") || isSecretHeader(route.group - 1, at, length))) return false;
  switch (length) {
    case 2: return !isTextIgnoringCase(at, length, "te");
    case 6: return !isTextIgnoringCase(at, length, "expect");
    case 7: return !isTextIgnoringCase(at, length, "upgrade") && !isTextIgnoringCase(at, length, "trailer");
    case 9: return !isTextIgnoringCase(at, length, "__proto__");
    case 10: return !isTextIgnoringCase(at, length, "connection") && !isTextIgnoringCase(at, length, "keep-alive");
    case 12: return !isTextIgnoringCase(at, length, "content-type");
    case 14: return !isTextIgnoringCase(at, length, "content-length");
    case 16: return !isTextIgnoringCase(at, length, "content-encoding") && !isTextIgnoringCase(at, length, "proxy-connection");
    case 17: return !isTextIgnoringCase(at, length, "transfer-encoding");
    default: return true;
  }
}

function startsWithIgnoringCase(at: usize, text: string): bool {
  return isTextIgnoringCase(at, text.length, text);
}

/** Puts all values of a line's name. */
function join(b: Bytes, line: i32, separator: string): void {
  for (let each = line; each >= 0; each = nextOf(each)) {
    if (each !== line) putText(b, separator);
    put(b, valueAt(each), valueLength(each));
  }
}

function putName(b: Bytes, line: u32): void {
  putByte(b, 34);
  for (let index: u32 = 0; index < nameLength(line); index++) putByte(b, lower(load<u8>(nameAt(line) + index)));
  putText(b, "\":");
}

/** Puts a line's header with all its values: of several a list, but for cookies (RFC 6265, 5.4). */
function putHeader(b: Bytes, line: u32): void {
  putName(b, line);
  const other = nextOf(line);
  const isList = isTextIgnoringCase(nameAt(line), nameLength(line), "set-cookie") && !repeats(); // as Node has it
  if (other < 0 && !isList) return putLatinJson(b, valueAt(line), valueLength(line));
  if (isTextIgnoringCase(nameAt(line), nameLength(line), "cookie")) return putJoined(b, line, "; ");
  let separator: u32 = 91;
  for (let each: i32 = line; each >= 0; each = nextOf(each)) {
    putByte(b, separator);
    putLatinJson(b, valueAt(each), valueLength(each));
    separator = 44;
  }
  putByte(b, 93);
}

function putJoined(b: Bytes, line: i32, separator: string): void {
  clear(joined);
  join(joined, line, separator);
  putLatinJson(b, joined.at, joined.length);
  drop(joined);
}

function member(b: Bytes, name: string): void {
  putText(b, ",\"");
  putText(b, name);
  putText(b, "\":");
}

/** False if the path has a control character. */
function putHeaders(b: Bytes, _c: Connection, route: Route): bool {
  putByte(b, 123);
  for (let line: u32 = 0; line < lines; line++) {
    if (!keeps(line, route) || !isFirst(line)) continue;
    if (hasAuthority && isTextIgnoringCase(nameAt(line), nameLength(line), "host")) continue;
    putHeader(b, line);
    putByte(b, 44);
  }
  if (hasAuthority) {
    putText(b, "\"host\":");
    putLatinJson(b, targetAt + authorityOffset(), authorityLength());
    putByte(b, 44);
  }
  putText(b, "\"mayfly-method\":");
  putLatinJson(b, methodAt, methodLength);
  member(b, "mayfly-path");
  putLatinJson(b, pathAt, pathLength);
  if (queryLength > 0) {
    member(b, "mayfly-query");
    putLatinJson(b, queryAt, queryLength);
  }
  const isUsable = putParameters(b);
  if (callerLength > 0) {
    member(b, "mayfly-caller");
    putJson(b, callerAt, callerLength);
  }
  if (takesTokens) if (claimsLength > 0) {
    member(b, "mayfly-claims");
    putJson(b, claimsAt, claimsLength);
  }
  putOthers(b, route);
  putByte(b, 125);
  return isUsable;
}

function putParameters(b: Bytes): bool {
  let isUsable = true;
  for (let index: u32 = 0; index < found; index++) {
    const name = parameterNameAt(index);
    const length = parameterNameLength(index);
    putText(b, ",\"mayfly-path-");
    if (length === 1 && load<u8>(name) === 42) putText(b, "rest");
    else for (let byte: u32 = 0; byte < length; byte++) putByte(b, lower(load<u8>(name + byte)));
    putText(b, "\":");
    clear(joined);
    if (!putParameter(joined, index)) isUsable = false;
    putJson(b, joined.at, joined.length);
    drop(joined);
  }
  return isUsable;
}

/** Content type and correlation id, and what only the configuration gives. */
function putOthers(b: Bytes, route: Route): void {
  const type = lineOf("content-type");
  if (type >= 0 && valueLength(type) > 0) {
    member(b, "content-type");
    putLatinJson(b, valueAt(type), valueLength(type));
  }
  const correlation = lineOf("x-correlation-id");
  if (correlation >= 0 && keeps(correlation, route)) {
    member(b, "mayfly-correlation-id");
    putJoined(b, correlation, ", ");
  }
  putOwn(b, route);
}

/** The flow's name, where there are several, and its values. */
function putOwn(b: Bytes, route: Route): void {
  const flow = flowOf(route);
  if (hasSeveral()) {
    member(b, "mayfly-flow");
    putJson(b, flow.name, flow.nameLength);
  }
  for (let at = flow.firstValue; at !== 0; at = changetype<Pair>(at).next) {
    const pair = changetype<Pair>(at);
    putText(b, ",\"mayfly-value-");
    put(b, pair.name, pair.nameLength);
    putText(b, "\":");
    putJson(b, pair.value, pair.valueLength);
  }
}
