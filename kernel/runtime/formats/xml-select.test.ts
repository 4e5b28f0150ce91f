/** Paths beside the package xpath over a DOM, and canonical forms beside xml-crypto. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { OrderedElement } from "../api.d.ts";
import { xml } from "../outside.ts";
import { canonicalByPeer, selectedByPeer } from "./testing/xml-peers.ts";
import { canonical } from "./xml-canonical.ts";
import { select } from "./xml-select.ts";

function ordered(source: string): OrderedElement {
  return xml.parse(source, { order: true, keepSpace: true }) as OrderedElement;
}

const orders = `<Orders xml:lang="nl"><Order id="1"><Line sku="A"><Qty>2</Qty></Line><Line sku="B"><Qty>10</Qty></Line><Note>rush  job</Note></Order>
  <Order id="2" state="open"><Line sku="C"><Qty> 7 </Qty></Line></Order><Empty/>text</Orders>`;

/** String values of what is found. */
function textsOf(found: readonly unknown[]): readonly string[] {
  return found.map((value) => (typeof value === "object" ? String(select(value, "string()")[0]) : String(value)));
}

const paths = [
  "/Orders/Order/Line/@sku",
  "Orders/Order[2]/Line/Qty",
  "//Qty",
  "//Line[Qty > 5]/@sku",
  "//Line[Qty = 10 or @sku = 'A']/Qty",
  "//Order[@id != '1']/@id",
  "//Order[not(@state)]/@id",
  "//Order[Line[2]]/@id",
  "(//Line)[2]/@sku",
  "//Line[1]/@sku",
  "//Line[last()]/@sku",
  "//Line[position() > 1]/@sku",
  "//Line[@sku = 'B']/../@id",
  "//Qty/ancestor::Order/@id",
  "//Qty/..//Qty",
  "count(//Line)",
  "sum(//Qty)",
  "sum(//Qty) - 2 + 1",
  "string(//Note)",
  "normalize-space(//Note)",
  "//*[starts-with(@sku, 'A')]/Qty",
  "//*[contains(., 'rush')][self::Note]",
  "concat(//Order[1]/@id, '-', //Order[2]/@id)",
  "substring('12345', 2, 3)",
  "substring('12345', 1.5, 2.6)",
  "substring('12345', 0, 3)",
  "substring-before('1999/04/01', '/')",
  "substring-after('1999/04/01', '/')",
  "string-length(//Note)",
  "//Order[1]/Line | //Order[2]/Line | //Order[1]/Line[1]",
  "//@sku[. = 'C']",
  "//Order/descendant::Qty",
  "//Line[@sku = //Order[2]/Line/@sku]/Qty",
  "//Line[boolean(Qty)]/@sku",
  "//Order[count(Line) = 2]/@id",
  "name(/Orders/*[3])",
  "1 = '1'",
  "true() = 'x'",
  "//Order[position() = 2 and @state]/@id",
  "-1 < 0",
  "floor(1.5) + ceiling(1.5) + round(2.5)",
  "//Missing",
  "string(//Missing)",
  "//Line[Qty<=2]/@sku",
  "number(//Note) = number(//Note)",
  ".//Order[@id='1']/Line[2]/Qty",
];

test("paths find what the peer finds, in values of either form", () => {
  for (const path of paths) {
    const expected = selectedByPeer(orders, path);
    deepEqual(textsOf(select({ "#document": 0, ...(xml.parse(orders, { keepSpace: true }) as object) }, path)), expected, path);
    const root = ordered(orders);
    const inside = path.startsWith("Orders/") ? `/${path}` : path;
    deepEqual(textsOf(select(root, inside)), expected, `in order: ${path}`);
  }
});

test("elements come as they were parsed, and lists are looked at one after another", () => {
  const { Orders } = xml.parse(orders) as { Orders: { Order: { Line: unknown }[] } };
  equal(select(Orders, "Order[1]/Line[2]")[0], (Orders.Order[0]!.Line as unknown[])[1]);
  deepEqual(select(Orders.Order, "Line/@sku"), ["A", "B", "C"]);
  const root = ordered("<a>x<b>y</b>z</a>");
  equal(select(root, "b")[0], root["#children"]![1]);
  deepEqual(select(root, "text()"), ["x", "z"]);
  deepEqual(select(xml.parse(orders), "/Orders/@xml:lang | /Orders/@xml:*"), ["nl"]);
  deepEqual(select(xml.parse(orders), "local-name(/Orders/@xml:lang)"), ["lang"]);
  deepEqual(select({ a: { b: 1, c: null, d: undefined } }, "a/*"), [1, null]);
});

test("a path that can't be read names its place", () => {
  const bad: readonly (readonly [string, RegExp])[] = [
    ["", /a name, .* is missing \(character 1\)/],
    ["a[", /is missing \(character 3\)/],
    ["a]", /"\]" can't stand here \(character 2\)/],
    ["a[1", /`\]` is missing \(character 4\)/],
    ["preceding-sibling::a", /the axis preceding-sibling is not there: there are child/],
    ["id('x')", /the function id is not there/],
    ["contains('x')", /contains takes 2 to 2 values/],
    ["'x", /not what can be read here \(character 1\)/],
    ["a/'x'", /a name/],
    ["'x'/a", /only nodes have children/],
    [`${"(".repeat(50)}1${")".repeat(50)}`, /nested deeper than 40/],
    ["a # b", /character 3/],
  ];
  for (const [path, expected] of bad) throws(() => select({}, path), expected, path);
  throws(() => xml.select({}, "a["), { code: "MF_XML_PATH" });
});

const name = fc.constantFrom("a", "b", "c");
const attribute = fc.constantFrom("", ' x="1"', ' x="2"', ' y="1"', ' x="1" y="2"');
const content = fc.constantFrom("", "1", "2", "t");
const tree = fc.letrec<{ element: string }>((tie) => ({
  element: fc
    .tuple(name, attribute, content, fc.array(fc.oneof({ maxDepth: 3 }, fc.constant("<a/>"), tie("element")), { maxLength: 3 }))
    .map(([tag, attributes, text, children]) => `<${tag}${attributes}>${text}${children.join("")}</${tag}>`),
})).element;
const predicate = fc.constantFrom(
  "",
  "[1]",
  "[2]",
  "[last()]",
  "[@x]",
  "[@x = '1']",
  "[a]",
  "[not(b)]",
  "[. = '1']",
  "[position() < 3]",
  "[count(*) > 1]",
);
const step = fc
  .tuple(
    fc.constantFrom("/", "//"),
    fc.constantFrom("a", "b", "c", "*", "@x", "text()", "parent::b", "ancestor::a", "descendant::b"),
    predicate,
  )
  .map((parts) => parts.join(""));
const path = fc.oneof(
  fc.array(step, { minLength: 1, maxLength: 4 }).map((steps) => steps.join("")),
  fc
    .tuple(fc.array(step, { minLength: 1, maxLength: 2 }), fc.array(step, { minLength: 1, maxLength: 2 }))
    .map(([one, other]) => `${one.join("")} | ${other.join("")}`),
);

test("random paths in random documents find what the peer finds, in its order", () => {
  let found = 0;
  fc.assert(
    fc.property(tree, path, (source, given) => {
      const expected = selectedByPeer(source, given);
      const inside = textsOf(select(ordered(source), given));
      deepEqual(inside, expected, JSON.stringify([source, given]));
      found += expected.length;
    }),
    { numRuns: 3000 },
  );
  ok(found > 500, `${found} were found`);
});

test("canonical forms are those of the peer and of the specification's examples", () => {
  const specification: readonly (readonly [string, string])[] = [
    [
      `<?xml version="1.0"?>\n<doc>\n   <e1   />\n   <e2   ></e2>\n   <e3   name = "elem3"   id="elem3"   />\n   <e5 a:attr="out" b:attr="sorted" attr2="all" attr="I'm"\n      xmlns:b="http://www.ietf.org"\n      xmlns:a="http://www.w3.org"\n      xmlns="http://example.org"/>\n   <e6 xmlns="" xmlns:a="http://www.w3.org"><e7 xmlns="http://www.ietf.org"><e8 xmlns="" xmlns:a="http://www.w3.org"><e9 xmlns="" xmlns:a="http://www.ietf.org"/></e8></e7></e6>\n</doc>`,
      `<doc>\n   <e1></e1>\n   <e2></e2>\n   <e3 id="elem3" name="elem3"></e3>\n   <e5 xmlns="http://example.org" xmlns:a="http://www.w3.org" xmlns:b="http://www.ietf.org" attr="I'm" attr2="all" b:attr="sorted" a:attr="out"></e5>\n   <e6 xmlns:a="http://www.w3.org"><e7 xmlns="http://www.ietf.org"><e8 xmlns=""><e9 xmlns:a="http://www.ietf.org"></e9></e8></e7></e6>\n</doc>`,
    ],
    [
      `<doc><text>First line&#x0d;&#10;Second line</text><value>&#x32;</value><compute><![CDATA[value>"0" && value<"10" ?"valid":"error"]]></compute><compute expr='value>"0" &amp;&amp; value&lt;"10" ?"valid":"error"'>valid</compute><norm attr=' &apos;   &#x20;&#13;&#xa;&#9;   &apos; '/></doc>`,
      `<doc><text>First line&#xD;\nSecond line</text><value>2</value><compute>value&gt;"0" &amp;&amp; value&lt;"10" ?"valid":"error"</compute><compute expr="value>&quot;0&quot; &amp;&amp; value&lt;&quot;10&quot; ?&quot;valid&quot;:&quot;error&quot;">valid</compute><norm attr=" '    &#xD;&#xA;&#x9;   ' "></norm></doc>`,
    ],
    ["<a><?pi-without-data     ?><!-- gone --><?p   data  x?></a>", "<a><?pi-without-data?><?p data  x?></a>"],
  ];
  for (const [source, expected] of specification) equal(canonical(ordered(source)), expected);
  const declaration = fc.constantFrom("", ' xmlns="u"', ' xmlns=""', ' xmlns:p="v"', ' xmlns:q="w"', ' xmlns:p="w" xmlns:q="v"');
  const tag = fc.constantFrom("a", "b", "p:c", "q:d");
  const marks = fc.constantFrom("", ' z="1" a="2"', ' p:x="1" q:x="2" b="&#10;"', ' xml:lang="nl"');
  const part = fc.letrec<{ element: string }>((tie) => ({
    element: fc
      .tuple(
        tag,
        declaration,
        marks,
        fc.constantFrom("", " ", "é&lt;&gt;&amp;"),
        fc.array(fc.oneof({ maxDepth: 3 }, fc.constant("<a/>"), tie("element")), { maxLength: 3 }),
      )
      .map(([qname, uses, attributes, text, children]) => `<${qname}${uses}${attributes}>${text}${children.join("")}</${qname}>`),
  })).element;
  fc.assert(
    fc.property(part, fc.boolean(), (inner, exclusive) => {
      const source = `<r xmlns:p="v" xmlns:q="w">${inner}</r>`;
      equal(canonical(ordered(source), { exclusive }), canonicalByPeer(source, exclusive), JSON.stringify([source, exclusive]));
    }),
    { numRuns: 1000 },
  );
});

test("a part of a document has the namespaces and xml: attributes around it; a signature within is left out", () => {
  const root = ordered('<r xmlns:p="v" xmlns:q="w" xml:lang="nl"><b p:x="1"><Signature/>x</b></r>');
  const element = root["#children"]![0] as OrderedElement;
  const signature = element["#children"]![0] as OrderedElement;
  equal(canonical(root, { element, omit: [signature] }), '<b xmlns:p="v" xmlns:q="w" xml:lang="nl" p:x="1">x</b>');
  equal(canonical(root, { element, omit: [signature], exclusive: true }), '<b xmlns:p="v" p:x="1">x</b>');
  equal(canonical(root, { element, omit: [signature], exclusive: true, prefixes: ["q"] }), '<b xmlns:p="v" xmlns:q="w" p:x="1">x</b>');
  throws(() => canonical(element), /b: the prefix p is not declared/);
  throws(() => canonical(root, { element: { "#name": "b" } }), /`element` is not within the root/);
  throws(() => canonical({ r: "x" }), /read with `order: true`/);
});
