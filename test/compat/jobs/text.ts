/** Templates, text, addresses, headers, parsers. */
import { type Job, job } from "../job.ts";

export const textJobs: readonly Job[] = [
  job("marked", 'import { marked } from "marked";', 'return marked.parse("# Hi\\n\\n* a\\n* **b**\\n\\n| x |\\n|---|\\n| 1 |");'),
  job(
    "markdown-it",
    'import MarkdownIt from "markdown-it";',
    'return new MarkdownIt({ linkify: true }).render("# Hi\\n\\n`x` https://a.example <b>");',
  ),
  job("showdown", 'import showdown from "showdown";', 'return new showdown.Converter().makeHtml("# Hi\\n\\n- a\\n- b");'),
  job(
    "handlebars",
    'import Handlebars from "handlebars";',
    'Handlebars.registerHelper("up", (text) => text.toUpperCase()); return Handlebars.compile("{{#each rows}}{{up name}},{{/each}}{{{raw}}}")({ rows: [{ name: "a" }, { name: "b" }], raw: "<b>" });',
  ),
  job(
    "mustache",
    'import Mustache from "mustache";',
    'return Mustache.render("{{#rows}}{{name}};{{/rows}}{{> p}}", { rows: [{ name: "<a>" }], x: 1 }, { p: "[{{x}}]" });',
  ),
  job(
    "nunjucks",
    'import nunjucks from "nunjucks";',
    'return new nunjucks.Environment(null).renderString("{% for a in rows %}{{ loop.index }}={{ a | upper }} {% endfor %}", { rows: ["x", "y"] });',
  ),
  job("ejs", 'import ejs from "ejs";', 'return ejs.render("<% rows.forEach((each) => { %><%= each %>;<% }) %>", { rows: ["<a>", 1] });'),
  job(
    "liquidjs",
    'import { Liquid } from "liquidjs";',
    'return await new Liquid().parseAndRender("{% for a in rows %}{{ a | upcase }}{% unless forloop.last %}, {% endunless %}{% endfor %}", { rows: ["x", "y"] });',
  ),
  job(
    "eta",
    'import { Eta } from "eta";',
    'return new Eta().renderString("<% it.rows.forEach((each) => { %><%= each %>;<% }) %>", { rows: ["<a>", 1] });',
  ),
  job("slugify", 'import slugify from "slugify";', 'return slugify("Crème Brûlée & Co", { lower: true });'),
  job(
    "change-case",
    'import { camelCase, snakeCase, pascalCase } from "change-case";',
    'return [camelCase("foo bar-baz"), snakeCase("fooBar"), pascalCase("foo_bar")];',
  ),
  job("camelcase", 'import camelCase from "camelcase";', 'return [camelCase("foo-bar"), camelCase("Foo_bar", { pascalCase: true })];'),
  job("he", 'import he from "he";', 'return [he.encode("<é>"), he.decode("&eacute;&#x41;")];'),
  job("entities", 'import { decodeHTML, encodeXML } from "entities";', 'return [decodeHTML("&eacute;&amp;"), encodeXML("<é>")];'),
  job(
    "html-entities",
    'import { encode, decode } from "html-entities";',
    'return [encode("<é>", { mode: "nonAsciiPrintable" }), decode("&lt;&eacute;")];',
  ),
  job("escape-html", 'import escape from "escape-html";', "return escape(\"<a b='c'>&\");"),
  job(
    "iconv-lite",
    'import iconv from "iconv-lite";',
    'return [iconv.encode("é€ñ", "win1252").toString("hex"), iconv.decode(Buffer.from([0x93, 0xfa, 0x96, 0x7b]), "Shift_JIS"), iconv.decode(iconv.encode("中文", "gb18030"), "gb18030"), iconv.encode("Ω", "utf16-be").toString("hex")];',
  ),
  job(
    "fastest-levenshtein",
    'import { distance, closest } from "fastest-levenshtein";',
    'return [distance("kitten", "sitting"), closest("fast", ["slow", "faster"])];',
  ),
  job(
    "fuse.js",
    'import Fuse from "fuse.js";',
    'return new Fuse([{ t: "apple" }, { t: "banana" }], { keys: ["t"], includeScore: false }).search("aple");',
  ),
  job(
    "diff",
    'import { diffWords, createPatch, applyPatch } from "diff";',
    'const patch = createPatch("f", "a\\nb\\n", "a\\nc\\n"); return [diffWords("a b c", "a x c"), patch, applyPatch("a\\nb\\n", patch)];',
  ),
  job("pluralize", 'import pluralize from "pluralize";', 'return [pluralize("person"), pluralize("mice", 1), pluralize("box", 2, true)];'),
  job("voca", 'import v from "voca";', 'return [v.titleCase("hello world"), v.latinise("éü"), v.sprintf("%05.2f|%-5s|", 3.14159, "a")];'),
  job(
    "minimatch",
    'import { minimatch } from "minimatch";',
    'return [minimatch("a/b/c.js", "a/**/*.js"), minimatch("x.ts", "*.{js,ts}")];',
  ),
  job(
    "micromatch",
    'import micromatch from "micromatch";',
    'return [micromatch(["a.js", "b.ts"], "*.js"), micromatch.isMatch("a/b", "a/*")];',
  ),
  job("picomatch", 'import picomatch from "picomatch";', 'return [picomatch("*.js")("a.js"), picomatch("!(a|b).js")("a.js")];'),
  job(
    "path-to-regexp",
    'import { match, compile } from "path-to-regexp";',
    'return [match("/user/:id")("/user/5").params, compile("/user/:id")({ id: "x y" })];',
  ),
  job("qs", 'import qs from "qs";', 'return [qs.parse("a[b]=c&d[]=1&d[]=2"), qs.stringify({ a: { b: "x y" }, c: [1, 2] })];'),
  job(
    "query-string",
    'import queryString from "query-string";',
    'return [queryString.parse("a=1&b=2&b=3"), queryString.stringifyUrl({ url: "https://a.example", query: { x: [1, 2] } })];',
  ),
  job(
    "uri-js",
    'import * as URI from "uri-js";',
    'return [URI.parse("http://u@a.example:80/b?c#d").host, URI.resolve("http://a/b/c", "../d"), URI.equal("HTTP://a/%41", "http://a/A"), URI.normalize("http://é.example/")];',
  ),
  job("fast-uri", 'import uri from "fast-uri";', 'return [uri.parse("http://a.example/b?c").path, uri.resolve("http://a/b/c", "../d")];'),
  job(
    "url-parse",
    'import parse from "url-parse";',
    'const url = parse("https://u:p@a.example:8080/b?c=d#e", true); return [url.host, url.query, url.auth, url.toString()];',
  ),
  job("tldts", 'import { parse } from "tldts";', 'return parse("https://a.b.co.uk/x");'),
  job("psl", 'import psl from "psl";', 'return psl.parse("a.b.co.uk");'),
  job(
    "ipaddr.js",
    'import ipaddr from "ipaddr.js";',
    'return [ipaddr.parse("2001:db8::1").toNormalizedString(), ipaddr.parse("10.0.0.5").match(ipaddr.parseCIDR("10.0.0.0/8"))];',
  ),
  job("mime", 'import mime from "mime";', 'return [mime.getType("a.xlsx"), mime.getExtension("text/html")];'),
  job(
    "mime-types",
    'import mime from "mime-types";',
    'return [mime.lookup("a.json"), mime.contentType("text/html"), mime.extension("image/png")];',
  ),
  job("content-type", 'import * as contentType from "content-type";', 'return contentType.parse("text/html; charset=utf-8");'),
  job(
    "cookie",
    'import * as cookie from "cookie";',
    'return [(cookie.parse ?? cookie.parseCookie)("a=b; c=%20d"), cookie.serialize ? cookie.serialize("a", "b c", { maxAge: 5 }) : cookie.stringifySetCookie({ name: "a", value: "b c", maxAge: 5 })];',
  ),
  job(
    "set-cookie-parser",
    'import * as parser from "set-cookie-parser";',
    'const parse = parser.parse ?? parser.parseSetCookie ?? parser.default; return parse("a=b; Path=/; Max-Age=5; HttpOnly");',
  ),
  job(
    "negotiator",
    'import Negotiator from "negotiator";',
    'return new Negotiator({ headers: { accept: "text/html;q=0.5, application/json" } }).mediaTypes();',
  ),
  job("bytes", 'import bytes from "bytes";', 'return [bytes("1.5MB"), bytes(1024 * 1024), bytes(1500, { unitSeparator: " " })];'),
  job("pretty-bytes", 'import prettyBytes from "pretty-bytes";', "return [prettyBytes(1337), prettyBytes(2 ** 30, { binary: true })];"),
  job("filesize", 'import { filesize } from "filesize";', 'return [filesize(1500), filesize(2 ** 20, { standard: "iec" })];'),
  job(
    "semver",
    'import semver from "semver";',
    'return [semver.satisfies("1.5.0", "^1.2.0 || >3"), semver.inc("1.2.3", "minor"), semver.sort(["2.0.0", "1.0.0-rc.1", "1.0.0"])];',
  ),
  job(
    "compare-versions",
    'import { compareVersions, satisfies } from "compare-versions";',
    'return [compareVersions("1.2.10", "1.2.9"), satisfies("1.5.0", "~1.5")];',
  ),
  job(
    "libphonenumber-js",
    'import { parsePhoneNumberFromString } from "libphonenumber-js";',
    'const phone = parsePhoneNumberFromString("0470 12 34 56", "BE"); return [phone.formatInternational(), phone.isValid(), phone.number];',
  ),
  job("iban", 'import IBAN from "iban";', 'return [IBAN.isValid("BE68539007547034"), IBAN.printFormat("BE68539007547034")];'),
  job(
    "card-validator",
    'import valid from "card-validator";',
    'return [valid.number("4111111111111111").isValid, valid.number("4111").card.type];',
  ),
  job(
    "i18next",
    'import i18next from "i18next";',
    'await i18next.init({ lng: "en", resources: { en: { translation: { hi: "Hi {{name}}", item_one: "{{count}} item", item_other: "{{count}} items" } } } }); return [i18next.t("hi", { name: "x" }), i18next.t("item", { count: 2 }), i18next.t("item", { count: 1 })];',
  ),
  job(
    "intl-messageformat",
    'import { IntlMessageFormat } from "intl-messageformat";',
    'return new IntlMessageFormat("{n, plural, one {# item} other {# items}} {d, date, short}", "en").format({ n: 2000, d: new Date(0) });',
  ),
  job("stemmer", 'import { stemmer } from "stemmer";', 'return ["considerations", "running"].map(stemmer);'),
  job(
    "compromise",
    'import nlp from "compromise";',
    'return [nlp("She walked to the big shop.").verbs().toPastTense().text(), nlp("five dogs").nouns().toSingular().text()];',
  ),
  job(
    "acorn",
    'import { parse } from "acorn";',
    'return parse("const a = 1 + b;", { ecmaVersion: 2023 }).body[0].declarations[0].init.operator;',
  ),
  job("esprima", 'import esprima from "esprima";', 'return esprima.tokenize("let a = /x/g;").map((each) => each.type);'),
  job(
    "nearley",
    'import nearley from "nearley"; const { Grammar, Parser, Rule } = nearley;',
    'const rules = [new Rule("main", [/[a-z]/, "main"], ([a, b]) => a + b), new Rule("main", [/[a-z]/], ([a]) => a)]; const parser = new Parser(new Grammar(rules, "main")); parser.feed("abc"); return parser.results;',
  ),
  job(
    "chevrotain",
    'import { createToken, Lexer, CstParser } from "chevrotain"; const Num = createToken({ name: "Num", pattern: /\\d+/ }); const Plus = createToken({ name: "Plus", pattern: /\\+/ }); const tokens = [Num, Plus]; class Sums extends CstParser { constructor() { super(tokens); const $ = this; $.RULE("sum", () => { $.CONSUME(Num); $.MANY(() => { $.CONSUME(Plus); $.CONSUME2(Num); }); }); this.performSelfAnalysis(); } } const parser = new Sums();',
    'parser.input = new Lexer(tokens).tokenize("1+2+3").tokens; const tree = parser.sum(); return [tree.children.Num.map((each) => each.image), parser.errors.length];',
  ),
  job(
    "moo",
    'import moo from "moo";',
    'const lexer = moo.compile({ ws: /[ \\t]+/, number: /[0-9]+/, word: /[a-z]+/ }); lexer.reset("a 12 b"); return [...lexer].map((each) => each.type);',
  ),
  job(
    "postal-mime",
    'import PostalMime from "postal-mime";',
    'const mail = await PostalMime.parse("From: Ada <ada@a.example>\\r\\nSubject: =?utf-8?Q?H=C3=A9?=\\r\\nContent-Type: text/plain; charset=utf-8\\r\\nContent-Transfer-Encoding: quoted-printable\\r\\n\\r\\nCaf=C3=A9\\r\\n"); return [mail.from, mail.subject, mail.text];',
  ),
  job(
    "mailparser",
    'import { simpleParser } from "mailparser";',
    'const mail = await simpleParser("From: Ada <ada@a.example>\\r\\nSubject: =?utf-8?Q?H=C3=A9?=\\r\\nContent-Type: text/plain; charset=utf-8\\r\\n\\r\\nHi\\r\\n"); return [mail.from.text, mail.subject, mail.text];',
  ),
  job(
    "mimetext",
    'import { createMimeMessage } from "mimetext";',
    'const mail = createMimeMessage(); mail.setSender("a@b.example"); mail.setRecipient("c@d.example"); mail.setSubject("Hé"); mail.addMessage({ contentType: "text/plain", data: "Hi" }); return [mail.asRaw().includes("To: <c@d.example>"), mail.getMessageByType("text/plain").data];',
  ),
  job(
    "aws4",
    'import aws4 from "aws4";',
    'return aws4.sign({ service: "s3", region: "eu-west-1", host: "b.s3.amazonaws.com", path: "/k?x=1", headers: { "X-Amz-Date": "20260101T000000Z" } }, { accessKeyId: "AK", secretAccessKey: "SK" }).headers;',
  ),
  job(
    "aws4fetch",
    'import { AwsV4Signer } from "aws4fetch";',
    'const signed = await new AwsV4Signer({ url: "https://b.s3.eu-west-1.amazonaws.com/k", accessKeyId: "AK", secretAccessKey: "SK", datetime: "20260101T000000Z" }).sign(); return signed.headers.get("authorization");',
  ),
  job(
    "oauth-1.0a",
    'import OAuth from "oauth-1.0a"; import crypto from "node:crypto";',
    'const oauth = new OAuth({ consumer: { key: "k", secret: "s" }, signature_method: "HMAC-SHA1", hash_function: (base, key) => crypto.createHmac("sha1", key).update(base).digest("base64"), nonce_length: 4 }); oauth.getNonce = () => "n"; oauth.getTimeStamp = () => 1; return oauth.toHeader(oauth.authorize({ url: "https://a.example/x?y=1", method: "POST" }));',
  ),
  job(
    "@octokit/webhooks-methods",
    'import { sign, verify } from "@octokit/webhooks-methods";',
    'const signature = await sign("secret", "{}"); return [signature, await verify("secret", "{}", signature)];',
  ),
  job(
    "axios",
    'import axios from "axios";',
    'return [axios.getUri({ baseURL: "https://a.example", url: "/x", params: { a: [1, 2], b: "c d" } }), await axios.post("https://a.example", { a: 1 }, { adapter: async (config) => ({ data: config.data, status: 200, statusText: "OK", headers: {}, config }) }).then((each) => each.data), new axios.AxiosError("m", "C").toJSON().code];',
  ),
];
