/** Charsets of one byte a character, as native code reads them. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nativeInNode } from "./node-natives.ts";
import { NativeMachine } from "./testing/native-machine.ts";

test("every byte is the character of its table", () => {
  const character = fc.integer({ min: 0x80, max: 0xffff }).filter((code) => code < 0xd800 || code > 0xdfff);
  const table = fc.array(character, { minLength: 128, maxLength: 128 }).map((codes) => String.fromCharCode(...codes));
  fc.assert(
    fc.property(table, fc.uint8Array({ maxLength: 300 }), (high, bytes) => {
      const expected = Array.from(bytes, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : high[byte - 0x80])).join("");
      equal(nativeInNode("decodeBytes", bytes, high), expected);
    }),
    { numRuns: 500 },
  );
  for (const high of ["", "é".repeat(127), "é".repeat(129)]) throws(() => nativeInNode("decodeBytes", new Uint8Array(1), high), TypeError);
});

test("when memory runs out at any moment, the exception stands and nothing is left", () => {
  const machine = new NativeMachine();
  machine.json(new TextEncoder().encode("1".padEnd(16 * 1024))); // it keeps no value after this one (functions.ts, `keep`)
  machine.run("globalThis.bytes = new Uint8Array(1000).fill(200); globalThis.high = 'x'.repeat(128)");
  const read = machine.run("() => native.decodeBytes(bytes, high)");
  machine.free(machine.apply(read));
  let refused = 0;
  for (let more = 0; ; more += 16) {
    const before = machine.usage();
    machine.limit(before.bytes + more);
    const value = machine.apply(read);
    machine.limit(0);
    const failed = machine.isException(value);
    if (failed) machine.free(machine.call("qjs_get_exception"));
    else equal(machine.string(value), "x".repeat(1000));
    machine.free(value);
    deepEqual(machine.usage(), before, `${more} bytes`);
    if (!failed) break;
    refused++;
  }
  ok(refused > 10, `memory ran out in ${refused} places`);
});
