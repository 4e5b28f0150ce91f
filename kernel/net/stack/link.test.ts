/** Ethernet, ARP, IPv4, ICMP and UDP: what is answered, and what is not. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { bytesOf, Stack, type StackOptions } from "../testing/stack.ts";
import {
  arpFrame,
  decode,
  ethernet,
  type Frame,
  guestAddress,
  guestMac,
  icmpFrame,
  peerAddress,
  peerMac,
  tcpFrame,
  udpFrame,
} from "../testing/wire.ts";

function start(options: Partial<StackOptions> = {}): { readonly stack: Stack; take(): Frame[] } {
  const sent: Uint8Array[] = [];
  const stack = new Stack({ onFrame: (frame) => sent.push(frame), ...options });
  return { stack, take: () => sent.splice(0).map(decode) };
}

/** A stack that knows its peer's hardware address. */
function acquainted(options: Partial<StackOptions> = {}): ReturnType<typeof start> {
  const world = start(options);
  world.stack.receive(arpFrame(1, peerAddress, guestAddress));
  world.take();
  return world;
}

test("a request for its address is answered, requests for others are not", () => {
  const { stack, take } = start();
  take();
  stack.receive(arpFrame(1, peerAddress, guestAddress));
  deepEqual(take(), [{ kind: "arp", operation: 2, sender: guestAddress, target: peerAddress, senderMac: guestMac, toMac: peerMac }]);
  stack.receive(arpFrame(1, peerAddress, guestAddress + 1));
  stack.receive(arpFrame(1, 0, guestAddress));
  stack.receive(arpFrame(1, 0x08080808, guestAddress)); // no neighbour
  deepEqual(take(), []);
});

test("at the start it says who has its address", () => {
  deepEqual(start().take(), [
    { kind: "arp", operation: 1, sender: guestAddress, target: guestAddress, senderMac: guestMac, toMac: 0xffff_ffff_ffff },
  ]);
});

const ping = (length: number): Uint8Array => icmpFrame(8, 0, bytesOf(length, length));

test("an echo request is answered with its bytes", () => {
  const { stack, take } = acquainted();
  for (const length of [4, 5, 56, 1476]) {
    stack.receive(ping(length));
    deepEqual(take(), [{ kind: "icmp", from: guestAddress, to: peerAddress, type: 0, code: 0, data: bytesOf(length, length) }]);
  }
});

test("echo requests beyond the bound of a second are not answered, and the next second they are", () => {
  const { stack, take } = acquainted();
  for (let each = 0; each < 1000; each++) stack.receive(ping(8));
  equal(take().length, 200);
  stack.nowUs += 1_000_000;
  stack.receive(ping(8));
  equal(take().length, 1);
});

test("a packet for a neighbour that is not known waits for its answer, with requests once a second, three times", () => {
  const { stack, take } = start();
  take();
  stack.receive(ping(8));
  deepEqual(
    take().map((frame) => frame.kind),
    ["arp"],
  );
  stack.runUntil(stack.nowUs + 1_500_000);
  equal(take().length, 1);
  stack.receive(arpFrame(2, peerAddress, guestAddress));
  deepEqual(
    take().map((frame) => frame.kind),
    ["icmp"],
  );
  const { stack: alone, take: takeAlone } = start();
  alone.receive(ping(8));
  alone.runUntil(alone.nowUs + 60_000_000);
  equal(takeAlone().length, 1 + 3);
});

test("sixteen packets wait for one answer and go in their order; more are dropped, and those of a silent neighbour leave their places", () => {
  const { stack, take } = start();
  take();
  for (let round = 0; round < 2; round++) {
    for (let length = 10; length < 30; length++) stack.receive(ping(length));
    equal(take().length, 1, "one request");
    stack.runUntil(stack.nowUs + 60_000_000);
    take();
  }
  for (let length = 10; length < 30; length++) stack.receive(ping(length));
  take();
  stack.receive(arpFrame(2, peerAddress, guestAddress));
  deepEqual(
    take(),
    Array.from({ length: 16 }, (_, at) => ({
      kind: "icmp",
      from: guestAddress,
      to: peerAddress,
      type: 0,
      code: 0,
      data: bytesOf(at + 10, at + 10),
    })),
  );
});

test("answers that nobody asked for are not believed", () => {
  const { stack, take } = start();
  stack.receive(arpFrame(2, peerAddress, guestAddress));
  take();
  stack.receive(ping(8));
  equal(take()[0]?.kind, "arp");
});

test("packets for others, damaged ones, fragments and those with options are not taken", () => {
  const { stack, take } = acquainted();
  const damaged = ping(8);
  damaged[30] = (damaged[30] as number) ^ 1;
  const short = ping(40).subarray(0, 50);
  const frames = [
    icmpFrame(8, 0, bytesOf(1, 8), { to: guestAddress + 1 }),
    icmpFrame(8, 0, bytesOf(1, 8), { toMac: guestMac + 1 }),
    icmpFrame(8, 0, bytesOf(1, 8), { fragment: 0x2000 }),
    icmpFrame(8, 0, bytesOf(1, 8), { fragment: 1 }),
    icmpFrame(8, 0, bytesOf(1, 8), { options: Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0) }),
    icmpFrame(8, 0, bytesOf(1, 8), { from: guestAddress }),
    icmpFrame(8, 0, bytesOf(1, 8), { from: 0x7f000001 }),
    icmpFrame(8, 0, bytesOf(1, 8), { from: 0xe0000001 }),
    icmpFrame(8, 0, bytesOf(1, 8), { from: 0x0a0002ff }),
    damaged,
    short,
    ethernet(0x86dd, new Uint8Array(60)),
  ];
  for (const frame of frames) stack.receive(frame);
  deepEqual(take(), []);
});

test("a packet that is followed by padding is taken without it", () => {
  const { stack, take } = acquainted();
  const frame = new Uint8Array(60);
  frame.set(ping(4));
  stack.receive(frame);
  equal(take().length, 1);
});

test("neighbours beyond the table evict the one that was used least recently, never the one in use", () => {
  const { stack, take } = acquainted();
  for (let each = 0; each < 200; each++) {
    stack.nowUs += 10_000;
    stack.receive(arpFrame(1, 0x0a000210 + (each % 200), guestAddress, peerMac + 1 + each));
    stack.receive(ping(8));
  }
  deepEqual([...new Set(take().map((frame) => frame.kind))].sort(), ["arp", "icmp"]);
  stack.receive(ping(8));
  deepEqual(
    take().map((frame) => frame.kind),
    ["icmp"],
  );
});

test("an address beyond the network is reached through the gateway", () => {
  const { stack, take } = acquainted();
  ok(stack.datagram(0x08080808, 514, 1000, bytesOf(3, 100)));
  deepEqual(take(), [{ kind: "udp", from: guestAddress, to: 0x08080808, fromPort: 1000, toPort: 514, data: bytesOf(3, 100) }]);
  ok(!stack.datagram(0x08080808, 514, 1000, new Uint8Array(1473)));
});

test("a datagram for a port without a user is answered by ICMP", () => {
  const { stack, take } = acquainted();
  stack.receive(udpFrame({ fromPort: 5, toPort: 161, data: bytesOf(1, 10) }));
  const [answer] = take();
  ok(answer?.kind === "icmp" && answer.type === 3 && answer.code === 3 && answer.data.length === 32);
});

test("without an address nothing is answered", () => {
  const { stack, take } = start({ address: undefined });
  take();
  for (const frame of [arpFrame(1, peerAddress, guestAddress), arpFrame(1, peerAddress, 0), ping(8), tcpFrame({ toPort: 80, flags: 2 })])
    stack.receive(frame);
  deepEqual(
    take().filter((frame) => frame.kind !== "udp"),
    [],
  );
});
