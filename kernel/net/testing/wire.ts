/** Frames of the peer's side: an independent encoder and decoder of Ethernet, ARP, IPv4, ICMP, UDP and TCP. Addresses are numbers. */
import { assert } from "#base";

export const guestMac = 0x525400123456;
export const peerMac = 0x525400aabbcc;
export const guestAddress = 0x0a00020f;
export const peerAddress = 0x0a000202;

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

export interface TcpSegment {
  readonly from: number;
  readonly to: number;
  readonly fromPort: number;
  readonly toPort: number;
  readonly sequence: number;
  readonly acknowledged: number;
  readonly flags: number;
  readonly window: number;
  readonly options: Uint8Array;
  readonly data: Uint8Array;
}

export type Frame =
  | {
      readonly kind: "arp";
      readonly operation: number;
      readonly sender: number;
      readonly target: number;
      readonly senderMac: number;
      readonly toMac: number;
    }
  | { readonly kind: "tcp"; readonly toMac: number; readonly segment: TcpSegment }
  | {
      readonly kind: "udp";
      readonly from: number;
      readonly to: number;
      readonly fromPort: number;
      readonly toPort: number;
      readonly data: Uint8Array;
    }
  | {
      readonly kind: "icmp";
      readonly from: number;
      readonly to: number;
      readonly type: number;
      readonly code: number;
      readonly data: Uint8Array;
    };

/** The Internet checksum of bytes, word by word as RFC 1071 writes it. */
export function checksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    const even = part.length & ~1;
    for (let index = 0; index < even; index += 2) sum += ((part[index] as number) << 8) | (part[index + 1] as number);
    if (even < part.length) sum += (part[even] as number) << 8;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

class Writer {
  readonly bytes: number[] = [];
  u8(...values: readonly number[]): this {
    this.bytes.push(...values.map((value) => value & 0xff));
    return this;
  }
  u16(...values: readonly number[]): this {
    for (const value of values) this.u8(value >>> 8, value);
    return this;
  }
  u32(...values: readonly number[]): this {
    for (const value of values) this.u16((value >>> 16) & 0xffff, value & 0xffff);
    return this;
  }
  mac(value: number): this {
    return this.u16(Math.floor(value / 2 ** 32)).u32(value % 2 ** 32);
  }
  done(): Uint8Array {
    return Uint8Array.from(this.bytes);
  }
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value & 0xff;
}

export function ethernet(type: number, payload: Uint8Array, toMac = guestMac, fromMac = peerMac): Uint8Array {
  return join(new Writer().mac(toMac).mac(fromMac).u16(type).done(), payload);
}

export interface IpOptions {
  readonly from?: number;
  readonly to?: number;
  /** Flags and fragment offset. */
  readonly fragment?: number;
  /** IP options, a multiple of four bytes. */
  readonly options?: Uint8Array;
  readonly toMac?: number;
}

export function ipFrame(protocol: number, payload: Uint8Array, options: IpOptions = {}): Uint8Array {
  const extra = options.options ?? new Uint8Array(0);
  const head = new Writer().u8(0x45 + extra.length / 4, 0).u16(20 + extra.length + payload.length, 7, options.fragment ?? 0x4000);
  head
    .u8(64, protocol)
    .u16(0)
    .u32(options.from ?? peerAddress, options.to ?? guestAddress);
  const bytes = join(head.done(), extra);
  put16(bytes, 10, checksum(bytes));
  return ethernet(0x0800, join(bytes, payload), options.toMac);
}

const pseudoHead = new DataView(new ArrayBuffer(12));

function pseudo(from: number, to: number, protocol: number, length: number): Uint8Array {
  pseudoHead.setUint32(0, from);
  pseudoHead.setUint32(4, to);
  pseudoHead.setUint16(8, protocol);
  pseudoHead.setUint16(10, length);
  return new Uint8Array(pseudoHead.buffer);
}

/** Ethernet's and IP's headers of a segment, without lengths, addresses and checksums. */
const tcpHead = ipFrame(6, new Uint8Array(0), { from: 0, to: 0 });

const noBytes = new Uint8Array(0);

export function tcpFrame(segment: Partial<TcpSegment>): Uint8Array {
  const { from = peerAddress, to = guestAddress, options = noBytes, data = noBytes } = segment;
  const length = 20 + options.length + data.length;
  const frame = new Uint8Array(34 + length);
  const view = new DataView(frame.buffer);
  frame.set(tcpHead);
  view.setUint16(16, 20 + length);
  view.setUint32(26, from);
  view.setUint32(30, to);
  view.setUint16(24, 0);
  view.setUint16(24, checksum(frame.subarray(14, 34)));
  view.setUint16(34, segment.fromPort ?? 0);
  view.setUint16(36, segment.toPort ?? 0);
  view.setUint32(38, segment.sequence ?? 0);
  view.setUint32(42, segment.acknowledged ?? 0);
  view.setUint16(46, ((5 + options.length / 4) << 12) | (segment.flags ?? 0));
  view.setUint16(48, segment.window ?? 65_535);
  frame.set(options, 54);
  frame.set(data, 54 + options.length);
  view.setUint16(50, checksum(pseudo(from, to, 6, length), frame.subarray(34)));
  return frame;
}

export interface Datagram extends IpOptions {
  readonly fromPort: number;
  readonly toPort: number;
  readonly data: Uint8Array;
}

export function udpFrame(datagram: Datagram): Uint8Array {
  const { from = peerAddress, to = guestAddress, fromPort, toPort, data } = datagram;
  const bytes = join(new Writer().u16(fromPort, toPort, 8 + data.length, 0).done(), data);
  put16(bytes, 6, checksum(pseudo(from, to, 17, bytes.length), bytes) || 0xffff);
  return ipFrame(17, bytes, datagram);
}

export function icmpFrame(type: number, code: number, data: Uint8Array, options: IpOptions = {}): Uint8Array {
  const bytes = join(new Writer().u8(type, code).u16(0).done(), data);
  put16(bytes, 2, checksum(bytes));
  return ipFrame(1, bytes, options);
}

export function arpFrame(operation: number, sender: number, target: number, senderMac = peerMac, toMac = guestMac): Uint8Array {
  const body = new Writer()
    .u16(1, 0x0800)
    .u8(6, 4)
    .u16(operation)
    .mac(senderMac)
    .u32(sender)
    .mac(operation === 1 ? 0 : toMac)
    .u32(target);
  return ethernet(0x0806, body.done(), operation === 1 ? 0xffff_ffff_ffff : toMac, senderMac);
}

const macAt = (view: DataView, at: number): number => view.getUint16(at) * 2 ** 32 + view.getUint32(at + 2);

function decodeIp(frame: Uint8Array, view: DataView): Frame {
  assert(view.getUint8(14) === 0x45, "guest sends IP without options");
  const all = view.getUint16(16);
  assert(all === frame.length - 14 && all <= 1500, "the packet's length is the frame's");
  assert(checksum(frame.subarray(14, 34)) === 0, "the header's checksum is right");
  assert(view.getUint16(20) === 0x4000, "packets are not to be fragmented");
  const [from, to, protocol, payload] = [view.getUint32(26), view.getUint32(30), view.getUint8(23), frame.subarray(34)];
  if (protocol === 1) {
    assert(checksum(payload) === 0, "the checksum of ICMP is right");
    return { kind: "icmp", from, to, type: payload[0] as number, code: payload[1] as number, data: payload.slice(4) };
  }
  assert(checksum(pseudo(from, to, protocol, payload.length), payload) === 0, "the checksum is right");
  const [fromPort, toPort] = [view.getUint16(34), view.getUint16(36)];
  if (protocol === 17) {
    assert(view.getUint16(38) === payload.length, "the datagram's length is right");
    return { kind: "udp", from, to, fromPort, toPort, data: payload.slice(8) };
  }
  assert(protocol === 6, "a protocol of this stack");
  const head = (view.getUint8(46) >> 4) * 4;
  assert(head >= 20 && head <= payload.length, "the header's length is right");
  const segment = { from, to, fromPort, toPort, sequence: view.getUint32(38), acknowledged: view.getUint32(42), flags: view.getUint8(47) };
  const rest = { window: view.getUint16(48), options: payload.slice(20, head), data: payload.slice(head) };
  return { kind: "tcp", toMac: macAt(view, 0), segment: { ...segment, ...rest } };
}

/** Reads what the guest sent. Throws unless every length and checksum is right: the guest may send nothing else. */
export function decode(frame: Uint8Array): Frame {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  assert(frame.length >= 42 && frame.length <= 1514, "a frame's length");
  assert(macAt(view, 6) === guestMac, "the guest's own hardware address");
  if (view.getUint16(12) === 0x0800) return decodeIp(frame, view);
  assert(view.getUint16(12) === 0x0806, "IP or ARP");
  return {
    kind: "arp",
    operation: view.getUint16(20),
    senderMac: macAt(view, 22),
    sender: view.getUint32(28),
    target: view.getUint32(38),
    toMac: macAt(view, 0),
  };
}

/** Options of a SYN. */
export function synOptions(segment: number | undefined, scale: number | undefined, sack: boolean): Uint8Array {
  const bytes = new Writer();
  if (segment !== undefined) bytes.u8(2, 4).u16(segment);
  if (scale !== undefined) bytes.u8(1, 3, 3, scale);
  if (sack) bytes.u8(1, 1, 4, 2);
  return bytes.done();
}

/** Pieces out of order that a segment names: RFC 2018. */
export function sackBlocks(options: Uint8Array): (readonly [first: number, end: number])[] {
  const view = new DataView(options.buffer, options.byteOffset, options.length);
  const found: [number, number][] = [];
  for (let at = 0; at < options.length; ) {
    const kind = options[at];
    if (kind === 0) break;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = options[at + 1] as number;
    if (kind === 5) for (let each = at + 2; each < at + length; each += 8) found.push([view.getUint32(each), view.getUint32(each + 4)]);
    at += length;
  }
  return found;
}
