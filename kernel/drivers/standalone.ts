/**
 * The boot sequence and the life of a machine that serves the network by itself, beside main.ts and serve.ts. The drivers only carry: frames
 * between the device and the network's module, events and effects between that and the engine. They parse nothing that a peer or a flow wrote.
 *
 *     device ──frame──▶ net ──event──▶ engine        net and engine have memories of their own, with nothing mapped beyond
 *            ◀─frame───     ◀─effects─
 */
import { endOfMemory, findModule, moduleAt, moduleBytes } from "./boot-info";
import { isButtonPressed, startButton } from "./button";
import { startClock } from "./clock";
import { drainConsole, flushConsole, startConsole, writeConsole } from "./console";
import { copyBytes } from "./copy";
import { startExceptions } from "./exceptions";
import { freeFrames, startFrames } from "./frames";
import { checkImage } from "./image";
import { silenceOldControllers, sleep, startInterrupts } from "./interrupts";
import { distrust, runJob } from "./jobs";
import { headerAt, headerFree, headerService, headerServiceBytes, leastFrames, pageBytes } from "./map";
import { button, configBuffer, configure, frameBuffer, poll, receive, start } from "./net";
import { inNet, leastNetFrames, netBase, startNetPages } from "./net-pages";
import {
  drainFrames, flushFrames, frameAt, frameLength, hasFrames, macHigh, macLow, mostFrame, nextFrame, offerFrames, quietNetwork, releaseFrame, sendFrame, startNetwork,
} from "./network";
import { putBack, startPages } from "./pages";
import { exitClean, exitNoDevice, exitNoMemory, exitService, powerOff } from "./power";
import { checkProcessor } from "./processor";
import { draw, mostDraw, startRandom } from "./random";
import { reach } from "./reach";
import { print, printLine, printNumber, startSerial } from "./serial";
import { now, startTime, wall } from "./time";
import { ringIn } from "./timer";
import { sawLegacyDevice } from "./virtio";

export { handleException } from "./exceptions";
export { hostInterrupt } from "./jobs";
export { now, wall };

const serviceKind: u32 = 0, settingsKind: u32 = 1;
/** Frames given to the module before it may run what is due. */
const mostFrames: u32 = 32;
/** Longest sleep: the button is looked at in between. */
const lookMicroseconds: u64 = 250_000;

export function main(): void {
  startStandalone();
  for (;;) turn();
}

export function startStandalone(): void {
  startSerial();
  checkProcessor();
  startExceptions();
  checkImage();
  silenceOldControllers();
  startInterrupts();
  startClock();
  startMemory();
  startNetPages();
  startPages();
  putBack();
  if (!startRandom()) refuseFor("no randomness: give the machine a virtio-rng device, or a processor with RDSEED");
  if (!startNetwork())
    refuseFor("no virtio network device: start QEMU with -netdev user,id=n -device virtio-net-device,netdev=n (virtio-net-pci on pc and q35)");
  startConsole();
  if (!startTime()) refuse("no clock: give the machine KVM's, or an RTC");
  startButton();
  configureFrom(serviceKind, <u64>load<u32>(<usize>headerAt, headerService), load<u32>(<usize>headerAt, headerServiceBytes));
  const settings: u32 = moduleBytes === 0 ? 0 : reach(moduleAt, <u32>moduleBytes, false);
  if (moduleBytes !== 0 && settings === 0) refuse("the settings are too long");
  if (settings !== 0) configureFrom(settingsKind, <u64>settings, <u32>moduleBytes);
  start(macHigh, macLow);
}

/** Refuses for want of a device, or for one that can't be used. */
function refuseFor(text: string): void {
  refuse(
    sawLegacyDevice()
      ? "a virtio device of before version 1.0: start QEMU with -global virtio-mmio.force-legacy=false, or with disable-modern=off for PCI"
      : text,
  );
}

function refuse(text: string): void {
  print("mayfly: it can't serve: ");
  printLine(text);
  powerOff(exitNoDevice);
}

/** Free memory begins behind the image, and ends where the hypervisor says or has put the settings. */
function startMemory(): void {
  let first = load<u32>(<usize>headerAt, headerFree), end = endOfMemory();
  findModule();
  if (moduleBytes > 0xffffffff) refuse("the settings are too long");
  if (moduleBytes !== 0 && moduleAt >= <u64>first && moduleAt < <u64>end) {
    const behind = moduleAt + moduleBytes;
    if (moduleAt - first >= (behind < <u64>end ? <u64>end - behind : 0)) end = <u32>moduleAt & ~(pageBytes - 1);
    else first = <u32>behind;
  }
  startFrames(first, end);
  const least = <u32>leastFrames + leastNetFrames();
  if (end > first && freeFrames() >= least) return;
  print("mayfly: too little memory: it needs ");
  printNumber((<u64>first + least * pageBytes + 0xfffff) >> 20);
  printLine(" MiB: give it more with -m");
  powerOff(exitNoMemory);
}

function configureFrom(kind: u32, from: u64, length: u32): void {
  const at = configBuffer(length);
  if (at !== 0 && !inNet(at, length)) distrust();
  if (at === 0) refuse(kind === serviceKind ? "the service is too long" : "the settings are too long");
  copyBytes(netBase() + at, from, length);
  if (configure(kind, length) === 0) return;
  drainConsole(); // it has said why
  powerOff(exitService);
}

let lookedAt: u64 = 0;
/** Jobs since the start. */
export let jobsDone: u32 = 0;

/** Takes frames, lets the module run what is due, does one job; sleeps when there was nothing to do. */
export function turn(): void {
  const busy = receiveFrames();
  const due = poll();
  flushFrames();
  const worked = runJob();
  if (worked) jobsDone++;
  flushFrames();
  flushConsole();
  const at = now();
  if (at - lookedAt >= lookMicroseconds) {
    lookedAt = at;
    if (isButtonPressed()) return button();
  }
  if (busy || worked || due <= at || hasFrames()) return;
  ringIn(min<u64>(due - at, lookMicroseconds));
  quietNetwork();
  if (!hasFrames()) sleep();
}

function receiveFrames(): bool {
  let count: u32 = 0;
  for (; count < mostFrames && nextFrame(); count++) {
    const length = min<u32>(frameLength, mostFrame);
    const at = frameBuffer();
    if (!inNet(at, length)) distrust();
    copyBytes(netBase() + at, <u64>frameAt, length);
    releaseFrame();
    receive(length);
  }
  if (count !== 0) offerFrames();
  return count !== 0;
}

// ---- imports of the network's module (kernel/net/host.ts); all addresses are in its memory

// @ts-ignore: decorator
@lazy const drawn: usize = memory.data(256, 16);

export function random(at: u32, length: u32): void {
  if (!inNet(at, length)) distrust();
  for (let filled: u32 = 0; filled < length; ) {
    const part = min<u32>(length - filled, mostDraw);
    draw(drawn, part);
    copyBytes(netBase() + at + filled, <u64>drawn, part);
    filled += part;
  }
  memory.fill(drawn, 0, mostDraw);
}

function netPrint(at: u32, length: u32): void {
  if (!inNet(at, length)) distrust();
  writeConsole(netBase() + at, length);
}
export { netPrint as print };

export function send(at: u32, length: u32): void {
  if (!inNet(at, length) || length > mostFrame) distrust();
  sendFrame(netBase() + at, length);
}

export function off(code: u32): void {
  drainFrames();
  drainConsole();
  powerOff(code === 0 ? exitClean : exitService);
}
