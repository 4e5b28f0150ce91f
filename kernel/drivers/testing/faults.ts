/** Drivers for tests: they start as the others do, then go wrong as `fault=…` on the command line says, each in a function of its own. */
import { endOfMemory } from "../boot-info";
import { rateOf } from "../clock";
import { findWord } from "../command-line";
import { engineBase, interruptTableAt, ltr, read32Far, textStart } from "../cpu";
import { startExceptions } from "../exceptions";
import { startFrames, takeFrame } from "../frames";
import { headerAt, headerFree } from "../map";
import { memoryUnits } from "../memory-size";
import { putBack, startPages } from "../pages";
import { exit, exitClean } from "../power";
import { printLine, printNumber, startSerial } from "../serial";

export { handleException } from "../exceptions";
export function hostInterrupt(): i32 {
  return 0;
}

let zero: i32 = 0;
let minusOne: i32 = -1;
let sink: u32 = 0;

export function divideByZero(): void {
  sink = <u32>(7 / zero);
}
export function overflowDivision(): void {
  sink = <u32>(i32.MIN_VALUE / minusOne);
}
export function reachUnreachable(): void {
  unreachable();
}
export function readNull(): void {
  sink = load<u32>(<usize>zero + 8);
}
export function writeText(): void {
  store<u32>(<usize>textStart(), 1);
}
export function writeHeader(): void {
  store<u32>(<usize>headerAt, 1);
}
export function readBeyondMemory(): void {
  sink = read32Far(engineBase() + ((<u64>memoryUnits()) << 16));
}
export function readBeyondWindow(): void {
  sink = read32Far(engineBase() + 0x1ffff0000);
}
export function readUnmapped(): void {
  sink = read32Far(0x7000000000);
}
export function readNonCanonical(): void {
  sink = read32Far(0x8000000000000000);
}
export function loadBadTask(): void {
  ltr(16);
}
export function nestDeep(depth: u32): u32 {
  return depth === 0xffffffff ? 0 : nestDeep(depth + 1) + (sink ^ depth);
}
export function growStack(depth: u32): u32 {
  return depth === 0 ? 1 : growStack(depth - 1) + (sink ^ depth);
}
export function overflowStack(): void {
  sink = nestDeep(0);
}
export function useStack(): void {
  sink = growStack(100_000);
}
export function nothing(): void {}
export function faultTwice(): void {
  const table = <usize>interruptTableAt();
  for (let at = table + 11 * 16; at < table + 14 * 16; at += 8) store<u64>(at, 0); // no entry for what comes first, none for what that leads to
  ltr(16);
}
export function useUpMemory(): void {
  for (;;) takeFrame();
}
/** KVM's values for counters of two and of three gigahertz. */
export function printRates(): void {
  printNumber(rateOf(0x80000000, 0));
  printLine(" ticks");
  printNumber(rateOf(0xaaaaaaaa, -1));
  printLine(" ticks");
}

function is(word: string): bool {
  const at = findWord("fault=", 0);
  for (let i: i32 = 0; i < word.length; i++)
    if (at === 0 || <u16>load<u8>(at + <usize>i) !== load<u16>(changetype<usize>(word) + ((<usize>i) << 1))) return false;
  return true;
}

export function main(): void {
  startSerial();
  startExceptions();
  startFrames(load<u32>(<usize>headerAt, headerFree), endOfMemory());
  startPages();
  putBack();
  printLine("started");
  let chosen: () => void = nothing; // called indirectly, so that none of them is inlined
  if (is("divide")) chosen = divideByZero;
  if (is("overflow")) chosen = overflowDivision;
  if (is("unreachable")) chosen = reachUnreachable;
  if (is("null")) chosen = readNull;
  if (is("text")) chosen = writeText;
  if (is("header")) chosen = writeHeader;
  if (is("memory")) chosen = readBeyondMemory;
  if (is("window")) chosen = readBeyondWindow;
  if (is("unmapped")) chosen = readUnmapped;
  if (is("canonical")) chosen = readNonCanonical;
  if (is("task")) chosen = loadBadTask;
  if (is("stack")) chosen = overflowStack;
  if (is("deep")) chosen = useStack;
  if (is("double")) chosen = faultTwice;
  if (is("exhaust")) chosen = useUpMemory;
  if (is("clock")) chosen = printRates;
  chosen();
  printLine("went on");
  exit(exitClean);
}
