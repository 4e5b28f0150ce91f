/** Timers of connections, and streams whose users have resumed. */
import * as streams from "../../streams";
import { time } from "../clock";
import { Counter, count } from "../counters";
import { keepAliveInterval, keepAliveIdle, keepAliveTries, never, second, silentMost, stalledMost, synTries, tick } from "../limits";
import { freeBlocks } from "./blocks";
import { lost } from "./congestion";
import { close, closeWithReset, offerStored, tellEnds } from "./events";
import { acknowledge, output, probe, sendAgain, sendSyn, settle, startRetransmit } from "./output";
import { Flag, State, Tcb, connectionCount, earliest, free, has, setEarliest, tcb, touchedCount } from "./tcb";
import { anyReady, nextReady, setCurrent, setStarved, starved } from "./user";

function goOn(c: Tcb): void {
  const generation = c.generation;
  c.flags &= ~(Flag.held | Flag.ready);
  offerStored(c);
  if (c.generation !== generation) return;
  tellEnds(c);
  if (c.generation !== generation) return;
  output(c, 0);
  settle(c);
}

/** Offers bytes again to those who have resumed before this call. Who resumes from within waits for the next poll. */
function runReady(): void {
  for (let done: u32 = 0; done < connectionCount(); done++) {
    const number = nextReady();
    if (number === 0) return;
    const c = tcb(number);
    if (c.state === State.free || !has(c, Flag.ready)) continue;
    setCurrent(changetype<usize>(c));
    goOn(c);
    setCurrent(0);
  }
}

/** Tells those whose writes found no block, as many as there are blocks now. */
function runStarved(): void {
  setStarved(false);
  const most = touchedCount();
  for (let number: u32 = 1; number <= most; number++) {
    const c = tcb(number);
    if (c.state === State.free || !has(c, Flag.wantsRoom) || c.end !== c.una) continue;
    if (freeBlocks() === 0) return setStarved(true);
    c.flags &= ~Flag.wantsRoom;
    if (has(c, Flag.known)) streams.writable(number);
  }
}

function retransmit(c: Tcb): void {
  c.retransmitAt = never;
  if (c.state < State.established) {
    if (c.backoffs >= synTries) return close(c, streams.closedTimeout);
    c.backoffs++;
    return sendSyn(c);
  }
  const stalled = time - c.progressAt;
  if (stalled > stalledMost || (stalled > silentMost && time - c.heardAt > silentMost)) {
    count(Counter.timeouts);
    return closeWithReset(c, streams.closedTimeout);
  }
  c.backoffs++;
  if (c.window === 0) sendAgain(c, 1);
  else if (c.una === c.max) sendAgain(c, min(c.window, c.segment));
  else {
    c.backoffs--;
    lost(c);
    c.backoffs++;
    output(c, 0);
  }
  if (c.retransmitAt === never) startRetransmit(c);
}

function idle(c: Tcb): void {
  if (c.state === State.timeWait) {
    if (!has(c, Flag.known)) return free(c);
    c.idleAt = time + keepAliveIdle;
    return;
  }
  if (c.probes >= keepAliveTries && c.una === c.max) {
    count(Counter.timeouts);
    return closeWithReset(c, streams.closedTimeout);
  }
  c.idleAt = time + keepAliveInterval;
  if (c.una !== c.max) return; // retransmission finds out
  c.probes++;
  probe(c);
}

function runOne(c: Tcb): void {
  const generation = c.generation;
  if (c.ackAt <= time) acknowledge(c);
  if (c.retransmitAt <= time) retransmit(c);
  if (c.generation !== generation) return;
  if (c.idleAt <= time) idle(c);
  if (c.generation === generation) c.dueAt = min(c.retransmitAt, min(c.ackAt, c.idleAt));
}

let lookedAt: u64 = 0;

/** Runs what is due. */
export function runTcp(): void {
  runReady();
  if (earliest <= time && time - lookedAt >= tick) {
    lookedAt = time;
    setEarliest(never);
    const most = touchedCount();
    let next = never;
    for (let number: u32 = 1; number <= most; number++) {
      const c = tcb(number);
      if (c.dueAt <= time) runOne(c);
      next = min(next, c.dueAt);
    }
    setEarliest(min(next, earliest));
  }
  if (starved && freeBlocks() !== 0) runStarved();
}

/** The time of the next call of `runTcp`. */
export function tcpDue(): u64 {
  if (anyReady) return time;
  const next = earliest === never ? never : max(earliest, lookedAt + tick);
  return starved ? min(next, time + tick) : next;
}
