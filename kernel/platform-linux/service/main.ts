/**
 * A Linux process that serves HTTP by itself: the start, and the loop. The platform only carries: bytes between the kernel's sockets and the
 * network's module, events and effects between that and the engine. It parses nothing that a peer or a flow wrote.
 *
 *     socket ──bytes──▶ net ──event──▶ engine        net and engine have memories of their own, with nothing mapped beyond
 *            ◀─bytes───     ◀─effects─
 */
import { address, call, Call, copy, read32 } from "../cpu";
import { imageBytes, rememberImage } from "../pristine";
import { closeEnvironment, configPath, file, listenAddress, readArguments, readFile, refuseConfig } from "./arguments";
import { now, tellTime } from "./clock";
import { endProcess, flushConsole, serveLines } from "./console";
import { fault, faultKernel, faultService } from "./faults";
import { startGuard } from "./guard";
import { runJob } from "./jobs";
import { configBytes, jobsAtOnce, mostSleepMs, readerMs, resolverBytes, turnMicros } from "./limits";
import { lockDown, raiseFiles } from "./lockdown";
import { startNetMemory } from "./memory";
import { button, configBuffer, configure, flush, netBase, poll, reaches, sayServing, serviceBase, start } from "./net";
import { startRandom } from "./random";
import { signalNumber, signals, startSignals, takeSignal } from "./signals";
import { setOpenFiles, startSockets, waitForEvents, watch } from "./sockets";
import { startPages } from "./pages";
import { resolver } from "./paths";

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
  lockDown(imageBytes());
  if (!startPages()) fault(faultKernel);
  serveLines();
  sayServing(listenAddress);
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
  const began = now();
  let due = poll();
  let isIdle = false;
  for (let jobs: u32 = 0; jobs < jobsAtOnce && now() - began < turnMicros; jobs++) {
    isIdle = !runJob();
    if (isIdle) break;
    due = poll();
  }
  if (flush() !== 0) isIdle = false;
  const mostMs = flushConsole() ? readerMs : mostSleepMs;
  const left = isIdle && due > now() ? min<u64>((due - now() + 999) / 1000, mostMs) : 0;
  const isSignal = waitForEvents(left, signalNumber);
  tellTime();
  if (!isSignal) return;
  takeSignal();
  if (signalsSeen++ === 0) button();
  else endProcess(1);
}
