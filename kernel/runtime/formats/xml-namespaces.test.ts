/** Namespaces checked, and names with the flow's own prefixes. */
import { deepEqual, ok, throws } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { OrderedElement } from "../api.d.ts";
import { xml } from "../outside.ts";

const cbc = "urn:cbc";
const cac = "urn:cac";
const invoice = "urn:invoice";

test("names have the flow's prefixes, whatever the sender's are", () => {
  const senders = [
    `<Invoice xmlns="${invoice}" xmlns:cbc="${cbc}" xmlns:cac="${cac}"><cbc:ID>1</cbc:ID><cac:Line unit="kg"><cbc:Note>x</cbc:Note></cac:Line></Invoice>`,
    `<i:Invoice xmlns:i="${invoice}"><ID xmlns="${cbc}">1</ID><Line unit="kg" xmlns="${cac}"><n:Note xmlns:n="${cbc}">x</n:Note></Line></i:Invoice>`,
    `<b:Invoice xmlns:b="${invoice}" xmlns:cac="${cbc}" xmlns:cbc="${cac}"><cac:ID>1</cac:ID><cbc:Line unit="kg"><cac:Note>x</cac:Note></cbc:Line></b:Invoice>`,
  ];
  for (const source of senders) {
    deepEqual(
      xml.parse(source, { namespaces: { "": invoice, cbc, cac }, arrays: ["Invoice.cac:Line"] }),
      { Invoice: { "cbc:ID": "1", "cac:Line": [{ "@unit": "kg", "cbc:Note": "x" }] } },
      source,
    );
    deepEqual(
      xml.parse(source, { namespaces: { i: invoice, "": cbc, c: cac } }),
      { "i:Invoice": { ID: "1", "c:Line": { "@unit": "kg", Note: "x" } } },
      source,
    );
    const { "#children": children } = xml.parse(source, { namespaces: { "": invoice, cbc, cac }, order: true }) as OrderedElement;
    deepEqual(children?.[1], { "#name": "cac:Line", "@unit": "kg", "#children": [{ "#name": "cbc:Note", "#children": ["x"] }] });
  }
  deepEqual(xml.parse(`<a xmlns:p="${cbc}" p:x="1" x="2" xml:lang="nl"><q:b xmlns:q="urn:other"/></a>`, { namespaces: { cbc } }), {
    a: { "@cbc:x": "1", "@x": "2", "@xml:lang": "nl", "q:b": {} },
  });
});

test("what is not a document with namespaces, or means another than the flow, is refused", () => {
  const bad: readonly (readonly [string, RegExp])[] = [
    ["<p:a/>", /the prefix of p:a is not declared/],
    ["<a p:x='1'/>", /the prefix of p:x is not declared/],
    ["<a><b xmlns:p='u'/><p:c/></a>", /the prefix of p:c is not declared/],
    ["<a:b:c xmlns:a='u'/>", /a:b:c is not a name/],
    ["<:a/>", /:a is not a name/],
    ["<a xmlns:p=''/>", /xmlns:p can't be empty/],
    ["<a xmlns:xml='u'/>", /XML's own/],
    ["<a xmlns:p='http://www.w3.org/2000/xmlns/'/>", /XML's own/],
    ["<a xmlns:xmlns='u'/>", /XML's own/],
    ["<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>", /stands there twice, under two prefixes/],
    ["<a xmlns:p='urn:cbc' xmlns:q='urn:cbc'><p:b/><q:b/></a>", /p:b and q:b are one name under two prefixes/],
    ["<cbc:a xmlns:cbc='urn:other'/>", /cbc:a is in the namespace urn:other, but `namespaces` has urn:cbc for the prefix cbc/],
  ];
  for (const [source, expected] of bad)
    for (const order of [false, true]) {
      if (order && source.includes("<q:b/>")) continue; // in order, both are there
      throws(
        () => xml.parse(source, { namespaces: { cbc }, order }),
        (error: Error & { code?: string }) => error.code === "MF_XML_INVALID" && expected.test(error.message),
        `${source} ${order}`,
      );
    }
  throws(
    () => xml.parse("<a/>", { namespaces: { "": invoice } }),
    /a is in no namespace, but `namespaces` has urn:invoice for names without a prefix/,
  );
  throws(() => xml.parse("<a/>", { namespaces: { p: "" } }), /must be the text of a namespace/);
  throws(() => xml.parse("<a/>", { namespaces: { xml: "u" } }), /XML's own/);
  throws(() => xml.parse("<a/>", { namespaces: {}, removePrefixes: true }), /do not go together/);
});

test("prefixes that are swapped about change nothing", () => {
  const name = fc.constantFrom("a", "b", "c");
  const tree = fc.letrec<{ element: readonly [string, string, readonly unknown[]] }>((tie) => ({
    element: fc.tuple(
      fc.constantFrom("urn:one", "urn:two"),
      name,
      fc.array(fc.oneof({ maxDepth: 3 }, fc.constant("x"), tie("element")), { maxLength: 3 }),
    ) as never,
  })).element;
  type Tree = readonly [string, string, readonly (Tree | string)[]];
  const written = (element: Tree | string, prefixes: readonly string[]): string => {
    if (typeof element === "string") return element;
    const [uri, local, children] = element;
    const prefix = prefixes[uri === "urn:one" ? 0 : 1]!;
    const qname = prefix === "" ? local : `${prefix}:${local}`;
    const declaration = prefix === "" ? `xmlns="${uri}"` : `xmlns:${prefix}="${uri}"`;
    // Each element declares what it uses, so that a prefix may mean one thing here and another inside.
    return `<${qname} ${declaration}>${children.map((child) => written(child, prefixes.length > 2 ? [...prefixes.slice(1), prefixes[0]!] : prefixes)).join("")}</${qname}>`;
  };
  let nested = 0;
  fc.assert(
    fc.property(tree as unknown as fc.Arbitrary<Tree>, (given) => {
      const read = (prefixes: readonly string[]): unknown =>
        xml.parse(written(given, prefixes), { namespaces: { "": "urn:one", t: "urn:two" }, order: true });
      const expected = read(["", "t"]);
      deepEqual(read(["t", "u"]), expected);
      deepEqual(read(["p", "q", "r"]), expected);
      if (JSON.stringify(expected).includes('"#children":[{')) nested++;
    }),
    { numRuns: 500 },
  );
  ok(nested > 50, `${nested} were nested`);
});
