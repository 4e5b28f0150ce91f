/** Charsets of several bytes a character beside the package @exodus/bytes, which decodes them by the Encoding Standard. */
import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { TextDecoder as Peer } from "@exodus/bytes/encoding.js";
import { createMultibyteEncoder } from "@exodus/bytes/multi-byte.js";
import fc from "fast-check";
import { nativeInNode } from "../../node-natives.ts";
import { linkedParts } from "../../parts.ts";
import { deliverBody, evaluate, run } from "../../testing/fake-machine.ts";
import { NativeMachine } from "../../testing/native-machine.ts";
import { runOut } from "../../testing/scarce-memory.ts";
import { multibyteCharsets } from "./charsets.ts";
import { koreanTables } from "./tables.ts";
import { makeIndexes } from "./testing/make-tables.ts";

const source = new URL("../../../../../kernel/runtime/web/multibyte/indexes.ts", import.meta.url);
const parts = Object.keys(multibyteCharsets) as (keyof typeof multibyteCharsets)[];
const names = Object.values(multibyteCharsets).flatMap((charsets) => charsets.map(({ name }) => name));
const imports = parts.map((part) => `import "mayfly/charsets/${part}";`).join(" ");

test("the indexes are made from the package", () => {
  const made = makeIndexes();
  if (process.env["UPDATE"] === "1") writeFileSync(source, made);
  equal(readFileSync(source, "utf8"), made);
});

type Decoding = readonly [name: string, fatal: boolean, chunks: readonly string[]];

/** Hexadecimal chunks as a flow decodes them. */
const decodeAll = `(cases) => cases.map(([name, fatal, chunks]) => {
  const decoder = new TextDecoder(name, { fatal });
  try { return chunks.map((chunk, index) => decoder.decode(Uint8Array.fromHex(chunk), { stream: index < chunks.length - 1 })); } catch (error) { return error.name; }
})`;

function byPeer([name, fatal, chunks]: Decoding): readonly string[] | string {
  const decoder = new Peer(name, { fatal });
  try {
    return chunks.map((chunk, index) => decoder.decode(Buffer.from(chunk, "hex"), { stream: index < chunks.length - 1 }));
  } catch (error) {
    return (error as Error).name;
  }
}

async function compare(cases: readonly Decoding[]): Promise<void> {
  const inside = (await evaluate(`(${decodeAll})(msg.json())`, cases, imports)) as unknown[];
  for (const [index, given] of cases.entries()) {
    const expected = byPeer(given);
    const found = inside[index] as typeof expected;
    // A text may come with the chunk that ends it, or the one before that is enough to know it.
    deepEqual(Array.isArray(found) ? found.join("") : found, Array.isArray(expected) ? expected.join("") : expected, JSON.stringify(given));
  }
}

test("every pair of bytes, and of a lead byte with an end, is read as by the peer", async () => {
  for (const name of names) {
    const pairs = Array.from({ length: 128 }, (_, lead) =>
      Array.from({ length: 256 }, (_none, trail) => `${(128 + lead).toString(16)}${trail.toString(16).padStart(2, "0")}0a`).join(""),
    );
    await compare(pairs.map((hex): Decoding => [name, false, [hex]]));
    await compare(Array.from({ length: 256 }, (_, byte): Decoding => [name, true, [byte.toString(16).padStart(2, "0")]]));
  }
});

/** Bytes near what a charset has, and any others. */
const bytes = fc.oneof(
  fc.constantFrom("1b2442", "1b2440", "1b284a", "1b2842", "1b2849", "1b24", "1b28", "1b", "0e", "5c7e"),
  fc.constantFrom(
    "8130",
    "813081",
    "8130813",
    "8431a437",
    "8135f437",
    "90308130",
    "e3329a35",
    "fe39fe39",
    "8fa2",
    "8fa2af",
    "8ea1",
    "8ee0",
  ),
  fc.constantFrom("8862", "8864", "88a3", "88a5", "f040", "f9fc", "8740", "fcfc", "a0", "80", "ff", "41", "0a"),
  fc.uint8Array({ minLength: 1, maxLength: 4 }).map((given) => Buffer.from(given).toString("hex")),
);
const text = fc.array(bytes, { maxLength: 8 }).map((all) => (all.join("").length % 2 === 0 ? all.join("") : `${all.join("")}0`));

test("damaged bytes are replaced or refused as by the peer, in every cut", async () => {
  const decoding = fc.record({
    name: fc.constantFrom(...names),
    fatal: fc.boolean(),
    hex: text,
    lengths: fc.array(fc.nat(4), { maxLength: 6 }),
  });
  const cases = fc.sample(decoding, { numRuns: 4000, ...seeded() }).map(({ name, fatal, hex, lengths }): Decoding => {
    const chunks: string[] = [];
    let rest = hex;
    for (const length of lengths) {
      chunks.push(rest.slice(0, 2 * length));
      rest = rest.slice(2 * length);
    }
    return [name, fatal, [...chunks, rest]];
  });
  await compare(cases);
});

function seeded(): { readonly seed?: number } {
  const seed = process.env["MAYFLY_SEED"];
  return seed === undefined ? {} : { seed: Number(seed) };
}

test("every label stands for its charset, and a text with one links its part", async () => {
  const labels = Object.values(multibyteCharsets).flatMap((charsets) =>
    charsets.flatMap(({ name, labels: more }) => [name, ...more.split(" ").filter((label) => label !== "")].map((label) => [label, name])),
  );
  const nameOf = "(labels) => labels.map(([label]) => new TextDecoder(label.toUpperCase()).encoding)";
  deepEqual(
    await evaluate(`(${nameOf})(msg.json())`, labels, imports),
    labels.map(([, name]) => name),
  );
  const linked = (label: string): string[] => linkedParts(`read("${label}")`).filter((part) => part.startsWith("charsets/"));
  deepEqual(linked("Shift_JIS"), ["charsets/japanese"]);
  deepEqual(linked("gbk"), ["charsets/simplified-chinese"]);
  deepEqual(linked("big5-hkscs"), ["charsets/traditional-chinese"]);
  deepEqual(linked("ks_c_5601-1987"), ["charsets/korean"]);
  for (const word of ["korean", "chinese", "japanese", "utf-8"]) deepEqual(linked(word), [], word);
});

test("bodies are read by the charset of their content type; malformed ones name the byte", async () => {
  const flow = (expression: string): string =>
    `import { flow, csv, xml, text } from "mayfly"; ${imports} export default flow((msg) => ({ is: ${expression} }));`;
  const answer = async (expression: string, hex: string, type: string): Promise<unknown> => {
    const { effects } = await run(
      flow(expression),
      deliverBody(Buffer.from(hex, "hex"), { headersJson: JSON.stringify({ "content-type": type }) }),
    );
    const last = effects.at(-1);
    ok(last !== undefined);
    return last.kind === "done" ? (JSON.parse(Buffer.from(last.reply?.body ?? []).toString()) as { is: unknown }).is : last;
  };
  equal(await answer("msg.text()", "938c8b9e", "text/plain; charset=Shift_JIS"), "東京");
  equal(await answer("msg.text()", "1b2442456c357e1b2842", "text/plain; charset=iso-2022-jp"), "東京");
  const table = Buffer.from(createMultibyteEncoder("euc-kr")("이름,나이\n수진,7")).toString("hex");
  deepEqual(await answer("msg.csv()", table, "text/csv; charset=ks_c_5601-1987"), [{ 이름: "수진", 나이: "7" }]);
  const order = Buffer.from(createMultibyteEncoder("big5")('<?xml version="1.0" encoding="Big5"?><訂單 號="1">茶</訂單>')).toString("hex");
  deepEqual(await answer("msg.xml()", order, "application/xml"), { 訂單: { "@號": "1", "#text": "茶" } });
  match(JSON.stringify(await answer("msg.text()", "61938cff", "text/plain; charset=shift_jis")), /malformed shift_jis at byte 3/);
  equal(await answer('text.parse(msg.bytes, "gbk", { malformed: "replace" })', "b6abbeff", ""), "东\ufffd");
});

test("tables and states that are too short, and charsets that are not there, are refused", () => {
  const state = new Uint8Array(16);
  for (const charset of [0, 1, 2, 3, 4, 6, -1])
    throws(
      () => nativeInNode("decodeMultibyte", new Uint8Array(1), charset, koreanTables().subarray(0, 36000), state, 0, -1),
      TypeError,
      `${charset}`,
    );
  throws(() => nativeInNode("decodeMultibyte", new Uint8Array(1), 5, koreanTables().subarray(1), state, 0, -1), TypeError);
  throws(() => nativeInNode("decodeMultibyte", new Uint8Array(1), 5, koreanTables(), state.subarray(1), 0, -1), TypeError);
});

test("when memory runs out at any moment, the exception stands and nothing is left", () => {
  const machine = new NativeMachine();
  machine.json(new TextEncoder().encode("1".padEnd(16 * 1024))); // it keeps no value after this one (functions.ts, `keep`)
  const { whole, failed } = runOut(machine, {
    given:
      "globalThis.bytes = new Uint8Array(999).fill(0xb0); globalThis.tables = new Uint8Array(47500).fill(0x4e); globalThis.state = new Uint8Array(16)",
    call: "native.decodeMultibyte(bytes, 5, tables, state, 0, -1)",
    most: 8000,
    step: 64,
  });
  equal(whole, `${"\u4e4e".repeat(499)}\ufffd`);
  ok(failed > 10, `memory ran out in ${failed} places`);
});
