/** DHCP: an address from a model server, kept by renewal, lost with its lease; hostile answers. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { prng } from "#base";
import { seed } from "../../../base/testing/seed.ts";
import { Stack } from "../testing/stack.ts";
import { arpFrame, decode, type Frame, guestAddress, guestMac, udpFrame } from "../testing/wire.ts";

const server = 0x0a000202;
const minute = 60_000_000;

interface Message {
  readonly type: number;
  readonly transaction: number;
  readonly client: number;
  readonly options: ReadonlyMap<number, number>;
  readonly to: number;
  readonly atUs: number;
}

function parse(frame: Frame & { readonly kind: "udp" }, atUs: number): Message {
  const { data } = frame;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  equal(view.getUint32(0), 0x01010600);
  equal(view.getUint16(28) * 2 ** 32 + view.getUint32(30), guestMac);
  equal(view.getUint32(236), 0x63825363);
  const options = new Map<number, number>();
  for (let at = 240; data[at] !== 255; at += 2 + (data[at + 1] as number)) {
    const length = data[at + 1] as number;
    options.set(data[at] as number, length === 1 ? view.getUint8(at + 2) : length === 4 ? view.getUint32(at + 2) : 0);
  }
  return { type: options.get(53) as number, transaction: view.getUint32(4), client: view.getUint32(12), options, to: frame.to, atUs };
}

type Answer = Partial<{
  type: number;
  address: number;
  transaction: number;
  mac: number;
  options: readonly (readonly [number, number])[];
  to: number;
  cookie: number;
}>;

const usual: readonly (readonly [number, number])[] = [
  [54, server],
  [1, 0xffffff00],
  [3, server],
  [6, 0x0a000203],
  [51, 3600],
];

function answer(message: Message, values: Answer): Uint8Array {
  const bytes = new Uint8Array(300);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x02010600);
  view.setUint32(4, values.transaction ?? message.transaction);
  view.setUint32(16, values.address ?? guestAddress);
  const mac = values.mac ?? guestMac;
  view.setUint16(28, Math.floor(mac / 2 ** 32));
  view.setUint32(30, mac % 2 ** 32);
  view.setUint32(236, values.cookie ?? 0x63825363);
  bytes.set([53, 1, values.type ?? 2], 240);
  let at = 243;
  for (const [code, value] of values.options ?? usual) {
    bytes.set([code, 4], at);
    view.setUint32(at + 2, value);
    at += 6;
  }
  bytes[at] = 255;
  return udpFrame({ from: server, to: values.to ?? 0xffffffff, fromPort: 67, toPort: 68, data: bytes });
}

function start(): { readonly stack: Stack; take(): Message[] } {
  const sent: Message[] = [];
  const stack = new Stack({
    address: undefined,
    onFrame: (bytes) => {
      const frame = decode(bytes);
      if (frame.kind === "udp" && frame.toPort === 67 && frame.fromPort === 68) sent.push(parse(frame, stack?.nowUs ?? 0));
    },
  });
  stack.poll();
  return { stack, take: () => sent.splice(0) };
}

/** A stack with an address. */
function bound(options: readonly (readonly [number, number])[] = usual): ReturnType<typeof start> {
  const world = start();
  const [discover] = world.take() as [Message];
  world.stack.receive(answer(discover, { type: 2, options }));
  const [request] = world.take() as [Message];
  world.stack.receive(answer(request, { type: 5, options }));
  return world;
}

test("discover, request, bound, in no time", () => {
  const { stack, take } = start();
  const [discover] = take() as [Message];
  deepEqual([discover.type, discover.client, discover.to], [1, 0, 0xffffffff]);
  stack.receive(answer(discover, { type: 2 }));
  const [request] = take() as [Message];
  deepEqual([request.type, request.options.get(50), request.options.get(54), request.to], [3, guestAddress, server, 0xffffffff]);
  equal(stack.exports.ownAddress(), 0);
  stack.receive(answer(request, { type: 5 }));
  deepEqual(
    [stack.exports.ownAddress(), stack.exports.ownMask() >>> 0, stack.exports.ownGateway(), stack.exports.ownDns()],
    [guestAddress, 0xffffff00, server, 0x0a000203],
  );
});

test("without an answer it asks again, later and later, for ever", () => {
  const { stack, take } = start();
  stack.runUntil(stack.nowUs + 10 * minute);
  const times = take().map(({ atUs }) => atUs);
  ok(times.length > 15 && times.length < 40, `${times.length} times`);
  const pauses = times.slice(1).map((time, index) => time - (times[index] as number));
  ok(
    pauses.every((pause, index) => pause >= Math.min(2 ** index, 32) * 1e6 * 0.99 && pause < 42e6),
    pauses.join(),
  );
});

test("a request that stays without an answer begins anew after four tries; one that is refused at once", () => {
  const { stack, take } = start();
  stack.receive(answer(take()[0] as Message, { type: 2 }));
  stack.runUntil(stack.nowUs + 2 * minute);
  const types = take().map(({ type }) => type);
  deepEqual(types.slice(0, 5), [3, 3, 3, 3, 1]);
  const other = start();
  other.stack.receive(answer(other.take()[0] as Message, { type: 2 }));
  other.stack.receive(answer(other.take()[0] as Message, { type: 6 }));
  other.stack.poll();
  equal(other.take()[0]?.type, 1);
});

test("the lease is renewed at its half with the server, at 7/8 with anyone, and lost at its end", () => {
  const { stack, take } = bound();
  stack.receive(arpFrame(1, server, guestAddress));
  stack.runUntil(stack.nowUs + 29.9 * minute);
  deepEqual(take(), []);
  stack.runUntil(stack.nowUs + 0.2 * minute);
  const [renewal] = take() as [Message];
  deepEqual(
    [renewal.type, renewal.client, renewal.to, renewal.options.has(50), renewal.options.has(54)],
    [3, guestAddress, server, false, false],
  );
  stack.receive(answer(renewal, { type: 5, to: guestAddress }));
  equal(stack.exports.dhcpPhase(), 3);
  stack.runUntil(stack.nowUs + 52 * minute);
  ok(take().every(({ to }) => to === server));
  stack.runUntil(stack.nowUs + 5 * minute);
  ok(take().some(({ to, client }) => to === 0xffffffff && client === guestAddress));
  equal(stack.exports.ownAddress(), guestAddress);
  stack.runUntil(stack.nowUs + 6 * minute);
  equal(stack.exports.ownAddress(), 0);
  equal(take().at(-1)?.type, 1);
});

test("a lease without end is never renewed, T1 and T2 are the server's", () => {
  const forever = bound(usual.map(([code, value]) => [code, code === 51 ? 0xffffffff : value] as const));
  forever.stack.runUntil(forever.stack.nowUs + 100_000 * minute);
  deepEqual(forever.take(), []);
  const own = bound([...usual, [58, 600], [59, 1200]]);
  own.stack.receive(arpFrame(1, server, guestAddress));
  own.stack.runUntil(own.stack.nowUs + 10.5 * minute);
  equal(own.take().length, 1);
});

test("answers that are not for this client, or make no sense, change nothing", () => {
  const { stack, take } = start();
  const [discover] = take() as [Message];
  const without = (code: number): Answer => ({ options: usual.filter(([each]) => each !== code) });
  const wrong: Answer[] = [
    { transaction: 1 },
    { mac: guestMac + 1 },
    { cookie: 0 },
    { type: 5 },
    { type: 1 },
    { address: 0 },
    without(54),
    without(1),
  ];
  wrong.push({ options: [...usual.filter(([code]) => code !== 1), [1, 0xff00ff00]] });
  for (const each of wrong) stack.receive(answer(discover, each));
  deepEqual(take(), []);
  equal(stack.exports.dhcpPhase(), 1);
  stack.receive(answer(discover, { type: 2 }));
  const [request] = take() as [Message];
  for (const each of [
    { address: 0xe0000001 },
    { address: guestAddress + 1 },
    without(51),
    { options: [[54, server + 1], ...usual.slice(1)] as const },
  ])
    stack.receive(answer(request, { type: 5, ...each }));
  equal(stack.exports.ownAddress(), 0);
});

test("damaged answers: no trap, and no address that was not offered", () => {
  const random = prng(seed);
  for (let run = 0; run < 2000; run++) {
    const { stack, take } = start();
    for (let turn = 0; turn < 4; turn++) {
      const message = take().at(-1);
      if (message === undefined) break;
      const clean = answer(message, { type: turn === 0 ? 2 : 5 }).subarray(42);
      const bytes = clean.slice(0, random.below(8) === 0 ? random.below(clean.length) : clean.length);
      for (let faults = random.below(4); faults > 0 && bytes.length > 0; faults--) bytes[random.below(bytes.length)] = random.uint32();
      stack.receive(udpFrame({ from: server, to: 0xffffffff, fromPort: 67, toPort: 68, data: bytes }));
    }
    const address = stack.exports.ownAddress() >>> 0;
    ok(address === 0 || (address >>> 24 !== 0 && address >>> 24 !== 127 && address >>> 24 < 224));
  }
});
