/**
 * A port of a virtio console (Virtual I/O Device 1.2, 5.3). A device with several ports is asked for the first it has; one without is a
 * port itself. QEMU throttles a port's stream when nobody reads it, but drops what a console can't get rid of: the monitor makes a port.
 *
 *     queues   0, 1 port 0   2, 3 control   4, 5 port 1            even ones receive, odd ones transmit
 */
import { read16, read32, write16, write32 } from "./cpu";
import { enableLine } from "./interrupts";
import {
  beginDevice, deviceBase, deviceFeatures, deviceLine, findDevice, notify, offer, queueBytes, quiet, setInterrupting, setQueue, startDevice, usedCount,
  usedIndex,
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

// @ts-ignore: decorator
@lazy const firstReceiving: usize = memory.data(queueBytes, 16);
// @ts-ignore: decorator
@lazy const firstSending: usize = memory.data(queueBytes, 16);
// @ts-ignore: decorator
@lazy const controlReceiving: usize = memory.data(queueBytes, 16);
// @ts-ignore: decorator
@lazy const controlSending: usize = memory.data(queueBytes, 16);
// @ts-ignore: decorator
@lazy const secondReceiving: usize = memory.data(queueBytes, 16);
// @ts-ignore: decorator
@lazy const secondSending: usize = memory.data(queueBytes, 16);
// @ts-ignore: decorator
@lazy const controlIncoming: usize = memory.data(512, 16);
// @ts-ignore: decorator
@lazy const controlOutgoing: usize = memory.data(64, 16);

/** The open port: its device, the numbers of its queues and where they lie. */
export let portBase: u32 = 0;
export let portReceive: u32 = 0;
export let portTransmit: u32 = 1;
export let portReceiving: u32 = 0;
export let portSending: u32 = 0;

export function openPort(): bool {
  if (!findDevice(consoleDevice)) return false;
  const base = deviceBase;
  const several = (deviceFeatures(base) & multiport) !== 0;
  if (!beginDevice(base, several ? multiport : 0)) return false;
  if (!setQueue(base, 0, <u32>firstReceiving) || !setQueue(base, 1, <u32>firstSending)) return false;
  if (several) {
    if (!setQueue(base, controlReceive, <u32>controlReceiving) || !setQueue(base, controlTransmit, <u32>controlSending)) return false;
    if (!setQueue(base, 4, <u32>secondReceiving) || !setQueue(base, 5, <u32>secondSending)) return false;
    setInterrupting(<u32>controlReceiving, false);
    setInterrupting(<u32>controlSending, false);
  }
  startDevice(base);
  portBase = base;
  if (several && !choosePort()) return false;
  if (portReceive === 0) {
    portReceiving = <u32>firstReceiving;
    portSending = <u32>firstSending;
  }
  quiet(base);
  enableLine(deviceLine);
  return true;
}

let controls: u32 = 0;

/** Each message has a place of its own: the device may still read the one before. */
function sendControl(port: u32, event: u32, value: u32): void {
  const at = <u32>controlOutgoing + controls * 8;
  write32(at, port);
  write16(at + 4, event);
  write16(at + 6, value);
  offer(<u32>controlSending, controls, at, 8, false, controls);
  controls++;
  notify(portBase, controlTransmit);
}

/** Opens the first port the device tells of. */
function choosePort(): bool {
  for (let i: u32 = 0; i < controlBuffers; i++) offer(<u32>controlReceiving, i, <u32>controlIncoming + i * controlBytes, controlBytes, true, i);
  notify(portBase, controlReceive);
  sendControl(0, deviceReady, 1);
  let seen: u32 = 0;
  for (let look: u32 = 0; look < mostLooks && seen < controlBuffers; look++) {
    if (usedCount(<u32>controlReceiving) === seen) continue;
    const at = <u32>controlIncoming + (usedIndex(<u32>controlReceiving, seen++) % controlBuffers) * controlBytes;
    const port = read32(at);
    if (read16(at + 4) !== portAdd || port > 1) continue;
    if (port === 1) {
      portReceive = 4;
      portTransmit = 5;
      portReceiving = <u32>secondReceiving;
      portSending = <u32>secondSending;
    }
    sendControl(port, portReady, 1);
    sendControl(port, portOpen, 1);
    return true;
  }
  return false;
}
