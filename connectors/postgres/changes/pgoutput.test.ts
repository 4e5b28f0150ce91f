/** The decoder against an encoder, bytes as they are documented, and damage. What a server writes: changes.test.ts. */
import { deepEqual, equal, throws } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encode, pgMessages } from "../../testing/pgoutput.ts";
import { decode, epochMicros } from "./pgoutput.ts";
import { lsnOf, lsnText, positionMessage, streamed } from "./stream.ts";

const malformed = { code: "MF_POSTGRES_STREAM" };

test("every message is read as it was written", () => {
  fc.assert(
    fc.property(pgMessages, (message) => deepEqual(decode(encode(message)), message)),
    { numRuns: 1_000 },
  );
});

test("messages byte by byte, as the documentation lays them out", () => {
  const described = decode(
    Buffer.from(
      "5200004000" +
        "7075626c696300" +
        "7400" +
        "64" +
        "0002" +
        "01" +
        "696400" +
        "00000017" +
        "ffffffff" +
        "00" +
        "6e6f746500" +
        "00000019" +
        "ffffffff",
      "hex",
    ),
  );
  deepEqual(described, {
    kind: "table",
    table: {
      id: 16_384,
      schema: "public",
      name: "t",
      identity: "d",
      columns: [
        { name: "id", type: 23, isKey: true },
        { name: "note", type: 25, isKey: false },
      ],
    },
  });
  const inserted = decode(Buffer.from("49" + "00004000" + "4e" + "0003" + "74" + "00000001" + "31" + "75" + "6e", "hex"));
  deepEqual(inserted, { kind: "insert", table: 16_384, after: ["1", undefined, null] });
});

test("a message that is cut off, or followed by more, is malformed", () => {
  fc.assert(
    fc.property(pgMessages, fc.double({ min: 0, max: 0.999, noNaN: true }), (message, share) => {
      if (message.kind === "other") return;
      const bytes = encode(message);
      throws(() => decode(bytes.subarray(0, Math.floor(bytes.length * share))), malformed);
      throws(() => decode(Buffer.concat([bytes, Buffer.from("N")])), malformed);
    }),
  );
});

test("damaged bytes are read, or are malformed: nothing else is thrown", () => {
  const damages = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(pgMessages, damages, (message, changes) => {
      const bytes = encode(message);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      try {
        decode(bytes);
      } catch (error) {
        equal((error as { readonly code?: string }).code, malformed.code);
      }
    }),
    { numRuns: 2_000 },
  );
  throws(() => decode(Buffer.alloc(0)), malformed);
});

test("places in the log are written and read as the server does", () => {
  equal(lsnText(0x1_6b37_4800n), "1/6B374800");
  equal(lsnText(0n), "0/0");
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }), (lsn) => equal(lsnOf(lsnText(lsn)), lsn)));
  for (const text of [null, undefined, "", "1", "1/", "g/0", "1/123456789"]) equal(lsnOf(text), undefined);
});

test("the stream: changes, signs of life, our position", () => {
  const data = Buffer.concat([Buffer.from("w"), Buffer.alloc(24), Buffer.from("B…")]);
  deepEqual(streamed(data), { kind: "data", payload: Buffer.from("B…") });
  const alive = Buffer.alloc(18);
  alive.write("k");
  alive.writeBigUInt64BE(77n, 1);
  deepEqual(streamed(alive), { kind: "keepalive", end: 77n, wantsAnswer: false });
  alive[17] = 1;
  deepEqual(streamed(alive), { kind: "keepalive", end: 77n, wantsAnswer: true });
  for (const bad of [Buffer.alloc(0), data.subarray(0, 25), alive.subarray(0, 17), Buffer.from("x")])
    throws(() => streamed(bad), malformed);
  const position = positionMessage(5n, Number(epochMicros / 1000n) + 2);
  equal(position.toString("latin1", 0, 1), "r");
  deepEqual(
    [1, 9, 17].map((at) => position.readBigUInt64BE(at)),
    [5n, 5n, 5n],
  );
  equal(position.readBigInt64BE(25), 2_000n);
  equal(position.length, 34);
});
