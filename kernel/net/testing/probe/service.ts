/** http/ and service/ without a stack: whoever tests carries the streams. */
import { closed, connected, ended, opened, received, writable, carryAbort, carryConnect, carryFinish, carryListen, carryLocalPort, carryPush, carryResume, carryRoom, carryWrite } from "../../streams";
import { carryDatagram, carryResolve, resolved } from "../../names";
import { prepareService, runService, sayAddress, startService } from "../../service/mod";
import { take } from "../../memory";
import { allBytes, freeBytes } from "../../blocks";

export { button, configBuffer, configure, done, effectsBuffer, nextJob } from "../../service/mod";

// @ts-ignore: decorator
@external("carrier", "write") declare function hostWrite(stream: u32, at: usize, length: u32): u32;
// @ts-ignore: decorator
@external("carrier", "push") declare function hostPush(stream: u32): void;
// @ts-ignore: decorator
@external("carrier", "resume") declare function hostResume(stream: u32): void;
// @ts-ignore: decorator
@external("carrier", "finish") declare function hostFinish(stream: u32): void;
// @ts-ignore: decorator
@external("carrier", "abort") declare function hostAbort(stream: u32): void;
// @ts-ignore: decorator
@external("carrier", "connect") declare function hostConnect(address: u32, port: u32): u32;
// @ts-ignore: decorator
@external("carrier", "localPort") declare function hostLocalPort(stream: u32): u32;
// @ts-ignore: decorator
@external("carrier", "listen") declare function hostListen(port: u32): u32;
// @ts-ignore: decorator
@external("carrier", "resolve") declare function hostResolve(at: usize, length: u32, ask: u32): u32;
// @ts-ignore: decorator
@external("carrier", "datagram") declare function hostDatagram(address: u32, port: u32, fromPort: u32, at: usize, length: u32): u32;

const mostStreams: u32 = 4096;

export function start(): void {
  carryWrite((stream: u32, at: usize, length: u32): u32 => hostWrite(stream, at, length));
  carryPush((stream: u32): void => hostPush(stream));
  carryResume((stream: u32): void => hostResume(stream));
  carryFinish((stream: u32): void => hostFinish(stream));
  carryAbort((stream: u32): void => hostAbort(stream));
  carryConnect((address: u32, port: u32): u32 => hostConnect(address, port));
  carryLocalPort((stream: u32): u32 => hostLocalPort(stream));
  carryListen((port: u32): bool => hostListen(port) !== 0);
  carryRoom((_stream: u32): u32 => 0);
  carryResolve((at: usize, length: u32, ask: u32): bool => hostResolve(at, length, ask) !== 0);
  carryDatagram((address: u32, port: u32, fromPort: u32, at: usize, length: u32): bool => hostDatagram(address, port, fromPort, at, length) !== 0);
  bytes = take(room);
  if (prepareService() && startService(mostStreams)) sayAddress(0x0a00020f);
}

export function poll(): u64 { return runService(); }

// The carrier's events, for bytes that lie in `bytesBuffer`.

const room: u32 = 65536;
let bytes: usize = 0;

/** Room for 64 KiB at most. */
export function bytesBuffer(): usize { return bytes; }

export function tellOpened(stream: u32, address: u32, port: u32): bool { return opened(stream, address, port); }
export function tellConnected(stream: u32): void { connected(stream); }
export function tellReceived(stream: u32, length: u32): u32 { return received(stream, bytes, length); }
export function tellWritable(stream: u32): void { writable(stream); }
export function tellEnded(stream: u32): void { ended(stream); }
export function tellClosed(stream: u32, reason: u32): void { closed(stream, reason); }
export function tellResolved(ask: u32, address: u32): void { resolved(ask, address); }

/** Bytes of blocks that are taken. */
export function takenBytes(): u32 { return allBytes() - freeBytes(); }
