import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FrameGuard } from "./frame-guard.ts";
import { amqp1Limits } from "./limits.ts";
import { loadClient } from "./client.ts";
import { decodeMessage, plain } from "./message.ts";
import { BadEncoding, Reader } from "./values.ts";

const { types, message: messages } = await loadClient();
/** The library's types do not name it. */
const { Writer } = types as unknown as { Writer: new () => { write(value: unknown): void; toBuffer(): Buffer } };

/** As the client library writes it. */
function written(value: unknown): Buffer {
  const writer = new Writer();
  writer.write(types.wrap(value));
  return writer.toBuffer();
}

const simple = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.string({ unit: "grapheme" }),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Number.isInteger(value) ? 0.5 : value)),
  fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
  fc.date({ noInvalidDate: true, min: new Date(-1e12), max: new Date(4e12) }),
);
const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    simple,
    fc.array(tie("value"), { maxLength: 6 }),
    fc.array(fc.tuple(fc.string(), tie("value")), { minLength: 1, maxLength: 6 }).map((pairs) => new Map(pairs)),
  ),
}));

/** As JSON; minus zero, which the library writes as zero, as zero. */
const same = (value: unknown): unknown => JSON.stringify(plain(value), (_, each: unknown) => (Object.is(each, -0) ? 0 : each));

test("every value that the client library writes is read back", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const bytes = written(value);
      const reader = new Reader(bytes);
      assert.equal(same(reader.value()), same(value));
      assert.equal(reader.left, 0);
    }),
  );
});

test("a message's sections are read back, in whatever pieces its body comes", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 4 }),
      fc.string({ unit: "grapheme", minLength: 1 }),
      fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { noNullPrototype: false, maxKeys: 5 }),
      (pieces, subject, application_properties) => {
        const body = messages.data_sections(pieces.map((piece) => Buffer.from(piece)));
        const read = decodeMessage(messages.encode({ subject, application_properties, delivery_count: 3, body } as never));
        assert.deepEqual(Buffer.from(read.body), Buffer.concat(pieces));
        assert.equal(read.properties.get("subject"), subject);
        assert.equal(read.deliveryCount, 3);
        assert.deepEqual(read.application, new Map(Object.entries(application_properties)));
      },
    ),
  );
});

test("whatever the bytes are, they are a message or a BadEncoding", () => {
  const valid = messages.encode({ subject: "x", application_properties: { a: [1, "b", { c: null }] }, body: { x: [1, 2, "y"] } } as never);
  const damaged = fc
    .array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
    .map((changes) => changes.reduce((bytes, [at, value]) => ((bytes[at] = value), bytes), Buffer.from(valid)));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        damaged,
        fc.nat(valid.length).map((end) => valid.subarray(0, end)),
      ),
      (bytes) => {
        try {
          const { body, properties } = decodeMessage(bytes);
          assert.ok(body.length >= 0 && properties instanceof Map);
        } catch (error) {
          assert.ok(error instanceof BadEncoding, String(error));
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test("claims beyond the bytes are refused before anything is made for them", () => {
  const claims = {
    "a list of four billion": "d0ffffffffffffffff",
    "an array of four billion without a width": "f000000005ffffffff45",
    "a binary of four gigabytes": "b0ffffffff00",
    "a map with an odd number": "c10302a10161",
    "a list that is shorter than it says": "c00a0141",
  };
  for (const [what, hex] of Object.entries(claims)) assert.throws(() => new Reader(Buffer.from(hex, "hex")).value(), BadEncoding, what);
  const deep = Buffer.concat([Buffer.alloc(3 * 100_000, "c0ff01", "hex"), Buffer.from([0x40])]);
  assert.throws(() => new Reader(deep).value(), BadEncoding);
  assert.throws(() => new Reader(Buffer.alloc(100_000)).value(), BadEncoding, "descriptors of descriptors");
});

const header = Buffer.from("AMQP\0\u0001\0\0", "latin1");

function frameOf(performative: Buffer, payload: Buffer = Buffer.alloc(0)): Buffer {
  const frame = Buffer.concat([Buffer.from("0000000002000000", "hex"), performative, payload]);
  frame.writeUInt32BE(frame.length, 0);
  return frame;
}

/** A transfer over handle 0. */
const transfer = (more: boolean, payload: Buffer): Buffer =>
  frameOf(Buffer.from(`005314c00a0643434040${more ? "4141" : "4142"}`.replace("c00a06", "c00706"), "hex"), payload);
const heartbeat = Buffer.from("0000000802000000", "hex");

test("frames come out whole and alone, whatever the pieces they come in", () => {
  const stream = [header, heartbeat, transfer(true, Buffer.alloc(300, 1)), transfer(false, Buffer.alloc(50_000, 2)), heartbeat];
  const all = Buffer.concat(stream);
  fc.assert(
    fc.property(fc.array(fc.nat(all.length), { maxLength: 40 }), (cuts) => {
      const frames: string[] = [];
      const guard = new FrameGuard((frame) => frames.push(frame.toString("hex")));
      let from = 0;
      for (const to of [...cuts.sort((a, b) => a - b), all.length]) {
        guard.take(all.subarray(from, to));
        from = to;
      }
      assert.deepEqual(
        frames,
        stream.map((frame) => frame.toString("hex")),
      );
      assert.equal(guard.isCut, false);
    }),
  );
});

test("of a message that is too long the rest is left out, and the next one is whole", () => {
  const lengths: number[] = [];
  const cut: boolean[] = [];
  const guard: FrameGuard = new FrameGuard((frame) => {
    lengths.push(frame.length);
    cut.push(guard.isCut);
  }, 1_000);
  const long = [true, true, true, false].map((more) => transfer(more, Buffer.alloc(400, 1)));
  for (const frame of [...long, transfer(false, Buffer.alloc(1_000, 2))]) guard.take(frame);
  const empty = transfer(false, Buffer.alloc(0)).length;
  assert.deepEqual(lengths, [empty + 400, empty + 400, empty, empty, empty + 1_000]);
  assert.deepEqual(cut, [false, false, false, true, false]);
});

test("frames that are too long, too short, without a performative or given up are refused", () => {
  const tooLong = Buffer.alloc(8);
  tooLong.writeUInt32BE(amqp1Limits.frameBytes + 1, 0);
  const aborted = frameOf(Buffer.from("005314c00c0a43434040414240404041".replace("c00c0a", "c00b0a"), "hex"));
  const wrong = [
    tooLong,
    Buffer.from("0000000702000000", "hex"),
    Buffer.from("0000000809000000", "hex"),
    Buffer.from("000000080100", "hex"),
    frameOf(Buffer.from("40", "hex")),
    aborted,
  ];
  for (const bytes of wrong) {
    const guard = new FrameGuard(() => assert.fail("it came through"));
    assert.throws(() => guard.take(Buffer.concat([bytes, Buffer.alloc(8)])), BadEncoding, bytes.toString("hex"));
  }
});
