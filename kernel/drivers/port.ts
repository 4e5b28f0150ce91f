/**
 * A port of a virtio console (Virtual I/O Device 1.2, 5.3). A device with several ports is asked for the first it has; one without is a
 * port itself. QEMU throttles a port's stream when nobody reads it, but drops what a console can't get rid of: the monitor makes a port.
 *
 *     queues   0, 1 port 0   2, 3 control   4, 5 port 1            even ones receive, odd ones transmit
 */
import { read16, read32, write16, write32 } from "./cpu";
import {
  beginDevice, deviceFeatures, enableInterrupts, findDevice, makeQueue, notify, offer, queueBytes, queueLength, setInterrupting, startDevice,
  usedCount, usedIndex,
} from "./virtio";

const consoleDevice: u32 = 3;
const multiport: u32 = 2; // VIRTIO_CONSOLE_F_MULTIPORT
const controlReceive: u32 = 2, controlTransmit: u32 = 3;
// Events of the control queues (5.3.6.2).
const deviceReady: u32 = 0, portAdd: u32 = 1, portReady: u32 = 3, portOpen: u32 = 6;
const controlBuffers: u32 = 8;
const controlBytes: u32 = 64;
/** Looks at the control queue before the device is given up: it answers while it is told, so the first look sees it. */
const mostLooks: u32 = 10_000_000;

/** Memory of the six queues. */
// @ts-ignore: decorator
@lazy const queueMemory: usize = memory.data(2784, 16);
// @ts-ignore: decorator
@lazy const controlIncoming: usize = memory.data(512, 16);
// @ts-ignore: decorator
@lazy const controlOutgoing: usize = memory.data(64, 16);

let controlReceiving: u32 = 0;
let controlSending: u32 = 0;
/** The open port: its device, the numbers of its queues and where they lie. */
export let portDevice: u32 = 0;
export let portReceive: u32 = 0;
export let portTransmit: u32 = 1;
export let portReceiving: u32 = 0;
export let portSending: u32 = 0;

function queue(index: u32): u32 {
  return makeQueue(portDevice, index, <u32>queueMemory + index * queueBytes, queueLength);
}

export function openPort(): bool {
  portDevice = findDevice(consoleDevice);
  if (portDevice === 0) return false;
  const several = (deviceFeatures(portDevice) & multiport) !== 0;
  if (!beginDevice(portDevice, several ? multiport : 0)) return false;
  portReceiving = queue(0);
  portSending = queue(1);
  if (portReceiving === 0 || portSending === 0) return false;
  if (!several) startDevice(portDevice);
  else if (!choosePort()) return false;
  enableInterrupts(portDevice);
  return true;
}

let controls: u32 = 0;

/** Each message has a place of its own: the device may still read the one before. */
function sendControl(port: u32, event: u32, value: u32): void {
  const at = <u32>controlOutgoing + controls * 8;
  write32(at, port);
  write16(at + 4, event);
  write16(at + 6, value);
  offer(controlSending, controls, at, 8, false, controls);
  controls++;
  notify(portDevice, controlTransmit);
}

/** Opens the first port the device tells of. */
function choosePort(): bool {
  controlReceiving = queue(controlReceive);
  controlSending = queue(controlTransmit);
  const secondReceiving = queue(4), secondSending = queue(5);
  if (controlReceiving === 0 || controlSending === 0 || secondReceiving === 0 || secondSending === 0) return false;
  setInterrupting(controlReceiving, false);
  setInterrupting(controlSending, false);
  startDevice(portDevice);
  for (let i: u32 = 0; i < controlBuffers; i++) offer(controlReceiving, i, <u32>controlIncoming + i * controlBytes, controlBytes, true, i);
  notify(portDevice, controlReceive);
  sendControl(0, deviceReady, 1);
  let seen: u32 = 0;
  for (let look: u32 = 0; look < mostLooks && seen < controlBuffers; look++) {
    if (usedCount(controlReceiving) === seen) continue;
    const at = <u32>controlIncoming + (usedIndex(controlReceiving, seen++) % controlBuffers) * controlBytes;
    const port = read32(at);
    if (read16(at + 4) !== portAdd || port > 1) continue;
    if (port === 1) {
      portReceive = 4;
      portTransmit = 5;
      portReceiving = secondReceiving;
      portSending = secondSending;
    }
    sendControl(port, portReady, 1);
    sendControl(port, portOpen, 1);
    return true;
  }
  return false;
}
