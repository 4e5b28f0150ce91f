/**
 * Where the log of a machine goes that serves the network by itself: a port of a virtio console, which takes whole buffers, or else the serial
 * port, which takes a byte at a time and costs the hypervisor a call for each.
 */
import { pause, read8Far } from "./cpu";
import { takeRow } from "./frames";
import { pageBytes } from "./map";
import { openPort, portDevice, portSending, portTransmit } from "./port";
import { cleanByte, printText } from "./serial";
import { notify, offer, queueLength, setInterrupting, usedCount } from "./virtio";

const bufferBytes: u32 = 2048;
/** Looks for a free buffer before text is dropped: who reads the log must not hold up who is served. */
const mostLooks: u32 = 100_000;

/** The buffers, or 0 without a port. */
let buffers: u32 = 0;
let sent: u32 = 0;
let fill: u32 = 0;
let lost: u32 = 0;

export function startConsole(): void {
  if (!openPort()) return;
  setInterrupting(portSending, false);
  buffers = takeRow((queueLength * bufferBytes) / <u32>pageBytes);
}

function unsent(): u32 {
  return (sent - usedCount(portSending)) & 0xffff;
}

function hasRoom(): bool {
  if (fill !== 0 || unsent() < queueLength) return true;
  if (lost !== 0) return false; // it was waited for
  flushConsole();
  for (let looks: u32 = 0; looks < mostLooks && unsent() === queueLength; looks++) pause();
  return unsent() < queueLength;
}

function put(byte: u32): void {
  if (!hasRoom()) {
    lost++;
    return;
  }
  store<u8>(<usize>(buffers + (sent % queueLength) * bufferBytes + fill++), byte);
  if (fill === bufferBytes) flushConsole();
}

function putText(text: string): void {
  for (let i: i32 = 0; i < text.length; i++) put(load<u16>(changetype<usize>(text) + ((<usize>i) << 1)));
}

function putNumber(value: u32): void {
  if (value >= 10) putNumber(value / 10);
  put(48 + (value % 10));
}

/** Says how much was dropped, once there is room again. */
function tellLoss(): void {
  const bytes = lost;
  lost = 0;
  putText("mayfly: nobody read the console: ");
  putNumber(bytes);
  putText(" bytes of the log are lost\n");
}

/** Text of a module's: lines end in \n, bytes of UTF-8 pass, and control codes don't. It goes with `flushConsole`. */
export function writeConsole(from: u64, length: u32): void {
  if (buffers === 0) return printText(from, length);
  if (lost !== 0 && unsent() < queueLength) tellLoss();
  for (let i: u32 = 0; i < length; i++) put(cleanByte(read8Far(from + i)));
}

/** Gives the device what was written. */
export function flushConsole(): void {
  if (fill === 0) return;
  offer(portSending, sent % queueLength, buffers + (sent % queueLength) * bufferBytes, fill, false, sent);
  sent = (sent + 1) & 0xffff;
  fill = 0;
  notify(portDevice, portTransmit);
}

/** Waits until the device has all of it, but not for ever. */
export function drainConsole(): void {
  if (buffers === 0) return;
  flushConsole();
  for (let looks: u32 = 0; unsent() !== 0 && looks < mostLooks; looks++) pause();
}
