/** Many seeded connections of model peers with one stack, over a bad link; and what must hold of each. */
import { assert, type Prng, prng } from "#base";
import { type Habits, Peer } from "./peer.ts";
import { bytesOf, Stack } from "./stack.ts";
import { arpFrame, decode, type Frame, guestAddress, peerAddress } from "./wire.ts";
import { type LinkFaults, link, soundLink, World } from "./world.ts";

export const echoPort = 80;

/** One stream as the stack's user has it: it answers each byte with bytes that depend on it. */
interface Served {
  readonly peer: Peer;
  readonly answer: Uint8Array;
  readonly greedy: boolean;
  received: Buffer[];
  written: number;
  started: boolean;
  ended: boolean;
  closed: number | undefined;
}

export interface TrialOptions {
  readonly seed: number;
  readonly connections: number;
  readonly memoryBytes?: number;
  readonly faults?: LinkFaults;
  /** Receives a line for each segment, to see what went wrong. */
  readonly trace?: (line: string) => void;
}

export interface TrialResult {
  readonly whole: number;
  readonly broken: number;
  readonly frames: number;
}

function describe(frame: Uint8Array): string {
  const view = new DataView(frame.buffer, frame.byteOffset);
  if (view.getUint16(12) !== 0x0800 || frame[23] !== 6) return "no TCP";
  const flags = ["F", "S", "R", "P", "A"].filter((_, bit) => ((frame[47] as number) >> bit) & 1).join("");
  const data = frame.length - 34 - ((frame[46] as number) >> 4) * 4;
  return `${view.getUint16(34)}→${view.getUint16(36)} ${flags} seq ${view.getUint32(38)} ack ${view.getUint32(42)} win ${view.getUint16(48)} len ${data}`;
}

function pick<T>(random: Prng, ...values: readonly T[]): T {
  return values[random.below(values.length)] as T;
}

export function badLink(random: Prng): LinkFaults {
  if (random.below(4) === 0) return { ...soundLink, delayUs: 1 + random.below(2000) };
  const chance = (): number => pick(random, 0, 0, 0.01, 0.05, 0.15);
  return {
    lost: chance(),
    repeated: chance(),
    damaged: chance(),
    late: chance(),
    lateUs: 1 + random.below(30_000),
    delayUs: 1 + random.below(20_000),
  };
}

function habits(random: Prng, seed: number): Habits {
  const length = pick(random, 0, 1, 200, 200, 1460, random.below(5000), random.below(5000), random.below(40_000));
  const buffer = pick(random, 1, 50, 700, 4096, 65_535, 65_535, 200_000);
  return {
    segment: pick(random, 100, 536, 1220, 1460, 1460, 9000),
    scale: pick(random, undefined, 0, ...[3, 7, 14].filter((scale) => buffer >> scale > 0)),
    sack: random.below(3) > 0,
    buffer,
    readUs: pick(random, 0, 0, 1000, 50_000),
    end: pick(random, "close", "close", "wait", "wait", "reset", "vanish"),
    endAfterUs: random.below(2_000_000),
    data: bytesOf(seed, length),
    pauseUs: pick(random, 0, 0, random.below(10_000)),
  };
}

/** Runs `connections` connections to their ends, then lets 500 quiet seconds pass. Throws when a property does not hold. */
export function trial(options: TrialOptions): TrialResult {
  const random = prng(options.seed);
  const world = new World();
  const faults = options.faults ?? badLink(random);
  const peers = new Map<number, Peer>();
  const streams = new Map<number, Served>();
  const all: Served[] = [];
  let frames = 0;
  const decoded = new WeakMap<Uint8Array, Frame>();
  const toPeers = link(world, random, faults, (frame) => {
    const read = decoded.get(frame);
    if (read === undefined) return; // damaged on its way: the model peer checks its checksums
    if (read.kind === "tcp") peers.get(read.segment.toPort)?.receive(read.segment);
    else if (read.kind === "arp" && read.operation === 1) world.at(50, () => stack.receive(arpFrame(2, read.target, guestAddress)));
  });
  const trace = (mark: string, frame: Uint8Array): void =>
    options.trace?.(`${((world.nowUs - 1e6) / 1000).toFixed(1)} ms ${mark} ${describe(frame)}`);
  const onFrame = (frame: Uint8Array): void => {
    frames++;
    decoded.set(frame, decode(frame)); // throws when the stack sends anything malformed
    trace("<", frame);
    toPeers(frame);
  };
  const stack = new Stack({ onFrame, seed: random.uint32(), memoryBytes: options.memoryBytes ?? 1 << 19 });
  const goOn = (stream: number, served: Served): void => {
    served.started = true;
    while (served.written < served.answer.length) {
      const part = served.answer.subarray(served.written, served.written + 1 + random.below(8000));
      const taken = stack.write(stream, part);
      assert(taken >= 0 && taken <= part.length, "a write takes some of its bytes");
      served.written += taken;
      if (taken < part.length) return;
      if (random.below(3) === 0) stack.exports.push(stream);
    }
    stack.exports.push(stream);
    if (served.ended || served.peer.habits.end !== "close") stack.exports.finish(stream);
  };
  stack.user = {
    opened: (stream, _address, port) => {
      const peer = peers.get(port);
      assert(peer !== undefined && !streams.has(stream), "a stream's number is free when it is opened");
      const served = all.find((each) => each.peer === peer) as Served;
      assert(served.received.length === 0, "a connection is opened once");
      streams.set(stream, served);
      if (peer.habits.data.length === 0) world.at(0, () => streams.get(stream) === served && goOn(stream, served));
      return true;
    },
    received: (stream, bytes) => {
      const served = streams.get(stream) as Served;
      assert(served !== undefined && !served.ended, "bytes belong to an open stream");
      const taken = served.greedy ? bytes.length : random.below(bytes.length + 1);
      served.received.push(Buffer.from(bytes.subarray(0, taken)));
      if (taken < bytes.length) world.at(random.below(20_000), () => streams.get(stream) === served && stack.exports.resume(stream));
      if (!served.started) goOn(stream, served);
      return taken;
    },
    writable: (stream) => goOn(stream, streams.get(stream) as Served),
    ended: (stream) => {
      const served = streams.get(stream) as Served;
      assert(!served.ended, "the end is told once");
      served.ended = true;
      if (!served.started || served.written === served.answer.length) goOn(stream, served);
    },
    closed: (stream, reason) => {
      const served = streams.get(stream) as Served;
      assert(served !== undefined, "the close is told once");
      served.closed = reason;
      streams.delete(stream);
    },
  };
  world.add(stack);
  stack.exports.listen(echoPort);
  world.at(0, () => stack.receive(arpFrame(1, peerAddress, guestAddress)));
  const toStack = link(world, random, faults, (frame) => {
    trace(">", frame);
    stack.receive(frame);
  });
  for (let each = 0; each < options.connections; each++) {
    const port = 1024 + each;
    const ends = { address: peerAddress, port, toAddress: guestAddress, toPort: echoPort };
    const peer = new Peer(world, random, habits(random, options.seed + each), ends, toStack);
    peers.set(port, peer);
    const length = pick(random, 0, 100, 100, 3000, random.below(5000), random.below(60_000));
    const answer = bytesOf(options.seed ^ each, Math.min(length, peer.habits.buffer * 100));
    all.push({ peer, answer, greedy: random.below(3) > 0, received: [], written: 0, started: false, ended: false, closed: undefined });
    world.at(random.below(3_000_000), () => peer.start());
  }
  world.run(world.nowUs + 900_000_000);
  return { ...judge(all, stack), frames };
}

function judge(all: readonly Served[], stack: Stack): Omit<TrialResult, "frames"> {
  let whole = 0;
  for (const served of all) {
    const { peer, answer } = served;
    const received = Buffer.concat(served.received);
    const sent = Buffer.from(peer.habits.data);
    assert(received.equals(sent.subarray(0, received.length)), "the user has what the peer sent, in order");
    assert(!served.ended || received.length === sent.length, "the peer's end comes after all its bytes");
    const got = peer.received;
    assert(got.equals(Buffer.from(answer).subarray(0, got.length)), "the peer has what the user wrote, in order");
    assert(!peer.finReceived || got.length === answer.length, "the end comes after all bytes");
    if (peer.habits.end === "close" || peer.habits.end === "wait")
      assert(
        peer.broken || peer.whole || (served.closed ?? 0) > 0,
        `a connection is whole, or known to be broken: ${JSON.stringify([peer.ends.port, peer.state, peer.finReceived, served.closed])}`,
      );
    if (peer.whole) whole++;
  }
  const { usedCount, freeBlocks, allBlocks, halfOpenCount } = stack.exports;
  assert(usedCount() === 0, `every slot is free after a quiet time, and not ${usedCount()} taken`);
  assert(freeBlocks() === allBlocks(), "every block is free");
  assert(halfOpenCount() === 0, "no handshake is left");
  return { whole, broken: all.length - whole };
}
