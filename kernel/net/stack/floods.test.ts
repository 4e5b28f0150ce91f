/** Floods, scans and damaged frames: the stack stays within its tables, serves whoever is left, and its memory stays its own. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { type Prng, prng } from "#base";
import { seed } from "../../../base/testing/seed.ts";
import { bytesOf, Stack, type StackOptions } from "../testing/stack.ts";
import {
  ACK,
  arpFrame,
  decode,
  FIN,
  type Frame,
  guestAddress,
  icmpFrame,
  peerAddress,
  PSH,
  RST,
  SYN,
  synOptions,
  tcpFrame,
  type TcpSegment,
  udpFrame,
} from "../testing/wire.ts";

interface Flooded {
  readonly stack: Stack;
  /** Segments sent since the last call. */
  take(): TcpSegment[];
  readonly open: Set<number>;
}

function start(options: Partial<StackOptions> = {}): Flooded {
  const sent: Frame[] = [];
  const open = new Set<number>();
  const stack = new Stack({ onFrame: (frame) => sent.push(decode(frame)), ...options });
  stack.user = {
    opened: (stream) => {
      open.add(stream);
      return true;
    },
    received: (stream, bytes) => {
      stack.write(stream, bytes);
      stack.exports.push(stream);
      return bytes.length;
    },
    ended: (stream) => stack.exports.finish(stream),
    closed: (stream) => void open.delete(stream),
  };
  stack.exports.listen(80);
  stack.receive(arpFrame(1, peerAddress, guestAddress));
  return { stack, take: () => sent.splice(0).flatMap((frame) => (frame.kind === "tcp" ? [frame.segment] : [])), open };
}

/** Opens a connection, sends bytes, and takes the echo: false where the stack refused. */
function echoes({ stack, take }: Flooded, port: number): boolean {
  const ends = { fromPort: port, toPort: 80 };
  stack.receive(arpFrame(1, peerAddress, guestAddress));
  take();
  stack.receive(tcpFrame({ ...ends, flags: SYN, sequence: 100, options: synOptions(1460, 7, true) }));
  const answer = take().find((each) => each.toPort === port);
  if (answer === undefined || (answer.flags & RST) !== 0) return false;
  const data = bytesOf(port, 64);
  stack.receive(tcpFrame({ ...ends, flags: ACK, sequence: 101, acknowledged: answer.sequence + 1 }));
  stack.receive(tcpFrame({ ...ends, flags: ACK | PSH, sequence: 101, acknowledged: answer.sequence + 1, data }));
  const echo = take().find((each) => each.toPort === port && each.data.length > 0);
  if (echo === undefined) return false;
  deepEqual(echo.data, data);
  stack.receive(tcpFrame({ ...ends, flags: ACK | FIN, sequence: 165, acknowledged: echo.sequence + 64 }));
  const end = take().find((each) => (each.flags & FIN) !== 0 && each.toPort === port) as TcpSegment;
  stack.receive(tcpFrame({ ...ends, flags: ACK, sequence: 166, acknowledged: end.sequence + 1 }));
  return true;
}

function quiet({ stack, open }: Flooded): void {
  stack.runUntil(stack.nowUs + 900e6);
  const { usedCount, freeBlocks, allBlocks, halfOpenCount } = stack.exports;
  deepEqual([usedCount(), allBlocks() - freeBlocks(), halfOpenCount(), open.size], [0, 0, 0, 0]);
}

test("a flood of SYNs takes no connection and keeps nobody out", () => {
  const world = start({ memoryBytes: 1 << 18 });
  const random = prng(seed);
  for (let each = 0; each < 20_000; each++) {
    const options = random.below(2) === 0 ? synOptions(random.below(1500), random.below(15), true) : new Uint8Array(0);
    const from = 0x08080000 + random.below(65_536); // through the gateway
    world.stack.receive(tcpFrame({ from, fromPort: 1 + random.below(65_535), toPort: 80, flags: SYN, sequence: random.uint32(), options }));
    if (each % 1000 === 999) ok(echoes(world, 2000 + each), `served in the flood, after ${each}`);
  }
  equal(world.stack.exports.halfOpenCount(), 128);
  ok(world.stack.exports.counter(12) > 10_000, "cookies were sent");
  quiet(world);
});

test("cookies are believed for a few seconds after a flood, with their options, and no longer; guesses never", () => {
  const world = start();
  const flood = (): void => {
    for (let each = 0; each < 200; each++) world.stack.receive(tcpFrame({ fromPort: 10_000 + each, toPort: 80, flags: SYN, sequence: 5 }));
  };
  const handshake = (waitUs: number, wrong: number): boolean => {
    flood();
    world.take();
    world.stack.receive(tcpFrame({ fromPort: 999, toPort: 80, flags: SYN, sequence: 100, options: synOptions(1300, 7, true) }));
    const answer = world.take().find((each) => each.toPort === 999) as TcpSegment;
    world.stack.nowUs += waitUs;
    const before = world.open.size;
    world.stack.receive(
      tcpFrame({ fromPort: 999, toPort: 80, flags: ACK, sequence: 101, acknowledged: (answer.sequence + 1 + wrong) >>> 0, window: 100 }),
    );
    return world.open.size > before;
  };
  for (const wrong of [1, 2, 0x100, 0x10000, 0x80000000]) {
    ok(!handshake(1000, wrong));
    equal(world.take().filter(({ flags, toPort }) => toPort === 999 && (flags & RST) !== 0).length, 1);
  }
  ok(!handshake(30e6, 0));
  ok(handshake(3e6, 0));
  const [stream] = [...world.open] as [number];
  world.take();
  const block = world.stack.write(stream, new Uint8Array(20_000));
  equal(block, 20_000);
  const sent = world.take().filter(({ toPort }) => toPort === 999);
  equal(sent[0]?.data.length, 1220, "the next lower size that a cookie can name");
  equal(
    sent.reduce((sum, { data }) => sum + data.length, 0),
    10 * 1220,
    "the window of 100 units of 128",
  );
});

test("a table that is full refuses the newest, serves the others, and takes new ones again", () => {
  const world = start({ memoryBytes: 1 << 18 });
  let opened = 0;
  for (let port = 1024; port < 1624; port++) {
    world.take();
    world.stack.receive(tcpFrame({ fromPort: port, toPort: 80, flags: SYN, sequence: 1 }));
    const [answer] = world.take() as [TcpSegment];
    if ((answer.flags & RST) === 0)
      world.stack.receive(tcpFrame({ fromPort: port, toPort: 80, flags: ACK, sequence: 2, acknowledged: answer.sequence + 1 }));
    if (world.open.size > opened) opened = world.open.size;
  }
  ok(opened > 100 && opened < 600, `${opened} slots`);
  equal(world.stack.exports.usedCount(), opened);
  ok(!echoes(world, 5000));
  for (let port = 1024; port < 1034; port++) world.stack.receive(tcpFrame({ fromPort: port, toPort: 80, flags: RST, sequence: 2 }));
  ok(echoes(world, 5001));
  quiet(world);
});

test("connections in TIME-WAIT give way to new ones", () => {
  const world = start({ memoryBytes: 1 << 18 });
  world.stack.user = { ...world.stack.user, opened: (stream) => (world.open.add(stream), world.stack.exports.finish(stream), true) };
  for (let port = 1024; port < 2024; port++) {
    world.take();
    world.stack.receive(tcpFrame({ fromPort: port, toPort: 80, flags: SYN, sequence: 1 }));
    const [answer] = world.take() as [TcpSegment];
    ok((answer.flags & RST) === 0, `${port}`);
    world.stack.receive(tcpFrame({ fromPort: port, toPort: 80, flags: ACK, sequence: 2, acknowledged: answer.sequence + 1 }));
    world.stack.receive(tcpFrame({ fromPort: port, toPort: 80, flags: ACK | FIN, sequence: 2, acknowledged: answer.sequence + 2 }));
  }
  equal(world.open.size, 0);
  ok(world.stack.exports.usedCount() > 50);
  quiet(world);
});

test("resets and scans of strangers end no connection and are answered one by one", () => {
  const world = start();
  const random = prng(seed);
  world.stack.receive(tcpFrame({ fromPort: 1000, toPort: 80, flags: SYN, sequence: 100 }));
  const [answer] = world.take() as [TcpSegment];
  world.stack.receive(tcpFrame({ fromPort: 1000, toPort: 80, flags: ACK, sequence: 101, acknowledged: answer.sequence + 1 }));
  equal(world.open.size, 1);
  for (let each = 0; each < 20_000; each++) {
    const sequence = random.uint32();
    if (sequence === 101) continue;
    world.stack.receive(
      tcpFrame({
        fromPort: 1000,
        toPort: 80,
        flags: [RST, RST | ACK, SYN, SYN | ACK][random.below(4)] as number,
        sequence,
        acknowledged: random.uint32(),
      }),
    );
  }
  equal(world.open.size, 1);
  ok(world.take().length <= 1, "challenges are bounded in time");
  for (let port = 1; port < 65_536; port += 1)
    if (port !== 80) world.stack.receive(tcpFrame({ fromPort: 7, toPort: port, flags: SYN, sequence: 9 }));
  ok(world.take().every(({ flags }) => flags === (RST | ACK)));
  ok(echoes(world, 6000));
  quiet(world);
});

test("peers that vanish after their request leave nothing", () => {
  const world = start({ memoryBytes: 1 << 18 });
  for (let round = 0; round < 4; round++) {
    for (let port = 1024; port < 1324; port++) {
      world.take();
      world.stack.receive(tcpFrame({ fromPort: port, toPort: 80, flags: SYN, sequence: 1 }));
      const [answer] = world.take() as [TcpSegment];
      const data = bytesOf(port, 1400);
      for (let piece = 0; piece < 4; piece++)
        world.stack.receive(
          tcpFrame({
            fromPort: port,
            toPort: 80,
            flags: ACK,
            sequence: 2 + piece * 2800,
            acknowledged: answer.sequence + 1,
            data,
            window: 0,
          }),
        );
    }
    world.stack.runUntil(world.stack.nowUs + 1e6);
  }
  quiet(world);
  ok(echoes(world, 6000));
  quiet(world);
});

/** A frame of any kind, sound or nearly so. */
function anyFrame(random: Prng, stack: Stack): Uint8Array {
  const data = bytesOf(random.uint32(), random.below(4) === 0 ? random.below(1400) : random.below(40));
  switch (random.below(8)) {
    case 0:
      return arpFrame(1 + random.below(2), 0x0a000200 + random.below(256), guestAddress, 0x020000000000 + random.below(1000));
    case 1:
      return icmpFrame(random.below(20), random.below(20), data);
    case 2:
      return udpFrame({
        fromPort: [53, 67, 5][random.below(3)] as number,
        toPort: [68, 1024 + random.below(64_000)][random.below(2)] as number,
        data,
      });
    default: {
      const flags = [SYN, ACK, ACK | PSH, ACK | FIN, RST, random.below(256)][random.below(6)] as number;
      const near = stack.exports.counter(0) * 7;
      const number = (): number => (random.below(2) === 0 ? random.uint32() : near + random.below(3000));
      const options = random.below(3) === 0 ? bytesOf(random.uint32(), 4 * random.below(10)) : new Uint8Array(0);
      const ports = { fromPort: 1 + random.below(50), toPort: random.below(10) === 0 ? random.below(65_536) : 80 };
      return tcpFrame({ ...ports, flags, sequence: number(), acknowledged: number(), window: random.below(65_536), options, data });
    }
  }
}

test("100,000 random and damaged frames: no trap, nothing malformed is sent, and not one byte beyond the stack's memory", () => {
  const random = prng(seed);
  const world = start({ memoryBytes: 1 << 18, dns: peerAddress });
  const { exports } = world.stack;
  // Memory that the host grows after the start belongs to nobody; of what lies below, the static data is the compiler's.
  const before = exports.memory.buffer.byteLength;
  exports.memory.grow(2);
  const beyond = (): boolean => new Uint8Array(exports.memory.buffer, before).every((byte) => byte === 0);
  for (let each = 0; each < 100_000; each++) {
    let frame = anyFrame(random, world.stack);
    if (random.below(3) === 0) {
      frame = frame.slice(0, random.below(2) === 0 ? random.below(frame.length + 1) : frame.length);
      for (let faults = random.below(4); faults > 0 && frame.length > 0; faults--) frame[random.below(frame.length)] = random.uint32();
    }
    world.stack.receive(frame);
    world.stack.nowUs += random.below(3000);
    if (random.below(4) === 0) world.stack.poll();
    if (random.below(1000) === 0) world.stack.resolve("a.example", 1);
    if (each % 1000 === 0) world.take();
  }
  ok(beyond());
  world.stack.nowUs += 1_000_000;
  ok(echoes(world, 6000), "it serves after all that");
  quiet(world);
});

test("without checksums in the way: segments made by an attacker who knows a connection", () => {
  const random = prng(seed);
  for (let run = 0; run < 300; run++) {
    const world = start({ memoryBytes: 1 << 18 });
    world.stack.receive(
      tcpFrame({ fromPort: 1000, toPort: 80, flags: SYN, sequence: 0xfffffff0, options: synOptions(1460, random.below(15), true) }),
    );
    const [answer] = world.take() as [TcpSegment];
    for (let each = 0; each < 300; each++) {
      const flags = random.below(30) === 0 ? random.below(256) : ACK | (random.below(40) === 0 ? FIN : 0);
      const sequence = (0xfffffff1 + random.below(4) * random.below(80_000)) >>> 0;
      const acknowledged = (answer.sequence + 1 + random.below(3) * random.below(3000)) >>> 0;
      const data = bytesOf(each, random.below(3) === 0 ? 0 : random.below(1460));
      world.stack.receive(
        tcpFrame({ fromPort: 1000, toPort: 80, flags, sequence, acknowledged, window: random.below(3) * random.below(65_536), data }),
      );
      world.stack.nowUs += random.below(50_000);
      world.stack.poll();
      if (random.below(40) === 0) for (const stream of world.open) world.stack.exports.resume(stream);
    }
    quiet(world);
  }
});
