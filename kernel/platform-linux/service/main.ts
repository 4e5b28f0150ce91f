/**
 * A Linux process that serves HTTP by itself: the start, and the loop. The platform only carries: bytes between the kernel's sockets and the
 * network's module, events and effects between that and the engine. It parses nothing that a peer or a flow wrote.
 *
 *     socket ──bytes──▶ net ──event──▶ engine        net and engine have memories of their own, with nothing mapped beyond
 *            ◀─bytes───     ◀─effects─
 */
import { address, call, Call, copy, read32 } from "../cpu";
import { pagemapFile } from "../lockdown";
import { compareUntracked, imageBytes, rememberImage, trackPages } from "../pristine";
import { closeEnvironment, configPath, file, listenAddress, readArguments, readFile, refuseConfig } from "./arguments";
import { now, tellTime } from "./clock";
import { endProcess, flushConsole, serveLines } from "./console";
import { fault, faultKernel, faultService } from "./faults";
import { startGuard } from "./guard";
import { runJob } from "./jobs";
import { configBytes, jobsAtOnce, mostSleepMs, resolverBytes } from "./limits";
import { lockDown, raiseFiles } from "./lockdown";
import { startNetMemory } from "./memory";
import { button, configBuffer, configure, netBase, poll, reaches, sayServing, serviceBase, start } from "./net";
import { startRandom } from "./random";
import { signalNumber, signals, startSignals, takeSignal } from "./signals";
import { setOpenFiles, startSockets, waitForEvents, watch } from "./sockets";
import { pagemap, resolver } from "./paths";

export { environment } from "./arguments";
export { now, wall } from "./clock";
export { off, print } from "./console";
export { interrupt } from "./jobs";
export { random } from "./random";
export { accept, close, connect, listen, receive, shutdown, sockets, transmit, unlisten } from "./sockets";

const serviceKind: u32 = 0, settingsKind: u32 = 1, resolverKind: u32 = 2;

export function main(): void {
  startService();
  for (;;) turn();
}

export function startService(): void {
  readArguments();
  rememberImage();
  if (call(Call.closeRange, 3, 0xffffffff, 0) < 0) fault(faultKernel);
  const isTracked = startTracking();
  startSignals();
  setOpenFiles(raiseFiles());
  startSockets();
  if (watch(signals, 1, signalNumber) < 0) fault(faultKernel); // EPOLLIN
  startRandom();
  startGuard();
  startNetMemory();
  tellTime();
  configureAll();
  start();
  closeEnvironment();
  lockDown(imageBytes(), isTracked);
  serveLines();
  sayServing(listenAddress);
}

/** Asks the kernel to tell which pages were written; without /proc they are compared. */
function startTracking(): bool {
  const opened = call(Call.open, pagemap(), 0x80000); // O_RDONLY | O_CLOEXEC
  if (opened >= 0 && opened !== pagemapFile) fault(faultKernel);
  trackPages(opened >= 0);
  compareUntracked();
  return opened >= 0;
}

function configureFrom(kind: u32, from: u64, length: u32): void {
  const at = configBuffer(length);
  if (at === 0) fault(faultService);
  copy(netBase() + at, from, length);
  if (configure(kind, length) !== 0) endProcess(1); // it has said why
}

function configureAll(): void {
  configureFrom(serviceKind, serviceBase(), read32(serviceBase() + 4));
  if (configPath !== 0) {
    const length = readFile(configPath, configBytes);
    if (length < 0 || length > <i64>configBytes) refuseConfig(length);
    configureFrom(settingsKind, address(file), <u32>length);
  }
  if (reaches() === 0) return;
  const length = readFile(resolver(), resolverBytes);
  if (length > 0) configureFrom(resolverKind, address(file), min<u32>(<u32>length, resolverBytes));
}

let signalsSeen: u32 = 0;

/** Lets the module run what is due, does some jobs, writes the log, and waits for what comes next. */
export function turn(): void {
  let due = poll();
  let jobs: u32 = 0;
  for (; jobs < jobsAtOnce && runJob(); jobs++) due = poll();
  flushConsole();
  const left = due > now() && jobs < jobsAtOnce ? min<u64>((due - now() + 999) / 1000, mostSleepMs) : 0;
  const isSignal = waitForEvents(left, signalNumber);
  tellTime();
  if (!isSignal) return;
  takeSignal();
  if (signalsSeen++ === 0) button();
  else endProcess(1);
}
