import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { test } from "node:test";
import fc from "fast-check";
import { linkedParts } from "../parts.ts";
import { deliverBody, evaluate, run } from "../testing/fake-machine.ts";
import { singleBytes } from "./charset-tables.ts";

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
        '(() => { try { return new TextDecoder("x-user-defined").encoding; } catch (error) { return error.name + error.message; } })()',
      ),
    ),
    /RangeError.*utf-16le.*mayfly\/charsets/,
  );
});

/** Bytes that Node's ICU may read otherwise than the Encoding Standard, by encoding. */
const icuDiffers: Readonly<Record<string, readonly number[]>> = {
  "koi8-u": [0xae, 0xbe],
  "windows-874": [0xdb, 0xdc, 0xdd, 0xde, 0xfc, 0xfd, 0xfe, 0xff],
  "windows-1253": [0xaa],
  "windows-1255": [0xca],
};
const notInIcu = "iso-8859-16";

test("TextDecoder knows every charset of one byte a character where a flow names one, with all labels, beside Node's", async () => {
  const high = Array.from({ length: 128 }, (_none, index) => 128 + index);
  const names = singleBytes.map(([name]) => name);
  const decode = `(names) => names.map((name) => high.map((byte) => new TextDecoder(name).decode(Uint8Array.of(byte))))`;
  const setup = `import "mayfly/charsets"; const high = ${JSON.stringify(high)}`;
  const inside = (await evaluate(`(${decode})(msg.json())`, names, setup)) as string[][];
  for (const [index, name] of names.entries()) {
    if (name === notInIcu) continue;
    const decoder = new TextDecoder(name);
    const differs = high.filter((byte, at) => decoder.decode(Uint8Array.of(byte)) !== inside[index]?.[at]);
    assert.deepEqual(
      differs.filter((byte) => icuDiffers[name]?.includes(byte) !== true),
      [],
      name,
    );
  }
  const at = (name: string, bytes: readonly number[]): string => bytes.map((byte) => inside[names.indexOf(name)]?.[byte - 128]).join("");
  assert.equal(at(notInIcu, [0xa4, 0xaa, 0xd0, 0xde, 0xfe]), "€ȘĐȚț");
  assert.equal(at("koi8-u", [0xae, 0xbe]), "ўЎ");
  assert.equal(at("windows-874", [0xdb, 0xff]), "\ufffd\ufffd");
  const labels = singleBytes.flatMap(([name, all]) => [name, ...all.split(" ")].map((label) => [label, name] as const));
  const nameOf = "(labels) => labels.map(([label]) => new TextDecoder(` ${label.toUpperCase()}\\n`).encoding)";
  assert.deepEqual(
    await evaluate(`(${nameOf})(msg.json())`, labels, setup),
    labels.map(([, name]) => name),
  );
});

test("a byte that a charset does not have is refused where that is asked for", async () => {
  const outcomes = `[
    new TextDecoder("iso-8859-3").decode(Uint8Array.of(65, 0xa5)),
    (() => { try { return new TextDecoder("iso-8859-3", { fatal: true }).decode(Uint8Array.of(65, 0xa5)); } catch (error) { return error.name + ": " + error.message; } })(),
    (() => { try { return text.parse(Uint8Array.of(65, 0xa5), "iso-8859-3"); } catch (error) { return error.code + ": " + error.message; } })(),
    text.parse(Uint8Array.of(65, 0xa5), "latin3", { malformed: "replace" }),
    text.parse(Uint8Array.of(0xb1, 0xf1), "ISO-8859-2"),
  ]`;
  assert.deepEqual(await evaluate(outcomes), [
    "A\ufffd",
    "TypeError: the bytes are not valid iso-8859-3",
    "MF_TEXT_INVALID: malformed iso-8859-3 at byte 1",
    "A\ufffd",
    "ąń",
  ]);
});

test("a charset is linked where a text names it, and not by words that are labels too", () => {
  const linked = (source: string): boolean => linkedParts(source).includes("charsets");
  for (const label of ["iso-8859-2", "ISO_8859-15", "windows-1251", "koi8-r", "x-mac-cyrillic", "cp866"])
    assert.ok(linked(`read("${label}")`) && linked(`read('${label}')`), label);
  for (const label of ["iso-8859-1", "windows-1252", "greek", "l2", "866", "mac", "utf-8", "iso-8859-2 or other"])
    assert.ok(!linked(`read("${label}")`), label);
});

test("a body is text in the charset of its content type", async () => {
  const { effects } = await run(
    'import { flow } from "mayfly"; import "mayfly/charsets"; export default flow((msg) => msg.text());',
    deliverBody(Buffer.from([0xcf, 0xf0, 0xe8]), { headersJson: '{"content-type":"text/plain; charset=windows-1251"}' }),
  );
  const last = effects.at(-1);
  assert.equal(last?.kind === "done" && Buffer.from(last.reply?.body ?? []).toString(), "При");
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
