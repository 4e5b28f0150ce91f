/** Deadlines of connections, messages and calls: one heap of structures that begin with a `Timer`. */
import { take } from "./memory";

@unmanaged
export class Timer {
  /** As `now()` counts. */
  due: u64 = 0;
  /** Index in the heap + 1; 0: it is not set. */
  place: u32 = 0;
  /** The structure it begins: one of `…Timer`. */
  kind: u32 = 0;
}

/** Kinds of timers, by the structure that begins with one. */
export const connectionTimer: u32 = 1, messageTimer: u32 = 2, flowTimer: u32 = 3, callTimer: u32 = 4, serviceTimer: u32 = 5, pauseTimer: u32 = 6, scheduleTimer: u32 = 7, keysTimer: u32 = 8;

let heap: usize = 0;
let count: u32 = 0;
/** Timers of flows and pauses that are set, and may be: others always have a place. */
let ofFlows: u32 = 0;
let mostOfFlows: u32 = 0;

/** Takes memory for so many timers of flows and pauses, and all others that there can be; false without it. */
export function startTimers(flows: u32, others: u32): bool {
  heap = take((flows + others) << 2);
  mostOfFlows = flows;
  return heap !== 0;
}

// @ts-ignore: decorator
@inline function isOfFlow(timer: Timer): bool { return timer.kind === flowTimer || timer.kind === pauseTimer; }

// @ts-ignore: decorator
@inline function at(index: u32): Timer { return changetype<Timer>(<usize>load<u32>(heap + (<usize>index << 2))); }

function place(index: u32, timer: Timer): void {
  store<u32>(heap + (<usize>index << 2), <u32>changetype<usize>(timer));
  timer.place = index + 1;
}

function rise(index: u32, timer: Timer): void {
  while (index > 0) {
    const parent = (index - 1) >> 1;
    const above = at(parent);
    if (above.due <= timer.due) break;
    place(index, above);
    index = parent;
  }
  place(index, timer);
}

function sink(index: u32, timer: Timer): void {
  for (;;) {
    let child: u32 = 2 * index + 1;
    if (child >= count) break;
    if (child + 1 < count && at(child + 1).due < at(child).due) child++;
    const below = at(child);
    if (below.due >= timer.due) break;
    place(index, below);
    index = child;
  }
  place(index, timer);
}

/** Sets or moves a timer. False, for a flow's or a pause only, when there is no room for one more. */
export function setTimer(timer: Timer, due: u64): bool {
  const before = timer.due;
  timer.due = due;
  if (timer.place === 0) {
    if (isOfFlow(timer) && ++ofFlows > mostOfFlows) return ofFlows--, false;
    rise(count++, timer);
  } else if (due < before) rise(timer.place - 1, timer);
  else sink(timer.place - 1, timer);
  return true;
}

export function clearTimer(timer: Timer): void {
  if (timer.place === 0) return;
  const index = timer.place - 1;
  timer.place = 0;
  count--;
  if (isOfFlow(timer)) ofFlows--;
  if (index === count) return;
  const last = at(count);
  if (index > 0 && at((index - 1) >> 1).due > last.due) rise(index, last);
  else sink(index, last);
}

/** The timer that is due next, taken off the heap; null when none is due by now. */
export function takeDue(now: u64): Timer | null {
  if (count === 0) return null;
  const first = at(0);
  if (first.due > now) return null;
  clearTimer(first);
  return first;
}

/** When the next timer is due, or u64.MAX_VALUE. */
export function nextDue(): u64 {
  return count === 0 ? u64.MAX_VALUE : at(0).due;
}
