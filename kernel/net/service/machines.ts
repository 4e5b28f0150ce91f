/**
 * Messages with their machines: the queue, jobs for the host and their results, timers, deadlines, and the end of it all. One job is under
 * way at a time; a machine's events wait in the message's list.
 */
import { allocate, allocateZeroed, release } from "../blocks";
import { drop, putText } from "../bytes";
import { now, random } from "../host";
import { clearTimer, flowTimer, setTimer, Timer } from "../timers";
import { firstFlow, Flow, Route } from "./config";
import { seedOffset, timeOffset } from "./deliver";
import { takeEffects } from "./effects";
import { beginFailure, gatewaysFault, reason, tellFailure, tellReply } from "./ends";
import { frameBytes } from "./limits";
import {
  closeMessage, ending, eventOf, flowOfMessage, isSlot, Message, messageAt, queued, running, sending, startTime, timeOf, waiting,
} from "./message";
import { cancelCalls, startSends } from "./outlets";
import { doorMagic } from "./records";

export const jobStart: u32 = 1, jobStep: u32 = 2, jobDrop: u32 = 4;
/** Results of jobs (kernel/drivers/machines.ts). */
export const complete: u32 = 17, interrupted: u32 = 18, escaped: u32 = 19, noMemory: u32 = 20, lied: u32 = 21;

const timeIsOver = "the message exceeded its time limit: look for a slow outlet, or raise limits.time";

/** An event that waits for its machine. */
@unmanaged
class Waiting {
  next: usize = 0;
  /** As in abi/events.ts: 2 resolve, 3 wake, 4 cancel. */
  kind: u32 = 0;
  /** Of a timer; of a cancel 1 where the time is over, 0 where the caller left. */
  number: u32 = 0;
  /** Of an answer its frame, ready but for the time. */
  block: usize = 0;
  length: u32 = 0;
}

@unmanaged
export class FlowTimer extends Timer {
  next: usize = 0;
  message: usize = 0;
  number: u32 = 0;
}

// @ts-ignore: decorator
@lazy const job: usize = memory.data(24, 8);
// @ts-ignore: decorator
@lazy const shortEvent: usize = memory.data(128, 8);
let underWay: usize = 0;
let jobBlock: usize = 0;
let effects: usize = 0;
let effectsRoom: u32 = 0;

let firstReady: usize = 0, lastReady: usize = 0;
/** The flow whose message was started last: the next one has the first turn. */
let lastStarted: usize = 0;
/** Messages in the queues of all flows. */
let waitingForMachines: u32 = 0;

// ---- a queue for each flow

/** The message's event is whole: it waits for a place. */
export function enqueue(m: Message): void {
  const flow = flowOfMessage(m);
  m.next = 0;
  if (flow.lastQueued === 0) flow.firstQueued = changetype<usize>(m);
  else changetype<Message>(flow.lastQueued).next = changetype<usize>(m);
  flow.lastQueued = changetype<usize>(m);
  waitingForMachines++;
}

function takeQueued(flow: Flow): Message {
  const m = changetype<Message>(flow.firstQueued);
  flow.firstQueued = m.next;
  if (flow.firstQueued === 0) flow.lastQueued = 0;
  waitingForMachines--;
  return m;
}

function leaveQueue(m: Message): void {
  const flow = flowOfMessage(m);
  let before: usize = 0;
  for (let at = flow.firstQueued; at !== 0; at = changetype<Message>(at).next) {
    if (at === changetype<usize>(m)) {
      if (before === 0) flow.firstQueued = m.next;
      else changetype<Message>(before).next = m.next;
      if (flow.lastQueued === at) flow.lastQueued = before;
      waitingForMachines--;
      return;
    }
    before = at;
  }
}

/** The next flow with a message and a place for it, in turn; null without one. */
function nextFlow(): Flow | null {
  const first = lastStarted === 0 ? firstFlow : changetype<Flow>(lastStarted).next;
  let at = first === 0 ? firstFlow : first;
  const end = at;
  do {
    const flow = changetype<Flow>(at);
    if (flow.firstQueued !== 0 && flow.machines < flow.concurrency) return flow;
    at = flow.next === 0 ? firstFlow : flow.next;
  } while (at !== end);
  return null;
}

/** The host is to do something for the message. */
function makeReady(m: Message): void {
  if (m.isReady) return;
  m.isReady = true;
  m.next = 0;
  if (lastReady === 0) firstReady = changetype<usize>(m);
  else changetype<Message>(lastReady).next = changetype<usize>(m);
  lastReady = changetype<usize>(m);
}

// ---- jobs

function setJob(kind: u32, m: Message, at: usize, length: u32): usize {
  store<u32>(job, kind);
  store<u32>(job, m.slot, 4);
  store<u32>(job, <u32>at, 8);
  store<u32>(job, length, 12);
  const flow = flowOfMessage(m);
  store<u32>(job, flow.memoryUnits, 16);
  store<u32>(job, flow.cpuMs, 20);
  if (kind !== jobDrop) underWay = changetype<usize>(m);
  return job;
}

/** The next job, or 0. A start and a step are followed by `done`. */
export function nextJob(): usize {
  if (underWay !== 0) return 0;
  if (firstReady !== 0) {
    const m = changetype<Message>(firstReady);
    firstReady = m.next;
    if (firstReady === 0) lastReady = 0;
    m.isReady = false;
    if (m.firstEvent !== 0) return step(m);
    machineOver(m);
    const at = setJob(jobDrop, m, 0, 0);
    closeMessage(m);
    return at;
  }
  if (waitingForMachines === 0) return 0;
  const flow = nextFlow();
  if (flow === null) return 0;
  lastStarted = changetype<usize>(flow);
  return start(takeQueued(flow));
}

function start(m: Message): usize {
  const event = eventOf(m);
  const route = changetype<Route>(m.route);
  m.state = running;
  m.hasMachine = true;
  const flow = flowOfMessage(m);
  flow.machines++;
  startTime(m);
  store<f64>(event.at + timeOffset, m.startedMs);
  random(<u32>(event.at + seedOffset), 32);
  setTimer(m, now() + <u64>(route.timeoutMs > 0 ? min<u32>(route.timeoutMs, flow.timeMs) : flow.timeMs) * 1000);
  return setJob(jobStart, m, event.at, event.length);
}

function step(m: Message): usize {
  const event = changetype<Waiting>(m.firstEvent);
  m.firstEvent = event.next;
  if (event.next === 0) m.lastEvent = 0;
  if (m.state === waiting) m.state = running;
  jobBlock = event.block;
  let at = event.block;
  let length = event.length;
  if (event.kind === 2) store<f64>(at, timeOf(m), 40);
  else {
    at = shortEvent;
    length = writeShort(event.kind, event.number, timeOf(m));
  }
  release(changetype<usize>(event));
  return setJob(jobStep, m, at, length);
}

/** wake: time, timer; cancel: time, reason. */
function writeShort(kind: u32, number: u32, time: f64): u32 {
  const cancelReason = number === 0 ? "the caller left" : timeIsOver;
  const second: u32 = kind === 3 ? 8 : cancelReason.length;
  store<u32>(shortEvent, doorMagic);
  store<u32>(shortEvent, 28 + second, 4);
  store<u32>(shortEvent, kind | 0x200, 8);
  store<u32>(shortEvent, 8, 12);
  store<u32>(shortEvent, second, 16);
  store<f64>(shortEvent, time, 20);
  if (kind === 3) store<f64>(shortEvent, <f64>number, 28);
  else for (let index: u32 = 0; index < second; index++) store<u8>(shortEvent + 28 + index, cancelReason.charCodeAt(index));
  return 28 + second;
}

/** Room for a step's effects, or 0. */
export function effectsBuffer(length: u32): usize {
  release(effects);
  effects = length > frameBytes ? 0 : allocate(length);
  effectsRoom = effects === 0 ? 0 : length;
  return effects;
}

/** The result of the job under way. */
export function done(slot: u32, kind: u32, length: u32): void {
  if (underWay === 0 || !isSlot(slot) || messageAt(slot) !== changetype<Message>(underWay)) return;
  const m = changetype<Message>(underWay);
  underWay = 0;
  release(jobBlock);
  jobBlock = 0;
  drop(eventOf(m));
  const block = effects;
  effects = 0;
  const size = min<u32>(length, effectsRoom);
  effectsRoom = 0;
  if (takeEffects(m, kind, block, size)) release(block);
}

// ---- events

/** Gives a machine an event; of an answer its whole frame, whose block is taken. False without memory. */
export function giveEvent(m: Message, kind: u32, number: u32, block: usize, length: u32): bool {
  const at = allocateZeroed(offsetof<Waiting>());
  if (at === 0) {
    release(block);
    return false;
  }
  const event = changetype<Waiting>(at);
  event.kind = kind;
  event.number = number;
  event.block = block;
  event.length = length;
  if (m.lastEvent === 0) m.firstEvent = at;
  else changetype<Waiting>(m.lastEvent).next = at;
  m.lastEvent = at;
  if (m.state === waiting || m.state === ending) makeReady(m);
  return true;
}

export function outOfMemory(m: Message): void {
  beginFailure(gatewaysFault, 503, "MF_MEMORY_BUSY");
  putText(reason, "the gateway is out of memory for messages: try again later");
  fail(m);
}

function dropEvents(m: Message): void {
  for (let at = m.firstEvent; at !== 0; ) {
    const event = changetype<Waiting>(at);
    at = event.next;
    release(event.block);
    release(changetype<usize>(event));
  }
  m.firstEvent = m.lastEvent = 0;
}

/** After a step that ended nothing. */
export function goOn(m: Message): void {
  m.state = waiting;
  if (m.firstEvent !== 0) makeReady(m);
}

// ---- timers

/** Sets a timer of the machine; false: there is no room for one. */
export function addTimer(m: Message, number: u32, dueMs: f64): bool {
  const at = allocateZeroed(offsetof<FlowTimer>());
  if (at === 0) return false;
  const timer = changetype<FlowTimer>(at);
  timer.kind = flowTimer;
  timer.message = changetype<usize>(m);
  timer.number = number;
  const leftMs = min<f64>(max<f64>(dueMs - timeOf(m), 0), 1e12);
  if (!setTimer(timer, now() + <u64>(leftMs * 1000))) return release(at), false;
  timer.next = m.firstTimer;
  m.firstTimer = at;
  m.openTimers++;
  return true;
}

/** Takes a timer off a message's list, and frees it; one that is not on the list is ignored. */
export function removeTimer(m: Message, number: u32): void {
  let before: usize = 0;
  for (let at = m.firstTimer; at !== 0; at = changetype<FlowTimer>(at).next) {
    const timer = changetype<FlowTimer>(at);
    if (timer.number === number) {
      if (before === 0) m.firstTimer = timer.next;
      else changetype<FlowTimer>(before).next = timer.next;
      clearTimer(timer);
      release(at);
      m.openTimers--;
      return;
    }
    before = at;
  }
}

export function timerDue(timer: FlowTimer): void {
  const m = changetype<Message>(timer.message);
  const number = timer.number;
  removeTimer(m, number);
  if (!giveEvent(m, 3, number, 0, 0)) outOfMemory(m);
}

function dropTimers(m: Message): void {
  while (m.firstTimer !== 0) removeTimer(m, changetype<FlowTimer>(m.firstTimer).number);
}

// ---- ends

/** Nothing of the message is open any more; its machine is dropped where it is not over. */
function close(m: Message): void {
  clearTimer(m);
  dropTimers(m);
  dropEvents(m);
  cancelCalls(m);
  if (!m.hasMachine) return closeMessage(m);
  m.state = ending;
  makeReady(m);
}

/** The host has ended the machine. */
export function machineOver(m: Message): void {
  if (m.hasMachine) flowOfMessage(m).machines--;
  m.hasMachine = false;
}

/** The failure that ends.ts has is the message's. */
export function fail(m: Message): void {
  tellFailure(m);
  close(m);
}

/** The flow is complete. `block`: the frame its reply lies in, where it sends nothing; otherwise that is kept with the sends. */
export function finish(m: Message, block: usize): void {
  if (m.firstSend !== 0) {
    m.state = sending;
    return startSends(m);
  }
  tellReply(m, block);
  close(m);
}

/** All sends of a message are with their peers. */
export function allSent(m: Message): void {
  const frame = m.replyFrame;
  const block = frame === 0 ? 0 : <usize>load<u32>(frame, 4);
  if (frame !== 0) store<u32>(frame, 0, 4);
  tellReply(m, block);
  close(m);
}

/** The message's time is over. */
export function messageDue(m: Message): void {
  if (m.state === ending) return;
  beginFailure(gatewaysFault, 504, "MF_TIME_LIMIT");
  putText(reason, timeIsOver);
  tellFailure(m);
  m.isLate = true;
  cancel(m);
}

/** The caller has left. What a flow that is complete sends is sent all the same. */
export function giveUp(m: Message): void {
  if (m.state === sending) return;
  if (m.state === queued) {
    leaveQueue(m);
    return closeMessage(m);
  }
  cancel(m);
}

/** The machine may still log, in one step, and is dropped after it. */
function cancel(m: Message): void {
  if (m.state === sending) return close(m);
  clearTimer(m);
  dropTimers(m);
  dropEvents(m);
  cancelCalls(m);
  const isRunning = m.state === running;
  m.state = ending;
  if (!m.hasMachine) return closeMessage(m);
  if (!isRunning && !giveEvent(m, 4, m.isLate ? 1 : 0, 0, 0)) makeReady(m);
}

/** After a step of a machine that nobody waits for. */
export function endStep(m: Message): void {
  dropEvents(m);
  if (!m.hasMachine) return closeMessage(m);
  makeReady(m);
}
