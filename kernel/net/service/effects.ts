/**
 * The meaning of a machine's effects here, with the limits of gateway/delivery/attempt/effects.ts. A frame is checked as a whole before
 * anything of it is carried out: machines may be compromised. There is no journal: state, durable waits and `continue` fail the message.
 */
import { allocate } from "../blocks";
import { Bytes, clear, drop, equal, isText, put, putByte, putNumber, putText, sequenceAt } from "../bytes";
import { Flow, Outlet } from "./config";
import { beginFailure, beginFailureOf, callersFault, flowsFault, gatewaysFault, peersFault, reason, stack } from "./ends";
import { forReply, putHeaderLines, trouble } from "./headers";
import {
  callsPerMessage, effectsPerStep, errorTextBytes, headersBytes, keyBytes, logTextBytes, nameBytes, openCalls, openTimers, questionBytes,
  sendBytesPerMessage, stepsPerMessage,
} from "./limits";
import { beginLine, endLine, putFields } from "./log";
import { addTimer, complete, endStep, escaped, fail, finish, goOn, interrupted, machineOver, noMemory, removeTimer } from "./machines";
import { ending, flowOfMessage, Message, running, timeOf } from "./message";
import { blameOf, blamedOrigin, blamedStatus } from "./answers";
import { addSend, startCall } from "./outlets";
import {
  byte, count, doorMagic, expect, frameBroken, isAbsent, kind, lastKind, nextRecord, number, openFrame, optionalText, partAt, partLength,
  parts, textAt, valid,
} from "./records";

const log: u32 = 1, send: u32 = 2, call: u32 = 3, timer: u32 = 4, state: u32 = 5, doneKind: u32 = 6, failKind: u32 = 7, wait: u32 = 8, goesOn: u32 = 9;
const mostFrame: u32 = 67108864;

/** Checks a record of an effect. */
function check(): bool {
  switch (kind) {
    case log:
      expect(3);
      count(0, 3);
      textAt(1, logTextBytes);
      optionalText(2, mostFrame);
      return valid;
    case send:
      if (parts === 6) number(5);
      else expect(5);
      textAt(0, nameBytes);
      optionalText(1, keyBytes);
      textAt(2, nameBytes);
      textAt(3, headersBytes);
      return valid && !isAbsent(4);
    case call: return checkCall();
    case timer:
      expect(2);
      count(0, 4294967295);
      number(1);
      return valid;
    case state:
      expect(2);
      textAt(0, nameBytes);
      optionalText(1, mostFrame);
      return valid;
    case doneKind: return checkDone();
    case failKind:
      expect(5);
      textAt(0, nameBytes);
      textAt(1, errorTextBytes);
      optionalText(2, errorTextBytes);
      byte(3);
      count(4, 999);
      return valid;
    case wait:
      expect(5);
      count(0, 4294967295);
      optionalText(1, nameBytes);
      textAt(2, keyBytes);
      number(3);
      optionalText(4, questionBytes);
      return valid;
    case goesOn:
      expect(3);
      textAt(0, nameBytes);
      textAt(1, headersBytes);
      return valid && !isAbsent(2);
    default: return false;
  }
}

function checkCall(): bool {
  expect(8);
  count(0, 4294967295);
  count(1, 2);
  textAt(2, headersBytes);
  textAt(3, nameBytes);
  textAt(4, nameBytes);
  textAt(5, headersBytes);
  count(6, 2147483647);
  return valid && !isAbsent(7);
}

function checkDone(): bool {
  expect(4);
  if (valid && isAbsent(0) && isAbsent(1) && isAbsent(2) && isAbsent(3)) return true;
  count(0, 999);
  textAt(1, nameBytes);
  textAt(2, headersBytes);
  return valid && !isAbsent(3);
}

/** Results of `checkFrame`: whether it has sends and logs, and the kind of its last record. */
let hasSends: bool = false;
let hasLogs: bool = false;
let lastChecked: u32 = 0;

/** Checks a whole frame. */
function checkFrame(at: usize, length: u32): bool {
  hasSends = hasLogs = false;
  lastChecked = 0;
  if (at === 0 || !openFrame(at, length, doorMagic)) return false;
  let isOver = false;
  let records: u32 = 0;
  while (nextRecord()) {
    if (isOver || ++records > effectsPerStep || !check()) return false;
    isOver = kind === doneKind || kind === failKind || kind === goesOn;
    if (kind === send) hasSends = true;
    if (kind === log) hasLogs = true;
    lastChecked = kind;
  }
  return !frameBroken;
}
/** Carries out the effects of a step. True: the caller gives the frame's block back; otherwise it is kept with the message, or its answer. */
export function takeEffects(m: Message, result: u32, at: usize, length: u32): bool {
  const isGood = checkFrame(at, length);
  const last = isGood ? lastChecked : at === 0 ? 0 : lastKind(at, length);
  if (result !== complete || last === doneKind || last === failKind) machineOver(m);
  if (isGood && hasLogs) takeLogs(m, at, length);
  if (m.state === ending) return endStep(m), true;
  if (result !== complete || !isGood) return broken(m, result, isGood ? at : 0, length), true;
  return takeAll(m, at, length);
}

function takeLogs(m: Message, at: usize, length: u32): void {
  const flow = flowOfMessage(m);
  openFrame(at, length, doorMagic);
  while (nextRecord()) {
    if (kind !== log) continue;
    m.logged += partLength(1) + partLength(2);
    if (m.logged > flow.logBytes) {
      flow.logsDropped++;
      continue;
    }
    const level = <u32>count(0, 3);
    if (!beginLine(level, m)) continue;
    if (!isAbsent(2)) putFields(partAt(2), partLength(2));
    endLine(level, partAt(1), partLength(1));
  }
}

/** Carries out all but logs. The frame is good. */
function takeAll(m: Message, at: usize, length: u32): bool {
  let frame: usize = 0;
  if (hasSends) {
    frame = keepFrame(m, at);
    if (frame === 0) return beginBusy(m), true;
  }
  openFrame(at, length, doorMagic);
  while (nextRecord()) {
    if (kind === log) continue;
    if (kind === doneKind) return takeDone(m, at, frame);
    if (!take(m)) return fail(m), frame === 0;
    if (m.state !== running) return frame === 0; // out of memory on the way
  }
  if (++m.steps > stepsPerMessage) {
    beginFailure(gatewaysFault, 0, "MF_STEP_LIMIT");
    putText(reason, "the flow took more than ");
    putNumber(reason, stepsPerMessage);
    putText(reason, " steps: look for a timer or a call in an endless loop");
    fail(m);
  } else if (m.openCalls + m.openTimers === 0 && m.firstEvent === 0) {
    beginFailure(gatewaysFault, 0, "MF_FLOW_STALLED");
    putText(reason, "the flow awaits a promise that nothing can settle: look for a promise that is never resolved");
    fail(m);
  } else goOn(m);
  return frame === 0;
}

function beginBusy(m: Message): void {
  beginFailure(gatewaysFault, 503, "MF_MEMORY_BUSY");
  putText(reason, "the gateway is out of memory for messages: try again later");
  fail(m);
}

/** Keeps a frame until the message is over. */
function keepFrame(m: Message, block: usize): usize {
  const frame = allocate(8);
  if (frame === 0) return 0;
  store<u32>(frame, <u32>m.firstFrame);
  store<u32>(frame, <u32>block, 4);
  m.firstFrame = frame;
  return frame;
}

/** Carries out one effect. False: the message has failed, as ends.ts says. */
function take(m: Message): bool {
  switch (kind) {
    case send: return takeSend(m);
    case call: return takeCall(m);
    case timer: return takeTimer(m);
    case state: return refuse("MF_STANDALONE_STATE", "a service without a journal keeps no state: send it to a database by an outlet, or run the flow with `mayfly serve`");
    case wait: return refuse("MF_STANDALONE_WAIT", "a service without a journal can't wait durably: use a timer within limits.time, or run the flow with `mayfly serve`");
    case goesOn: return refuse("MF_STANDALONE_WAIT", "a service without a journal can't continue as another message: run the flow with `mayfly serve`");
    default: return takeFail(m);
  }
}

function refuse(code: string, sentence: string): bool {
  beginFailure(gatewaysFault, 0, code);
  putText(reason, sentence);
  return false;
}

function overLimit(code: string, before: string, most: u64, after: string): bool {
  beginFailure(gatewaysFault, 0, code);
  putText(reason, "the flow ");
  putText(reason, before);
  putNumber(reason, most);
  putText(reason, after);
  return false;
}

/** The sentence for an outlet that mayfly.yaml does not give the flow. */
export function putUnknownOutlet(b: Bytes, flow: Flow, at: usize, length: u32): void {
  const firstOutlet = flow.firstOutlet;
  putText(b, "the flow ");
  put(b, flow.name, flow.nameLength);
  putText(b, " has no outlet \"");
  put(b, at, length);
  putText(b, "\" in mayfly.yaml (");
  putText(b, firstOutlet === 0 ? "it has none" : "it has ");
  for (let each = firstOutlet; each !== 0; each = changetype<Outlet>(each).next) {
    put(b, changetype<Outlet>(each).name, changetype<Outlet>(each).nameLength);
    if (changetype<Outlet>(each).next !== 0) putText(b, ", ");
  }
  putText(b, "): add it under flows.");
  put(b, flow.name, flow.nameLength);
  putText(b, ".to");
}

/** The flow's outlet with a name, or null. */
export function outletOf(flow: Flow, at: usize, length: u32): Outlet | null {
  for (let each = flow.firstOutlet; each !== 0; each = changetype<Outlet>(each).next) {
    const outlet = changetype<Outlet>(each);
    if (equal(outlet.name, outlet.nameLength, at, length)) return outlet;
  }
  return null;
}

function takeSend(m: Message): bool {
  const flow = flowOfMessage(m);
  const outlet = outletOf(flow, partAt(0), partLength(0));
  if (outlet === null) {
    beginFailure(gatewaysFault, 0, "MF_OUTLET_UNKNOWN");
    putUnknownOutlet(reason, flow, partAt(0), partLength(0));
    return false;
  }
  if (m.sends >= flow.mostSends) return overLimit("MF_EFFECT_LIMIT", "sent more than ", flow.mostSends, " messages: split the message before it arrives, or raise limits.sends");
  m.sends++;
  m.sendBytes += partLength(4);
  if (m.sendBytes > sendBytesPerMessage) return overLimit("MF_EFFECT_LIMIT", "sent more than ", sendBytesPerMessage, " bytes: split the message before it arrives");
  if (parts === 6 && number(5) > timeOf(m)) return refuse("MF_STANDALONE_WAIT", "a service without a journal can't send at a later date: send at once, or run the flow with `mayfly serve`");
  return addSend(m, outlet) || sayTrouble("a send to ", partAt(0), partLength(0));
}

/** MF_HEADER_INVALID with what `trouble` says; without memory MF_MEMORY_BUSY. */
function sayTrouble(before: string, at: usize, length: u32): bool {
  if (trouble.length === 0) {
    beginFailure(gatewaysFault, 503, "MF_MEMORY_BUSY");
    putText(reason, "the gateway is out of memory for messages: try again later");
    return false;
  }
  beginFailure(gatewaysFault, 0, "MF_HEADER_INVALID");
  putText(reason, before);
  put(reason, at, length);
  putText(reason, ": ");
  put(reason, trouble.at, trouble.length);
  drop(trouble);
  return false;
}

function takeCall(m: Message): bool {
  if (++m.calls > callsPerMessage) return overLimit("MF_CALL_LIMIT", "made more than ", callsPerMessage, " calls: split the message before it arrives");
  if (m.openCalls >= openCalls) return overLimit("MF_CALL_LIMIT", "has more than ", openCalls, " calls open at once: await some before making more");
  return startCall(m) || refuse("MF_MEMORY_BUSY", "the gateway is out of memory for messages: try again later");
}

function takeTimer(m: Message): bool {
  const index = <u32>count(0, 4294967295);
  removeTimer(m, index);
  const due = number(1);
  if (due < 0) return true;
  if (m.openTimers >= openTimers) return overLimit("MF_CALL_LIMIT", "has more than ", openTimers, " timers open at once: await some before setting more");
  return addTimer(m, index, due) || refuse("MF_MEMORY_BUSY", "the gateway is out of memory for timers: try again later");
}

function noOwn(_at: usize, _length: u32): bool { return false; }

// @ts-ignore: decorator
@lazy const lines: Bytes = changetype<Bytes>(memory.data(16, 8));

/** True: the caller gives the frame's block back. `frame`: where it is kept already. */
function takeDone(m: Message, block: usize, frame: usize): bool {
  if (isAbsent(0)) {
    finish(m, 0);
    return frame === 0;
  }
  const status = <u32>count(0, 999);
  clear(lines);
  const isGood = putHeaderLines(lines, partAt(2), partLength(2), forReply, noOwn);
  if (!isGood || lines.broken) {
    drop(lines);
    if (isGood) beginFailure(gatewaysFault, 503, "MF_MEMORY_BUSY"), putText(reason, "the gateway is out of memory for messages: try again later");
    else sayTrouble("the reply", 0, 0);
    return fail(m), frame === 0;
  }
  drop(trouble);
  if (status !== 0 && (status < 200 || status > 599)) {
    drop(lines);
    beginLied();
    putText(reason, " (a reply can't have the status ");
    putNumber(reason, status);
    putText(reason, ")");
    return fail(m), frame === 0;
  }
  m.status = status === 0 ? 200 : status;
  m.contentType = partAt(1);
  m.contentTypeLength = partLength(1);
  m.headers = lines.at;
  m.headersLength = lines.length;
  clear(lines);
  m.body = partAt(3);
  m.bodyLength = partLength(3);
  if (m.firstSend === 0) return finish(m, block), false;
  m.replyFrame = frame !== 0 ? frame : keepFrame(m, block);
  if (m.replyFrame === 0) return beginBusy(m), true;
  return finish(m, 0), false;
}

/** The flow gave up: its own failure, or that of a call it passes on, with the blame. */
function takeFail(m: Message): bool {
  const status = <u32>count(4, 999);
  tidyCode(partAt(0), partLength(0));
  const isBlamed = status === 0 && blameOf(m, tidy.at, tidy.length);
  let from = flowsFault;
  let wanted = status;
  if (isBlamed) {
    from = blamedOrigin;
    wanted = blamedStatus;
  } else if (status === 0 && isText(tidy.at, tidy.length, "MF_RESPONSE_INVALID")) {
    from = peersFault;
    wanted = 502;
  } else if (status === 400 && isText(tidy.at, tidy.length, "MF_MESSAGE_INVALID")) from = callersFault;
  beginFailureOf(from, wanted, tidy.at, tidy.length);
  put(reason, partAt(1), partLength(1));
  if (!isAbsent(2)) put(stack, partAt(2), partLength(2));
  drop(tidy);
  return false;
}

// @ts-ignore: decorator
@lazy const tidy: Bytes = changetype<Bytes>(memory.data(16, 8));

/** A code goes into log lines, metrics and headers: what would break those becomes one `_` a run (abi/effects.ts). */
function tidyCode(at: usize, length: u32): void {
  clear(tidy);
  let isGap = false;
  let says = false;
  for (let index: u32 = 0; index < length; ) {
    const first = <u32>load<u8>(at + index);
    const size = first < 128 ? 1 : sequenceAt(at + index, at + length);
    if (first <= 32 || first === 127 || size === 0 || isInvisible(at + index, size)) {
      isGap = tidy.length > 0;
      index += size === 0 ? 1 : size;
      continue;
    }
    if (isGap) putByte(tidy, 95);
    isGap = false;
    if (first !== 95) says = true;
    put(tidy, at + index, size);
    index += size;
  }
  if (says) return;
  tidy.length = 0;
  putText(tidy, "MF_FLOW_FAILED");
}

/** C1 controls, no-break space, general punctuation that is space or control, ideographic space, byte-order mark, private use. */
function isInvisible(at: usize, size: u32): bool {
  const second = <u32>load<u8>(at, 1);
  if (size === 2) return load<u8>(at) === 0xc2 && (second <= 0xa0 || second === 0xad);
  if (size !== 3) return false;
  const code = ((<u32>load<u8>(at) & 15) << 12) | ((second & 63) << 6) | (<u32>load<u8>(at, 2) & 63);
  return (code >= 0x2000 && code <= 0x200f) || (code >= 0x2028 && code <= 0x202f) || (code >= 0x205f && code <= 0x206f) || code === 0x3000 ||
    code === 0xfeff || (code >= 0xe000 && code <= 0xf8ff);
}

// ---- machines that broke

function beginLied(): void {
  beginFailure(gatewaysFault, 0, "MF_MACHINE_LIED");
  putText(reason, "the machine's effects are malformed, and none was carried out: the machine may be compromised");
}

/** A step that did not end by itself, or whose effects are malformed. `at`: its frame where that is good. */
function broken(m: Message, result: u32, at: usize, length: u32): void {
  if (result === interrupted) {
    beginFailure(gatewaysFault, 0, "MF_CPU_LIMIT");
    putText(reason, "the flow exceeded its CPU limit in one step: look for an endless loop, or raise limits.cpu (");
    putNumber(reason, flowOfMessage(m).cpuMs);
    putText(reason, " ms)");
  } else if (result === escaped || result === noMemory) {
    beginFailure(gatewaysFault, 0, "MF_MEMORY_LIMIT");
    putText(reason, "the flow exceeded its memory limit: process less at a time, or raise limits.memory (");
    putNumber(reason, flowOfMessage(m).memoryUnits >> 4);
    putText(reason, " MiB)");
  } else beginLied();
  if (at !== 0 && (result === interrupted || result === escaped)) {
    openFrame(at, length, doorMagic);
    while (nextRecord()) if (kind === failKind && !isAbsent(2)) put(stack, partAt(2), partLength(2));
  }
  fail(m);
}
