/**
 * Messages by the clock: an interval, or dates in UTC. A run that is due while the one before it is under way is skipped; nothing is remembered over
 * a restart, and nobody is told of a reply.
 */
import { put, putByte, putText } from "../bytes";
import { now, wall } from "../host";
import { isClosing, putIsoDate } from "../http/mod";
import { day, month, setDate } from "../http/date";
import { setTimer } from "../timers";
import { firstSchedule, Flow, Route, Schedule } from "./config";
import { makeScheduled } from "./deliver";
import { said, sayLine, warn } from "./log";
import { enqueue } from "./machines";
import { closeMessage, flowOfMessage, free, messageAt, openMessage, queued } from "./message";

const minuteMs: u64 = 60_000;

/** Begins with the first runs of all. */
export function startSchedules(): void {
  for (let at = firstSchedule; at !== 0; at = changetype<Schedule>(at).next) {
    const schedule = changetype<Schedule>(at);
    if (schedule.atStart) run(schedule, wall());
    if (schedule.everyMs > 0) setTimer(schedule, now() + <u64>schedule.everyMs * 1000);
    else setTimer(schedule, nextMinute());
  }
}

/** When the wall clock's next minute begins. */
function nextMinute(): u64 {
  return now() + (minuteMs - <u64>max<f64>(wall(), 0) % minuteMs) * 1000;
}

/** Its interval is over, or a minute has begun. Intervals are counted from the run before; those that were missed are not made up for. */
export function scheduleDue(schedule: Schedule): void {
  if (isClosing) return;
  if (schedule.everyMs > 0) {
    const every = <u64>schedule.everyMs * 1000;
    const late = now() - schedule.due;
    setTimer(schedule, schedule.due + every * (late / every + 1));
    return run(schedule, wall());
  }
  const minute = (<u64>max<f64>(wall(), 0) + 500) / minuteMs; // the timer may be early by what the clock was moved meanwhile
  setTimer(schedule, nextMinute());
  if (minute === schedule.lastMinute || !fits(schedule, minute)) return;
  schedule.lastMinute = minute;
  run(schedule, <f64>(minute * minuteMs));
}

function has(set: usize, index: u32): bool { return load<u8>(set + index) === 49; }

/** True for a minute since 1970 that the schedule names. */
function fits(schedule: Schedule, minute: u64): bool {
  const days = <u32>(minute / 1440);
  const ofDay = <u32>(minute % 1440);
  if (!has(schedule.minutes, ofDay % 60) || !has(schedule.hours, ofDay / 60)) return false;
  setDate(days);
  if (!has(schedule.months, month - 1)) return false;
  const isDay = has(schedule.days, day - 1);
  const isWeekday = has(schedule.weekdays, (days + 4) % 7); // 1970 began on a Thursday
  return schedule.either ? isDay || isWeekday : isDay && isWeekday;
}

function isUnderWay(schedule: Schedule): bool {
  if (schedule.running === 0) return false;
  const m = messageAt(schedule.running - 1);
  return m.state !== free && m.route === schedule.route;
}

function run(schedule: Schedule, dueMs: f64): void {
  if (isUnderWay(schedule)) return skip(schedule, dueMs, "the previous run is still in progress");
  const flow = changetype<Flow>(changetype<Route>(schedule.route).flow);
  const m = flow.pending < flow.queue ? openMessage(0, schedule.route) : null;
  if (m === null) return skip(schedule, dueMs, "the flow's queue is full");
  if (!makeScheduled(m, schedule, dueMs)) {
    closeMessage(m);
    return skip(schedule, dueMs, "the gateway is out of memory for messages");
  }
  schedule.running = m.slot + 1;
  m.state = queued;
  flowOfMessage(m).received++;
  enqueue(m);
}

function skip(schedule: Schedule, dueMs: f64, why: string): void {
  const flow = changetype<Flow>(changetype<Route>(schedule.route).flow);
  put(said, flow.name, flow.nameLength);
  putByte(said, 32);
  put(said, schedule.name, schedule.nameLength);
  putText(said, ": ");
  putText(said, why);
  putText(said, ": the run of ");
  putIsoDate(said, dueMs);
  putText(said, " is skipped");
  sayLine(warn, null);
}
