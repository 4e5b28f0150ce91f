/** Two of these stacks on one bad wire: connections that one opens to the other, and their streams in both directions. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { prng } from "#base";
import { seed } from "../../../base/testing/seed.ts";
import { bytesOf, Stack, type User } from "../testing/stack.ts";
import { badLink } from "../testing/trials.ts";
import { guestMac, peerMac } from "../testing/wire.ts";
import { type LinkFaults, link, soundLink, World } from "../testing/world.ts";

const server = 0x0a000205;
const client = 0x0a000206;

interface Side {
  readonly stack: Stack;
  readonly streams: Map<number, Stream>;
  readonly over: Stream[];
}

interface Stream {
  readonly sends: Uint8Array;
  readonly got: Buffer[];
  /** Names the connection on both sides: the client's port. */
  port: number;
  written: number;
  ended: boolean;
  reason: number | undefined;
}

/** Both sides send bytes that their port decides, finish, and take what comes. */
function side(
  world: World,
  options: { readonly address: number; readonly mac: number; readonly run: number; readonly onFrame: (frame: Uint8Array) => void },
): Side {
  const random = prng(options.run ^ options.address);
  const streams = new Map<number, Stream>();
  const over: Stream[] = [];
  const { address, mac, onFrame } = options;
  const stack: Stack = new Stack({ address, mac, gateway: 0, seed: random.uint32(), memoryBytes: 1 << 19, onFrame });
  const goOn = (number: number): void => {
    const stream = streams.get(number) as Stream;
    while (stream.written < stream.sends.length) {
      const part = stream.sends.subarray(stream.written, stream.written + 1 + random.below(9000));
      const taken = stack.write(number, part);
      stream.written += taken;
      if (taken < part.length) return;
    }
    stack.exports.finish(number);
  };
  const begin = (number: number, port: number): void => {
    const sends = bytesOf(port ^ address, random.below(3) * random.below(30_000));
    streams.set(number, { sends, got: [], port, written: 0, ended: false, reason: undefined });
  };
  const user: User = {
    opened: (number, _peer, port) => {
      begin(number, port);
      world.at(0, () => streams.has(number) && goOn(number));
      return true;
    },
    connected: goOn,
    received: (number, bytes) => {
      const taken = random.below(3) > 0 ? bytes.length : random.below(bytes.length + 1);
      streams.get(number)?.got.push(Buffer.from(bytes.subarray(0, taken)));
      if (taken < bytes.length) world.at(random.below(5000), () => stack.exports.resume(number));
      return taken;
    },
    writable: goOn,
    ended: (number) => {
      (streams.get(number) as Stream).ended = true;
    },
    closed: (number, reason) => {
      const stream = streams.get(number) as Stream;
      stream.reason = reason;
      streams.delete(number);
      over.push(stream);
    },
  };
  stack.user = user;
  world.add(stack);
  if (address === client)
    for (let each = 0; each < 30; each++)
      world.at(random.below(2_000_000), () => {
        const number = stack.exports.connect(server, 80);
        ok(number > 0, "there is room");
        begin(number, stack.exports.localPort(number));
      });
  return { stack, streams, over };
}

function compare(from: Stream, to: Stream): void {
  const got = Buffer.concat(to.got);
  ok(got.equals(Buffer.from(from.sends).subarray(0, got.length)), "in order");
  if (to.ended) equal(got.length, from.sends.length, "the end comes after all bytes");
  if (to.reason === 0) ok(to.ended, "a stream that closes well has ended");
}

function run(number: number, faults?: LinkFaults): number {
  const world = new World();
  const random = prng(number);
  const chosen = faults ?? badLink(random);
  let servers: Side | undefined;
  let clients: Side | undefined;
  const toClient = link(world, random, chosen, (frame) => clients?.stack.receive(frame));
  const toServer = link(world, random, chosen, (frame) => servers?.stack.receive(frame));
  servers = side(world, { address: server, mac: guestMac, run: number, onFrame: toClient });
  clients = side(world, { address: client, mac: peerMac, run: number, onFrame: toServer });
  servers.stack.exports.listen(80);
  world.run(world.nowUs + 900_000_000);
  let whole = 0;
  equal(clients.over.length, 30);
  for (const mine of clients.over) {
    const other: Stream | undefined = servers.over.find((each) => each.port === mine.port);
    if (other !== undefined) {
      compare(mine, other);
      compare(other, mine);
    }
    if (mine.reason === 0 && other?.reason === 0) whole++;
  }
  for (const { stack, streams } of [servers, clients]) {
    const { usedCount, freeBlocks, allBlocks, halfOpenCount } = stack.exports;
    deepEqual([usedCount(), allBlocks() - freeBlocks(), halfOpenCount(), streams.size], [0, 0, 0, 0]);
  }
  return whole;
}

test("on a sound wire every connection is whole", () => {
  for (let each = 0; each < 5; each++) equal(run(seed + each, soundLink), 30);
});

test("1,500 connections on bad wires: in order, whole or known to be broken, and nothing is left", () => {
  let whole = 0;
  for (let each = 0; each < 50; each++) {
    try {
      whole += run(seed + each);
    } catch (error) {
      throw new Error(`run(${seed + each})`, { cause: error });
    }
  }
  ok(whole > 1000, `${whole} whole`);
});
