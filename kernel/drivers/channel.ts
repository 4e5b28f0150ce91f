/**
 * The channel to the monitor: a stream of bytes each way over a virtio console (Virtual I/O Device 1.2, 5.3). All buffers are static.
 *
 *     monitor ──▶ 16 buffers of 4 KiB ──▶ wherever the reader wants it          the machine ──▶ 8 buffers of 16 KiB ──▶ monitor
 */
import { copy } from "./cpu";
import { enableLine, sleep } from "./interrupts";
import {
  beginDevice, deviceBase, deviceLine, findDevice, notify, offer, queueBytes, queueLength, quiet, setInterrupting, setQueue, startDevice, usedCount, usedIndex,
  usedLength,
} from "./virtio";

const consoleDevice: u32 = 3;
const receiveQueue: u32 = 0;
const transmitQueue: u32 = 1;
const receiveBytes: u32 = 4096;
const transmitBytes: u32 = 16_384;
const transmitBuffers: u32 = 8;

// @ts-ignore: decorator
@lazy const receiving: usize = memory.data(queueBytes, 16);
// @ts-ignore: decorator
@lazy const sending: usize = memory.data(queueBytes, 16);
// @ts-ignore: decorator
@lazy const incoming: usize = memory.data(65536, 16);
// @ts-ignore: decorator
@lazy const outgoing: usize = memory.data(131072, 16);

let base: u32 = 0;
let offered: u32 = 0; // receive buffers given to the device since the start, modulo 2¹⁶
let taken: u32 = 0; // of those it filled, how many were read to their end
let position: u32 = 0; // what was read of the one being read
let sent: u32 = 0;

export function startChannel(): bool {
  if (!findDevice(consoleDevice)) return false;
  base = deviceBase;
  if (!beginDevice(base) || !setQueue(base, receiveQueue, <u32>receiving) || !setQueue(base, transmitQueue, <u32>sending)) return false;
  setInterrupting(<u32>sending, false);
  startDevice(base);
  enableLine(deviceLine);
  for (let i: u32 = 0; i < queueLength; i++) offerReceive(i);
  notify(base, receiveQueue);
  return true;
}

function offerReceive(index: u32): void {
  offer(<u32>receiving, index, <u32>incoming + index * receiveBytes, receiveBytes, true, offered);
  offered = (offered + 1) & 0xffff;
}

/** Whether the monitor has sent something that was not read yet. */
export function hasIncoming(): bool {
  return usedCount(<u32>receiving) !== taken;
}

/** Sleeps until something comes in. The interrupt is taken back before the last look, so that what comes after it wakes. */
function awaitIncoming(): void {
  while (!hasIncoming()) {
    quiet(base);
    if (!hasIncoming()) sleep();
  }
}

/** Reads exactly `length` bytes to an address of the machine. */
export function receive(to: u64, length: u32): void {
  let done: u32 = 0;
  while (done < length) {
    awaitIncoming();
    const index = usedIndex(<u32>receiving, taken) % queueLength;
    const filled = min<u32>(usedLength(<u32>receiving, taken), receiveBytes);
    const part = min<u32>(filled - position, length - done);
    copy(to + done, <u64>(<u32>incoming + index * receiveBytes + position), part);
    position += part;
    done += part;
    if (position < filled) return;
    position = 0;
    taken = (taken + 1) & 0xffff;
    offerReceive(index);
    notify(base, receiveQueue);
  }
}

/** Reads and forgets. */
export function skip(length: u32): void {
  const scratch = <u64>outgoing;
  for (let left = length; left > 0; ) {
    const part = min<u32>(left, transmitBytes);
    receive(scratch, part);
    left -= part;
  }
}

function unsent(): u32 {
  return (sent - usedCount(<u32>sending)) & 0xffff;
}

/** Waits until at most `most` buffers are on their way. */
function awaitSent(most: u32): void {
  if (unsent() <= most) return;
  setInterrupting(<u32>sending, true);
  while (unsent() > most) {
    quiet(base);
    if (unsent() > most) sleep();
  }
  setInterrupting(<u32>sending, false);
}

/** Buffer and fill of what is gathered before it is sent. */
let fill: u32 = 0;

/** Puts bytes from an address of the machine into the stream. */
export function transmit(from: u64, length: u32): void {
  let done: u32 = 0;
  while (done < length) {
    if (fill === 0) awaitSent(transmitBuffers - 1);
    const part = min<u32>(length - done, transmitBytes - fill);
    copy(<u64>(<u32>outgoing + (sent % transmitBuffers) * transmitBytes + fill), from + done, part);
    fill += part;
    done += part;
    if (fill === transmitBytes) flush();
  }
}

/** Sends what was gathered. */
export function flush(): void {
  if (fill === 0) return;
  const index = sent % transmitBuffers;
  offer(<u32>sending, index, <u32>outgoing + index * transmitBytes, fill, false, sent);
  sent = (sent + 1) & 0xffff;
  fill = 0;
  notify(base, transmitQueue);
}
