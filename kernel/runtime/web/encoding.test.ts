import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { test } from "node:test";
import fc from "fast-check";
import { evaluate } from "../testing/fake-machine.ts";

type Chunks = readonly (readonly number[])[];
type Decoding = readonly [label: string, options: { fatal?: boolean; ignoreBOM?: boolean }, chunks: Chunks];

/** Runs inside the machine and here: what each chunk gives, and the code units of it, for JSON has no lone surrogates. */
const decodeAll = `(cases) => cases.map(([label, options, chunks]) => {
  try {
    const decoder = new TextDecoder(label, options);
    const out = chunks.map((chunk) => decoder.decode(Uint8Array.from(chunk), { stream: true }));
    out.push(decoder.decode());
    return out;
  } catch (error) { return error instanceof TypeError ? "malformed" : String(error); }
})`;

async function compare(cases: readonly Decoding[]): Promise<void> {
  const expected = ((0, eval)(decodeAll) as (cases: readonly Decoding[]) => unknown[])(cases);
  const inside = (await evaluate(`(${decodeAll})(msg.json())`, cases)) as unknown[];
  const wrong = cases
    .map((given, index) => ({ given, inside: inside[index], expected: expected[index] }))
    .filter((each) => !isDeepStrictEqual(each.inside, each.expected));
  assert.deepEqual(wrong, []);
}

test("TextDecoder decodes UTF-8 in chunks as Node does", async () => {
  const byte = fc.oneof(
    fc.constantFrom(
      0x00,
      0x41,
      0x7f,
      0x80,
      0xbf,
      0xc2,
      0xc3,
      0xe0,
      0xe2,
      0x82,
      0xac,
      0xed,
      0xa0,
      0xf0,
      0x9f,
      0x98,
      0x80,
      0xf4,
      0x90,
      0xef,
      0xbb,
      0xff,
      0xc0,
    ),
    fc.nat(255),
  );
  const chunks = fc.array(fc.array(byte, { maxLength: 6 }), { maxLength: 4 });
  const options = fc.record({ fatal: fc.boolean(), ignoreBOM: fc.boolean() });
  await compare(fc.sample(fc.tuple(fc.constant("utf-8"), options, chunks), { numRuns: 2000, seed: 1 }));
});

test("TextDecoder decodes whole and split UTF-16 as Node does", async () => {
  const unit = fc.oneof(fc.constantFrom(0x41, 0xd83d, 0xde00, 0xd800, 0xdc00, 0xfeff, 0x20ac), fc.nat(0xffff));
  const bytes = fc.array(unit, { maxLength: 6 }).map((units) => units.flatMap((code) => [code & 255, code >> 8]));
  const chunks = fc.tuple(bytes, fc.nat(12)).map(([all, cut]) => [all.slice(0, cut), all.slice(cut)]);
  await compare(fc.sample(fc.tuple(fc.constantFrom("utf-16le", "utf-16"), fc.constant({}), chunks), { numRuns: 600, seed: 2 }));
});

test("TextDecoder knows windows-1252 and its labels", async () => {
  const all = Array.from({ length: 256 }, (_none, byte) => byte);
  await compare(["windows-1252", "latin1", "ISO-8859-1", " ascii "].map((label): Decoding => [label, {}, [all]]));
  assert.match(
    String(
      await evaluate(
        '(() => { try { return new TextDecoder("shift_jis").encoding; } catch (error) { return error.name + error.message; } })()',
      ),
    ),
    /RangeError.*utf-16le/,
  );
});

test("TextEncoder, atob, btoa and base64 round trips", async () => {
  const texts = fc.sample(fc.string({ unit: "binary", maxLength: 20 }), { numRuns: 300, seed: 4 });
  const run = `(texts) => texts.map((text) => {
    const bytes = new TextEncoder().encode(text);
    const small = new Uint8Array(5);
    const into = new TextEncoder().encodeInto(text, small);
    const binary = String.fromCharCode(...bytes);
    return [Array.from(bytes), into, Array.from(small), btoa(binary), atob(btoa(binary)) === binary];
  })`;
  assert.deepEqual(await evaluate(`(${run})(msg.json())`, texts), ((0, eval)(run) as (texts: unknown) => unknown)(texts));
  const hostile = ["YQ", "YQ=", " Y Q = = ", "Y===", "@@", "YWI=YWI=", "", "=", "YR=="];
  const decode = "(texts) => texts.map((text) => { try { return atob(text); } catch (error) { return error.name; } })";
  assert.deepEqual(await evaluate(`(${decode})(msg.json())`, hostile), ((0, eval)(decode) as (texts: unknown) => unknown)(hostile));
  assert.equal(await evaluate('(() => { try { return btoa("ü€"); } catch (error) { return error.name; } })()'), "InvalidCharacterError");
});
