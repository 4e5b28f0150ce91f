/**
 * Requests to end the machine: the power button, by ACPI's fixed registers or its generic event device (ACPI 6.5, 4.8.2 and 5.6.9), and
 * Ctrl-C on the serial console, which is all that a machine without ACPI has. Looked at now and then: nothing of it is urgent.
 */
import { eventSelector, powerEvents } from "./acpi";
import { inw, outw, read32 } from "./cpu";
import { serialByte } from "./serial";

const enableOffset: u32 = 2;
const powerButton: u32 = 0x100;
const selectedPowerDown: u32 = 2;
const endOfText: u32 = 3; // Ctrl-C
/** Bytes of the console read at one look. */
const mostBytes: u32 = 64;

let events: u32 = 0;
let selector: u32 = 0;

export function startButton(): void {
  events = powerEvents();
  if (events !== 0) outw(events + enableOffset, powerButton);
  else selector = eventSelector();
}

/** True if the machine was asked to end since the last look. */
export function isButtonPressed(): bool {
  for (let i: u32 = 0; i < mostBytes; i++) {
    const byte = serialByte();
    if (byte < 0) break;
    if (<u32>byte === endOfText) return true;
  }
  if (events !== 0 && (inw(events) & powerButton) !== 0) {
    outw(events, powerButton);
    return true;
  }
  return selector !== 0 && (read32(selector) & selectedPowerDown) !== 0;
}
