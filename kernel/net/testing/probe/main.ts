/** Test double: the stack with the test as its user. Events are imports of the module "above", functions of the carrier are exports. */
import { frameBytes } from "../../limits";
import { remaining } from "../../memory";
import * as names from "../../names";
import {
  allBlocks, counter, dhcpPhase, dns, gateway, mask, freeBlocks, halfOpenCount, ownAddress, receiveFrame, runStack, stackDue, startStack, usedCount, useAddress,
} from "../../stack/mod";
import * as streams from "../../streams";

// @ts-ignore: decorator
@external("above", "opened")
declare function opened(stream: u32, address: u32, port: u32): bool;
// @ts-ignore: decorator
@external("above", "connected")
declare function connected(stream: u32): void;
// @ts-ignore: decorator
@external("above", "received")
declare function received(stream: u32, at: usize, length: u32): u32;
// @ts-ignore: decorator
@external("above", "writable")
declare function writable(stream: u32): void;
// @ts-ignore: decorator
@external("above", "ended")
declare function ended(stream: u32): void;
// @ts-ignore: decorator
@external("above", "closed")
declare function closed(stream: u32, reason: u32): void;
// @ts-ignore: decorator
@external("above", "resolved")
declare function resolved(ask: u32, address: u32): void;

// @ts-ignore: decorator
@lazy const frame: usize = memory.data(2048, 16);
// @ts-ignore: decorator
@lazy const bytes: usize = memory.data(65536, 16);

export { allBlocks, counter, dhcpPhase, freeBlocks, halfOpenCount, ownAddress, usedCount, useAddress };

export function start(macHigh: u32, macLow: u32): void {
  streams.onOpened((stream, address, port) => opened(stream, address, port));
  streams.onConnected((stream) => connected(stream));
  streams.onReceived((stream, at, length) => received(stream, at, length));
  streams.onWritable((stream) => writable(stream));
  streams.onEnded((stream) => ended(stream));
  streams.onClosed((stream, reason) => closed(stream, reason));
  names.onResolved((ask, address) => resolved(ask, address));
  startStack(macHigh, macLow, remaining());
}

export function frameBuffer(): usize { return frame; }
export function receive(length: u32): void { if (length <= frameBytes) receiveFrame(frame, length); }
export function poll(): u64 {
  runStack();
  return stackDue();
}

/** Room of 64 KiB for the bytes of a write, a name or a datagram. */
export function bytesBuffer(): usize { return bytes; }
export function write(stream: u32, length: u32): u32 { return streams.write(stream, bytes, length); }
export function push(stream: u32): void { streams.push(stream); }
export function resume(stream: u32): void { streams.resume(stream); }
export function finish(stream: u32): void { streams.finish(stream); }
export function abort(stream: u32): void { streams.abort(stream); }
export function connect(address: u32, port: u32): u32 { return streams.connect(address, port); }
export function localPort(stream: u32): u32 { return streams.localPort(stream); }
export function room(stream: u32): u32 { return streams.room(stream); }
export function listen(port: u32): bool { return streams.listen(port); }
export function resolve(length: u32, ask: u32): bool { return names.resolve(bytes, length, ask); }
export function datagram(address: u32, port: u32, fromPort: u32, length: u32): bool {
  return names.datagram(address, port, fromPort, bytes, length);
}
export function ownMask(): u32 { return mask; }
export function ownGateway(): u32 { return gateway; }
export function ownDns(): u32 { return dns; }
