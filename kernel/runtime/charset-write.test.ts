/** Texts as bytes of a charset, beside the package @exodus/bytes, which encodes them by the Encoding Standard and by unicode.org's tables. */
import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { test } from "node:test";
import { createMultibyteEncoder } from "@exodus/bytes/multi-byte.js";
import { createSinglebyteEncoder } from "@exodus/bytes/single-byte.js";
import fc from "fast-check";
import { nativeInNode } from "./node-natives.ts";
import { linkedParts } from "./parts.ts";
import { deliverBody, evaluate, run } from "./testing/fake-machine.ts";
import { NativeMachine } from "./testing/native-machine.ts";
import { runOut } from "./testing/scarce-memory.ts";
import { singleBytes } from "./web/charset-tables.ts";
import { multibyteCharsets } from "./web/multibyte/charsets.ts";
import { koreanTables } from "./web/multibyte/tables.ts";

const parts = Object.keys(multibyteCharsets) as (keyof typeof multibyteCharsets)[];
const imports = ["", ...parts.map((part) => `/${part}`)].map((part) => `import "mayfly/charsets${part}";`).join(" ");
const multibyte = Object.values(multibyteCharsets).flatMap((charsets) => charsets.map(({ name }) => name));
/** Labels that are written by unicode.org's table of that name, not by the web's. */
const plain = ["iso-8859-1", "iso-8859-9", "iso-8859-11"];

type Encode = (text: string) => Uint8Array;

function peerOf(charset: string): Encode {
  return multibyte.includes(charset) ? createMultibyteEncoder(charset) : createSinglebyteEncoder(charset);
}

/** All of the basic plane, and others here and there, but for surrogates. */
const characters = Array.from({ length: 0x10000 + 0x100000 / 61 }, (_, index) =>
  index < 0x10000 ? index : 0x10000 + (index - 0x10000) * 61,
)
  .filter((code) => (code & 0xfff800) !== 0xd800)
  .map((code) => String.fromCodePoint(code));

function isIn(encode: Encode, character: string): boolean {
  try {
    encode(character);
    return true;
  } catch {
    return false;
  }
}

const writeAll = `msg.json().map(([value, charset, unmappable]) => {
  try { return text.stringify(value, charset, { unmappable }).toHex(); } catch (error) { return error.code + " " + error.message; }
})`;

type Writing = readonly [value: string, charset: string, unmappable?: "replace"];

async function written(writings: readonly Writing[]): Promise<string[]> {
  return (await evaluate(writeAll, writings, imports)) as string[];
}

test("every character is written as by the peer, or lacking as there", async () => {
  for (const charset of [...multibyte, ...singleBytes.map(([name]) => name), "windows-1252", ...plain]) {
    const encode = peerOf(charset);
    const present = characters.filter((character) => isIn(encode, character)).join("");
    const lacking = characters.filter((character) => !isIn(encode, character));
    const [all, none] = await written([
      [present, charset],
      [lacking.join(""), charset, "replace"],
    ]);
    ok(all === Buffer.from(encode(present)).toString("hex"), `${charset}: ${present.length} characters`);
    ok(none === "3f".repeat(lacking.length), `${charset}: ${lacking.length} that are not there`);
  }
});

const some = fc.oneof(
  fc.constantFrom(
    "a",
    "\\",
    "~",
    "\n",
    "¥",
    "‾",
    "−",
    "ｱ",
    "ﾟ",
    "あ",
    "東",
    "é",
    "Я",
    "€",
    "\u0080",
    "\u0085",
    "\u000e",
    "\u001b",
    "😀",
    "\ue5e5",
    "\ue7c7",
  ),
  fc.string({ unit: "binary", maxLength: 3 }),
);

test("texts are written as by the peer; the first character that is lacking is named", async () => {
  const writings = fc
    .sample(fc.tuple(fc.array(some, { maxLength: 12 }), fc.constantFrom(...multibyte, "windows-1251", "iso-8859-15", ...plain)), {
      numRuns: 3000,
      ...(process.env["MAYFLY_SEED"] === undefined ? {} : { seed: Number(process.env["MAYFLY_SEED"]) }),
    })
    .map(([texts, charset]): Writing => [texts.join(""), charset]);
  for (const [index, found] of (await written(writings)).entries()) {
    const [value, charset] = writings[index]!;
    const encode = peerOf(charset);
    const lacking = Array.from(value).findIndex((character) => !isIn(encode, character));
    if (lacking < 0) equal(found, Buffer.from(encode(value)).toString("hex"), JSON.stringify([value, charset]));
    else {
      const [before, code] = [Array.from(value).slice(0, lacking).join("").length, Array.from(value)[lacking]!.codePointAt(0)!];
      const name = `U\\+${code.toString(16).toUpperCase().padStart(4, "0")}`;
      match(
        found,
        new RegExp(`^MF_TEXT_UNMAPPABLE ${charset} has no .*${name}\\)?, which is character ${before} of the text`, "su"),
        value,
      );
    }
  }
});

test("labels of ASCII and ISO 8859 are not written with the characters that Windows has more", async () => {
  deepEqual(
    await written([
      ["€", "windows-1252"],
      ["€", "CP1252"],
      ["é", " Latin1 "],
      ["\u0085é", "iso-8859-1"],
      ["aé", "us-ascii", "replace"],
    ]),
    ["80", "80", "e9", "85e9", "613f"],
  );
  const refused = await written([
    ["a€", "latin1"],
    ["é", "ascii"],
    ["é", "ansi_x3.4-1968"],
    ["‘", "iso8859-9"],
    ["€", "tis-620"],
    ["€", "cp819"],
  ]);
  for (const text of refused) match(text, /^MF_TEXT_UNMAPPABLE .* has no . \(U\+/);
  equal(
    refused[0],
    'MF_TEXT_UNMAPPABLE latin1 has no € (U+20AC), which is character 1 of the text: use another charset, or text.stringify(…, { unmappable: "replace" })',
  );
});

test("UTF-16 has a mark where its name does not say the order of bytes, and no half characters", async () => {
  const value = "aé😀";
  const little = Buffer.from(value, "utf16le");
  const big = Buffer.from(little).swap16();
  deepEqual(
    await written([
      [value, "utf-16"],
      [value, "UTF-16LE"],
      [value, "utf-16be"],
      ["a\ud800b", "utf-16be", "replace"],
      ["\udc00", "utf-8"],
    ]),
    [`fffe${little.toString("hex")}`, little.toString("hex"), big.toString("hex"), "0061fffd0062", "efbfbd"],
  );
  const [half, unknown] = await written([
    ["a\ud800b", "utf-16le"],
    ["a", "ebcdic"],
  ]);
  match(half!, /^MF_TEXT_UNMAPPABLE utf-16le has no U\+D800, which is character 1/);
  match(unknown!, /^MF_CHARSET_UNKNOWN the charset ebcdic is not supported: use utf-8/);
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
      deepEqual(nativeInNode("encodeUtf16", text, false, false), Uint8Array.from(Buffer.from(text, "utf16le")));
    }),
  );
});

test("a text is sent, asked with and replied in the charset that its content type names; bytes stay as they are", async () => {
  const flow = `import { flow } from "mayfly"; ${imports}
    export default flow(async (msg, { to, reply }) => {
      to.bank.send("Müller;€", { contentType: "text/csv; charset=windows-1252" });
      to.bank.send("Müller", { headers: { "Content-Type": 'text/plain; charset="iso-8859-1"' } });
      to.bank.send(new Uint8Array([200, 201]), { contentType: "text/plain; charset=utf-16" });
      to.bank.send(msg, { contentType: "text/plain; charset=shift_jis" });
      to.bank.send({ name: "Ł" }, { contentType: "application/json; charset=iso-8859-2" });
      to.bank.send("東", { contentType: "text/plain; charset=UTF-8" });
      reply("東京", { status: 201, contentType: "text/plain; charset=Shift_JIS" });
    });`;
  const { effects } = await run(flow, deliverBody("é"));
  const bodies = effects.map((effect) => {
    const body = effect.kind === "send" ? effect.body : effect.kind === "done" ? effect.reply?.body : undefined;
    ok(body !== undefined, JSON.stringify(effect));
    return Buffer.from(body).toString("hex");
  });
  const name = Buffer.from('{"name":"').toString("hex");
  deepEqual(bodies, ["4dfc6c6c65723b80", "4dfc6c6c6572", "c8c9", "c3a9", `${name}a3227d`, "e69db1", "938c8b9e"]);
  const lacking = `import { flow } from "mayfly"; export default flow((msg, { reply }) => reply("Ł", { contentType: "text/plain; charset=latin1" }));`;
  const failed = (await run(lacking)).effects.at(-1);
  ok(failed?.kind === "fail");
  equal(failed.code, "MF_TEXT_UNMAPPABLE");
});

test("a content type with a charset links its part", () => {
  const linked = (text: string): string[] => linkedParts(text).filter((part) => part.startsWith("charsets"));
  deepEqual(linked('send(x, { contentType: "text/csv; charset=Shift_JIS" })'), ["charsets/japanese"]);
  deepEqual(linked('send(x, { contentType: "text/csv;charset=iso-8859-2; header=absent" })'), ["charsets"]);
  deepEqual(linked('send(x, { contentType: "text/csv; charset=utf-8" })'), []);
});

test("tables that are too short, charsets that are not there and what is no text are refused", () => {
  for (const charset of [0, 1, 2, 3, 4, 6, -1])
    throws(() => nativeInNode("encodeMultibyte", "x", charset, koreanTables().subarray(0, 36000), 0), TypeError, `${charset}`);
  throws(() => nativeInNode("encodeMultibyte", "x", 5, koreanTables().subarray(1), 0), TypeError);
  throws(() => nativeInNode("encodeMultibyte", 1, 5, koreanTables(), 0), TypeError);
  throws(() => nativeInNode("encodeBytes", "x", "é".repeat(127), false), TypeError);
  throws(() => nativeInNode("encodeBytes", null, "é".repeat(128), false), TypeError);
  throws(() => nativeInNode("encodeUtf16", {}, false, false), TypeError);
});

test("when memory runs out at any moment, the exception stands and nothing is left", () => {
  const calls = [
    ["native.encodeBytes(value, high, true)", 2000, "3f".repeat(999)],
    ["native.encodeUtf16(value, true, true)", 8000, "4e4e".repeat(999)],
    ["native.encodeMultibyte(value, 5, tables, 0)", 200000, "8141".repeat(999)],
  ] as const;
  for (const [call, most, expected] of calls) {
    const machine = new NativeMachine();
    machine.json(new TextEncoder().encode("1".padEnd(16 * 1024))); // it keeps no value after this one (functions.ts, `keep`)
    const { whole, failed } = runOut(machine, {
      given: `globalThis.value = "\\u4e4e".repeat(999); globalThis.tables = new Uint8Array(47500).fill(0x4e); globalThis.high = "x".repeat(128)`,
      call: `${call}.toHex()`,
      most,
      step: Math.ceil(most / 100),
    });
    equal(whole, expected, call);
    ok(failed > 3, `${call}: memory ran out in ${failed} places`);
  }
});
