/** Messages as JSON: each field's form, what is refused and where, against protobufjs's own conversion; hostile bytes. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import fc from "fast-check";
import type { Type } from "protobufjs";
import { contractFolder } from "../testing/grpc-contract.ts";
import { random } from "../testing/rig.ts";
import { decodeMessage, encodeMessage } from "./json.ts";
import { methodsOf, readProto } from "./proto.ts";

describe("grpc: messages as JSON", () => {
  let order: Type;
  before(async () => {
    const { config } = readProto({ proto: "orders.proto", service: "shop.Orders" }, await contractFolder());
    // Through text, as the configuration may go.
    const [method] = methodsOf(JSON.parse(JSON.stringify(config)) as typeof config);
    order = method?.request as Type;
  });

  /** Encoded and decoded. */
  const through = (json: object): Record<string, unknown> => decodeMessage(order, encodeMessage(order, json)) as Record<string, unknown>;

  test("each kind of field has its form, there and back", () => {
    const whole = {
      id: "a",
      quantity: -7,
      totalCents: "-9223372036854775808",
      number: "18446744073709551615",
      paid: true,
      seal: "AP8=",
      kind: "OLD",
      weight: "-Infinity",
      share: 0.1,
      items: [{ name: "x", count: 4294967295 }],
      notes: { __proto__: "mine", "": "empty" },
      byNumber: { "-1": { name: "y", count: 0 }, "9223372036854775807": { name: "z", count: 1 } },
      flags: { true: -5, false: 0 },
      at: "2026-11-30T23:59:59.000000001Z",
      lasts: "-1.500s",
      more: { a: [1, null, { b: "c" }], d: false },
      anyValue: null,
      maybe: "0",
      packed: { "@type": "type.googleapis.com/shop.Item", value: "CgF4" },
      remark: "",
      person: "ada",
      deltas: ["-1", "2"],
      other: "o",
      fixed: "1",
      kinds: ["NONE", "NEW"],
      maybeBytes: "",
    };
    Object.defineProperty(whole.notes, "__proto__", { value: "mine", enumerable: true });
    const { inner, ...back } = through({ ...whole, inner: { id: "inside" } });
    assert.deepEqual(Object.entries(back).sort(), Object.entries(whole).sort());
    assert.equal((inner as { id: string }).id, "inside");
    assert.equal(({} as Record<string, unknown>)["mine"], undefined);
  });

  test("a field without presence has its default, one with presence is left out", () => {
    const empty = through({});
    assert.deepEqual(
      [empty["quantity"], empty["totalCents"], empty["kind"], empty["items"], empty["notes"], empty["seal"]],
      [0, "0", "NONE", [], {}, ""],
    );
    for (const name of ["at", "remark", "person", "thing", "inner", "maybe", "anyValue"]) assert.equal(name in empty, false, name);
  });

  test("names of the file are taken as well, and null is absent", () => {
    const { totalCents, other, remark } = through({ total_cents: 5, named_otherwise: "n", remark: null });
    assert.deepEqual([totalCents, other, remark], ["5", "n", undefined]);
  });

  test("enum values the file does not have are numbers, and times have an offset", () => {
    assert.deepEqual(through({ kind: 77 })["kind"], 77);
    assert.equal(through({ at: "2026-01-01T01:00:00.5+01:00" })["at"], "2026-01-01T00:00:00.500Z");
  });

  test("JSON that does not fit is refused with its place", () => {
    const wrong: readonly [object, RegExp][] = [
      [{ quantity: 1.5 }, /quantity must be a whole number/],
      [{ quantity: 2 ** 31 }, /quantity is beyond what int32 holds/],
      [{ number: -1 }, /number is beyond what uint64 holds/],
      [{ totalCents: 2 ** 60 }, /totalCents has more digits than a JSON number keeps/],
      [{ items: [{}, { count: "x" }] }, /items\[1\]\.count must be a whole number/],
      [{ items: {} }, /items must be a list/],
      [{ notes: { a: 1 } }, /notes\["a"\] must be a text/],
      [{ flags: { maybe: 1 } }, /flags\["maybe"\] must have true or false/],
      [{ byNumber: { x: {} } }, /byNumber\["x"\] must be a whole number/],
      [{ kind: "BIG" }, /kind must be a value of Kind: NONE, NEW, OLD/],
      [{ seal: "ä" }, /seal must be base64/],
      [{ at: "yesterday" }, /at must be a time/],
      [{ lasts: "1 hour" }, /lasts must be a duration/],
      [{ person: "a", thing: {} }, /thing is one of who too many/],
      [{ total_cents: 1, totalCents: 1 }, /totalCents is there twice/],
      [{ unknown: 1 }, /unknown is no field of Order/],
      [{ share: 1e300 }, /share is beyond what a float holds/],
      [[], /must be an object/],
    ];
    for (const [json, message] of wrong)
      assert.throws(
        () => encodeMessage(order, json),
        (error: Error & { code?: string }) => error.code === "MF_GRPC_JSON" && message.test(error.message),
        String(message),
      );
    let deep: object = {};
    for (let depth = 0; depth < 5_000; depth += 1) deep = { inner: deep };
    assert.throws(() => encodeMessage(order, deep), { code: "MF_GRPC_JSON" });
  });

  test("protobufjs reads the same of our bytes, and we of its", () => {
    const text = fc.string({ maxLength: 8 });
    const json = fc.record(
      {
        id: text,
        quantity: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        total_cents: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String),
        number: fc.bigInt(0n, 2n ** 64n - 1n).map(String),
        paid: fc.boolean(),
        seal: fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString("base64")),
        kind: fc.constantFrom("NONE", "NEW", "OLD"),
        weight: fc.double({ noNaN: true, noDefaultInfinity: true }).filter((each) => !Object.is(each, -0)),
        items: fc.array(fc.record({ name: text, count: fc.nat() }), { maxLength: 3 }),
        deltas: fc.array(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String), { maxLength: 3 }),
        kinds: fc.array(fc.constantFrom("NONE", "NEW", "OLD"), { maxLength: 3 }),
        remark: text,
      },
      { requiredKeys: [] },
    );
    const options = { longs: String, enums: String, bytes: String } as const;
    fc.assert(
      fc.property(json, (value) => {
        const ours = order.toObject(order.decode(encodeMessage(order, value)), options);
        const theirs = order.toObject(order.fromObject(value), options);
        for (const [name, each] of Object.entries(theirs))
          if (!Array.isArray(each) || each.length > 0) assert.deepEqual(ours[name], each, name);
        const back = decodeMessage(order, order.encode(order.fromObject(value)).finish()) as Record<string, unknown>;
        assert.deepEqual(decodeMessage(order, encodeMessage(order, back)), back);
      }),
      { numRuns: 200 },
    );
  });

  test("hostile bytes are refused with a code, or are a message", () => {
    const good = Buffer.from(
      encodeMessage(order, { id: "abc", items: [{ name: "x" }], byNumber: { 5: {} }, at: "2026-01-01T00:00:00Z", more: { a: [{}] } }),
    );
    for (let round = 0; round < 3_000; round += 1) {
      const bytes = Buffer.from(good);
      for (let flips = 1 + random.below(4); flips > 0; flips -= 1) bytes[random.below(bytes.length)] = random.below(256);
      try {
        JSON.stringify(decodeMessage(order, bytes.subarray(0, 1 + random.below(bytes.length))));
      } catch (error) {
        assert.equal((error as { code?: string }).code, "MF_GRPC_MESSAGE", String(error));
      }
    }
    const inner = Buffer.from("ca01", "hex"); // field 25, a message
    let deep: Buffer = Buffer.alloc(0);
    for (let depth = 0; depth < 2_000; depth += 1) {
      const length: number[] = [];
      for (let rest = deep.length; ; rest >>>= 7) {
        length.push(rest > 127 ? (rest & 127) | 128 : rest);
        if (rest <= 127) break;
      }
      deep = Buffer.concat([inner, Buffer.from(length), deep]);
    }
    assert.throws(() => decodeMessage(order, deep), { code: "MF_GRPC_MESSAGE" });
  });
});
