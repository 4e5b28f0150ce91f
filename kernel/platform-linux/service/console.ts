/**
 * The log, on descriptor 1: lines are gathered, and written while the reader takes them. A reader that is slow costs lines and not service:
 * what does not fit is dropped, counted, and said once there is room.
 */
import { address, call, Call, copy, exit } from "../cpu";
import { consoleBytes, lastLinesMs, writeBytes } from "./limits";
import { inNet } from "./memory";
import { netBase } from "./net";
import { endLine, put, putByte, putNumber, takeLine } from "./text";

// @ts-ignore: decorator
@lazy const lines: usize = memory.data(65536, 8);
let from: u32 = 0, end: u32 = 0, dropped: u32 = 0;
// struct pollfd { i32 descriptor; i16 events; i16 found; }
// @ts-ignore: decorator
@lazy const polled: usize = memory.data(8, 8);
const canWrite: u32 = 4;

/** Before it serves, lines are about the start. */
let isServing: bool = false;
export function serveLines(): void { isServing = true; }

/** Bytes of net's memory: a line of the log, or before it serves the reason why it can't. */
export function print(at: u32, length: u32): void {
  if (!inNet(at, length)) return;
  if (!isServing) return complain(at, length);
  if (consoleBytes - end + from < length) {
    dropped++;
    return;
  }
  if (consoleBytes - end < length) {
    memory.copy(lines, lines + from, end - from);
    end -= from;
    from = 0;
  }
  copy(address(lines + end), netBase() + at, length);
  end += length;
}

function complain(at: u32, length: u32): void {
  for (let index: u32 = 0; index < length; index++) {
    const byte = byteOfNet(at + index);
    if (byte !== 13 && byte !== 10) putByte(byte);
  }
  endLine();
}

// @ts-ignore: decorator
@lazy const one: usize = memory.data(8, 8);
function byteOfNet(at: u32): u32 {
  copy(address(one), netBase() + at, 1);
  return load<u8>(one);
}

function isReady(timeoutMs: u32): bool {
  store<u32>(polled, 1);
  store<u16>(polled, <u16>canWrite, 4);
  store<u16>(polled, 0, 6);
  return call(Call.poll, address(polled), 1, timeoutMs) > 0;
}

/** Writes what the reader takes now. True: lines are left. */
export function flushConsole(): bool {
  while (from < end && isReady(0)) if (!writeSome()) return false;
  if (dropped !== 0 && from === end) sayDropped();
  return from < end;
}

/** False: nobody reads any more. */
function writeSome(): bool {
  const count = call(Call.write, 1, address(lines + from), min<u32>(end - from, writeBytes));
  if (count <= 0) {
    from = end = 0;
    return false;
  }
  from += <u32>count;
  if (from === end) from = end = 0;
  return true;
}

/** A line of the log about those that are missing; the buffer is empty. */
function sayDropped(): void {
  put("{\"level\":\"warn\",\"msg\":\"");
  putNumber(dropped);
  put(" lines of the log were dropped here: whoever reads them is too slow\"}\n");
  from = 0;
  end = takeLine(lines);
  dropped = 0;
}

/** Writes the last lines, and ends the process. */
export function endProcess(status: u32): void {
  while (from < end && isReady(lastLinesMs)) if (!writeSome()) break;
  exit(status);
}

/** The module's end: after draining, or because it can't serve. */
export function off(code: u32): void {
  endProcess(code === 0 ? 0 : 1);
}
