/** A worker thread: one CPU for machines. Takes slots in turn, runs each step in its one warm instance, never returns to its event loop. */
import { readlinkSync } from "node:fs";
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { isLastKind, lastEffectKind } from "#abi";
import { assert, collectGarbage, toUtf8 } from "#base";
import { embeddedLimits } from "./limits.ts";
import { PageShelf } from "./page-shelf.ts";
import type { PageTable } from "./page-store.ts";
import { packMemory, savedLength, type SavedMemory, unpackMemory } from "./saved-memory.ts";
import {
  control,
  kib,
  type FromWorker,
  nextSubmission,
  operation,
  Slots,
  slotState,
  statuses,
  type ToWorker,
  word,
  wasmPageBytes,
  type WorkerSetup,
} from "./wire.ts";
import { type Hibernated, type StepResult, WarmInstance } from "./warm.ts";

const setup = workerData as WorkerSetup;
const port = parentPort as MessagePort;
const slots = new Slots(setup.buffer);
const words = slots.control;

const chunks: Uint8Array[] = [];
const images = new Map<number, PageTable>();
const posted = new Map<number, Extract<ToWorker, { kind: "frames" }>>();
const waiting = new Map<number, Hibernated>();
const shelf = new PageShelf(Math.min(embeddedLimits.shelfBytes, setup.waitingBytes / 8));

/** The memory of the old one is given back at once: V8 would wait for garbage of its own heap, and let it grow to many times what is in use. */
function replaceInstance(): void {
  instance = newInstance();
  collectGarbage();
}

/** Bytes a parked machine takes besides its pages. */
const ownBytes = 1024;
let postedKib = 0;
let waitingBytes = 0;

let current = 0;
const interrupt = (): number => (Atomics.load(words, control.interrupt) === current ? 1 : 0);
const newInstance = (): WarmInstance => new WarmInstance(setup.engine, setup.native, chunks, interrupt);
let instance = newInstance();

/** Takes in everything that waits on the port. */
function readPort(): void {
  for (let received = receiveMessageOnPort(port); received !== undefined; received = receiveMessageOnPort(port)) {
    const message = received.message as ToWorker;
    if (message.kind === "chunk") chunks.push(new Uint8Array(message.buffer));
    else if (message.kind === "image")
      images.set(message.slot, { entries: message.entries, stackPointer: message.stackPointer, memoryPages: message.memoryPages });
    else if (message.kind === "forget") images.clear();
    else posted.set(message.submission, message);
  }
}

function image(slot: number): PageTable {
  let table = images.get(slot);
  if (table === undefined) {
    readPort();
    table = images.get(slot);
  }
  assert(table !== undefined, "a machine is started from an image its worker was not given");
  return table;
}

interface Given {
  readonly frames: readonly Uint8Array[];
  readonly memory: SavedMemory | undefined;
}

/** The events of a submission, and the machine's memory before them; undefined where that can't be read. */
function given(submission: number, header: Int32Array): Given | undefined {
  const length = header[word.length] as number;
  if (length >= 0) return { frames: slots.frames(submission, length), memory: undefined };
  readPort();
  const found = posted.get(submission);
  assert(found !== undefined, "frames on the port are sent before their slot");
  posted.delete(submission);
  const { frames } = found;
  if (found.memory === undefined) return { frames, memory: undefined };
  const memory = unpackMemory(found.memory);
  return memory === undefined ? undefined : { frames, memory };
}

/** Waits until the main thread has taken most of what is on the port: it may be busy while steps go on. */
function awaitTaken(): void {
  for (let taken = Atomics.load(words, control.takenKib); ((postedKib - taken) | 0) > embeddedLimits.postedKib; ) {
    Atomics.wait(words, control.takenKib, taken);
    taken = Atomics.load(words, control.takenKib);
  }
}

function step(frame: Uint8Array): StepResult {
  Atomics.add(words, control.begun, 1);
  return instance.step(frame);
}

/** Runs all events so far. What the last one gives is answered, or the one that got no further. */
function steps(all: readonly Uint8Array[]): StepResult {
  let result = step(all[0] as Uint8Array);
  for (let index = 1; index < all.length && !instance.unfit && waits(result); index++) result = step(all[index] as Uint8Array);
  return result;
}

/** Prepares the instance and runs the step; `lost` when the machine is not here. */
function run(header: Int32Array, { frames, memory }: Given): StepResult | "lost" {
  const machine = header[word.machine] as number;
  const limitPages = header[word.limitPages] as number;
  if (header[word.operation] === operation.start) instance.reset(image(header[word.image] as number), limitPages);
  else {
    const hibernated = unpark(machine);
    if (hibernated === undefined) return "lost";
    instance.resume(hibernated, limitPages);
    shelf.give(hibernated.pages);
  }
  if (memory !== undefined) instance.restore(memory, limitPages);
  return steps(frames);
}

/** Puts the outcome into the slot, or on the port when it is too large for one. */
function answer(submission: number, header: Int32Array, result: StepResult | "lost" | "missing"): void {
  const data = slots.data(submission);
  const ran = typeof result === "string" ? undefined : result;
  const detail = ran === undefined || ran.detail === "" ? undefined : toUtf8(ran.detail).subarray(0, 1024);
  const effects = ran?.effects;
  header[word.status] = statuses.indexOf(typeof result === "string" ? result : result.status);
  header[word.detailLength] = 0;
  if (effects !== undefined && effects.length > data.length) {
    postedKib = (postedKib + kib(effects.length)) | 0;
    const copy = effects.slice();
    port.postMessage({ submission, effects: copy } satisfies FromWorker, [copy.buffer]);
    header[word.length] = -1;
    return;
  }
  header[word.length] = effects?.length ?? 0;
  if (effects !== undefined) data.set(effects);
  if (detail !== undefined && (effects?.length ?? 0) + detail.length <= data.length) {
    data.set(detail, effects?.length ?? 0);
    header[word.detailLength] = detail.length;
  }
}

/** A recalled submission's frames are not kept either. Its slot may be filled again only now: before, this thread would take what is in it. */
function skip(submission: number, header: Int32Array): void {
  readPort();
  posted.delete(submission);
  finish(header);
}

function finish(header: Int32Array): void {
  Atomics.store(header, word.state, slotState.done);
  if (Atomics.exchange(words, control.bell, 1) === 0) port.postMessage(0);
}

function serve(submission: number): void {
  const header = slots.header(submission);
  if (Atomics.compareExchange(header, word.state, slotState.queued, slotState.running) !== slotState.queued)
    return skip(submission, header);
  if (header[word.operation] === operation.drop) forget(header[word.machine] as number);
  else if (header[word.operation] === operation.save) save(header[word.machine] as number);
  else {
    const events = given(submission, header); // before the watchdog counts: inflating is no work of the machine
    current = submission + 1;
    Atomics.store(words, control.running, current);
    if (postedKib !== 0) awaitTaken();
    const started = performance.now();
    const result = events === undefined ? "missing" : run(header, events);
    header[word.cpuMicros] = Math.round((performance.now() - started) * 1000);
    header[word.memoryPages] = instance.globals.memoryPages;
    Atomics.store(words, control.running, 0);
    header[word.keptBytes] = typeof result !== "string" && waits(result) ? park(header[word.machine] as number) : 0;
    answer(submission, header, result);
    if (instance.unfit || instance.memoryPages > setup.keptPages) replaceInstance();
    words[control.heldPages] = instance.memoryPages + instance.wholePages + Math.ceil(shelf.freeBytes / wasmPageBytes);
  }
  finish(header);
}

/** Sets a waiting machine aside; the bytes it takes, 0 when there is no room for it. */
function park(machine: number): number {
  const bytes = ownBytes + instance.writtenBytes;
  if (waitingBytes + bytes > setup.waitingBytes) return 0;
  waiting.set(
    machine,
    instance.hibernate((length) => shelf.take(length)),
  );
  waitingBytes += bytes;
  return bytes;
}

/** Tells the memory of a waiting machine, which stays; nothing where it is too long. */
function save(machine: number): void {
  const hibernated = waiting.get(machine);
  const isSaved = hibernated !== undefined && savedLength(hibernated.pageNumbers.length) <= embeddedLimits.savedBytes;
  const memory = isSaved ? packMemory(instance.difference(hibernated)) : undefined;
  const copy = memory?.slice();
  port.postMessage({ saved: machine, memory: copy } satisfies FromWorker, copy === undefined ? [] : [copy.buffer]);
}

/** Takes a waiting machine out of what is kept. */
function unpark(machine: number): Hibernated | undefined {
  const hibernated = waiting.get(machine);
  if (hibernated === undefined) return undefined;
  waiting.delete(machine);
  waitingBytes -= ownBytes + hibernated.pages.byteLength;
  return hibernated;
}

function forget(machine: number): void {
  const hibernated = unpark(machine);
  if (hibernated !== undefined) shelf.give(hibernated.pages);
}

function waits({ status, effects }: StepResult): boolean {
  const kind = status === "complete" ? lastEffectKind(effects) : undefined;
  return kind !== undefined && !isLastKind(kind);
}

/** A sleep shorter than this, in milliseconds, would have been better spent awake. */
const shortSleepMs = 0.1;
/** True if messages arrive close together, judging by the last wait. */
let close = true;

/** Waits until more was submitted than `served`: awake while messages come close together, asleep otherwise. */
function awaitSubmission(served: number): void {
  if (close) for (let turn = 0; turn < setup.spin; turn++) if (Atomics.load(words, control.submitted) !== served) return;
  const sinceMs = performance.now();
  Atomics.wait(words, control.submitted, served);
  close = performance.now() - sinceMs < shortSleepMs;
}

function threadId(): number {
  try {
    return Number(readlinkSync("/proc/thread-self").split("/").at(-1));
  } catch {
    return 0; // not Linux
  }
}

Atomics.store(words, control.thread, threadId());
readPort();
Atomics.store(words, control.ready, 1);
port.postMessage(0);
for (let served = 0; ; served = nextSubmission(served)) {
  while (Atomics.load(words, control.submitted) === served) awaitSubmission(served);
  serve(served);
}
