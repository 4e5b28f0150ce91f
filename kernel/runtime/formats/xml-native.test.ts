/** kernel/native/xml.ts beside @rgrove/parse-xml: the same values in the same order, the same faults in the same places. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { XmlParseOptions } from "../api.d.ts";
import { nativeInNode } from "../node-natives.ts";
import { NativeMachine } from "../testing/native-machine.ts";
import { judgementOfLibrary } from "./testing/xml-reference.ts";
import * as faults from "./xml-faults.ts";
import { keepSpace, removePrefixes } from "./xml-options.ts";

const utf8 = new TextEncoder();
const flagsOf = (options: XmlParseOptions): number =>
  (options.removePrefixes === true ? removePrefixes : 0) | (options.keepSpace === true ? keepSpace : 0);

/** Compares both on a text; gives the fault, or 0. Places are compared where every character is one unit to the library, too. */
function expectSame(source: string, options: XmlParseOptions = {}): number {
  const library = judgementOfLibrary(source, options);
  const bytes = utf8.encode(source);
  const isWellFormed = new TextDecoder().decode(bytes) === source.replace(/^\ufeff/, "");
  const read = (input: string | Uint8Array): unknown => nativeInNode("xml", input, flagsOf(options), (options.arrays ?? []).join("\0"));
  const value = read(source);
  // Bytes lose a mark before they are parsed, and a text that is not Unicode has none.
  if (isWellFormed && !source.startsWith("\ufeff")) deepEqual(read(bytes), value);
  if (!Array.isArray(value)) {
    equal(JSON.stringify(value), JSON.stringify(library.value), source);
    return 0;
  }
  const [kind, at] = value as [number, number];
  equal(kind, library.fault, JSON.stringify([source, options]));
  if (library.at !== undefined && !/[\ud800-\udfff]/.test(source))
    equal(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, at)).length, library.at, JSON.stringify(source));
  return kind;
}

const fine = [
  "<a/>",
  "<a></a >",
  "<a b='1' c=\"2\"\n\td = 'x'/>",
  "<a b='x\r\ny\rz\n\t&#10;&#13;'>x\r\ny\rz&#13;\r\n</a>",
  "<a>&#x41;&#65;&#x1F600;&lt;&gt;&amp;&quot;&apos;&#xe9;&#x20ac;</a>",
  "<a>x<b/>y<b/>z<c>&amp;</c> w </a>",
  "<a> <b/> <b/> </a>",
  "<a i='1'> </a>",
  "<a i='1'>x<b/> </a>",
  "<a><![CDATA[]]></a>",
  "<a>x<![CDATA[<b>\r\n]] ]>]]>y<!-- - -->z<?p i?>w</a>",
  "<a>]]<b>]</b>]</a>",
  "<a><b><b><b>1</b></b><b>2</b></b><b>3</b><c><b/></c><b/></a>",
  "<a><x.y/><x.y/><x><y/></x></a>",
  "<é ü='ö'><ñ·/>日本語<日本/></é>",
  "<a:b xmlns:a='u' a:c='1' d='2'><a:b a:c='3'/><b c='4' xmlns='v'/></a:b>",
  "<n:1/>",
  "<a><n:2/><m:1/><n:10/><b/></a>",
  "<: :='1'/>",
  "<a:/>",
  "<a xml:space='preserve'/>",
  "<a xml:space='default'> x </a>",
  "<a __proto__='1'><__proto__>x</__proto__><constructor/></a>",
  "<a><toString/><toString/></a>",
  "\ufeff<a/>",
  " <a/>\n",
  "<?xml version='1.0'?><a/>",
  "<?xml version=\"1.10\" encoding='utf-8' standalone='yes' ?>\r\n<!-- c --><?p?><?q x?><a/><!-- d --> ",
  "<?xml version='1.0' encoding=''standalone='no'?><a/>",
  "<?xml-stylesheet href='x'?><a/>",
  `<a>${"x".repeat(70)}&amp;${"y".repeat(70)}</a>`,
  `<${"n".repeat(40)} ${"m".repeat(40)}='1'/>`,
  "<!DOCTYPE a><a/>",
  "<!DOCTYPE a [<!ENTITY e 'x'> ] ><a/>",
  "<!DOCTYPE a PUBLIC '-//X//Y' \"z\" []><a/>",
  "<!DOCTYPE a SYSTEM 'z'><a/>",
  "<!DOCTYPE a [ \u0001 ]><a/>",
  "<a n:x='1' x='2'><b n:y='1' m:y='1' z=''/></a>",
];

const bad = [
  ..."<,<a,<a b,<a b=,<a b=1/>,<a b='1,<a b='<'/>,<a b='1' b='2'/>,<a b='1'c='2'/>,<a 1='2'/>,<a/,<a></a,<a></b>,<a><b></a>,<a></a b>".split(
    ",",
  ),
  ..."<a>&,<a>&;</a>,<a>&x</a>,<a>&nope;</a>,<a>&#;</a>,<a>&#x;</a>,<a>&#xg;</a>,<a>&#12a;</a>,<a>&#X41;</a>,<a>&#0;</a>,<a>&#xD800;</a>".split(
    ",",
  ),
  ..."<a>&#99999999999999999999;</a>,<a>&#xFFFE;</a>,<a>&#x110000;</a>,<a>& b</a>,<a>&amp</a>,<a>&amp,<a b='&lt'/>,<a>x]]></a>,<a>]]></a>".split(
    ",",
  ),
  ..."<a><![CDATA[x</a>,<a><!-- x</a>,<a><!-- x -- y --></a>,<a><!---></a>,<a><!----->,<a><!x></a>,<a><?></a>,<a><?x,<a><?x?</a>".split(
    ",",
  ),
  ..."<a><?xml x?></a>,<a><?XmL?></a>,<a><?x!?></a>,<?xml?><a/>,<?xml ?><a/>,<?xml version='2.0'?><a/>,<?xml version='1.'?><a/>".split(","),
  ..."<?xml version?><a/>,<?xml version='1.0' encoding='1'?><a/>,<?xml version='1.0' standalone='x'?><a/>,<?xml version='1.0'x?><a/>".split(
    ",",
  ),
  ..."<?xml version='1.0' encoding x?><a/>,<?xml version='1.0?><a/>, <?xml version='1.0'?><a/>,<a/><b/>,<a/>x,x<a/>,<a/>&amp;,<1/>,</a>,<!x>".split(
    ",",
  ),
  ..."<!DOCTYPE>,<!DOCTYPEa><a/>,<!DOCTYPE a PUBLIC><a/>,<!DOCTYPE a PUBLIC 'x'><a/>,<!DOCTYPE a PUBLIC '<' 'x'><a/>,<!DOCTYPE a SYSTEM><a/>".split(
    ",",
  ),
  ..."<!DOCTYPE a [><a/>,<!DOCTYPE a []x><a/>,<!DOCTYPE a [],<!DOCTYPE a SYSTEM 'x><a/>,<!DOCTYPE a 'x'><a/>,<!DOCTYPE a><!DOCTYPE a><a/>".split(
    ",",
  ),
  ..."<a xml:space='x'/>,<a xml:space='preserve' xml:space='x'/>,<a n:b='1' n:b='2'/>,<a xmlns:b='1' xmlns:b='2'/>,<a x='1' n:x='2'><b></a>".split(
    ",",
  ),
  "",
  " ",
  "\ufeff\ufeff<a/>",
  "<a>\u0001</a>",
  "<a>é\ufffe</a>",
  "<a b='\u0000'/>",
  "<a b='x\ty\u0001z'/>",
  "<!-- \u0002 --><a/>",
  "<?p \u0003?><a/>",
  "<a>\u0001",
  "<a><![CDATA[\u0001]]></a>",
  "<a>\ud800</a>",
  "<a>\ud800\udc00\udc00</a>",
  "<\ud800/>",
  "<!DOCTYPE a [ \u0001 ]><a>\u0001</a>",
  `${"<a>".repeat(201)}${"</a>".repeat(201)}`,
  `${"<a>".repeat(201)}${"</a>".repeat(200)}`,
];

const everyOption: readonly XmlParseOptions[] = [
  {},
  { keepSpace: true },
  { removePrefixes: true },
  { removePrefixes: true, keepSpace: true, arrays: ["b", "x.y", "a.c", "d.b"] },
];

describe("XML as the library reads it", () => {
  test("hand-written texts, with every option, and every beginning of them", () => {
    for (const text of [...fine, ...bad]) {
      for (const options of everyOption) expectSame(text, options);
      for (let end = 0; end < Math.min(text.length, 200); end++) expectSame(text.slice(0, end));
    }
    for (const text of fine.slice(0, 31)) equal(expectSame(text), 0, text);
    for (const text of bad) ok(expectSame(text) > 0, text);
  });

  const name = fc.constantFrom(
    "a",
    "b",
    "c",
    "n:a",
    "m:a",
    "n:b",
    "x.y",
    "a.b",
    "é",
    "日本",
    "xmlns",
    "xmlns:n",
    "longer-name_1",
    "n:1",
    "n:",
  );
  const text = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom("", " ", "x", "some words", "\n  ", "\r\n", "é", "日本語", "]]", ">", "\u00a0", "😀", "\r", "\t"),
    },
    fc.constantFrom("&amp;", "&#65;", "&#x20ac;", "&lt;b&gt;", "<![CDATA[<x> & ]]>", "<!-- c -->", "<?p i?>", "&#13;", "<![CDATA[\r\n]]>"),
  );
  const value = fc.array(
    fc.oneof(
      fc.constantFrom("x", " ", "\n", "\t", "\r\n", "é", "&amp;", "&#10;", "&quot;", "😀", ">", "default", "preserve"),
      fc.stringMatching(/^[a-z ]{0,12}$/),
    ),
    { maxLength: 4 },
  );
  const attributes = fc.array(fc.tuple(fc.oneof(name, fc.constantFrom("id", "xml:space", "xml:lang", "x")), value), { maxLength: 4 });
  const { element } = fc.letrec<{ element: string }>((tie) => ({
    element: fc
      .tuple(name, attributes, fc.array(fc.oneof({ maxDepth: 5 }, text, tie("element")), { maxLength: 6 }), fc.constantFrom("", " ", "\n"))
      .map(([tag, pairs, inside, space]) => {
        const start = `<${tag}${pairs.map(([key, parts]) => ` ${key}="${parts.join("")}"`).join("")}${space}`;
        return inside.length === 0 ? `${start}/>` : `${start}>${inside.join("")}</${tag}${space}>`;
      }),
  }));
  const prolog = fc.constantFrom("", "\ufeff", "<?xml version='1.0'?>\n", "<!-- c -->", "<?p?>", "<!DOCTYPE a>", " ");
  const document = fc.tuple(prolog, element, fc.constantFrom("", "\n", "<!-- end -->")).map((parts) => parts.join(""));
  const options = fc.record<XmlParseOptions>(
    {
      keepSpace: fc.boolean(),
      removePrefixes: fc.boolean(),
      arrays: fc.array(fc.constantFrom("a", "b", "n:a", "a.b", "b.a", "x.y", "a.x.y", "", "é"), { maxLength: 3 }),
    },
    { requiredKeys: [] },
  );

  test("random documents", () => {
    let read = 0;
    fc.assert(
      fc.property(document, options, (source, given) => void (expectSame(source, given) === 0 && read++)),
      { numRuns: 3000 },
    );
    ok(read > 500, `${read} were read`);
  });

  test("records, the same and not quite the same", () => {
    const record = fc.tuple(fc.subarray(["id", "name", "at", "line", "line"], { minLength: 2 }), fc.constantFrom("", "text"), fc.boolean());
    const rows = fc
      .array(record, { minLength: 2, maxLength: 12 })
      .map((all) =>
        all.map(
          ([names, words, has], i) =>
            `<row${has ? ` k="${i}"` : ""}>${names.map((each) => `<${each}>${i}</${each}>`).join(" ")}${words}</row>`,
        ),
      );
    fc.assert(
      fc.property(rows, options, (all, given) => void expectSame(`<rows>${all.join("\n")}</rows>`, given)),
      { numRuns: 500 },
    );
  });

  test("documents that were damaged", () => {
    const piece = fc.constantFrom(
      ..."<>/&;!?-[]=\"' \n\r:x".split(""),
      "<!--",
      "-->",
      "]]>",
      "<![CDATA[",
      "<?",
      "?>",
      "&#",
      "</",
      "\u0001",
      "\ud800",
      "é",
      "😀",
    );
    const edit = fc.tuple(fc.constantFrom("put", "insert", "cut", "end"), fc.nat(), piece);
    const damaged = fc.tuple(document, fc.array(edit, { minLength: 1, maxLength: 3 })).map(([source, edits]) =>
      edits.reduce((all, [kind, place, what]) => {
        const at = place % (all.length + 1);
        if (kind === "put") return all.slice(0, at) + what + all.slice(at + what.length);
        if (kind === "insert") return all.slice(0, at) + what + all.slice(at);
        return kind === "cut" ? all.slice(0, at) + all.slice(at + 3) : all.slice(0, at);
      }, source),
    );
    const seen = new Set<number>();
    fc.assert(
      fc.property(damaged, options, (source, given) => void seen.add(expectSame(source, given))),
      { numRuns: 6000 },
    );
    ok(seen.size > 12, `${seen.size} kinds of faults`);
  });
});

describe("XML in the machine", () => {
  const machine = new NativeMachine();
  machine.json(utf8.encode("1".padEnd(16 * 1024))); // it keeps no value after this one (functions.ts, `keep`)
  const read = machine.run("(isText, options, arrays) => native.xml(isText ? native.json(0) : native.bytes(0), options, arrays)");
  const flag = (value: boolean): number => machine.call(value ? "qjs_get_true" : "qjs_get_false");
  const number = (value: number): number => machine.call("qjs_new_number", value);
  const texts = [
    `<rows>${'<row id="1" n:x="y"><name>é &amp; x</name><a/><a/>text<b>1</b>more</row>'.repeat(40)}</rows>`,
    `<a>${Array.from({ length: 300 }, (_, i) => `<n${i} a${i}="${i}">${i}</n${i}>`).join("")}</a>`,
    `${"<a>".repeat(100)}${"</a>".repeat(100)}`,
  ];

  test("nothing is left of a value that was freed, nor of a text that is not XML", () => {
    for (const text of [...texts, ...texts.map((each) => each.slice(0, -1)), "<a n:b='1' b='2'/>", "<a>\u0001</a>"]) {
      for (const isText of [false, true]) {
        machine.free(machine.json(utf8.encode(isText ? JSON.stringify(text) : text)), machine.call("qjs_get_exception"));
        const once = (): void => machine.free(machine.apply(read, flag(isText), number(1), machine.run("'row.b'")));
        for (let i = 0; i < 3; i++) once();
        machine.call("qjs_run_gc");
        const before = machine.usage();
        for (let i = 0; i < 5; i++) once();
        machine.call("qjs_run_gc");
        deepEqual(machine.usage(), before, text.slice(0, 60));
      }
    }
  });

  test("when memory runs out at any moment, the exception stands and nothing is left", () => {
    for (const text of texts) {
      machine.free(machine.json(utf8.encode(text)), machine.call("qjs_get_exception"));
      const [isText, options, arrays] = [flag(false), number(1), machine.run("'row.b'")];
      for (let i = 0; i < 2; i++) machine.free(machine.apply(read, isText, options, arrays));
      let refused = 0;
      for (let more = 0; ; more += more < 4000 ? 16 : 997) {
        machine.call("qjs_run_gc");
        const before = machine.usage();
        machine.limit(before.bytes + more);
        const value = machine.apply(read, isText, options, arrays);
        machine.limit(0);
        const failed = machine.isException(value);
        if (failed) machine.free(machine.call("qjs_get_exception"));
        machine.free(value);
        machine.call("qjs_run_gc");
        deepEqual(machine.usage(), before, `${more} bytes`);
        if (!failed) break;
        refused++;
      }
      ok(refused > 50, `memory ran out in ${refused} places`);
    }
  });

  test("malformed UTF-8 is refused with its place", () => {
    for (const [bytes, place] of [
      [[0x3c, 0x61, 0xff, 0x2f, 0x3e], 2],
      [[0xef, 0xbb, 0xbf, 0x3c, 0x61, 0x2f, 0x3e, 0xc3], 7],
    ] as const)
      try {
        nativeInNode("xml", Uint8Array.from(bytes), 0, "");
        ok(false, "it was refused");
      } catch (error) {
        equal((error as Error).message, `malformed UTF-8 at byte ${place}`);
      }
  });

  test("a document as deep as it is long ends as a fault", () => {
    const [kind] = nativeInNode("xml", `${"<a>".repeat(100_000)}${"</a>".repeat(100_000)}`, 0, "") as [number];
    equal(kind, faults.depth);
  });
});

test("names that differ only in a few bytes share no bucket: in quadratic time this would take minutes", () => {
  // Names alike in all but four bytes, in places that a weak step of a hash forgets.
  const script = `
    import { nativeInNode } from ${JSON.stringify(new URL("../node-natives.js", import.meta.url).href)};
    const fourLetters = (i) => [0, 1, 2, 3].map((place) => String.fromCharCode(97 + (Math.floor(i / 26 ** place) % 26))).join("");
    for (const [before, behind] of [["aaaa", ""], ["", "aaaa"], ["aaaaaaaaaaaa", "aaaa"]]) {
      const names = Array.from({ length: 160_000 }, (_, i) => before + fourLetters(i) + behind);
      console.log(Object.keys(nativeInNode("xml", "<r>" + names.map((name) => "<" + name + "/>").join("") + "</r>", 0, "").r).length);
    }`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { timeout: 60_000, encoding: "utf8" });
  equal(stdout, "160000\n".repeat(3), stderr || "it did not end within a minute");
});
