/** Hostile bytes from every side: callers, peers of outlets, machines, configurations. Nothing traps, and no memory is left over. */
import { equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Effect, encodeEffects, encodeService } from "#abi";
import { prng } from "#base";
import { services } from "../../../abi/testing/services.ts";
import { effectLists } from "../../../abi/testing/arbitraries.ts";
import { type Peer, plainFlow, ServiceBench, type StepResult } from "../testing/service.ts";

const seed = Number(process.env["MAYFLY_SEED"] ?? 1);

const outlet = {
  name: "erp",
  scheme: "http",
  host: "erp",
  port: 80,
  path: "/in?a=b",
  method: "POST",
  timeoutMs: 1000,
  attempts: 2,
  backoffMs: { least: 10, most: 20 },
  retryAgeMs: 1000,
  basic: "u:p",
  headers: { "x-a": "b" },
} as const;
const route = plainFlow.routes[0] as (typeof plainFlow.routes)[number];
const service = {
  routes: [
    { ...route, bodyLimit: 2000 },
    { ...route, path: "/o/:id/*", methods: ["GET", "PUT"] },
    { ...route, path: "/k", auth: 0 },
  ],
  auth: [[{ type: "bearer", header: "authorization", caller: undefined, secret: "t" } as const]],
  outlets: [outlet],
};

/** Closes all streams, lets all time pass and asks whether memory is back; a few bytes count failures by code. */
function settle(bench: ServiceBench): void {
  for (const peer of bench.peers.values()) bench.close(peer);
  bench.pass(200_000);
  for (const peer of bench.peers.values()) bench.close(peer);
  ok(bench.host.exports.takenBytes() <= 200 * 320, `${bench.host.exports.takenBytes()} bytes are left over`);
  equal(bench.host.ended, undefined);
  bench.run = () => [{ kind: "done", reply: undefined }];
  ok(bench.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na").startsWith("HTTP/1.1 204 "), "it serves no more");
}

const pieces = [
  ..."GET |POST |HEAD |/|/o/1/2|/k| HTTP/1.1|HTTP/1.0|\r\n|\r\n\r\n|\n|\r|Host: x\r\n|Content-Length: |5|0|Transfer-Encoding: chunked\r\n|a\r\n|0\r\n\r\n|:| |;|Expect: 100-continue\r\n".split(
    "|",
  ),
  ..."Authorization: Bearer t\r\n|Connection: close\r\n|Cookie: a\r\n|Idempotency-Key: mf-1\r\n|%41%zz|hello|http://h/p?q|X: y\r\n|Content-Encoding: gzip\r\n|\0|\xff|../|?q=1|HTTP/1.1 200 OK\r\n|HTTP/1.1 500 x\r\n|Retry-After: 1\r\n".split(
    "|",
  ),
];
const wire = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...pieces) },
    { weight: 1, arbitrary: fc.string({ unit: "binary-ascii", maxLength: 20 }) },
  ),
  {
    minLength: 1,
    maxLength: 40,
  },
);
const valid =
  "POST /?a HTTP/1.1\r\nHost: x\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nPUT /o/a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
const damaged = fc
  .tuple(fc.nat(valid.length), fc.nat(5), fc.string({ unit: "binary-ascii", maxLength: 5 }))
  .map(([at, cut, more]) => [valid.slice(0, at) + more + valid.slice(at + cut)]);

test("callers that send anything, in any pieces, and leave when they like", { timeout: 120_000 }, async () => {
  const bench = await ServiceBench.create({ service });
  bench.run = (event) =>
    event.kind === "deliver" ? [{ kind: "done", reply: { status: 200, contentType: "", headersJson: "{}", body: event.body } }] : [];
  fc.assert(
    fc.property(fc.oneof(wire, damaged), fc.nat(60), fc.boolean(), fc.nat(40), (parts, size, ends, room) => {
      const peer = bench.open();
      ok(peer !== undefined);
      peer.room = room;
      const text = parts.join("");
      for (let at = 0; at < text.length; at += size + 1)
        if (!peer.closed && !peer.finished) bench.send(peer, text.slice(at, at + size + 1));
      for (let times = 0; times < 5 && !peer.closed; times++) bench.allow(peer, 100);
      if (ends) bench.end(peer);
      bench.close(peer);
      bench.peers.delete(peer.stream);
    }),
    { seed, numRuns: 800 },
  );
  settle(bench);
});

test("machines that answer with anything", { timeout: 120_000 }, async () => {
  const bench = await ServiceBench.create({ service, names: { erp: 1 } });
  const ours: fc.Arbitrary<readonly Effect[]> = effectLists.map((effects) =>
    effects.map((effect) =>
      "outlet" in effect ? { ...effect, outlet: "erp" } : effect.kind === "call" ? { ...effect, target: "erp" } : effect,
    ),
  );
  const frame = fc.tuple(ours, fc.nat(), fc.nat(255), fc.nat(3)).map(([effects, at, byte, how]): Uint8Array => {
    const bytes = encodeEffects(effects);
    if (how === 0) bytes[at % bytes.length] = byte;
    return how === 1 ? bytes.subarray(0, at % (bytes.length + 1)) : bytes;
  });
  const result: fc.Arbitrary<StepResult> = fc.oneof(
    { weight: 8, arbitrary: frame },
    { weight: 1, arbitrary: fc.record({ end: fc.constantFrom(17, 18, 19, 20, 21, 0, 99), effects: ours }) },
  );
  fc.assert(
    fc.property(fc.array(result, { minLength: 1, maxLength: 6 }), fc.array(wire, { minLength: 1, maxLength: 3 }), (results, answers) => {
      let step = 0;
      bench.run = () => results[step++] ?? [{ kind: "done", reply: undefined }];
      const peer = bench.open() as Peer;
      bench.send(peer, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
      for (const [index, parts] of answers.entries()) {
        for (const each of bench.connected.splice(0)) {
          if (each.closed) continue;
          bench.connect(each);
          if (!each.closed) bench.send(each, parts.join(""));
          if (!each.closed && index % 2 === 0) bench.end(each);
        }
        bench.pass(40);
      }
      for (const each of bench.peers.values()) bench.close(each);
      bench.peers.clear();
    }),
    { seed, numRuns: 800 },
  );
  settle(bench);
});

test("configurations of any bytes are read, or refused with a sentence", { timeout: 120_000 }, async () => {
  const fuzzed = await ServiceBench.create({ service, memoryBytes: 64 << 20, started: false });
  const json = fc.oneof(
    fc.json().map((text) => text),
    fc.string({ unit: "binary-ascii" }),
    fc
      .dictionary(
        fc.constantFrom("settings", "network", "x"),
        fc.dictionary(fc.constantFrom("A", "address", "gateway", "dns"), fc.oneof(fc.string(), fc.ipV4(), fc.constant("10.0.0.1/24"))),
      )
      .map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(json, fc.nat(), (text, cut) => {
      for (const bytes of [Buffer.from(text), Buffer.from(text).subarray(0, cut % (text.length + 1))]) {
        fuzzed.host.console = "";
        const problem = fuzzed.configure(1, bytes);
        equal(fuzzed.host.console !== "", problem !== 0);
      }
    }),
    { seed, numRuns: 1000 },
  );
  const random = prng(seed);
  for (const each of fc.sample(services, { seed, numRuns: 60 })) {
    const bytes = encodeService(each);
    bytes[Math.floor(random.float() * bytes.length)] = random.uint32();
    await ServiceBench.create({ service: { ...each, port: each.port || 1 } }); // good ones: a path or a setting may still be refused
    equal(fuzzed.configure(0, bytes), 1, "a second service is refused");
  }
});
