/**
 * Jobs of the network's module: it says which machine gets which event, as a monitor would; the effects go back into its memory. A job is
 *
 *     u32 kind (1 start, 2 step, 4 drop) │ u32 slot │ u32 address of the event │ u32 its bytes │ u32 memory in units of 64 KiB │ u32 CPU ms
 *
 * One machine is in the engine's memory at a time. One that waits is kept in a berth of its slot's number.
 */
import { copy, engineBase, exit, read32, read8, write8 } from "../cpu";
import { drop, enginePages, resume, setLimitPages, wasmPageBytes } from "../pristine";
import { tellTime } from "./clock";
import { byTime, endedBy, isLate, stepFor } from "./guard";
import { machinePages } from "./limits";
import { inNet } from "./memory";
import { done, effectsBuffer, netBase, nextJob } from "./net";
import { keepMachine, putBack } from "./pages";
import { beginFault, endLine, put } from "./text";

// @ts-ignore: decorator
@external("native", "eventBuffer")
declare function eventBuffer(length: u32): u32;
// @ts-ignore: decorator
@external("native", "effects")
declare function effects(): u32;
// @ts-ignore: decorator
@external("native", "effectsLength")
declare function effectsLength(): u32;
// @ts-ignore: decorator
@external("native", "noteInterrupt")
declare function noteInterrupt(): void;

const jobBytes: u32 = 24;
const startJob: u32 = 1, stepJob: u32 = 2, dropJob: u32 = 4;
/** Results of jobs (kernel/net/service/machines.ts). */
const complete: u32 = 17, interrupted: u32 = 18, escaped: u32 = 19, noMemory: u32 = 20, lied: u32 = 21;
/** Machines that wait (kernel/net/service/limits.ts: messages). */
const slots: u32 = 1024;
/** Bytes at the bottom of the engine's memory that no machine uses (kernel/layout.ts, monitorBytes). */
const monitorBytes: u32 = 65_536;
/** Longest event and longest effects. */
const mostFrame: u32 = 64 << 20;
// Effects that end a machine (abi/effects.ts).
const doneEffect: u32 = 6, failEffect: u32 = 7;

/** 1 for each slot whose machine waits. */
// @ts-ignore: decorator
@lazy const waiting: usize = memory.data(1024, 16);

/** The engine asks every few thousand operations whether to stop. */
export function interrupt(): i32 {
  if (!isLate()) return 0;
  noteInterrupt();
  return 1;
}

/** Ends the process: the network's module breaks its contract, and nothing that it says can be relied on. */
function distrust(): void {
  beginFault("MF_STANDALONE_START");
  put("the network's module names memory or a machine that is not its own; it may have been taken over");
  endLine();
  exit(1);
}

function inMachine(at: u32, length: u32): bool {
  return at >= monitorBytes && <u64>at + length <= <u64>enginePages() * wasmPageBytes;
}

/** The kind of the last record of an effects' frame (abi/frame.ts), or 0. The frame is the machine's: it may say anything. */
function lastKind(at: u64, length: u32): u32 {
  let position: u64 = 8;
  let kind: u32 = 0;
  while (position + 4 <= <u64>length) {
    kind = read8(at + position);
    const parts = <u64>read8(at + position + 1);
    let next = position + 4 + 4 * parts;
    if (next > <u64>length) return 0;
    for (let part: u64 = 0; part < parts; part++) {
      const partLength = read32(at + position + 4 + 4 * part);
      if (partLength !== 0xffffffff) next += partLength;
    }
    position = next;
  }
  return kind;
}

let outcome: u32 = 0;
let effectsAt: u64 = 0;
let effectsBytes: u32 = 0;
let isOver: bool = false;
/** The step was ended from outside. */
let isTorn: bool = false;

/** The machine is over, without effects. */
function fail(kind: u32): void {
  outcome = kind;
  effectsBytes = 0;
  isOver = true;
}

/** The outcome of a step by what `step` answered. */
function takeResult(result: i32): void {
  const from = effects();
  const size = result >= 0 ? <u32>result : effectsLength();
  if (!inMachine(from, size) || size > mostFrame) return fail(lied);
  effectsAt = engineBase() + from;
  effectsBytes = size;
  const last = lastKind(effectsAt, size);
  isOver = result < 0 || last === doneEffect || last === failEffect;
  outcome = result >= 0 ? (isLate() ? interrupted : complete) : result === -1 ? interrupted : escaped;
  if (outcome === interrupted) isOver = true;
}

/** Gives the machine in the memory its event, and runs it. */
function runEvent(eventAt: u32, length: u32, cpuMs: u32): void {
  const at = eventBuffer(length);
  if (at === 0) return fail(noMemory);
  if (!inMachine(at, length + 1)) return fail(lied);
  copy(engineBase() + at, netBase() + eventAt, length);
  write8(engineBase() + at + length, 0);
  const result = stepFor(cpuMs);
  const ended = endedBy();
  if (ended === 0) return takeResult(result);
  isTorn = true;
  fail(ended === byTime ? interrupted : escaped);
}

/** Runs an event of net's memory on the machine that is in the memory, and gives the effects back. */
function run(slot: u32, eventAt: u32, length: u32, cpuMs: u32): void {
  runEvent(eventAt, length, cpuMs);
  const to: u32 = effectsBytes === 0 ? 0 : effectsBuffer(effectsBytes);
  if (to !== 0 && !inNet(to, effectsBytes)) distrust();
  if (effectsBytes !== 0 && to === 0) fail(noMemory);
  if (effectsBytes !== 0) copy(netBase() + to, effectsAt, effectsBytes);
  if (!isOver && !keepMachine(slot)) fail(noMemory);
  store<u8>(waiting + slot, isOver ? 0 : 1);
  putBack(isTorn);
  isTorn = false;
  tellTime();
  done(slot, outcome, effectsBytes);
}

/** Does the next job, if there is one. */
export function runJob(): bool {
  const at = nextJob();
  if (at === 0) return false;
  if (!inNet(at, jobBytes)) distrust();
  const job = netBase() + at;
  const kind = read32(job), slot = read32(job + 4), eventAt = read32(job + 8), length = read32(job + 12);
  if (slot >= slots || (kind !== startJob && kind !== stepJob && kind !== dropJob) || length > mostFrame || (kind !== dropJob && !inNet(eventAt, length))) distrust();
  const waits = load<u8>(waiting + slot) !== 0;
  if (waits && kind !== stepJob) {
    drop(slot);
    store<u8>(waiting + slot, 0);
  }
  if (kind === dropJob) return true;
  setLimitPages(min<u32>(read32(job + 16), machinePages));
  if (kind === startJob) run(slot, eventAt, length, read32(job + 20));
  else if (!waits) done(slot, lied, 0);
  else if (resume(slot)) run(slot, eventAt, length, read32(job + 20));
  else {
    drop(slot);
    store<u8>(waiting + slot, 0);
    putBack(false);
    done(slot, noMemory, 0);
  }
  return true;
}
