/** The command line and the environment, as Linux leaves them on the first stack: argc u64 │ argv … 0 │ environment … 0. */
import { address, Call, call, exit, read64, read8, write8 } from "../cpu";
import { inNet } from "./memory";
import { netBase } from "./net";
import { beginFault, endLine, put, putByte } from "./text";

/** The first stack pointer. */
// @ts-ignore: decorator
@external("symbol", "runtime.begin")
declare function beginAt(): u64;

/** Big endian; 127.0.0.1 unless -p says otherwise. */
export let listenAddress: u32 = 0x7f000001;
/** 0: that of the service. */
export let listenPort: u32 = 0;
/** Path of the settings; 0: none. */
export let configPath: u64 = 0;

function usage(what: string, at: u64): void {
  beginFault("MF_USAGE");
  put(what);
  if (at !== 0) for (let each = at; read8(each) !== 0; each++) putByte(read8(each));
  put("; usage: [-p [ADDRESS:]PORT] [--config FILE]");
  endLine();
  exit(1);
}

/** True if the text at an address begins with `text`, and ends there too where `isWhole`. */
function begins(at: u64, text: string, isWhole: bool): bool {
  for (let index = 0; index < text.length; index++) if (read8(at + index) !== <u32>text.charCodeAt(index)) return false;
  return !isWhole || read8(at + text.length) === 0;
}

/** A number up to `most` that ends with `end`; greater if it is malformed. `readEnd` is behind it. */
function readNumber(at: u64, most: u32, end: u32): u32 {
  let value: u32 = 0;
  let digits = 0;
  for (; read8(at) !== end; at++, digits++) {
    const digit = read8(at) - 48;
    if (digit > 9 || digits === 5) return most + 1;
    value = value * 10 + digit;
  }
  readEnd = at + 1;
  return digits === 0 ? most + 1 : value;
}
let readEnd: u64 = 0;

function hasColon(at: u64): bool {
  for (; read8(at) !== 0; at++) if (read8(at) === 58) return true;
  return false;
}

function readPort(at: u64): void {
  const given = at;
  if (hasColon(at)) {
    let value: u32 = 0;
    for (let part = 0; part < 4; part++) {
      const number = readNumber(at, 255, part < 3 ? 46 : 58);
      if (number > 255) return usage("-p must be PORT or ADDRESS:PORT, and is ", given);
      value = (value << 8) | number;
      at = readEnd;
    }
    listenAddress = value;
  }
  listenPort = readNumber(at, 65_535, 0);
  if (listenPort === 0 || listenPort > 65_535) usage("-p must be PORT or ADDRESS:PORT, and is ", given);
}

/** Reads the command line. Ends the process with one line where it is wrong. */
export function readArguments(): void {
  const count = read64(read64(beginAt()));
  const list = read64(beginAt()) + 8;
  for (let index: u64 = 1; index < count; index++) {
    const at = read64(list + 8 * index);
    const next = index + 1 < count ? read64(list + 8 * (index + 1)) : 0;
    const isPort = begins(at, "-p", true) || begins(at, "--port", true);
    if (isPort || begins(at, "--config", true)) {
      if (next === 0) return usage("a value is missing after ", at);
      if (isPort) readPort(next);
      else configPath = next;
      index++;
    } else if (begins(at, "--port=", false)) readPort(at + 7);
    else if (begins(at, "--config=", false)) configPath = at + 9;
    else usage("it does not know ", at);
  }
}

// @ts-ignore: decorator
@lazy export const file: usize = memory.data(65544, 8);

/** Reads a file into `file`, or descriptor 0 for "-". Its bytes, or greater than `most` if it is longer; negative: the error. */
export function readFile(path: u64, most: u32): i64 {
  const isInput = begins(path, "-", true);
  const opened = isInput ? 0 : call(Call.open, path, 0x80000); // O_RDONLY | O_CLOEXEC
  if (opened < 0) return opened;
  let length: u32 = 0;
  let count: i64 = 1;
  while (count > 0 && length <= most) {
    count = call(Call.read, opened, address(file) + length, most + 1 - length);
    if (count > 0) length += <u32>count;
  }
  if (!isInput) call(Call.close, opened);
  return count < 0 ? count : <i64>length;
}

/** Ends the process: the settings can't be had. */
export function refuseConfig(error: i64): void {
  beginFault("MF_STANDALONE_SETTINGS");
  for (let each = configPath; read8(each) !== 0; each++) putByte(read8(each));
  if (error === -2) put(" does not exist");
  else if (error === -13) put(" may not be read by this user");
  else put(error > 0 ? " is longer than 65536 bytes" : " can't be read");
  put(": --config names a JSON file with the service's settings");
  endLine();
  exit(1);
}

let isReadable: bool = true;
/** From here on the environment is nobody's. */
export function closeEnvironment(): void { isReadable = false; }

// @ts-ignore: decorator
@lazy const wanted: usize = memory.data(256, 8);

/** For the module: copies the value of a variable to `to`, at most `most` bytes; returns its length, -1 if it is not set. */
export function environment(nameAt: u32, nameLength: u32, to: u32, most: u32): i32 {
  if (!isReadable || !inNet(nameAt, nameLength) || !inNet(to, most) || nameLength > 255) return -1;
  for (let index: u32 = 0; index < nameLength; index++) store<u8>(wanted + index, read8(netBase() + nameAt + index));
  let list = read64(beginAt()) + 16 + 8 * read64(read64(beginAt()));
  for (let at = read64(list); at !== 0; at = read64((list += 8))) {
    let same: u32 = 0;
    while (same < nameLength && read8(at + same) === <u32>load<u8>(wanted + same)) same++;
    if (same < nameLength || read8(at + same) !== 61) continue;
    return copyText(at + same + 1, to, most);
  }
  return -1;
}

function copyText(at: u64, to: u32, most: u32): i32 {
  let length: u32 = 0;
  for (; read8(at + length) !== 0; length++) if (length < most) write8(netBase() + to + length, read8(at + length));
  return length;
}
