/**
 * The platform of a machine that is a Linux process: reads requests on descriptor 0, writes answers on descriptor 1, and between
 * two of them makes the memory the image again. monitors/process/wire.ts is the other side and draws both headers.
 * This module has a memory of its own: the engine cannot reach it.
 */
import { address, copy, cpuMicros, engineBase, exit, read8, read32, receive, send, write8 } from "./cpu";
import { lockDown } from "./lockdown";
import {
  drop, enginePages, hibernate, imageBytes, mostBerths, rememberImage, reset, resume, setLimitPages, trackPages, waitingPages, wasmPageBytes,
} from "./pristine";

// @ts-ignore: decorator
@external("native", "eventBuffer")
declare function eventBuffer(length: u32): u32;
// @ts-ignore: decorator
@external("native", "step")
declare function stepMachine(): i32;
// @ts-ignore: decorator
@external("native", "effects")
declare function effects(): u32;
// @ts-ignore: decorator
@external("native", "effectsLength")
declare function effectsLength(): u32;
// @ts-ignore: decorator
@external("native", "noteInterrupt")
declare function noteInterrupt(): void;

const requestMagic: u32 = 0x5152464d; // "MFRQ"
const answerMagic: u32 = 0x4e41464d; // "MFAN"
const headerBytes: u32 = 32;
const greeting: u32 = 0xffffffff;

const enum Operation { start = 1, step = 2, drop = 3, next = 4 }
/** The order of `statuses` in monitors/process/wire.ts. */
export const enum Status { complete = 0, interrupted = 1, escaped = 2, noMemory = 3, compromised = 4, missing = 5 }

/** Exit code after a request that makes no sense: the monitor never writes one. */
const badRequest: u32 = 64;
const monitorBytes: u32 = 65536;
const frameHeader: u32 = 8;
const recordHeader: u32 = 4;
const absent: u32 = 0xffffffff;
const frameMagic: u32 = 0x0259464d;
const effectDone: u32 = 6;
const effectFail: u32 = 7;

const inputBytes: u32 = 65536;
// @ts-ignore: decorator
@lazy const input: usize = memory.data(65536, 16);
let inputAt: u32 = 0;
let inputEnd: u32 = 0;
const outputBytes: u32 = 65536;
// @ts-ignore: decorator
@lazy const output: usize = memory.data(65536, 16);

let deadlineMicros: u64 = 0;
/** The machine in the memory waits, and the next request is its next event. */
let staying: bool = false;

/** The engine asks every few thousand operations whether to stop. */
export function interrupt(): i32 {
  if (cpuMicros() <= deadlineMicros) return 0;
  noteInterrupt();
  return 1;
}

/** Makes `bytes` of input, at most the buffer's size, lie together at `input + inputAt`. */
function fill(bytes: u32): void {
  if (inputAt === inputEnd) inputAt = inputEnd = 0;
  if (inputAt + bytes > inputBytes) {
    memory.copy(input, input + inputAt, inputEnd - inputAt);
    inputEnd -= inputAt;
    inputAt = 0;
  }
  while (inputEnd - inputAt < bytes) inputEnd += <u32>receive(address(input + inputEnd), inputBytes - inputEnd);
}

/** Moves `bytes` of input to an address of the machine. */
function take(to: u64, bytes: u32): void {
  const buffered = min(bytes, inputEnd - inputAt);
  copy(to, address(input + inputAt), buffered);
  inputAt += buffered;
  for (let done = <u64>buffered; done < bytes; ) done += receive(to + done, bytes - done);
}

function discard(bytes: u32): void {
  while (bytes > 0) {
    const part = min(bytes, inputBytes);
    fill(part);
    inputAt += part;
    bytes -= part;
  }
}

export function answer(number: u32, status: Status, frame: u64, length: u32, micros: u64, kept: bool): void {
  store<u32>(output, answerMagic);
  store<u32>(output, number, 4);
  store<u32>(output, status, 8);
  store<u32>(output, length, 12);
  store<u32>(output, <u32>micros, 16);
  store<u32>(output, u32(kept), 20);
  store<u32>(output, waitingPages(), 24);
  store<u32>(output, 0, 28);
  if (headerBytes + length <= outputBytes) {
    copy(address(output + headerBytes), frame, length);
    send(address(output), headerBytes + length);
    return;
  }
  send(address(output), headerBytes);
  send(frame, length);
}

/** True when the effects end with neither `done` nor `fail`. The frame is the machine's: it may say anything. */
function waits(frame: u64, length: u32): bool {
  if (length < frameHeader || read32(frame) !== frameMagic || read32(frame + 4) !== length) return false;
  let kind: u32 = 0;
  let at: u64 = frameHeader;
  while (at < length) {
    if (at + recordHeader > length) return false;
    kind = read8(frame + at);
    const count = read8(frame + at + 1);
    let data = at + recordHeader + 4 * count;
    if (data > length) return false;
    for (let index: u32 = 0; index < count; index++) {
      const part = read32(frame + at + recordHeader + 4 * index);
      if (part !== absent) data += part;
    }
    at = data;
  }
  return at === length && kind !== effectDone && kind !== effectFail;
}

/** Gives the machine its event and runs it; answers, and keeps the machine when it waits. `started`: CPU time, which is asked for as rarely as can be. */
function run(number: u32, length: u32, berth: u32, stay: bool, started: u64): void {
  const at = eventBuffer(length);
  if (at === 0) {
    discard(length);
    return answer(number, Status.noMemory, 0, 0, cpuMicros() - started, false);
  }
  if (at < monitorBytes || <u64>at + length + 1 > <u64>enginePages() * wasmPageBytes) {
    discard(length);
    return answer(number, Status.compromised, 0, 0, cpuMicros() - started, false);
  }
  take(engineBase() + at, length);
  write8(engineBase() + at + length, 0);
  const result = stepMachine();
  const ended = cpuMicros();
  const frame = effects();
  const size = result >= 0 ? <u32>result : effectsLength();
  if (frame < monitorBytes || <u64>frame + size > <u64>enginePages() * wasmPageBytes)
    return answer(number, Status.compromised, 0, 0, ended - started, false);
  const late = ended > deadlineMicros; // in one long native call nobody asks whether to stop
  const status = late || result === -1 ? Status.interrupted : result >= 0 ? Status.complete : Status.escaped;
  const waiting = status === Status.complete && (stay || berth < mostBerths) && waits(engineBase() + frame, size);
  const kept = waiting && !stay && hibernate(berth);
  staying = waiting && stay;
  answer(number, status, engineBase() + frame, size, ended - started, kept);
}

/** The header of the next request, once it is there. */
export function nextHeader(): usize {
  fill(headerBytes);
  return input + inputAt;
}
export function takeHeader(): void {
  inputAt += headerBytes;
}

/** Works on the next request. */
export function serve(): void {
  const header = nextHeader();
  takeHeader();
  const operation = load<u32>(header, 4);
  const number = load<u32>(header, 8);
  const length = load<u32>(header, 12);
  const berth = load<u32>(header, 24);
  if (load<u32>(header) !== requestMagic) exit(badRequest);
  if (operation === Operation.drop) {
    if (berth >= mostBerths) exit(badRequest);
    return drop(berth);
  }
  const stay = load<u32>(header, 28) !== 0;
  if (staying && operation !== Operation.next) settle();
  setLimitPages(load<u32>(header, 16));
  const started = cpuMicros();
  deadlineMicros = started + <u64>load<u32>(header, 20) * 1000;
  const there = operation === Operation.start || (operation === Operation.next ? staying : berth < mostBerths && resume(berth));
  staying = false;
  if (there) run(number, length, berth, stay, started);
  else {
    discard(length);
    answer(number, Status.missing, 0, 0, 0, false);
  }
}

/** Makes the memory the image again, unless its machine is to go on. */
export function settle(): void {
  staying = false;
  reset();
}
export function stays(): bool {
  return staying;
}

export function begin(): void {
  rememberImage();
  const tracked = lockDown(imageBytes());
  trackPages(tracked);
  answer(greeting, tracked ? Status.complete : Status.missing, 0, 0, 0, false);
}

export function main(): void {
  begin();
  for (;;) {
    serve();
    if (!stays()) settle();
  }
}
