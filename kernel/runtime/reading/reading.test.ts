/** Bodies that are read in pieces beside the same bodies read as a whole: the same items in every cut, and faults where there are faults. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createMultibyteEncoder } from "@exodus/bytes/multi-byte.js";
import fc from "fast-check";
import type { CsvParseOptions, XmlParseOptions } from "../api.d.ts";
import { decodeText } from "../charset.ts";
import { parse as parseCsv } from "../formats/csv-format.ts";
import { parse as parseXml } from "../formats/xml-format.ts";
import { kernelInNode, read, type Reading } from "./testing/parse-in-node.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const machine = { ...kernelInNode, decodeText: (bytes: Uint8Array, charset: string) => decodeText(bytes, charset) };

/** Lengths of pieces, short ones above all. */
const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 40 })), { minLength: 1, maxLength: 6 });

/** The items, or the sentence of the fault. */
async function outcome(reading: () => Promise<readonly unknown[]>): Promise<readonly unknown[] | string> {
  try {
    return await reading();
  } catch (error) {
    return (error as Error).message;
  }
}

/** Read otherwise as a whole: spaces behind a last quote are a fault there, and none of a row in the middle; of two marks both are dropped. */
const otherwise = /"[^\S\r\n]+(?:\r\n|\r|\n)?$|^\ufeff\ufeff/;
const asWritten = new TextDecoder("utf-8", { ignoreBOM: true });

async function sameRows(body: Uint8Array, lengths: readonly number[], options: CsvParseOptions): Promise<boolean> {
  if (otherwise.test(asWritten.decode(body))) return false;
  const place = JSON.stringify([new TextDecoder().decode(body), lengths, options]);
  const whole = await outcome(() => Promise.resolve(parseCsv(body, machine, options)));
  const pieces = await outcome(async () => (await read(body, lengths, { kind: "rows", options })).items);
  if (typeof whole === "string") equal(typeof pieces, "string", place);
  else deepEqual(pieces, whole, place);
  return typeof whole !== "string";
}

const unit = fc.constantFrom(
  "a",
  "bc",
  "é",
  "€",
  "😀",
  ",",
  ",",
  ";",
  " ",
  "\u00a0",
  "\0",
  '"',
  '""',
  '"x"',
  "0",
  "12345678",
  "\n",
  "\n",
  "\r",
  "\ufeff",
);
const newline = fc.constantFrom("\n", "\r\n", "\r");
const csvOptions = fc.record<CsvParseOptions>(
  {
    header: fc.oneof(
      fc.constantFrom(true, false),
      fc.uniqueArray(fc.constantFrom("a", "b", "1", "__proto__", "é"), { minLength: 1, maxLength: 4 }),
    ),
    strict: fc.boolean(),
    keepEmptyRows: fc.boolean(),
  },
  { requiredKeys: [] },
);
const delimiters = fc.constantFrom(",", ";", " ", "é", "€", "😀");

test("rows of any characters, in every cut, are those of the whole text", async () => {
  let sound = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(unit, { maxLength: 24 }),
      newline,
      csvOptions,
      delimiters,
      cuts,
      async (units, end, options, delimiter, lengths) => {
        const body = utf8(units.join("").replaceAll("\n", end));
        if (await sameRows(body, lengths, { ...options, delimiter })) sound++;
      },
    ),
    { numRuns: 3000 },
  );
  ok(sound > 500, `${sound} were sound`);
});

test("tables with quotes, line breaks within them and a delimiter that is found", async () => {
  const field = fc.constantFrom(
    "",
    "x",
    "words and words",
    "1.50",
    "é",
    "€uro",
    '"a,b;c"',
    '"two\nlines"',
    '"two\r\nlines"',
    '"he said ""no"""',
    '""',
    '"x" ',
  );
  const table = fc
    .tuple(fc.integer({ min: 1, max: 5 }), fc.constantFrom(",", ";", "\t"), newline)
    .chain(([columns, delimiter, end]) =>
      fc
        .array(fc.array(field, { minLength: columns, maxLength: columns }), { minLength: 2, maxLength: 14 })
        .map((rows) => rows.map((row) => row.join(delimiter)).join(end)),
    );
  await fc.assert(
    fc.asyncProperty(
      table,
      csvOptions,
      fc.constantFrom("", "\ufeff", "sep=;\n", "sep=;\r\n"),
      fc.constantFrom("", "\n"),
      cuts,
      async (text, options, before, after, lengths) => {
        await sameRows(utf8(before + text + after), lengths, options);
      },
    ),
    { numRuns: 1500 },
  );
});

test("the files of the conformance suite for CSV", async (context) => {
  const files = join(process.env["MAYFLY_CONFORMANCE"] ?? join(process.cwd(), "..", "shared", "data"), "conformance", "csv", "csvs");
  if (!existsSync(files)) return context.skip(`no folder ${files}`);
  for (const name of readdirSync(files)) {
    const body = readFileSync(join(files, name));
    for (const lengths of [[1], [2, 3], [7], [64]]) await sameRows(body, lengths, { delimiter: ",", strict: false });
  }
});

test("lines are those between line feeds, in every cut and charset", async () => {
  const text = fc.array(fc.constantFrom("a", "é", "€", "\n", "\r\n", "\r", " "), { maxLength: 20 }).map((units) => units.join(""));
  await fc.assert(
    fc.asyncProperty(text, cuts, fc.constantFrom("utf-8", "utf-16le", "windows-1252"), async (given, lengths, charset) => {
      const lines = given.split(/\r?\n/);
      if (lines.at(-1) === "") lines.pop();
      const body =
        charset === "utf-8"
          ? utf8(given)
          : Buffer.from(charset === "utf-16le" ? given : given.replaceAll("€", "\x80"), charset === "utf-16le" ? "utf16le" : "latin1");
      deepEqual((await read(body, lengths, { kind: "lines", contentType: `text/plain; charset=${charset}` })).items, lines);
    }),
    { numRuns: 1000 },
  );
});

const multibytes = ["gb18030", "euc-jp", "shift_jis", "euc-kr", "big5"] as const;

test("lines in charsets of several bytes a character, in every cut; one that keeps a state is read as a whole only", async () => {
  const text = fc.array(fc.constantFrom("a", "\\", "一", "東", "\n", "\r\n", " "), { maxLength: 20 }).map((units) => units.join(""));
  await fc.assert(
    fc.asyncProperty(text, cuts, fc.constantFrom(...multibytes), async (given, lengths, charset) => {
      const lines = given.split(/\r?\n/);
      if (lines.at(-1) === "") lines.pop();
      const body = createMultibyteEncoder(charset)(given);
      deepEqual((await read(body, lengths, { kind: "lines", contentType: `text/plain; charset=${charset}` })).items, lines);
    }),
    { numRuns: 300 },
  );
  await rejects(read(utf8("a"), [1], { kind: "lines", contentType: "text/plain; charset=iso-2022-jp" }), /as a whole only/);
  const broken = Uint8Array.of(0x61, 10, 0x93, 0x8c, 10, 0x93, 0xff, 10);
  await rejects(read(broken, [3], { kind: "lines", contentType: "text/plain; charset=shift_jis" }), /malformed shift_jis at byte 5/);
});

/** Every element of that name that is in no other of that name, as the whole document's value has it. */
function elementsIn(value: unknown, name: string, options: XmlParseOptions): unknown[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const items: unknown[] = Array.isArray(item) ? item : [item];
    return key === name ? items : items.flatMap((each) => elementsIn(each, name, options));
  });
}

const xmlText: fc.Arbitrary<string> = fc.letrec<{ node: string; content: string }>((tie) => ({
  node: fc
    .tuple(
      fc.constantFrom("a", "ab", "n:a", "b", "row"),
      fc.constantFrom("", ' k="v>"', " k='<'".replace("<", "&lt;"), ' x = "a/b" '),
      tie("content"),
      fc.boolean(),
    )
    .map(([name, attributes, content, isEmpty]) => (isEmpty ? `<${name}${attributes}/>` : `<${name}${attributes}>${content}</${name} >`)),
  content: fc
    .array(
      fc.oneof(
        { maxDepth: 3, depthIdentifier: "xml" },
        fc.constantFrom("t", "é€😀", "&amp;", " \n ", "<!-- </a> <a> -->", "<![CDATA[</a><a>]]>", "<?p </a>?>", "]"),
        tie("node"),
      ),
      { maxLength: 5 },
    )
    .map((parts) => parts.join("")),
})).node;

test("elements are those of the whole document, in order of their places, in every cut", async () => {
  let sound = 0;
  const damage = fc.option(fc.tuple(fc.nat(), fc.constantFrom("<", ">", "/", "&", "", "<a>", "</a>", "]]>", "<!DOCTYPE a>")), {
    nil: undefined,
    freq: 2,
  });
  const options = fc.record<XmlParseOptions>({ removePrefixes: fc.boolean(), keepSpace: fc.boolean() }, { requiredKeys: [] });
  await fc.assert(
    fc.asyncProperty(
      xmlText,
      damage,
      fc.constantFrom("", '<?xml version="1.0"?>', "\ufeff<!-- c -->\n"),
      options,
      cuts,
      async (inner, edit, prolog, given, lengths) => {
        const root = `${prolog}<root>${inner}</root>\n`;
        const text = edit === undefined ? root : root.slice(0, edit[0] % root.length) + edit[1] + root.slice((edit[0] % root.length) + 1);
        const place = JSON.stringify([text, lengths, given]);
        const whole = await outcome(() => Promise.resolve([parseXml(utf8(text), machine, given)]));
        const pieces = await outcome(async () => (await read(utf8(text), lengths, { kind: "elements", name: "a", options: given })).items);
        if (typeof whole === "string") equal(typeof pieces, "string", `${place}: ${whole}`);
        else {
          sound++;
          ok(typeof pieces !== "string", `${place}: ${String(pieces)}`);
          // A value has elements of one name together, whatever stands between them.
          const sorted = (items: readonly unknown[]): string[] => items.map((item) => JSON.stringify(item)).sort();
          deepEqual(sorted(pieces), sorted(elementsIn(whole[0], "a", given)), place);
        }
      },
    ),
    { numRuns: 3000 },
  );
  ok(sound > 1000, `${sound} were sound`);
});

test("a batch begins where the one before has ended, whatever the charset and the cut", async () => {
  const rows = Array.from({ length: 37 }, (_, i) => `${i},"é €\n${"x".repeat(i)}"`).join("\r\n");
  const orders = Array.from({ length: 37 }, (_, i) => `<n:Order id="${i}">é<Order/></n:Order>`).join("<!-- é -->\n");
  const cases: readonly (readonly [string, Reading])[] = [
    [`\ufeffa,b\n${rows}`, { kind: "rows" }],
    [`a,b\n${rows}`, { kind: "rows", options: { delimiter: "," } }],
    [rows, { kind: "rows", options: { header: false } }],
    [rows, { kind: "lines" }],
    [`<?xml version="1.0"?>\n<x><y>${orders}</y></x>`, { kind: "elements", name: "Order", options: { removePrefixes: true } }],
  ];
  for (const [text, reading] of cases)
    for (const charset of ["utf-8", "utf-16le", "gb18030", "euc-jp"] as const) {
      const kept = charset === "utf-8" || charset === "utf-16le" ? text : text.replace("\ufeff", "").replaceAll(/é|€/g, "東\\");
      const body =
        charset === "utf-8" ? utf8(kept) : charset === "utf-16le" ? Buffer.from(kept, "utf16le") : createMultibyteEncoder(charset)(kept);
      const typed = { ...reading, contentType: `text/plain; charset=${charset}` };
      const { items: all } = await read(body, [64], typed);
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 15 }), cuts, async (most, lengths) => {
          const items: unknown[] = [];
          let from: Reading["from"];
          for (let batch = 0; ; batch++) {
            const done = await read(body, lengths, { ...typed, most, ...(from === undefined ? {} : { from }) });
            items.push(...done.items);
            ok(done.items.length <= most && batch <= all.length);
            if (done.finished) break;
            from = JSON.parse(JSON.stringify(done.position)) as NonNullable<Reading["from"]>;
          }
          deepEqual(items, all, JSON.stringify([typed, most, lengths]));
        }),
        { numRuns: 10 },
      );
    }
});

test("faults name their place in the whole body", async () => {
  const at = (body: Uint8Array, reading: Reading): Promise<unknown> => read(body, [5], reading);
  await rejects(at(utf8('a,b\n1,2\n\n3,"x'), { kind: "rows" }), /row 4: a quoted field has no closing quote/);
  await rejects(at(utf8("a,b\n1,2\n3"), { kind: "rows", options: { delimiter: "," } }), /row 3 has 1 fields instead of 2/);
  await rejects(at(Uint8Array.of(...utf8("a\nbcdefghij\n"), 0xff, 10), { kind: "lines" }), /malformed UTF-8 at byte 12/);
  await rejects(at(utf8("<x>\n<a>1</a>\n  <a>&no;</a></x>"), { kind: "elements", name: "a" }), /line 3, column 6/);
  await rejects(at(utf8("<x>\n<a>1</a>\n </y></x>"), { kind: "elements", name: "a" }), /line 3/);
  await rejects(at(utf8("<x><a>1</a>"), { kind: "elements", name: "a" }), /the element x has no end tag/);
  await rejects(at(utf8("<x/>"), { kind: "elements", name: "a b" }), /is not the name of an element/);
  await rejects(at(utf8("é"), { kind: "lines", contentType: "text/plain; charset=x-no" }), /the charset x-no is not supported/);
  const long = new Uint8Array(5 * 2 ** 20).fill(120);
  const wide = (body: Uint8Array, reading: Reading): Promise<unknown> => read(body, [262_144], reading);
  await rejects(
    wide(Buffer.concat([utf8('a\n1\n"'), long]), { kind: "rows", options: { delimiter: "," } }),
    /row 3 is longer than 4194304 bytes/,
  );
  await rejects(wide(long, { kind: "lines" }), /line 1 is longer than/);
  await rejects(wide(Buffer.concat([utf8("<x>\n<a>"), long]), { kind: "elements", name: "a" }), (error: Error) => {
    match(error.message, /what begins in line 2, column 1 is longer than 4194304 bytes/);
    return true;
  });
});
