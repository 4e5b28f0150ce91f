/**
 * Jobs of the network's module: it says which machine gets which event, as a monitor would; the effects go back into its memory. A job is
 *
 *     u32 kind (1 start, 2 step, 4 drop) │ u32 slot │ u32 address of the event │ u32 its bytes │ u32 memory in units of 64 KiB │ u32 CPU ms
 */
import { copyBytes } from "./copy";
import { rdtsc, read32Far } from "./cpu";
import { noteInterrupt } from "./engine";
import { freeFrames } from "./frames";
import { byTime, byTrap, endedBy, stepUntil } from "./guard";
import {
  dropMachine, effectsAt, effectsBytes, escaped, eventRoom, fail, interrupted, isOver, lied, mostFrame, noMemory, outcome, resumeMachine, settle,
  startMachine, takeResult,
} from "./machines";
import { done, effectsBuffer, nextJob } from "./net";
import { inNet, netBase } from "./net-pages";
import { pagesPerUnit, privatePages, restUnits } from "./pages";
import { slots } from "./parked";
import { exitService, powerOff } from "./power";
import { isEmulated } from "./processor";
import { printLine } from "./serial";
import { ticksOf } from "./time";

const jobBytes: u32 = 24;
const startJob: u32 = 1, stepJob: u32 = 2, dropJob: u32 = 4;
/** An emulated processor takes some ten times as long for the same work (monitors/qemu: cpuFactor). */
const emulatedFactor: u64 = 10;
/** Frames that a small message writes, and frames for the stack and tables; a machine starts only while there are both. */
const usualFrames: u32 = 96;
const reservedFrames: u32 = 32;

/** 1 for each slot whose machine waits. */
// @ts-ignore: decorator
@lazy const waiting: usize = memory.data(1024, 16);

let deadline: u64 = 0;
let starved: bool = false;

/** The engine polls this: a step ends when its time is over, or while there is still memory to end it. */
export function hostInterrupt(): i32 {
  if (freeFrames() < reservedFrames) starved = true;
  else if (rdtsc() < deadline) return 0;
  noteInterrupt();
  return 1;
}

/** Ends the machine: the network's module breaks its contract, and nothing that it says can be relied on. */
export function distrust(): void {
  printLine("mayfly: the network's module names memory or a machine that is not its own; it may have been taken over");
  powerOff(exitService);
}

/** Runs an event of net's memory on the machine that is on the tables, and gives the effects back. */
function run(slot: u32, eventAt: u32, length: u32, cpuMs: u32): void {
  const at = eventRoom(length);
  if (at !== 0) {
    copyBytes(at, netBase() + eventAt, length);
    starved = false;
    deadline = rdtsc() + ticksOf(<u64>cpuMs * (isEmulated() ? emulatedFactor : 1));
    const result = stepUntil(deadline);
    if (endedBy === 0) takeResult(result);
    else fail(endedBy === byTrap ? escaped : endedBy === byTime ? interrupted : noMemory);
  }
  let kind = outcome;
  let bytes = effectsBytes;
  const to: u32 = bytes === 0 ? 0 : effectsBuffer(bytes);
  if (to !== 0 && !inNet(to, bytes)) distrust();
  if ((bytes !== 0 && to === 0) || (starved && kind === interrupted)) {
    kind = noMemory;
    bytes = 0;
  }
  if (bytes !== 0) copyBytes(netBase() + to, effectsAt, bytes);
  settleJob(slot, kind === noMemory);
  done(slot, kind, bytes);
}

function settleJob(slot: u32, refused: bool): void {
  if (refused && !isOver) dropMachine(slot);
  else settle();
  store<u8>(waiting + slot, refused || isOver ? 0 : 1);
}

/** Units of memory that a machine may have now: its limit, or what is left. 0 when there is too little for any. */
function affordable(limit: u32): u32 {
  const frames = freeFrames() + privatePages();
  if (frames < usualFrames + reservedFrames) return 0;
  return min<u32>(limit, restUnits() + (frames - usualFrames - reservedFrames) / pagesPerUnit);
}

/** Does the next job, if there is one. */
export function runJob(): bool {
  const at = nextJob();
  if (at === 0) return false;
  if (!inNet(at, jobBytes)) distrust();
  const job = netBase() + at;
  const kind = read32Far(job), slot = read32Far(job + 4), eventAt = read32Far(job + 8), length = read32Far(job + 12);
  if (slot >= slots || (kind !== startJob && kind !== stepJob && kind !== dropJob) || length > mostFrame || (kind !== dropJob && !inNet(eventAt, length))) distrust();
  const waits = load<u8>(waiting + slot) !== 0;
  if (waits && kind !== stepJob) {
    dropMachine(slot);
    store<u8>(waiting + slot, 0);
  }
  if (kind === stepJob && !waits) done(slot, lied, 0);
  else if (kind === stepJob) {
    resumeMachine(slot);
    run(slot, eventAt, length, read32Far(job + 20));
  } else if (kind === startJob) {
    const units = affordable(read32Far(job + 16));
    if (units === 0) done(slot, noMemory, 0);
    else {
      startMachine(slot, units);
      run(slot, eventAt, length, read32Far(job + 20));
    }
  }
  return true;
}
