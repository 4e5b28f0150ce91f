/**
 * The channel to the monitor: a stream of bytes each way over a port of a virtio console. All buffers are static.
 *
 *     monitor ──▶ 16 buffers of 4 KiB ──▶ wherever the reader wants it          the machine ──▶ 8 buffers of 16 KiB ──▶ monitor
 */
import { copy } from "./cpu";
import { sleep } from "./interrupts";
import { incomingAt, outgoingAt } from "./map";
import { openPort, portDevice, portReceive, portReceiving, portSending, portTransmit } from "./port";
import { notify, offer, queueLength, quiet, setInterrupting, usedCount, usedIndex, usedLength } from "./virtio";

const receiveBytes: u32 = 4096;
const transmitBytes: u32 = 16_384;
const transmitBuffers: u32 = 8;
const incoming: usize = incomingAt;
const outgoing: usize = outgoingAt;

let offered: u32 = 0; // receive buffers given to the device since the start, modulo 2¹⁶
let taken: u32 = 0; // of those it filled, how many were read to their end
let position: u32 = 0; // what was read of the one being read
let sent: u32 = 0;

export function startChannel(): bool {
  if (!openPort()) return false;
  setInterrupting(portSending, false);
  for (let i: u32 = 0; i < queueLength; i++) offerReceive(i);
  notify(portDevice, portReceive);
  return true;
}

function offerReceive(index: u32): void {
  offer(portReceiving, index, <u32>incoming + index * receiveBytes, receiveBytes, true, offered);
  offered = (offered + 1) & 0xffff;
}

/** True if the monitor has sent something that is still unread. */
export function hasIncoming(): bool {
  return usedCount(portReceiving) !== taken;
}

/** Sleeps until something comes in. The interrupt is taken back before the last look, so that what comes after it wakes. */
function awaitIncoming(): void {
  while (!hasIncoming()) {
    quiet(portDevice);
    if (!hasIncoming()) sleep();
  }
}

/** Reads exactly `length` bytes to an address of the machine. */
export function receive(to: u64, length: u32): void {
  let done: u32 = 0;
  while (done < length) {
    awaitIncoming();
    const index = usedIndex(portReceiving, taken) % queueLength;
    const filled = min<u32>(usedLength(portReceiving, taken), receiveBytes);
    const part = min<u32>(filled - position, length - done);
    copy(to + done, <u64>(<u32>incoming + index * receiveBytes + position), part);
    position += part;
    done += part;
    if (position < filled) return;
    position = 0;
    taken = (taken + 1) & 0xffff;
    offerReceive(index);
    notify(portDevice, portReceive);
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
  return (sent - usedCount(portSending)) & 0xffff;
}

/** Waits until at most `most` buffers are on their way. */
function awaitSent(most: u32): void {
  if (unsent() <= most) return;
  setInterrupting(portSending, true);
  while (unsent() > most) {
    quiet(portDevice);
    if (unsent() > most) sleep();
  }
  setInterrupting(portSending, false);
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
  offer(portSending, index, <u32>outgoing + index * transmitBytes, fill, false, sent);
  sent = (sent + 1) & 0xffff;
  fill = 0;
  notify(portDevice, portTransmit);
}
