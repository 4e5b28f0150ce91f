/** The stack under test: the probe (probe/main.ts) in V8, with the test as the user of its streams. */
import { assert, prng, type Prng } from "#base";
import { NetHost, type NetExports } from "./host.ts";
import { netModuleOf } from "./module.ts";
import { guestAddress, guestMac, peerAddress } from "./wire.ts";

export interface StackExports extends NetExports {
  useAddress(address: number, prefixBits: number, gateway: number, dns: number): void;
  ownAddress(): number;
  bytesBuffer(): number;
  write(stream: number, length: number): number;
  push(stream: number): void;
  resume(stream: number): void;
  finish(stream: number): void;
  abort(stream: number): void;
  connect(address: number, port: number): number;
  localPort(stream: number): number;
  room(stream: number): number;
  listen(port: number): number;
  resolve(length: number, ask: number): number;
  datagram(address: number, port: number, fromPort: number, length: number): number;
  counter(which: number): number;
  usedCount(): number;
  freeBlocks(): number;
  allBlocks(): number;
  halfOpenCount(): number;
  /** 1 selecting, 2 requesting, 3 bound, 4 renewing, 5 rebinding. */
  dhcpPhase(): number;
  ownMask(): number;
  ownGateway(): number;
  ownDns(): number;
}

/** The user of streams; what is left out refuses, consumes or ignores. */
export interface User {
  opened?(stream: number, address: number, port: number): boolean;
  connected?(stream: number): void;
  received?(stream: number, bytes: Uint8Array): number;
  writable?(stream: number): void;
  ended?(stream: number): void;
  closed?(stream: number, reason: number): void;
  resolved?(ask: number, address: number): void;
}

export interface StackOptions {
  readonly user?: User;
  readonly memoryBytes?: number;
  readonly seed?: number;
  /** undefined: asks DHCP. */
  readonly address?: number | undefined;
  readonly gateway?: number;
  readonly dns?: number;
  readonly mac?: number;
  readonly onFrame: (frame: Uint8Array) => void;
}

export const probe = await netModuleOf("testing/probe/main.ts");

export class Stack extends NetHost<StackExports> {
  user: User;

  constructor(options: StackOptions) {
    const above = {
      opened: (stream: number, address: number, port: number) => (this.user.opened?.(stream, address >>> 0, port) ? 1 : 0),
      connected: (stream: number) => this.user.connected?.(stream),
      received: (stream: number, at: number, length: number) => {
        const bytes = new Uint8Array(this.exports.memory.buffer, at >>> 0, length).slice();
        return this.user.received?.(stream, bytes) ?? length;
      },
      writable: (stream: number) => this.user.writable?.(stream),
      ended: (stream: number) => this.user.ended?.(stream),
      closed: (stream: number, reason: number) => this.user.closed?.(stream, reason),
      resolved: (ask: number, address: number) => this.user.resolved?.(ask, address >>> 0),
    };
    const { memoryBytes = 1 << 20, seed = 1, onFrame } = options;
    super(probe, { memoryBytes, seed, onFrame, imports: { above } });
    this.user = options.user ?? {};
    const address = "address" in options ? options.address : guestAddress;
    if (address !== undefined) this.exports.useAddress(address, 24, options.gateway ?? peerAddress, options.dns ?? 0);
    const mac = options.mac ?? guestMac;
    this.exports.start(Math.floor(mac / 65_536), mac % 65_536);
  }

  #put(bytes: Uint8Array): void {
    assert(bytes.length <= 65_536, "a write fits into the buffer");
    new Uint8Array(this.exports.memory.buffer, this.exports.bytesBuffer() >>> 0, bytes.length).set(bytes);
  }

  /** Bytes taken. */
  write(stream: number, bytes: Uint8Array): number {
    this.#put(bytes);
    return this.exports.write(stream, bytes.length);
  }

  resolve(name: string, ask: number): boolean {
    const bytes = Buffer.from(name, "latin1");
    this.#put(bytes);
    return this.exports.resolve(bytes.length, ask) !== 0;
  }

  datagram(address: number, port: number, fromPort: number, bytes: Uint8Array): boolean {
    this.#put(bytes);
    return this.exports.datagram(address, port, fromPort, bytes.length) !== 0;
  }

  /** Polls at `untilUs` and at each time before that the stack asked for. */
  runUntil(untilUs: number): void {
    for (let turns = 0; turns < 100_000; turns++) {
      const next = this.poll();
      if (next > untilUs) break;
      this.nowUs = Math.max(this.nowUs, next);
    }
    this.nowUs = untilUs;
    this.poll();
  }
}

/** Bytes that depend on the seed alone. */
export function bytesOf(seed: number, length: number): Uint8Array {
  const random: Prng = prng(seed);
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = random.uint32();
  return bytes;
}
