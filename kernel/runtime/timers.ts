/** Timers. Time stands still inside a step: a timer is an effect, and its end is an event. */
import { hardLimits } from "../../abi/limits.ts";
import { table } from "./table.ts";
import { requireEffect } from "./effects.ts";
import { describe, FlowError } from "./errors.ts";
import { native } from "./machine.ts";
import { timerEffect, wakePart } from "./wire.ts";

interface Timer {
  readonly callback: (...values: unknown[]) => void;
  readonly values: unknown[];
  /** Negative for a timer that goes off once. */
  readonly intervalMs: number;
  /** Called instead of `callback` when the message is given up. */
  readonly reject: ((reason: unknown) => void) | undefined;
}

const timers = new Map<number, Timer>();
let lastTimer = 0;

export function openTimers(): number {
  return timers.size;
}

const units: Readonly<Record<string, number>> = table({ ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 });
/** The longest time a timer or a timeout can have: what a signed 32-bit number of milliseconds holds, 24.8 days. */
const mostMilliseconds = 2 ** 31 - 1;

/** A time span, `250` or `"250ms"`, `"5s"`, `"2m"`, `"1h"`, `"1d"`, in whole milliseconds. */
export function milliseconds(span: number | string, what: string, most: number = mostMilliseconds): number {
  let value = Number.NaN;
  if (typeof span === "number") value = span;
  else {
    const found = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*$/.exec(span);
    if (found !== null) value = Number(found[1]) * units[found[2]!]!;
  }
  if (!(value >= 0 && value <= most)) {
    throw new FlowError(
      "MF_ARGUMENT",
      `${what}: ${describe(span)} must be a number of milliseconds or a text such as "250ms", "5s", "2m", at most ${most === mostMilliseconds ? "24 days" : "ten years"}`,
      false,
    );
  }
  return Math.ceil(value);
}

function start(callback: (...values: unknown[]) => void, delay: unknown, values: unknown[], repeat: boolean): number {
  if (typeof callback !== "function") throw new TypeError("a timer needs a function to call");
  const asked = Math.trunc(Number(delay ?? 0));
  const delayMs = asked > 0 ? Math.min(asked, mostMilliseconds) : 0;
  const dueMs = Date.now() + delayMs;
  return open(dueMs, { callback, values, intervalMs: repeat ? Math.max(delayMs, 1) : -1, reject: undefined });
}

function open(dueMs: number, timer: Timer): number {
  const number = ++lastTimer;
  requireEffect();
  native.emit(timerEffect, number, dueMs);
  timers.set(number, timer);
  return number;
}

export function setTimeout(callback: (...values: unknown[]) => void, delay?: number, ...values: unknown[]): number {
  return start(callback, delay, values, false);
}

export function setInterval(callback: (...values: unknown[]) => void, delay?: number, ...values: unknown[]): number {
  return start(callback, delay, values, true);
}

export function clearTimer(number?: unknown): void {
  if (!timers.delete(Number(number))) return;
  requireEffect();
  native.emit(timerEffect, Number(number), -1);
}

const noValues: unknown[] = [];

function until(dueMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    open(dueMs, { callback: resolve as () => void, values: noValues, intervalMs: -1, reject });
  });
}

/** Waits. Rejected when the message is given up. */
export function sleep(span: number | string): Promise<void> {
  return until(Date.now() + milliseconds(span, "sleep", hardLimits.sleepMs));
}

/** A date as milliseconds since 1970. */
export function timeOf(date: Date | string | number, what: string): number {
  const timeMs = typeof date === "number" ? date : new Date(date).getTime();
  if (Number.isFinite(timeMs) && timeMs - Date.now() <= hardLimits.sleepMs) return Math.ceil(timeMs);
  throw new FlowError(
    "MF_ARGUMENT",
    `${what}: ${describe(date)} must be a date of the next ten years, such as "2026-12-24T18:00:00Z"`,
    false,
  );
}

/** Waits until a date, not at all for one that is past. */
export function at(date: Date | string | number): Promise<void> {
  return until(timeOf(date, "at"));
}

/** A `wake` event. A timer that was taken back in the meantime is forgotten. */
export function onWake(): void {
  const number = native.number(wakePart.timer);
  const timer = timers.get(number);
  if (timer === undefined) return;
  if (timer.intervalMs < 0) timers.delete(number);
  else native.emit(timerEffect, number, Date.now() + timer.intervalMs);
  timer.callback(...timer.values);
}

/** Forgets every timer; those somebody sleeps on are rejected. */
export function abandonTimers(reason: unknown): void {
  for (const timer of timers.values()) timer.reject?.(reason);
  timers.clear();
}
