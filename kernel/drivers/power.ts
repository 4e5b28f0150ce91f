/** The end of the machine. */
import { cli, hlt, outb, outl } from "./cpu";

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

export function exit(code: u32): void {
  outl(debugExit, code);
  outb(keyboardController, 0xfe);
  for (;;) {
    cli();
    hlt();
  }
}
