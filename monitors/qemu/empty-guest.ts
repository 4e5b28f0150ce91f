/** A PVH guest that does nothing but end: what QEMU itself costs, and whether an accelerator works. */
import { writeElf } from "#compiler";

const loadAddress = 0x100000;
/** Ends QEMU with status 85. */
export const emptyGuestStatus = 85;

export function emptyGuest(): Uint8Array {
  // mov eax, 42; mov dx, 0xf4; out dx, eax; hlt
  const text = Uint8Array.of(0xb8, 42, 0, 0, 0, 0x66, 0xba, 0xf4, 0, 0xef, 0xf4);
  const entry = new Uint8Array(4);
  new DataView(entry.buffer).setUint32(0, loadAddress, true);
  return writeElf({
    entry: BigInt(loadAddress),
    segments: [{ name: "text", address: BigInt(loadAddress), bytes: text, memoryBytes: text.length, writable: false, executable: true }],
    symbols: [],
    notes: [{ owner: "Xen", type: 18, bytes: entry }],
  });
}
