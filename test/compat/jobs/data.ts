/** Formats: JSON and its kin, YAML, CSV, XML, HTML; queries over them. */
import { type Job, job } from "../job.ts";

const xml = '`<order id=\'1\'><line sku="a">1 &amp; 2</line><line sku="b"><![CDATA[<x>]]></line></order>`';
const csv = '`id,name\\n1,"Ada, Countess"\\n2,Bob\\n`';

export const dataJobs: readonly Job[] = [
  job(
    "jsonpath-plus",
    'import { JSONPath } from "jsonpath-plus";',
    'return JSONPath({ path: "$.a[?(@.b>1)].b", json: { a: [{ b: 1 }, { b: 2 }] } });',
  ),
  job("jmespath", 'import jmespath from "jmespath";', 'return jmespath.search({ a: [{ b: 1 }, { b: 2 }] }, "a[?b > `1`].b | [0]");'),
  job(
    "jsonata",
    'import jsonata from "jsonata";',
    'return [await jsonata("$sum(lines.(price * qty))").evaluate({ lines: [{ price: 2, qty: 3 }, { price: 1, qty: 1 }] }), await jsonata("$fromMillis(0)").evaluate({})];',
  ),
  job(
    "json-logic-js",
    'import logic from "json-logic-js";',
    'return logic.apply({ if: [{ ">": [{ var: "a" }, 1] }, "big", "small"] }, { a: 2 });',
  ),
  job(
    "expr-eval",
    'import { Parser } from "expr-eval";',
    'return [Parser.evaluate("2 * x + 1", { x: 3 }), new Parser().parse("x ^ 2").simplify().toString()];',
  ),
  job(
    "fast-json-patch",
    'import patch from "fast-json-patch";',
    'return [patch.applyPatch({ a: 1 }, [{ op: "replace", path: "/a", value: 2 }]).newDocument, patch.compare({ a: 1 }, { b: 1 })];',
  ),
  job("json-merge-patch", 'import merge from "json-merge-patch";', "return merge.apply({ a: 1, b: 2 }, { b: null, c: 3 });"),
  job(
    "jsondiffpatch",
    'import { diff, patch } from "jsondiffpatch";',
    'const delta = diff({ a: [1, 2], t: "x" }, { a: [2, 1], t: "y" }); return [delta, patch({ a: [1, 2], t: "x" }, delta)];',
  ),
  job("json5", 'import JSON5 from "json5";', 'return [JSON5.parse("{a: 1, /* c */ b: \'x\',}"), JSON5.stringify({ a: [1, "x"] })];'),
  job(
    "jsonc-parser",
    'import { parse, modify, applyEdits } from "jsonc-parser";',
    'const text = "{ // c\\n \\"a\\": 1 }"; return [parse(text), applyEdits(text, modify(text, ["b"], 2, {}))];',
  ),
  job(
    "json-bigint",
    'import bigint from "json-bigint"; const big = bigint({ useNativeBigInt: true });',
    'return [big.stringify(big.parse("{\\"a\\":12345678901234567890}")), String(bigint.parse("{\\"a\\":12345678901234567890}").a)];',
  ),
  job(
    "lossless-json",
    'import { parse, stringify } from "lossless-json";',
    'return stringify(parse("{\\"a\\":1.000000000000000000001}"));',
  ),
  job(
    "superjson",
    'import superjson from "superjson";',
    "return [superjson.stringify({ d: new Date(0), s: new Set([1]), u: undefined }), superjson.parse(superjson.stringify(new Map([[1, 2n]]))) instanceof Map];",
  ),
  job(
    "devalue",
    'import { stringify, parse, uneval } from "devalue";',
    "const value = { d: new Date(0) }; value.self = value; return [stringify(value), parse(stringify(value)).d.getTime(), uneval([1, new Set([2])])];",
  ),
  job(
    "flatted",
    'import { stringify, parse } from "flatted";',
    "const value = { a: 1 }; value.self = value; return [stringify(value), parse(stringify(value)).self.a];",
  ),
  job(
    "yaml",
    'import YAML from "yaml";',
    'return [YAML.parse("a: &x [1, 2]\\nb: *x\\nc: !!str 5\\nd: 2026-01-01"), YAML.stringify({ a: [1, { b: "multi\\nline" }] }), YAML.parseDocument("# c\\na: 1").toString()];',
  ),
  job(
    "js-yaml",
    'import * as yaml from "js-yaml";',
    'return [yaml.load("a: [1, 2]\\nb: >\\n  folded\\n  text\\n"), yaml.dump({ a: [1, { b: "x" }] })];',
  ),
  job(
    "smol-toml",
    'import { parse, stringify } from "smol-toml";',
    'return [parse("a = 1\\n[b]\\nc = [1, 2]\\nd = 2026-01-01T00:00:00Z"), stringify({ a: { b: 1 } })];',
  ),
  job(
    "@iarna/toml",
    'import toml from "@iarna/toml";',
    'return [toml.parse("a = 1\\n[b]\\nc = \\"x\\""), toml.stringify({ a: 1, b: { c: [1, 2] } })];',
  ),
  job("ini", 'import ini from "ini";', 'return [ini.parse("a=1\\n[s]\\nb[]=x\\nb[]=y"), ini.stringify({ a: 1, s: { b: "c" } })];'),
  job("dotenv", 'import dotenv from "dotenv";', 'return dotenv.parse("A=1\\nB=\\"x y\\" # c\\n");'),
  job("csv-parse", 'import { parse } from "csv-parse/sync";', `return parse(${csv}, { columns: true, cast: true });`),
  job(
    "csv-parse (stream)",
    'import { parse } from "csv-parse";',
    `return await new Promise((done, failed) => parse(${csv}, { columns: true }, (error, rows) => (error ? failed(error) : done(rows))));`,
  ),
  job("csv-stringify", 'import { stringify } from "csv-stringify/sync";', 'return stringify([{ a: 1, b: "x,y" }], { header: true });'),
  job(
    "papaparse",
    'import Papa from "papaparse";',
    `return [Papa.parse(${csv}, { header: true, dynamicTyping: true, skipEmptyLines: true }).data, Papa.unparse([{ a: 1, b: "x\\"y" }])];`,
  ),
  job(
    "fast-csv",
    'import { parseString, writeToString } from "fast-csv";',
    `return [await new Promise((done, failed) => { const rows = []; parseString(${csv}, { headers: true }).on("data", (row) => rows.push(row)).on("error", failed).on("end", () => done(rows)); }), await writeToString([{ a: 1 }], { headers: true })];`,
  ),
  job("d3-dsv", 'import { csvParse, csvFormat } from "d3-dsv";', `return [[...csvParse(${csv})], csvFormat([{ a: 1 }])];`),
  job(
    "fast-xml-parser",
    'import { XMLParser, XMLBuilder } from "fast-xml-parser";',
    `return [new XMLParser({ ignoreAttributes: false }).parse(${xml}), new XMLBuilder({ ignoreAttributes: false }).build({ a: { "@_b": 1, c: [1, 2] } })];`,
  ),
  job(
    "xml2js",
    'import xml2js from "xml2js";',
    `return [await xml2js.parseStringPromise(${xml}), new xml2js.Builder({ headless: true }).buildObject({ a: { $: { b: 1 }, c: "x" } })];`,
  ),
  job(
    "xml-js",
    'import convert from "xml-js";',
    `return [convert.xml2js(${xml}, { compact: true }), convert.js2xml({ a: { _attributes: { b: 1 }, _text: "x" } }, { compact: true })];`,
  ),
  job(
    "xmlbuilder2",
    'import { create } from "xmlbuilder2";',
    `return [create({ a: { "@b": 1, c: "x" } }).end({ headless: true }), create(${xml}).toObject()];`,
  ),
  job(
    "sax",
    'import sax from "sax";',
    `const seen = []; const parser = sax.parser(true); parser.onopentag = (tag) => seen.push(tag.name, tag.attributes); parser.ontext = (text) => seen.push(text); parser.write(${xml}).close(); return seen;`,
  ),
  job(
    "saxes",
    'import { SaxesParser } from "saxes";',
    `const seen = []; const parser = new SaxesParser(); parser.on("opentag", (tag) => seen.push(tag.name)); parser.on("text", (text) => seen.push(text)); parser.write(${xml}).close(); return seen;`,
  ),
  job(
    "@xmldom/xmldom",
    'import { DOMParser, XMLSerializer } from "@xmldom/xmldom";',
    `const document = new DOMParser().parseFromString(${xml}, "text/xml"); return [document.documentElement.getAttribute("id"), new XMLSerializer().serializeToString(document)];`,
  ),
  job(
    "xpath",
    'import xpath from "xpath"; import { DOMParser } from "@xmldom/xmldom";',
    `return xpath.select("//line[@sku='b']/text()", new DOMParser().parseFromString(${xml}, "text/xml")).map(String);`,
  ),
  job(
    "fontoxpath",
    'import * as fontoxpath from "fontoxpath"; const { evaluateXPathToStrings, evaluateXPathToNumber } = fontoxpath.default ?? fontoxpath; import { DOMParser } from "@xmldom/xmldom";',
    `const document = new DOMParser().parseFromString(${xml}, "text/xml"); return [evaluateXPathToStrings("//line/@sku", document), evaluateXPathToNumber("count(//line)", document)];`,
  ),
  job("@rgrove/parse-xml", 'import { parseXml } from "@rgrove/parse-xml";', `return parseXml(${xml}).toJSON();`),
  job(
    "htmlparser2",
    'import { parseDocument, DomUtils, Parser } from "htmlparser2";',
    'const seen = []; const parser = new Parser({ onopentag: (name) => seen.push(name) }); parser.end("<p>Hi <b>you</b>"); return [seen, DomUtils.textContent(parseDocument("<p>Hi &eacute; <b>you</b>"))];',
  ),
  job(
    "cheerio",
    'import * as cheerio from "cheerio";',
    'const $ = cheerio.load("<ul><li class=a>1</li><li>2</li></ul>"); $("li.a").text("x"); return [$("li").length, $.html("ul"), $("li").map((_, each) => $(each).text()).get()];',
  ),
  job(
    "parse5",
    'import { parseFragment, serialize } from "parse5";',
    'return serialize(parseFragment("<p>a<p>b &amp; c<table><tr><td>x"));',
  ),
  job(
    "sanitize-html",
    'import sanitize from "sanitize-html";',
    "return sanitize(\"<p onclick=x>a<script>bad()</script><a href='javascript:x'>b</a></p>\");",
  ),
  job(
    "node-html-parser",
    'import { parse } from "node-html-parser";',
    'return [parse("<ul><li id=a>x</li></ul>").querySelector("#a").text, parse("<p>a</p>").toString()];',
  ),
  job("turndown", 'import Turndown from "turndown";', 'return new Turndown().turndown("<h1>Hi</h1><p>a <b>b</b> <a href=x>c</a></p>");'),
  job(
    "graphql",
    'import { graphql, buildSchema, parse, print } from "graphql";',
    'const result = await graphql({ schema: buildSchema("type Query { hi(name: String!): String, n: Int }"), source: "{ hi(name: \\"x\\") n }", rootValue: { hi: ({ name }) => "hi " + name, n: 5 } }); return [result, print(parse("{a b}"))];',
  ),
  job(
    "cloudevents",
    'import { CloudEvent, HTTP } from "cloudevents";',
    'const event = new CloudEvent({ id: "1", type: "t", source: "/s", time: "2026-01-01T00:00:00Z", data: { a: 1 } }); const { headers, body } = HTTP.binary(event); return [headers["ce-type"], body, HTTP.toEvent({ headers, body }).data];',
  ),
  job("sql-formatter", 'import { format } from "sql-formatter";', 'return format("select a, b from t where x = 1 and y in (1, 2)");'),
  job(
    "sqlstring",
    'import sql from "sqlstring";',
    'return [sql.format("select * from t where a = ? and b in (?)", ["x\'y", [1, 2]]), sql.escape(new Date(0), false, "Z")];',
  ),
  job(
    "wellknown",
    'import wkt from "wellknown";',
    'return [wkt.parse("POINT(1 2)"), wkt.stringify({ type: "LineString", coordinates: [[1, 2], [3, 4]] })];',
  ),
  job("proj4", 'import proj4 from "proj4";', 'return proj4("EPSG:4326", "EPSG:3857", [4.35, 50.85]).map((each) => each.toFixed(3));'),
  job(
    "geolib",
    'import { getDistance, isPointInPolygon } from "geolib";',
    "return [getDistance({ latitude: 50.85, longitude: 4.35 }, { latitude: 48.85, longitude: 2.35 }), isPointInPolygon({ latitude: 1, longitude: 1 }, [{ latitude: 0, longitude: 0 }, { latitude: 0, longitude: 2 }, { latitude: 2, longitude: 2 }, { latitude: 2, longitude: 0 }])];",
  ),
  job("jsonpath", 'import jsonpath from "jsonpath";', 'return jsonpath.query({ a: [{ b: 1 }, { b: 2 }] }, "$.a[?(@.b>1)].b");'),
  job(
    "ndjson",
    'import ndjson from "ndjson";',
    'return await new Promise((done) => { const rows = []; const parser = ndjson.parse(); parser.on("data", (row) => rows.push(row)).on("end", () => done(rows)); parser.end("{\\"a\\":1}\\n{\\"a\\":2}\\n"); });',
  ),
];
