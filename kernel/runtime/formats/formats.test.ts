import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import papaparse from "papaparse";
import { bootMachine, deliverBody, evaluate, run } from "../testing/fake-machine.ts";
import { parse as parseCsvIn, stringify as stringifyCsvIn } from "./csv-format.ts";
import { encodingOf } from "../charset.ts";
import { nativeInNode } from "../node-natives.ts";
import { parse as parseXmlIn, stringify as stringifyXmlIn } from "./xml-format.ts";
import type { CsvParseOptions, XmlParseOptions } from "../api.d.ts";

/** Without the native writers, which csv-write.test.ts and xml-write.test.ts compare with these. */
const stringifyXml = (value: unknown, options?: Parameters<typeof stringifyXmlIn>[2]): string =>
  stringifyXmlIn(value, { xmlText: () => undefined }, options);
const stringifyCsv = (rows: unknown, options?: Parameters<typeof stringifyCsvIn>[2]): string =>
  stringifyCsvIn(rows, { csvText: () => undefined, unlikeRows: () => undefined }, options);

const decode = (bytes: Uint8Array, charset: string): string | undefined => {
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return undefined;
  }
};

const utf8 = { encode: (text: string) => new TextEncoder().encode(text), decode: (bytes: Uint8Array) => new TextDecoder().decode(bytes) };
const native = {
  xml: (input: string | Uint8Array, options: number, arrays: string) => nativeInNode("xml", input, options, arrays),
  csv: (text: string, ...values: unknown[]) => nativeInNode("csv", text, ...values) as unknown[],
};
const parseCsv = (input: string, options?: CsvParseOptions): unknown[] => parseCsvIn(input, { native, decodeText: decode }, options);
const parseXml = (input: string | Uint8Array, options?: XmlParseOptions): unknown =>
  parseXmlIn(input, { native, decodeText: decode, encodingOf, utf8 }, options);

test("XML as objects", () => {
  const table: readonly (readonly [source: string, value: unknown, options?: object])[] = [
    ["<a/>", { a: "" }],
    ["<a> x </a>", { a: "x" }],
    ["<a> x </a>", { a: " x " }, { keepSpace: true }],
    ["<a i=\"1\" j='&quot;&#x41;'/>", { a: { "@i": "1", "@j": '"A' } }],
    ["<a><b>1</b><b>2</b><c/></a>", { a: { b: ["1", "2"], c: "" } }],
    ["<a><b>1</b></a>", { a: { b: ["1"] } }, { arrays: ["b"] }],
    ["<a><b>1</b><c><b>2</b></c></a>", { a: { b: "1", c: { b: ["2"] } } }, { arrays: ["c.b"] }],
    ["<a>x<b/>y</a>", { a: { b: "", "#text": "xy" } }],
    ["<a><![CDATA[<&]]>&amp;&lt;</a>", { a: "<&&<" }],
    ['<n:a xmlns:n="u" n:i="1"><n:b>x</n:b></n:a>', { "n:a": { "@xmlns:n": "u", "@n:i": "1", "n:b": "x" } }],
    ['<n:a xmlns:n="u" n:i="1"><n:b>x</n:b></n:a>', { a: { "@i": "1", b: "x" } }, { removePrefixes: true }],
    ["<?xml version='1.0'?><!-- c --><?pi x?><a>007<!-- c -->1.50</a>", { a: "0071.50" }],
    ["\ufeff<a>ü😀</a>", { a: "ü😀" }],
    ["<a><constructor>x</constructor></a>", { a: { constructor: "x" } }],
  ];
  for (const [source, value, options] of table) assert.deepEqual(parseXml(source, options), value, source);
  const polluting = parseXml("<a><__proto__><polluted>1</polluted></__proto__></a>") as { a: object };
  assert.deepEqual(Object.keys(polluting.a), ["__proto__"]);
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
});

test("XML that is refused", () => {
  const table: readonly (readonly [source: string, message: RegExp])[] = [
    ["", /root element/i],
    ["text", /./],
    ["<a>", /./],
    ["<a></b>", /./],
    ["<a/><b/>", /./],
    ["<a b=1/>", /./],
    ['<a b="1" b="2"/>', /./],
    ["<a>&nope;</a>", /./],
    ["<a>\u0001</a>", /./],
    ["<!DOCTYPE a><a/>", /document type/],
    ['<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>', /./],
    ['<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', /document type/],
    [`${"<a>".repeat(300)}${"</a>".repeat(300)}`, /nested deeper than 200/],
  ];
  for (const [source, message] of table) assert.throws(() => parseXml(source), message, source.slice(0, 80));
});

test("XML in other charsets", () => {
  const latin = Uint8Array.of(...Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><a>', "latin1"), 0xfc, ...Buffer.from("</a>"));
  assert.deepEqual(parseXml(latin), { a: "ü" });
  assert.deepEqual(parseXml(new Uint8Array(Buffer.from("\ufeff<a>ü</a>", "utf16le"))), { a: "ü" });
  assert.deepEqual(parseXml(new TextEncoder().encode("\ufeff<a>ü</a>")), { a: "ü" });
  assert.throws(() => parseXml(Buffer.from('<?xml version="1.0" encoding="klingon"?><a/>')), /klingon/);
});

test("XML is written", () => {
  const declaration = '<?xml version="1.0" encoding="UTF-8"?>';
  const table: readonly (readonly [value: object, text: string, options?: object])[] = [
    [{ a: "" }, `${declaration}<a/>`],
    [
      { a: { "@i": 'x"<&\n', b: ["1", 2, true, null, { c: "<&>" }], d: undefined } },
      `${declaration}<a i="x&quot;&lt;&amp;&#10;"><b>1</b><b>2</b><b>true</b><b/><b><c>&lt;&amp;&gt;</c></b></a>`,
    ],
    [{ a: { "#text": "t", b: "x" } }, "<a>t<b>x</b></a>\n", { declaration: false, indent: 2 }],
    [{ a: { b: { c: "x" }, d: "" } }, "<a>\n  <b>\n    <c>x</c>\n  </b>\n  <d/>\n</a>\n", { declaration: false, indent: 2 }],
    [{ a: new Date(0) }, "<a>1970-01-01T00:00:00.000Z</a>", { declaration: false }],
  ];
  for (const [value, text, options] of table) assert.equal(stringifyXml(value, options), text);
  const cycle: { a?: unknown } = {};
  cycle.a = cycle;
  const wrong: readonly unknown[] = [
    {},
    { a: 1, b: 2 },
    { a: [1, 2] },
    "a",
    { "a b": 1 },
    { a: { "@x y": 1 } },
    { a: "\u0000" },
    { a: "\ud800" },
    cycle,
    { a: () => 1 },
  ];
  for (const value of wrong) assert.throws(() => stringifyXml(value), Error, String(JSON.stringify(value === cycle ? "cycle" : value)));
});

test("XML round trips", () => {
  const name = fc.stringMatching(/^[a-z_][a-z0-9_.-]{0,6}$/).filter((each) => each !== "__proto__");
  const text = fc
    .string({ unit: "binary", maxLength: 8 })
    .filter((each) => !/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Surrogate}/u.test(each) && each.trim() === each && !/\r/.test(each));
  const element = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      text,
      fc.array(tie("node"), { minLength: 2, maxLength: 3 }).map((list) => ({ list })),
      fc.dictionary(name, fc.oneof(text, tie("node")), { minKeys: 1, maxKeys: 3 }),
    ),
  })).node;
  fc.assert(
    fc.property(element, fc.dictionary(name, text, { maxKeys: 2 }), fc.constantFrom(0, 2), (node, attributes, indent) => {
      const root = { ...Object.fromEntries(Object.entries(attributes).map(([key, value]) => [`@${key}`, value])), node };
      assert.deepEqual(parseXml(stringifyXml({ root }, { indent })), { root: JSON.parse(JSON.stringify(root)) });
    }),
    { numRuns: 500, seed: 6 },
  );
});

/** As the reader gives what the writer was given: text for every scalar, no list of one, no object of nothing but text. */
function asRead(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value === null ? "" : String(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) {
    const items = value.filter((item) => item !== undefined).map(asRead);
    return items.length === 1 ? items[0] : items.length === 0 ? undefined : items;
  }
  const result: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    const read = item === undefined ? undefined : asRead(item);
    if (read !== undefined && !(key === "#text" && read === ""))
      Object.defineProperty(result, key, { value: read, enumerable: true, writable: true });
  }
  const keys = Object.keys(result);
  if (keys.length === 0) return "";
  return keys.length === 1 && keys[0] === "#text" ? result["#text"] : result;
}

test("XML is read back as it was written, or refused with its place", () => {
  const name = fc.oneof(
    { weight: 6, arbitrary: fc.stringMatching(/^[@]?[A-Za-z_:é\u3042-\u3050][\w.:·-]{0,3}$/) },
    fc.constantFrom(
      "#text",
      "@",
      "a b",
      "",
      "__proto__",
      "constructor",
      "\u2260",
      "\u00d7",
      "a\u00d7",
      "\u037e",
      "\u2000",
      "\u3000x",
      "1a",
      "\u{10000}",
    ),
    fc.string({ unit: "binary", maxLength: 2 }),
  );
  const text = fc.oneof(fc.string({ unit: "binary", maxLength: 5 }), fc.stringMatching(/^[ \t\r\n\u00a0\u2003&<>"'\]]{0,5}$/));
  const { node } = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      text,
      fc.constantFrom(
        1,
        -0.5,
        true,
        null,
        undefined,
        10n,
        new Date(0),
        Symbol("s"),
        new Map([[1, 2]]),
        new Date(Number.NaN),
        () => 1,
        /x/,
        new Uint8Array(1),
      ),
      fc.array(tie("node"), { maxLength: 3 }),
      fc.dictionary(name, fc.oneof(text, tie("node")), { maxKeys: 4 }),
    ),
  }));
  let written = 0;
  fc.assert(
    fc.property(node, fc.constantFrom(0, 2), (value, indent) => {
      let source: string;
      try {
        source = stringifyXml({ root: value }, { indent });
      } catch (error) {
        assert.ok(error instanceof Error && /^(root[[:.].*|root): |one root element/s.test(error.message), String(error));
        return;
      }
      written += 1;
      assert.deepEqual(parseXml(source, { keepSpace: true }), { root: asRead(value) });
    }),
    { numRuns: 3000, seed: 11 },
  );
  assert.ok(written > 500, `${written} of them were written`);
});

test("XML: white space is XML's, prefixes that hid a difference are refused, depth is the reader's", () => {
  const spaces = "\u00a0\u2003x\u3000\ufeff";
  assert.deepEqual(parseXml(`<a> \t\r\n${spaces}\n </a>`), { a: spaces });
  assert.deepEqual(parseXml("<a>\u00a0<b/></a>"), { a: { b: "", "#text": "\u00a0" } });
  assert.deepEqual(parseXml('<a i="1"> </a>', { keepSpace: true }), { a: { "@i": "1", "#text": " " } });
  for (const source of ['<a n:x="1" x="2"/>', '<a><b n:x="1" m:x="1"/></a>', '<a xml:lang="de" lang="de"/>'])
    assert.throws(() => parseXml(source, { removePrefixes: true }), /two attributes that are @(x|lang) without their prefixes/);
  assert.deepEqual(parseXml('<a n:x="1" x="2"/>'), { a: { "@n:x": "1", "@x": "2" } });
  const nested = (depth: number, leaf: unknown): object => ({ e: depth === 1 ? leaf : nested(depth - 1, leaf) });
  assert.deepEqual(parseXml(stringifyXml(nested(200, "x"))), nested(200, "x"));
  for (const leaf of ["x", null, {}]) assert.throws(() => stringifyXml(nested(201, leaf)), /nested deeper than 200/);
});

test("XML: what can't be written is refused with its place", () => {
  const table: readonly (readonly [value: object, message: RegExp])[] = [
    [{ a: { "#text": { b: 1 } } }, /^a\.#text: an object can't be text$/],
    [{ a: { "#text": ["x"] } }, /^a\.#text: a list can't be text$/],
    [{ a: { b: [{}, { "@id": { c: 1 } }] } }, /^a\.b\[1\]\.@id: an object can't be an attribute$/],
    [{ a: { b: [["x"], ["y"]] } }, /^a\.b\[0\]: a list in a list/],
    [{ a: { b: new Map([["x", 1]]) } }, /^a\.b: a Map can't be written/],
    [{ a: { b: new Set([1]) } }, /^a\.b: a Set/],
    [{ a: { b: Symbol("s") } }, /^a\.b: a symbol/],
    [{ a: { "@b": () => 1 } }, /^a\.@b: a function/],
    [{ a: { b: new Date(Number.NaN) } }, /^a\.b: an invalid date/],
    [{ a: { "b c": "" } }, /^a\.b c: "b c" is not an XML name$/],
    [{ a: { b: "\u0001" } }, /^a\.b: it contains a character/],
    [{ a: { "#text": " ", b: "" } }, /^a: white space beside elements/],
  ];
  for (const [value, message] of table) assert.throws(() => stringifyXml(value), { message });
  assert.equal(
    stringifyXml({ a: { "#text": null, "@b": null, c: new URL("http://h/") } }, { declaration: false }),
    '<a b=""><c>http://h/</c></a>',
  );
});

test("CSV as rows", () => {
  const table: readonly (readonly [source: string, rows: unknown, options?: object])[] = [
    ["a,b\r\n1,2\r\n", [{ a: "1", b: "2" }]],
    ['\ufeffa;b\n1;"x;""y\n"\n\n', [{ a: "1", b: 'x;"y\n' }]],
    ["a\tb\n1\t2", [{ a: "1", b: "2" }]],
    ["a\n1\n2\n", [{ a: "1" }, { a: "2" }]],
    [
      "1,2\n3,4",
      [
        ["1", "2"],
        ["3", "4"],
      ],
      { header: false },
    ],
    [
      "1,2\n3,4",
      [
        { x: "1", y: "2" },
        { x: "3", y: "4" },
      ],
      { header: ["x", "y"] },
    ],
    ["a,b\n1\n1,2,3\n", [{ a: "1" }, { a: "1", b: "2" }], { strict: false }],
    ["a|b\n1|2", [{ a: "1", b: "2" }], { delimiter: "|" }],
    ["", []],
    ["a,b\n", []],
  ];
  for (const [source, rows, options] of table) assert.deepEqual(parseCsv(source, options), rows, source);
  assert.deepEqual(Object.keys(parseCsv("__proto__,b\n1,2")[0] as object), ["__proto__", "b"]);
  assert.throws(() => parseCsv("a,b\n1,2\n1\n"), /row 3 has 1 fields instead of 2/);
  assert.throws(() => parseCsv('a,b\n1,"2\n'), /row 2/);
  assert.throws(() => parseCsv("a,a\n1,2\n"), /two columns have the name "a"/);
});

test("CSV is written", () => {
  const table: readonly (readonly [rows: unknown, text: string, options?: object])[] = [
    [
      [
        { a: 1, b: 'x,"y"' },
        { a: null, c: 5 },
      ],
      'a,b,c\r\n1,"x,""y""",\r\n,,5\r\n',
    ],
    [[{ a: 1, b: 2 }], "b;a\n2;1\n", { header: ["b", "a"], delimiter: ";", newline: "\n" }],
    [
      [
        ["1", 2],
        [new Date(0), { x: 1 }],
      ],
      '1,2\r\n1970-01-01T00:00:00.000Z,"{""x"":1}"\r\n',
    ],
    [[{ a: "=1+1" }], "a\r\n'=1+1\r\n", { escapeFormulas: true }],
    [
      [["-12.5", -3, "-.5", "-7.", "+1e5", "1,234.5", "-1-1", "@x", "\t=1", "=a\nb", "\n=1", "\uff1d1", "a=1", ""]],
      '-12.5,-3,-.5,-7.,+1e5,"1,234.5",\'-1-1,\'@x,"\'\t=1","\'=a\nb","\'\n=1",\'\uff1d1,a=1,\r\n',
      { escapeFormulas: true },
    ],
    [[{ a: 1 }], "1\r\n", { header: false }],
    [[], ""],
  ];
  for (const [rows, text, options] of table) assert.equal(stringifyCsv(rows, options), text);
  for (const wrong of [5, [5], [{ a: 1 }, 5]]) assert.throws(() => stringifyCsv(wrong), /row/);
});

test("CSV has its rows whatever the mix of line breaks, and its columns by what the text says", () => {
  const rows = [
    { a: "1", b: "NYC" },
    { a: 'x\r\ny "q"', b: "" },
    { a: "3", b: '5" pipe' },
  ];
  const lines = ["a,b", "1,NYC", '"x\r\ny ""q""",', '3,5" pipe'];
  for (const first of ["\n", "\r\n", "\r"])
    for (const second of ["\n", "\r\n", "\r"])
      for (const third of ["\n", "\r\n", "\r"])
        for (const end of ["", "\n", "\r\n"]) {
          const text = `${lines[0]}${first}${lines[1]}${second}${lines[2]}${third}${lines[3]}${end}`;
          assert.deepEqual(parseCsv(text), rows, JSON.stringify(text));
        }
  assert.deepEqual(parseCsv("sep=;\r\na;b\r\n1,5;2"), [{ a: "1,5", b: "2" }]);
  assert.deepEqual(parseCsv("Sep=\t\na\tb\n1\t2"), [{ a: "1", b: "2" }]);
  assert.deepEqual(parseCsv("sep=|\na|b", { header: false }), [["a", "b"]]);
  const names = Array.from({ length: 100_000 }, (_, index) => `c${index}`);
  assert.equal(Object.keys(parseCsv(`${names.join()}\n${names.join()}`)[0] as object).length, 100_000);
});

test("CSV round trips", () => {
  const value = fc.string({ unit: fc.constantFrom("a", "ü", ",", ";", '"', "\n", "\r", " ", "\t", "1"), maxLength: 6 });
  fc.assert(
    fc.property(
      fc.array(fc.record({ a: value, "b c": value }, { noNullPrototype: true }), { minLength: 1, maxLength: 6 }),
      fc.constantFrom(",", ";", "\t"),
      (rows, delimiter) => {
        assert.deepEqual(parseCsv(stringifyCsv(rows, { delimiter }), { delimiter, keepEmptyRows: true }), rows);
      },
    ),
    { numRuns: 500, seed: 7 },
  );
});

test("CSV is read back as it was written, whatever its values, names and delimiters", () => {
  const characters = [..."aü,;\t|:' \"\n\r=1sep\u001e", "\ufeff", "\u{1f600}", "\0"];
  const value = fc.oneof(
    fc.string({ unit: fc.constantFrom(...characters), maxLength: 6 }),
    fc.constantFrom("", "sep=;", "SEP=,", '""', "\n", " "),
  );
  const table = fc
    .tuple(fc.uniqueArray(fc.oneof(value, fc.constantFrom("__proto__", "constructor")), { minLength: 1, maxLength: 3 }), fc.nat(12))
    .chain(([names, count]) =>
      fc.tuple(
        fc.constant(names),
        fc.array(fc.array(value, { minLength: names.length, maxLength: names.length }), { minLength: count, maxLength: count }),
      ),
    );
  const newline = fc.constantFrom("\r\n", "\n", "\r");
  const asObject = (names: readonly string[], row: readonly string[]): object =>
    Object.fromEntries(names.map((name, column) => [name, row[column]]));
  fc.assert(
    fc.property(table, fc.constantFrom(",", ";", "\t", "|", ":", "a", "'", "\u{1f600}"), newline, ([names, lines], delimiter, newline) => {
      const text = stringifyCsv(lines, { header: names, delimiter, newline });
      assert.deepEqual(
        parseCsv(text, { delimiter }),
        lines.map((row) => asObject(names, row)),
      );
      const inOrder = Object.keys(asObject(names, names)).join() === names.join(); // an object has its numbers first
      if (lines.length > 0 && inOrder)
        assert.equal(
          stringifyCsv(
            lines.map((row) => asObject(names, row)),
            { delimiter, newline },
          ),
          text,
        );
    }),
    { numRuns: 2000, seed: 12 },
  );
  // The delimiter of several columns is found by itself, and that of one does not matter.
  fc.assert(
    fc.property(table, fc.constantFrom(",", ";", "\t", "|"), newline, ([names, lines], delimiter, newline) => {
      if (names.length === 1 && delimiter !== ",") return;
      const rows = [names, ...lines];
      assert.deepEqual(parseCsv(stringifyCsv(rows, { delimiter, newline }), { header: false }), rows);
    }),
    { numRuns: 2000, seed: 13 },
  );
});

test("CSV without quotes has the rows that papaparse finds, whatever its line breaks and delimiter", () => {
  const parts = fc.array(fc.constantFrom("a", "bc", "\n", "\n\n", ",", ";", " ", "é"), { maxLength: 30 });
  fc.assert(
    fc.property(
      parts,
      fc.constantFrom("\n", "\r\n", "\r"),
      fc.constantFrom(",", ";"),
      fc.boolean(),
      (made, newline, delimiter, keepEmptyRows) => {
        const text = made.join("").replaceAll("\n", newline);
        const whole = text.endsWith(newline) ? text.slice(0, -newline.length) : text;
        const { data } = papaparse.parse<string[]>(whole, { delimiter, newline, skipEmptyLines: false });
        const expected = keepEmptyRows ? data : data.filter((row) => row.length > 1 || row[0] !== "");
        assert.deepEqual(parseCsv(text, { header: false, delimiter, keepEmptyRows }), expected);
      },
    ),
    { numRuns: 2_000 },
  );
});

test("CSV: empty fields, line breaks within quotes, quotes within fields", () => {
  assert.equal(stringifyCsv([{ a: "" }]), 'a\r\n""\r\n');
  assert.deepEqual(parseCsv('a\r\n""\r\n\r\nx\r\n"b\n""\nc"\r\n""'), [{ a: "" }, { a: "x" }, { a: 'b\n"\nc' }, { a: "" }]);
  assert.deepEqual(parseCsv("a\n\nx\n", { keepEmptyRows: true }), [{ a: "" }, { a: "x" }]);
  assert.equal(stringifyCsv([{ a: null }, { a: undefined }]), 'a\r\n""\r\n""\r\n');
  assert.deepEqual(parseCsv('a:b\n1:"x\r\ny"\r\n2:z', { delimiter: ":" }), [
    { a: "1", b: "x\r\ny" },
    { a: "2", b: "z" },
  ]);
  assert.deepEqual(parseCsv('5" \r\n6" \r\n', { header: false }), [['5" '], ['6" ']]);
  assert.deepEqual(parseCsv('a;"b\r\nc\n', { header: false, delimiter: "," }), [['a;"b'], ["c"]]);
});

test("CSV: what can't be written is refused with its place, and no column is found on a prototype", () => {
  const table: readonly (readonly [rows: unknown, message: RegExp, options?: object])[] = [
    [[{ a: 1, b: Symbol("s") }], /^row 1, column "b": a symbol can't be written/],
    [[["x"], ["y", () => 1]], /^row 2, column 2: a function/],
    [[{ a: new Map() }], /^row 1, column "a": a Map/],
    [[{ a: new Date(Number.NaN) }], /^row 1, column "a": an invalid date/],
    [[{ a: "\ud800" }], /^row 1, column "a": it contains half of a character/],
    [[{ "\ud800": 1 }], /^the header, column .*: it contains half/],
    [[[]], /^row 1 has no fields/],
    [[{}], /no columns/],
    [[["x"]], /^row 1 has 1 fields instead of 2/, { header: ["a", "b"] }],
    [[{ a: 1 }], /two columns have the name "a"/, { header: ["a", "a"] }],
    [[{ a: 1 }], /can't be the delimiter/, { delimiter: '"' }],
    [[{ a: 1 }], /can't be the delimiter/, { delimiter: "" }],
    [[{ a: 1 }], /can't be the delimiter/, { delimiter: ",," }],
    [[{ a: 1 }], /is not a line break/, { newline: ";" }],
  ];
  for (const [rows, message, options] of table) assert.throws(() => stringifyCsv(rows, options), { message });
  for (const delimiter of ['"', "\n", "", ";;"]) assert.throws(() => parseCsv("a\n1", { delimiter }), /can't be the delimiter/);
  const own = Object.defineProperty({ constructor: "c", toString: "t" }, "__proto__", { value: "p", enumerable: true });
  assert.equal(stringifyCsv([own, { x: 1 }]), "constructor,toString,__proto__,x\r\nc,t,p,\r\n,,,1\r\n");
});

test("inside a machine: msg.xml, msg.csv, the helpers, what goes wrong", async () => {
  const header = 'import { flow, xml, csv } from "mayfly"; export default flow(';
  const reply = async (handler: string, body: string): Promise<unknown> => {
    const last = (await run(`${header}${handler});`, deliverBody(body))).effects.at(-1);
    if (last?.kind === "done") return JSON.parse(new TextDecoder().decode(last.reply?.body));
    return last?.kind === "fail" ? [last.code, last.message.split("\n")[0], last.retry] : last;
  };
  assert.deepEqual(await reply("(m) => m.xml()", "<a><b>ü</b></a>"), { a: { b: "ü" } });
  assert.deepEqual(await reply("(m) => m.csv({ delimiter: ',' })", "a,b\n1,2"), [{ a: "1", b: "2" }]);
  assert.deepEqual(
    await reply(
      "(m) => [xml.stringify({ a: m.text() }), csv.stringify([{ a: m.text() }]), xml.parse('<q>1</q>'), csv.parse('a\\n1')]",
      "x,y",
    ),
    ['<?xml version="1.0" encoding="UTF-8"?><a>x,y</a>', 'a\r\n"x,y"\r\n', { q: "1" }, [{ a: "1" }]],
  );
  const [code, message, retry] = (await reply("(m) => m.xml()", "<a><b></a>")) as [string, string, boolean];
  assert.deepEqual([code, retry], ["MF_MESSAGE_INVALID", false]);
  assert.match(message, /^the message is not valid XML: .*line 1/);
  assert.deepEqual(((await reply("(m) => m.csv()", "a,b\n1")) as unknown[]).slice(0, 2), [
    "MF_MESSAGE_INVALID",
    "the message is not valid CSV: row 2 has 1 fields instead of 2",
  ]);
  assert.equal(((await reply("(m) => xml.parse('<')", "")) as unknown[])[0], "MF_XML_INVALID");
  assert.equal(((await reply("(m) => xml.stringify({})", "")) as unknown[])[0], "MF_XML_UNSERIALISABLE");
});

test("a format that is not linked says what to import", async () => {
  const machine = await bootMachine('import { flow } from "mayfly"; export default flow((m) => m[["x", "ml"].join("")]());');
  const last = machine.event(deliverBody("<a/>")).effects.at(-1);
  assert.ok(last?.kind === "fail");
  assert.equal(last.code, "MF_FORMAT_NOT_LINKED");
  assert.match(last.message, /import "mayfly\/xml"/);
  assert.equal(await evaluate("typeof URL === 'undefined'"), false);
});
