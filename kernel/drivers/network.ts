/** The network device (Virtual I/O Device 1.2, 5.1): Ethernet frames to and from static buffers, without offloads. */
import { copyBytes } from "./copy";
import { fill, pause, read8 } from "./cpu";
import { clearPage, takeRow } from "./frames";
import { incomingAt, outgoingAt } from "./map";
import {
  beginDevice, bytesOfQueue, deviceConfig, deviceFeatures, enableInterrupts, findDevice, makeQueue, notify, notifyIfWanted, offer, quiet, setInterrupting, startDevice,
  usedCount, usedIndex, usedLength,
} from "./virtio";

const networkDevice: u32 = 1;
const macFeature: u32 = 1 << 5;
const receiveQueue: u32 = 0, transmitQueue: u32 = 1;
/** Buffers each way: what fits into the channel's place, which is free here. */
const receiveBuffers: u32 = 32, transmitBuffers: u32 = 64;
const bufferBytes: u32 = 2048;
/** virtio's header before each frame; all zero without offloads (5.1.6.1). */
const headBytes: u32 = 12;
const leastFrame: u32 = 60;
export const mostFrame: u32 = 1514;
/** Looks for a free buffer before a frame is dropped, as a wire would. */
const mostLooks: u32 = 1_000_000;

let device: u32 = 0;
let receiving: u32 = 0, sending: u32 = 0;
let offered: u32 = 0, taken: u32 = 0, sent: u32 = 0, told: u32 = 0;
/** The device's address: its first four and its last two bytes, big endian. */
export let macHigh: u32 = 0;
export let macLow: u32 = 0;

/** False when there is no device that can be used. */
export function startNetwork(): bool {
  device = findDevice(networkDevice);
  if (device === 0 || (deviceFeatures(device) & macFeature) === 0 || !beginDevice(device, macFeature)) return false;
  const memory = takeRow(1);
  clearPage(<usize>memory);
  receiving = makeQueue(device, receiveQueue, memory, receiveBuffers);
  sending = makeQueue(device, transmitQueue, memory + ((bytesOfQueue(receiveBuffers) + 15) & ~15), transmitBuffers);
  if (receiving === 0 || sending === 0) return false;
  setInterrupting(sending, false);
  startDevice(device);
  const mac = deviceConfig(device);
  for (let i: u32 = 0; i < 4; i++) macHigh = (macHigh << 8) | read8(mac + i);
  macLow = (read8(mac + 4) << 8) | read8(mac + 5);
  for (let i: u32 = 0; i < receiveBuffers; i++) giveBack(i);
  notify(device, receiveQueue);
  fill(<u64>outgoingAt, 0, transmitBuffers * bufferBytes);
  enableInterrupts(device);
  return true;
}

function giveBack(index: u32): void {
  offer(receiving, index, incomingAt + index * bufferBytes, bufferBytes, true, offered);
  offered = (offered + 1) & 0xffff;
}

export function hasFrames(): bool {
  return usedCount(receiving) !== taken;
}

/** Takes the device's interrupt back, before the last look. */
export function quietNetwork(): void {
  quiet(device);
}

/** Results of `nextFrame`. */
export let frameAt: u32 = 0;
export let frameLength: u32 = 0;
let frameIndex: u32 = 0;

/** The oldest frame that came in; it stays until `releaseFrame`. */
export function nextFrame(): bool {
  if (!hasFrames()) return false;
  frameIndex = usedIndex(receiving, taken) % receiveBuffers;
  const length = usedLength(receiving, taken);
  frameAt = incomingAt + frameIndex * bufferBytes + headBytes;
  frameLength = length <= headBytes || length > bufferBytes ? 0 : length - headBytes;
  return true;
}

export function releaseFrame(): void {
  taken = (taken + 1) & 0xffff;
  giveBack(frameIndex);
}

/** After frames were released: the device may use them. */
export function offerFrames(): void {
  notifyIfWanted(device, receiveQueue, receiving);
}

function unsent(): u32 {
  return (sent - usedCount(sending)) & 0xffff;
}

/** Queues a frame from an address of the machine; padded to what Ethernet wants. It goes with `flushFrames`. */
export function sendFrame(from: u64, length: u32): void {
  if (unsent() >= transmitBuffers) {
    flushFrames();
    let looks: u32 = 0;
    while (unsent() >= transmitBuffers && looks++ < mostLooks) pause();
    if (unsent() >= transmitBuffers) return;
  }
  const index = sent % transmitBuffers;
  const at = <u32>outgoingAt + index * bufferBytes;
  copyBytes(<u64>(at + headBytes), from, length);
  if (length < leastFrame) fill(<u64>(at + headBytes + length), 0, leastFrame - length);
  offer(sending, index, at, headBytes + max<u32>(length, leastFrame), false, sent);
  sent = (sent + 1) & 0xffff;
}

/** Waits until the device has what was queued, but not for ever. */
export function drainFrames(): void {
  flushFrames();
  for (let looks: u32 = 0; unsent() !== 0 && looks < mostLooks; looks++) pause();
}

/** Tells the device of what was queued since it was last told. */
export function flushFrames(): void {
  if (sent === told) return;
  told = sent;
  notifyIfWanted(device, transmitQueue, sending);
}
