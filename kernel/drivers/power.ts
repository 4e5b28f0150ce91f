/** The end of the machine. */
import { sleepControl, sleepControlIsPort } from "./acpi";
import { cli, hlt, lidt, outb, outl, outw, write8 } from "./cpu";
import { reach } from "./reach";

/** isa-debug-exit: QEMU ends with (code << 1) | 1. */
const debugExit: u32 = 0xf4;
/** The keyboard controller's reset line, which Firecracker takes as the end. */
const keyboardController: u32 = 0x64;

/** Codes that QEMU's exit status carries; monitors/qemu/exit-codes.ts names them. */
export const exitClean: u32 = 1; // QEMU itself ends with 1 when it does not like its options
export const exitException: u32 = 0x10; // + vector
export const exitTrap: u32 = 0x30; // + kind, as compiler/assemble/code.ts numbers them
export const exitNoMemory: u32 = 0x50;
export const exitNoChannel: u32 = 0x51;
export const exitProcessor: u32 = 0x52;
export const exitImage: u32 = 0x53;
export const exitProtocol: u32 = 0x54;
export const exitNoDevice: u32 = 0x55;
export const exitService: u32 = 0x56;

/** PM1a control of QEMU's `pc` and `q35`: sleep, type 0. */
const pm1Control: u32 = 0x604, pm1Off: u32 = 0x2000;
/** Sleep control without fixed hardware: sleep, type 5 (ACPI 6.5, 4.8.3.7). Cloud Hypervisor's is this port. */
const sleepPort: u32 = 0x600, sleepOff: u32 = 0x34;

// @ts-ignore: decorator
@lazy const noTable: usize = memory.data(16, 16);

/** Ends with a code where somebody listens for it. */
export function exit(code: u32): void {
  outl(debugExit, code);
  outb(keyboardController, 0xfe);
  stop();
}

/** Without anybody who listens: power off, as a person expects it; by a triple fault in the end, which ends QEMU with `-no-reboot`. */
export function powerOff(code: u32): void {
  outl(debugExit, code);
  const control = sleepControl();
  if (control !== 0 && sleepControlIsPort()) outb(<u32>control, sleepOff);
  else if (control !== 0) write8(reach(control, 1, true), sleepOff);
  outw(pm1Control, pm1Off);
  outb(sleepPort, sleepOff);
  outb(keyboardController, 0xfe);
  lidt(<u64>noTable);
  unreachable();
}

function stop(): void {
  for (;;) {
    cli();
    hlt();
  }
}
