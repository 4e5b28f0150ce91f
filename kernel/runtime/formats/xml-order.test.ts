/** Elements with their content in order, and document types that are read over. */
import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { test } from "node:test";
import { parseXml, XmlCdata, XmlComment, XmlElement, XmlProcessingInstruction, XmlText } from "@rgrove/parse-xml";
import fc from "fast-check";
import type { OrderedElement, XmlParseOptions } from "../api.d.ts";
import { nativeInNode } from "../node-natives.ts";
import { xml } from "../outside.ts";
import { NativeMachine } from "../testing/native-machine.ts";
import { runOut } from "../testing/scarce-memory.ts";
import { flagsOf } from "./xml-format.ts";

const read = (source: string, options: XmlParseOptions = {}): OrderedElement =>
  xml.parse(source, { ...options, order: true }) as OrderedElement;

/** The same of a library's tree. */
function expected({ name, attributes, children }: XmlElement, keepSpace: boolean): object {
  const found: unknown[] = [];
  let text = "";
  const flush = (): void => {
    if (text !== "") found.push(text);
    text = "";
  };
  for (const child of children) {
    if (child instanceof XmlText || child instanceof XmlCdata) text += child.text;
    else if (!(child instanceof XmlComment)) {
      flush();
      if (child instanceof XmlElement) found.push(expected(child, keepSpace));
      else if (child instanceof XmlProcessingInstruction)
        found.push({ "#instruction": child.name + (child.content === "" ? "" : ` ${child.content}`) });
    }
  }
  flush();
  const isLayout = found.every((each) => typeof each !== "string" || /^[ \t\r\n]*$/.test(each));
  const kept = isLayout && !keepSpace ? found.filter((each) => typeof each !== "string") : found;
  const named = Object.entries(attributes).map(([key, value]) => [`@${key}`, value]);
  return { "#name": name, ...Object.fromEntries(named), ...(kept.length === 0 ? {} : { "#children": kept }) };
}

const piece = fc.constantFrom(
  "",
  " ",
  "\n  ",
  "x",
  "y &amp; z",
  "é\r\n",
  "<!-- c -->",
  "<![CDATA[<]]>",
  "<?p?>",
  "<?q some data?>",
  "&#13;",
);
const document = fc.letrec<{ element: string }>((tie) => ({
  element: fc
    .tuple(
      fc.constantFrom("a", "b", "n:c", "long-name.d"),
      fc.constantFrom("", " i='1'", ' n:i="2" i="&lt;"'),
      fc.array(fc.oneof({ maxDepth: 4 }, piece, tie("element")), { maxLength: 6 }),
    )
    .map(([name, attributes, parts]) => `<${name}${attributes}>${parts.join("")}</${name}>`),
})).element;

test("text, elements and instructions come in their order, as the library has them", () => {
  fc.assert(
    fc.property(document, fc.boolean(), (source, keepSpace) => {
      const { root } = parseXml(source);
      deepEqual(read(source, { keepSpace }), expected(root!, keepSpace), source);
      // The same faults, for what was not read to its end.
      const cut = source.slice(0, source.length - 3);
      const fault = (order: boolean): unknown => nativeInNode("xml", cut, flagsOf({ order }), "");
      deepEqual(fault(true), fault(false), cut);
    }),
    { numRuns: 3000 },
  );
});

test("what was read in order is written as it was", () => {
  fc.assert(
    fc.property(document, (source) => {
      const value = read(source, { keepSpace: true });
      deepEqual(read(xml.stringify(value, { declaration: false }), { keepSpace: true }), value, source);
      deepEqual(read(xml.stringify(read(source), { indent: 2 })), read(source), source);
    }),
    { numRuns: 1000 },
  );
});

test("mixed content keeps its spaces, layout goes, prefixes may go", () => {
  deepEqual(read("<p>Hello <b>big</b> <i>world</i>!</p>"), {
    "#name": "p",
    "#children": ["Hello ", { "#name": "b", "#children": ["big"] }, " ", { "#name": "i", "#children": ["world"] }, "!"],
  });
  deepEqual(read("<a>\n <b/>\n <b/>\n</a>")["#children"], [{ "#name": "b" }, { "#name": "b" }]);
  deepEqual(read("<n:a xmlns:n='u' n:i='1'><n:b/></n:a>", { removePrefixes: true }), {
    "#name": "a",
    "@i": "1",
    "#children": [{ "#name": "b" }],
  });
  equal(xml.stringify(read("<a><b>1</b><?p x?><c/></a>"), { indent: 2, declaration: false }), "<a>\n  <b>1</b>\n  <?p x?>\n  <c/>\n</a>\n");
});

test("what can't be written in order is refused with its place", () => {
  const bad: readonly (readonly [object, RegExp])[] = [
    [{ "#name": "a", b: "x" }, /^a: "b" can't stand beside `#name`/],
    [{ "#name": "1" }, /"1" is not an XML name/],
    [{ "#name": 1 }, /`#name` must be a text/],
    [{ "#name": "a", "#children": "x" }, /`#children` must be a list/],
    [{ "#name": "a", "#children": [{}] }, /^a\[0\]: a child must be/],
    [{ "#name": "a", "#children": ["x", { "#instruction": "xml version" }] }, /^a\[1\]: the instruction/],
    [{ "#name": "a", "#children": [{ "#instruction": "p ?>" }] }, /can't be written/],
    [{ "#name": "a", "#children": ["\u0001"] }, /a character that XML can't represent/],
    [{ "#name": "a", "@b": {} }, /an object can't be an attribute/],
  ];
  for (const [value, expectedMessage] of bad)
    throws(
      () => xml.stringify(value),
      (error: Error & { code?: string }) => error.code === "MF_XML_UNSERIALISABLE" && expectedMessage.test(error.message),
      JSON.stringify(value),
    );
  const loop: Record<string, unknown> = { "#name": "a" };
  loop["#children"] = [loop];
  throws(() => xml.stringify(loop), /it contains itself/);
});

test("a document type is read over where that is asked for, and one with entities never", () => {
  const ignored = (source: string): unknown => xml.parse(source, { doctype: "ignore" });
  for (const doctype of [
    '<!DOCTYPE cXML SYSTEM "http://xml.cxml.org/schemas/cXML/1.2.014/cXML.dtd">',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    "<!DOCTYPE a>",
    "<!DOCTYPE a []>",
    `<!DOCTYPE a [ <!-- ]> <!ENTITY --> <?p ]>?> <!ELEMENT a (#PCDATA)><!ATTLIST a b CDATA "]>" c CDATA '"<x>"'><!NOTATION n SYSTEM "x"> ] >`,
  ])
    deepEqual(ignored(`<?xml version="1.0"?>${doctype}<a>x</a>`), { a: "x" }, doctype);
  const bad: readonly (readonly [string, RegExp])[] = [
    ['<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>', /declares an entity.*line 1, column 14/s],
    ['<!DOCTYPE a [<!-- --> <!ENTITY % e SYSTEM "x">]><a/>', /declares an entity/],
    ["<!DOCTYPE a [%e;]><a/>", /declares an entity/],
    ["<!DOCTYPE a [x]><a/>", /something stands between/],
    ["<!DOCTYPE a [<!ELEMENT a <b>]><a/>", /something stands between/],
    ["<!DOCTYPE a [<!ELEMENT a", /something stands between/],
    ["<!DOCTYPE a [", /`\[` has no `\]`/],
    ["<!DOCTYPE a [<!ATTLIST a 'x]><a/>", /closing quote is missing/],
    ["<!DOCTYPE a [<!-- \u0001 -->]><a/>", /does not allow this character/],
    ["<!DOCTYPE a [<!ELEMENT a \u0001>]><a/>", /does not allow this character/],
    ["<!DOCTYPE a><a>&e;</a>", /the entity &e; is not known/],
    ["<!DOCTYPE a [] x><a/>", /has no `>`/],
  ];
  for (const [source, expectedMessage] of bad) throws(() => ignored(source), expectedMessage, source);
  throws(() => xml.parse("<!DOCTYPE a><a/>"), /not allowed: read it with `doctype: "ignore"`/);
  throws(() => xml.parse("<a/>", { doctype: "yes" as "ignore" }), /`doctype` must be/);
  // Random parts of a document type: the reader ends, and says a fault or gives the element.
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("<!", "<!--", "-->", "]", ">", "'", '"', "<?", "?>", "ELEMENT", "%", " ", "[", "é"), { maxLength: 12 }),
      (parts) => {
        const value = nativeInNode("xml", `<!DOCTYPE a [${parts.join("")}]><a/>`, flagsOf({ doctype: "ignore" }), "");
        ok(Array.isArray(value) || JSON.stringify(value) === '{"a":""}', parts.join(""));
      },
    ),
    { numRuns: 3000 },
  );
});

test("when memory runs out at any moment, the exception stands and nothing is left", () => {
  const machine = new NativeMachine();
  machine.json(new TextEncoder().encode("1".padEnd(16 * 1024))); // it keeps no value after this one (functions.ts, `keep`)
  const { whole, failed } = runOut(machine, {
    given: `globalThis.source = "<a i='1'>x<b j='2'><c/>y</b><?p q?><b/>z</a>"`,
    call: `JSON.stringify(native.xml(source, ${flagsOf({ order: true })}, ""))`,
    most: 9000,
    step: 16,
  });
  match(whole, /"#instruction":"p q"/);
  ok(failed > 100, `memory ran out in ${failed} places`);
});
