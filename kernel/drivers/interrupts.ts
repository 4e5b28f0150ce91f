/**
 * Interrupts do nothing but end `hlt`, and a step that takes for ever (guard.ts). They are on while the machine sleeps, and during steps of an
 * image that serves by itself. They have a stack of their own.
 */
import { controllerAt, controllerLine, findController } from "./acpi";
import { cli, outb, read32, stiHlt, write32 } from "./cpu";
import { alarmVector, interruptVector, spuriousVector } from "./exceptions";

const localApic: u32 = 0xfee00000;
// Registers of the local APIC (Intel SDM vol. 3, table 10-1).
const taskPriority: u32 = 0x80;
const endOfInterrupt: u32 = 0xb0;
const spurious: u32 = 0xf0;
const timerMode: u32 = 0x320;
const timerStart: u32 = 0x380;
const timerCount: u32 = 0x390;
const timerDivide: u32 = 0x3e0;
const firstLine: u32 = 0x350;
const masked: u32 = 0x10000;

export function startInterrupts(): void {
  write32(localApic + taskPriority, 0);
  write32(localApic + spurious, 0x100 | spuriousVector);
  // The timer counts down without interrupting: a clock to measure the time stamp counter against.
  write32(localApic + timerMode, masked | spuriousVector);
  write32(localApic + timerDivide, 0xb); // by one
  write32(localApic + timerStart, 0xffffffff);
}

/** Ticks of the local APIC's timer since the start; it stops after 2³² of them. */
export function apicTicks(): u32 {
  return 0xffffffff - read32(localApic + timerCount);
}

/** Lets a device's line through: rising edge, to this processor (82093AA data sheet, 3.2.4). */
export function enableLine(line: u32): void {
  findController(line);
  const register = 0x10 + (line - controllerLine) * 2;
  write32(controllerAt, register + 1);
  write32(controllerAt + 0x10, 0);
  write32(controllerAt, register);
  write32(controllerAt + 0x10, interruptVector);
}

/** Silences the interrupt controllers of before the local APIC, which firmware may have left on (8259A data sheet). */
export function silenceOldControllers(): void {
  outb(0x21, 0xff);
  outb(0xa1, 0xff);
  write32(localApic + firstLine, masked);
}

/** Rings the alarm (`alarmVector`) after so many nanoseconds; `apicTicks` says nothing any more. */
export function startTimer(nanoseconds: u32): void {
  if (!alarming) write32(localApic + timerMode, alarmVector);
  alarming = true;
  write32(localApic + timerStart, max<u32>(nanoseconds, 1));
}
let alarming: bool = false;

export function endInterrupt(): void {
  write32(localApic + endOfInterrupt, 0);
}

/** Sleeps until a device calls. `sti` takes effect after the next instruction, so no call can come in between and be missed. */
export function sleep(): void {
  stiHlt();
  cli();
}
