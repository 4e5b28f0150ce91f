/** DNS: lookups over a model server, the cache, retries, and answers that are hostile. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { prng } from "#base";
import { seed } from "../../../base/testing/seed.ts";
import { Stack } from "../testing/stack.ts";
import { arpFrame, decode, type Frame, guestAddress, udpFrame } from "../testing/wire.ts";

const server = 0x0a000203;

interface Query {
  readonly id: number;
  readonly port: number;
  readonly name: string;
}

function start(): { readonly stack: Stack; take(): Query[]; readonly told: [number, number][] } {
  const sent: Frame[] = [];
  const told: [number, number][] = [];
  const stack = new Stack({ dns: server, onFrame: (frame) => sent.push(decode(frame)) });
  stack.user = { resolved: (ask, address) => void told.push([ask, address]) };
  stack.receive(arpFrame(1, server, guestAddress));
  const take = (): Query[] =>
    sent.splice(0).flatMap((frame) => {
      if (frame.kind !== "udp" || frame.toPort !== 53) return [];
      equal(frame.to, server);
      const view = new DataView(frame.data.buffer);
      deepEqual([view.getUint16(2), view.getUint16(4), view.getUint32(6), view.getUint16(10)], [0x0100, 1, 0, 0]);
      const labels: string[] = [];
      let at = 12;
      for (; frame.data[at] !== 0; at += 1 + (frame.data[at] as number))
        labels.push(Buffer.from(frame.data.subarray(at + 1, at + 1 + (frame.data[at] as number))).toString());
      deepEqual([...frame.data.subarray(at)], [0, 0, 1, 0, 1]);
      return [{ id: view.getUint16(0), port: frame.fromPort, name: labels.join(".") }];
    });
  return { stack, take, told };
}

const nameBytes = (name: string): number[] => [...name.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]), 0];
const u16 = (value: number): number[] => [value >>> 8, value & 0xff];
const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value & 0xffff)];

interface DnsRecord {
  readonly owner?: string | readonly number[];
  readonly address?: number;
  readonly alias?: string | readonly number[];
  readonly ttl?: number;
  readonly type?: number;
}

interface Reply {
  readonly id?: number;
  readonly name?: string;
  readonly flags?: number;
  readonly records?: readonly DnsRecord[];
  readonly from?: number;
  readonly port?: number;
  readonly questions?: number;
}

function recordBytes(query: Query, { owner = query.name, address, alias, ttl = 60, type }: DnsRecord): number[] {
  const form = (value: string | readonly number[]): readonly number[] => (typeof value === "string" ? nameBytes(value) : value);
  const data = alias !== undefined ? form(alias) : u32(address ?? 0);
  return [...form(owner), ...u16(type ?? (alias !== undefined ? 5 : 1)), ...u16(1), ...u32(ttl), ...u16(data.length), ...data];
}

function reply(query: Query, { id = query.id, name = query.name, flags = 0x8180, records = [], ...rest }: Reply): Uint8Array {
  const head = [
    ...u16(id),
    ...u16(flags),
    ...u16(rest.questions ?? 1),
    ...u16(records.length),
    ...u32(0),
    ...nameBytes(name),
    ...u16(1),
    ...u16(1),
  ];
  const data = Uint8Array.from([...head, ...records.flatMap((each) => recordBytes(query, each))]);
  return udpFrame({ from: rest.from ?? server, fromPort: 53, toPort: rest.port ?? query.port, data });
}

test("a name is asked for once, and known as long as its record says", () => {
  const { stack, take, told } = start();
  ok(stack.resolve("API.example.com.", 1));
  ok(stack.resolve("api.example.com", 2));
  const [query, ...more] = take() as [Query];
  deepEqual([query.name, more], ["api.example.com", []]);
  stack.receive(reply(query, { records: [{ address: 0x01020304, ttl: 30 }] }));
  stack.poll();
  deepEqual(told.splice(0), [[1, 0x01020304], [2, 0x01020304]]); // biome-ignore format: pairs
  stack.nowUs += 29e6;
  ok(stack.resolve("api.example.com", 3));
  equal(told.length, 0, "never from within");
  stack.poll();
  deepEqual(told.splice(0), [[3, 0x01020304]]);
  deepEqual(take(), []);
  stack.nowUs += 2e6;
  ok(stack.resolve("api.example.com", 4));
  equal(take().length, 1);
});

test("aliases are followed, in any order, compressed or not, and their shortest life counts", () => {
  const { stack, take, told } = start();
  ok(stack.resolve("a.example", 1));
  const [query] = take() as [Query];
  const records: DnsRecord[] = [
    { owner: "other.example", address: 0x09090909 },
    { owner: "c.example", address: 0x05060708, ttl: 1000 },
    { owner: "b.example", alias: [1, 99, 0xc0, 14], ttl: 5 },
    { owner: [0xc0, 12], alias: "b.example" },
  ];
  stack.receive(reply(query, { records }));
  stack.poll();
  deepEqual(told.splice(0), [[1, 0x05060708]]);
  stack.nowUs += 6e6;
  ok(stack.resolve("a.example", 2));
  equal(take().length, 1);
});

test("dotted quads need no server; what is no name is refused", () => {
  const { stack, take, told } = start();
  ok(stack.resolve("192.168.7.1", 9));
  stack.poll();
  deepEqual(told, [[9, 0xc0a80701]]);
  for (const name of ["", ".", "a..b", "a b", `${"x".repeat(64)}.com`, `${"abc.".repeat(64)}de`, "käse.de", "a/b", "\0"])
    ok(!stack.resolve(name, 1), name);
  deepEqual(take(), []);
});

test("no answer: four tries with ids and ports of their own, then no address; soon afterwards it is asked for again", () => {
  const { stack, take, told } = start();
  ok(stack.resolve("slow.example", 1));
  stack.runUntil(stack.nowUs + 20e6);
  const queries = take();
  equal(queries.length, 4);
  equal(new Set(queries.map(({ id, port }) => `${id} ${port}`)).size, 4);
  deepEqual(told.splice(0), [[1, 0]]);
  stack.nowUs += 6e6;
  ok(stack.resolve("slow.example", 2));
  equal(take().length, 1);
});

test("no such name, and names without an address of this kind, are told at once; a server that fails is asked again", () => {
  const { stack, take, told } = start();
  for (const [ask, values] of [{ flags: 0x8183 }, { records: [{ type: 28, address: 1 }] }, {}].entries()) {
    ok(stack.resolve(`n${ask}.example`, ask));
    stack.receive(reply(take()[0] as Query, values));
    stack.poll();
    deepEqual(told.splice(0), [[ask, 0]]);
  }
  ok(stack.resolve("failing.example", 7));
  stack.receive(reply(take()[0] as Query, { flags: 0x8182 }));
  stack.poll();
  deepEqual(told, []);
  equal(take().length, 1);
});

test("answers of others, to other questions, from other places are not believed", () => {
  const { stack, take, told } = start();
  ok(stack.resolve("bank.example", 1));
  const [query] = take() as [Query];
  const records = [{ address: 0x66666666 }];
  for (const values of [
    { id: query.id ^ 1 },
    { name: "evil.example" },
    { flags: 0x0100 },
    { flags: 0x8980 },
    { from: server + 1 },
    { port: query.port ^ 1 },
    { questions: 2 },
  ])
    stack.receive(reply(query, { records, ...values }));
  stack.receive(reply(query, { records: [{ owner: "evil.example", address: 0x66666666 }], flags: 0x8182 }));
  stack.poll();
  deepEqual(told, []);
});

test("loops of aliases and of compression end", () => {
  const { stack, take, told } = start();
  const loops: DnsRecord[][] = [
    [{ alias: "b.example" }, { owner: "b.example", alias: "l.example" }],
    [{ owner: [0xc0, 27] }],
    [{ owner: [0xc0, 12], alias: [0xc0, 39] }],
  ];
  for (const [ask, records] of loops.entries()) {
    ok(stack.resolve("l.example", ask));
    stack.receive(reply(take()[0] as Query, { records }));
    stack.runUntil(stack.nowUs + 40e6);
    deepEqual(told.splice(0), [[ask, 0]]);
    take();
  }
});

test("more names than there is room: refused while all are asked for, and the cache evicts", () => {
  const { stack, take, told } = start();
  let taken = 0;
  for (let each = 0; each < 100; each++) if (stack.resolve(`n${each}.example`, each)) taken++;
  equal(taken, 32);
  for (const query of take()) stack.receive(reply(query, { records: [{ address: 7 }] }));
  stack.poll();
  equal(told.splice(0).length, 32);
  for (let each = 0; each < 32; each++) ok(stack.resolve(`m${each}.example`, each));
  equal(take().length, 32);
});

test("damaged answers: no trap, and nothing but the address or none", () => {
  const random = prng(seed);
  const { stack, take, told } = start();
  for (let run = 0; run < 20_000; run++) {
    ok(stack.resolve("a.example", run));
    const query = take().at(-1);
    if (query !== undefined) {
      const records = [{ alias: [1, 98, 0xc0, 14] }, { owner: [1, 98, 0xc0, 14], address: 0x01020304 }];
      const clean = reply(query, { records }).subarray(42);
      const bytes = clean.slice(0, random.below(4) === 0 ? random.below(clean.length) : clean.length);
      for (let faults = random.below(5); faults > 0 && bytes.length > 2; faults--)
        bytes[2 + random.below(bytes.length - 2)] = random.uint32();
      stack.receive(udpFrame({ from: server, fromPort: 53, toPort: query.port, data: bytes }));
    }
    stack.runUntil(stack.nowUs + 30e6 + random.below(4000) * 1e6);
    equal(told.splice(0).length, 1);
  }
});
