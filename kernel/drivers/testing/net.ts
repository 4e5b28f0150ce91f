/**
 * A network's module for tests of the drivers: frames of the local experimental type (0x88b5) say what it does. Little endian, behind the
 * Ethernet header of 14 bytes:
 *
 *   u32 word 'job ': u32 kind │ u32 slot │ u32 address, 0 for the bytes that follow │ u32 length │ u32 units │ u32 CPU ms │ bytes
 *        'stor', 'load': u32 address                    writes or reads there: what a module that was taken over would do
 *        'prin', 'rand', 'send': u32 address │ u32 length   calls the import with them
 *        'tell': answers with u32 memory in units │ u64 now │ f64 wall │ 32 random bytes
 *        'conf': answers with the service, or the settings (u32 kind)
 *        'off ': u32 code
 *
 * It answers with frames: the same word │ u32 × 2 of the answer │ bytes of it in this frame; effects come as 'done': kind │ slot │ offset.
 */
import { now, off, print, random, send, wall } from "../../net/host";

const typeOfFrames: u16 = 0xb588;
const headBytes: u32 = 14 + 12;
const chunkBytes: u32 = 1400;
const mostConfig: u32 = 65_536, mostEffects: u32 = 65_536;

// @ts-ignore: decorator
@lazy const incoming: usize = memory.data(2048, 16);
// @ts-ignore: decorator
@lazy const outgoing: usize = memory.data(2048, 16);
// @ts-ignore: decorator
@lazy const job: usize = memory.data(24, 16);
// @ts-ignore: decorator
@lazy const event: usize = memory.data(2048, 16);
// @ts-ignore: decorator
@lazy const words: usize = memory.data(64, 16);
// @ts-ignore: decorator
@lazy const configs: usize = memory.data(131072, 16);
// @ts-ignore: decorator
@lazy const lengths: usize = memory.data(8, 16);

let hasJob: bool = false;
let loading: u32 = 0;
let pressed: bool = false;

function word(text: string): u32 {
  let value: u32 = 0;
  for (let i = 0; i < 4; i++) value |= <u32>text.charCodeAt(i) << (i * 8);
  return value;
}

/** A frame to everybody: a word, two numbers, bytes. */
function tell(name: u32, first: u32, second: u32, from: usize, length: u32): void {
  memory.fill(outgoing, 0xff, 6);
  store<u16>(outgoing, typeOfFrames, 12);
  store<u32>(outgoing, name, 14);
  store<u32>(outgoing, first, 18);
  store<u32>(outgoing, second, 22);
  memory.copy(outgoing + headBytes, from, length);
  send(<u32>outgoing, headBytes + length);
}

export function configBuffer(length: u32): u32 {
  return length > mostConfig ? 0 : <u32>configs + loading++ * mostConfig;
}
export function configure(kind: u32, length: u32): u32 {
  store<u32>(lengths + (kind << 2), length);
  return length > 3 && load<u32>(configs + kind * mostConfig) === word("BAD!") ? 7 : 0;
}
export function start(macHigh: u32, macLow: u32): void {
  store<u32>(words, bswap<u32>(macHigh));
  store<u16>(words, bswap<u16>(<u16>macLow), 4);
  memory.copy(outgoing + 6, words, 6);
  tell(word("up  "), macHigh, macLow, words, 0);
}
export function frameBuffer(): u32 { return <u32>incoming; }

export function receive(length: u32): void {
  if (load<u16>(incoming, 12) !== typeOfFrames) return;
  const name = load<u32>(incoming, 14), first = load<u32>(incoming, 18), second = load<u32>(incoming, 22);
  if (name === word("job ")) {
    memory.copy(job, incoming + 18, 24);
    if (load<u32>(job, 8) === 0) {
      memory.copy(event, incoming + 42, length - 42);
      store<u32>(job, <u32>event, 8);
    }
    hasJob = true;
  }
  if (name === word("stor")) {
    store<u8>(<usize>first, 0x5a);
    tell(name, first, 0, words, 0);
  }
  if (name === word("load")) tell(name, first, load<u8>(<usize>first), words, 0);
  if (name === word("prin")) print(first, second);
  if (name === word("rand")) random(first, second);
  if (name === word("send")) send(first, second);
  if (name === word("off ")) off(first);
  if (name === word("conf")) tell(name, first, load<u32>(lengths + (first << 2)), configs + first * mostConfig, min<u32>(load<u32>(lengths + (first << 2)), chunkBytes));
  if (name !== word("tell")) return;
  store<u64>(words, now());
  store<f64>(words, wall(), 8);
  random(<u32>words + 16, 32);
  tell(name, memory.size(), u32(pressed), words, 48);
}

export function poll(): u64 { return u64.MAX_VALUE; }
export function nextJob(): u32 {
  if (!hasJob) return 0;
  hasJob = false;
  return <u32>job;
}

/** Behind all static data. */
function effects(): usize { return (__heap_base + 4095) & ~4095; }
export function effectsBuffer(length: u32): u32 {
  return length > mostEffects || <u64>effects() + length > <u64>memory.size() << 16 ? 0 : <u32>effects();
}
export function done(slot: u32, kind: u32, length: u32): void {
  let offset: u32 = 0;
  do {
    const part = min<u32>(length - offset, chunkBytes);
    tell(word("done"), kind | (slot << 16), length, effects() + offset, part);
    offset += part;
  } while (offset < length);
}
export function button(): void {
  pressed = true;
  tell(word("butt"), 0, 0, words, 0);
  off(0);
}
