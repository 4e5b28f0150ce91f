/** Exit statuses of QEMU: isa-debug-exit gives (code << 1) | 1; the codes are those of kernel/drivers/power.ts. */
import { trapKinds } from "#compiler";

export const guestExit = {
  clean: 1,
  exception: 0x10,
  trap: 0x30,
  noMemory: 0x50,
  noChannel: 0x51,
  processor: 0x52,
  image: 0x53,
  protocol: 0x54,
  noDevice: 0x55,
  service: 0x56,
} as const;

export type GuestEnd = "clean" | "trapped" | "no-memory" | "broken" | "lost";

const exceptions = 32;

/** The guest's code, or undefined when the status is not of its making. */
export function guestCode(status: number | null): number | undefined {
  return status === null || status % 2 === 0 ? undefined : status >> 1;
}

/** Kind of the end, and a sentence for the log. */
export function describeExit(status: number | null, signal: string | null): { readonly end: GuestEnd; readonly text: string } {
  const code = guestCode(status);
  if (signal !== null) return { end: "lost", text: `QEMU was ended by ${signal}` };
  if (code === undefined) return { end: "lost", text: `QEMU ended with status ${status}` };
  if (code >= guestExit.trap && code < guestExit.trap + trapKinds.length)
    return { end: "trapped", text: `trap: ${trapKinds[code - guestExit.trap]}` };
  if (code >= guestExit.exception && code < guestExit.exception + exceptions)
    return { end: "trapped", text: `exception ${code - guestExit.exception}` };
  switch (code) {
    case guestExit.clean:
      return { end: "clean", text: "the guest ended as requested" };
    case guestExit.noMemory:
      return { end: "no-memory", text: "the virtual machine is out of memory" };
    case guestExit.noChannel:
      return { end: "broken", text: "the guest found no channel" };
    case guestExit.processor:
      return { end: "broken", text: "the guest's processor lacks SSE4.1 or POPCNT" };
    case guestExit.image:
      return { end: "broken", text: "the guest found no image" };
    case guestExit.protocol:
      return { end: "broken", text: "the guest could not read the channel" };
    case guestExit.noDevice:
      return { end: "broken", text: "the guest lacks a device to serve with; its console says which" };
    case guestExit.service:
      return { end: "broken", text: "the guest can't run its service; its console says why" };
    default:
      return { end: "lost", text: `the guest ended with code ${code}` };
  }
}
