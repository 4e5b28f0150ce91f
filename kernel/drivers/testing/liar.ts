/** Drivers for tests: a guest that does not run its messages but misbehaves as the last byte of each says. */
import { endOfMemory } from "../boot-info";
import { flush, receive, startChannel, transmit } from "../channel";
import { cli, hlt } from "../cpu";
import { startExceptions } from "../exceptions";
import { startFrames, takeRow } from "../frames";
import { startInterrupts } from "../interrupts";
import { headerAt, headerFree } from "../map";
import { putBack, startPages } from "../pages";
import { exit, exitNoChannel } from "../power";
import { startSerial } from "../serial";

export { handleException } from "../exceptions";
export function hostInterrupt(): i32 { return 0; }

const magic: u32 = 0x4843464d;
const ready: u32 = 16, complete: u32 = 17;
// @ts-ignore: decorator
@lazy const head: usize = memory.data(16, 16);
// @ts-ignore: decorator
@lazy const body: usize = memory.data(64, 16);

function send(word: u32, kind: u32, length: u32, from: usize, present: u32): void {
  store<u32>(head, word);
  store<u32>(head, kind, 4);
  store<u32>(head, length, 8);
  store<u32>(head, 0, 12);
  transmit(<u64>head, 16);
  transmit(<u64>from, present);
  flush();
}

/** The effects' frame of a flow that is done without a reply (abi/frame.ts). */
function sendDone(): void {
  store<u32>(body, 0x0259464d);
  store<u32>(body, 28, 4);
  store<u32>(body, 0x0406, 8);
  for (let part: usize = 0; part < 4; part++) store<u32>(body + 12 + (part << 2), 0xffffffff);
  send(magic, complete, 28, body, 28);
}

function misbehave(how: u32): void {
  switch (how) {
    case 0x66: for (;;) sendDone(); // f: floods
    case 0x6d: return send(0x12345678, complete, 28, body, 28); // m: another magic
    case 0x68: return send(magic, complete, 0xffffffff, body, 0); // h: announces a huge frame
    case 0x6b: return send(magic, 99, 0, body, 0); // k: an unknown kind
    case 0x72: return send(magic, ready, 24, body, 24); // r: says it is ready a second time
    case 0x67: return send(magic, complete, 28, head, 28); // g: malformed effects
    case 0x65: return send(magic, complete, 0, body, 0); // e: no effects at all
    case 0x74: sendDone(); return sendDone(); // t: answers twice
    case 0x62: sendDone(); for (;;) {} // b: is busy after it has answered
    case 0x78: return exit(99); // x: ends
    case 0x73: for (;;) { cli(); hlt(); } // s: sleeps for ever
    case 0x6c: for (;;) {} // l: computes for ever
    case 0x75: unreachable(); // u: traps
    default: return sendDone();
  }
}

export function main(): void {
  startSerial();
  startExceptions();
  startInterrupts();
  startFrames(load<u32>(<usize>headerAt, headerFree), endOfMemory());
  startPages();
  putBack();
  const scratch = takeRow(16);
  if (!startChannel()) exit(exitNoChannel);
  send(magic, ready, 24, body, 24);
  for (;;) {
    receive(<u64>head, 16);
    const kind = load<u16>(head, 4);
    const length = load<u32>(head, 8);
    receive(<u64>scratch, min<u32>(length, 65_536));
    if (kind === 1) misbehave(load<u8>(<usize>scratch + length - 1));
    if (kind === 6) exit(1);
  }
}
