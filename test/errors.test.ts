/**
 * docs/ERRORS.md: every code there is, what to do, what is said with it, and where it comes from. What to do is written there by hand, and
 * so is a sentence that the source puts together; the rest is taken from the source, and UPDATE=1 writes it anew.
 */
import { equal, match, ok } from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const document = join(root, "docs", "ERRORS.md");
const folders = [
  "abi",
  "base",
  "cli",
  "compiler",
  "connectors",
  "embed",
  "explore",
  "gateway",
  "image",
  "kernel",
  "monitors",
  "replay",
  "standalone",
  "telemetry",
  "cluster",
];

function* sources(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (entry.name !== "testing" && entry.name !== "node_modules") yield* sources(path);
    } else if (/\.ts$/.test(entry.name) && !/\.(test|case|d)\.ts$/.test(entry.name)) yield path;
  }
}

interface Found {
  said: string;
  readonly where: Set<string>;
}

/** A code, then the argument or the table's value that follows it, which may be a text or choose between texts. */
const withText = /["`]?\b(MF_[A-Z0-9_]+)["`]?\s*[,:]\s*(?:message:\s*)?(?:[\w.]+(?: [=!]== [\w."]+)? \? )?(?=["`])/g;

/** The first sentence after a code in its statement. */
function sentenceAfter(source: string, at: number): string {
  if (source[at - 1] !== '"') return "";
  const statement = /^[^;]{0,300}/.exec(source.slice(at + 3))?.[0] ?? "";
  const before = /^(?:(?!MF_|\n {0,2}\}|description)[\s\S])*?(?<=[\s(])(?=["'`][a-z$][^"`]*[\w}] [^"`]*[\w}] )/i.exec(statement)?.[0];
  return before === undefined ? "" : textAt(source, at + 3 + before.length);
}

/** The string or template that begins at `start`, as a reader sees it: a template's expressions become an ellipsis. */
function textAt(source: string, start: number): string {
  const quote = source[start];
  let text = "";
  for (let at = start + 1; at < source.length && source[at] !== quote; at++) {
    if (source[at] === "\\") text += source[++at] === "n" ? " " : (source[at] ?? "");
    else if (quote === "`" && source.startsWith("${", at)) {
      text += "…";
      at = endOfExpression(source, at + 2);
    } else text += source[at] ?? "";
  }
  return text.replace(/…+/g, "…").replace(/\|/g, "\\|").replace(/\s+/g, " ").trim();
}

/** The brace that closes the expression of a template, past braces and texts within. */
function endOfExpression(source: string, start: number): number {
  let at = start;
  for (let depth = 1; at < source.length; at++) {
    const character = source[at];
    if (character === "{") depth++;
    else if (character === "}" && --depth === 0) break;
    else if (character === '"' || character === "`" || character === "'") {
      for (at++; at < source.length && source[at] !== character; at++)
        if (source[at] === "\\") at++;
        else if (character === "`" && source.startsWith("${", at)) at = endOfExpression(source, at + 2);
    }
  }
  return at;
}

function collect(): Map<string, Found> {
  const codes = new Map<string, Found>();
  const places = new Map<string, [source: string, at: number][]>();
  for (const folder of folders) {
    for (const path of sources(join(root, folder))) {
      // A remark names codes of others, and a comparison of beginnings no code.
      const text = readFileSync(path, "utf8").replace(/startsWith\("MF_\w+"\)|(?<![:}])\/\/ .*$/gm, "");
      for (const { 0: code, index } of text.matchAll(/\bMF_[A-Z0-9]+(?:_[A-Z0-9]+)*\b/g)) {
        places.set(code, [...(places.get(code) ?? []), [text, index]]);
        const found = codes.get(code) ?? { said: "", where: new Set<string>() };
        found.where.add(relative(root, path).split("/").slice(0, 2).join("/"));
        codes.set(code, found);
      }
      for (const match of text.matchAll(withText)) {
        const found = codes.get(match[1] as string);
        const said = textAt(text, match.index + match[0].length);
        if (found !== undefined && found.said === "" && / /.test(said) && !said.startsWith("MF_")) found.said = said;
      }
    }
  }
  for (const [code, found] of codes)
    for (const [text, at] of places.get(code) ?? []) if (found.said === "") found.said = sentenceAfter(text, at);
  return codes;
}

/** Of each code in the document: what to do, and the sentence said with it. */
function written(): Map<string, { readonly advice: string; readonly said: string }> {
  const rows = readFileSync(document, "utf8").matchAll(/^\| `(MF_\w+)` \| ((?:[^|\\]|\\.)*) \| ((?:[^|\\]|\\.)*) \|/gm);
  return new Map([...rows].map(([, code = "", advice = "", said = ""]) => [code, { advice: advice.trim(), said: said.trim() }]));
}

test("docs/ERRORS.md lists every code in the source, and no other", () => {
  const codes = [...collect()].sort(([a], [b]) => (a < b ? -1 : 1));
  ok(codes.length > 50);
  const known = written();
  const rows = codes.map(
    ([code, { said, where }]) =>
      `| \`${code}\` | ${known.get(code)?.advice ?? ""} | ${said === "" ? (known.get(code)?.said ?? "") : said} | ${[...where].sort().join(", ")} |`,
  );
  const text = [
    "# Error codes",
    "",
    "Codes are stable: programs may depend on them. The sentences are for people and may change; `…` stands for what differs each time.",
    "What to do is written here by hand, and the sentence where the source puts it together; `test/errors.test.ts` takes the rest from the",
    "source (`UPDATE=1 npm test -- errors` writes it).",
    "",
    "| code | what to do | said with it | from |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
  if (process.env["UPDATE"] === "1") writeFileSync(document, text);
  equal(readFileSync(document, "utf8"), text, "docs/ERRORS.md is stale: run `UPDATE=1 npm test -- errors`");
});

test("docs/ERRORS.md says for every code what to do, and the sentence said with it", () => {
  for (const [code, { advice, said }] of written()) {
    match(advice, /^[A-Z`][^|]{12,}\.$/, `${code} needs a sentence that says what to do`);
    match(said, /\S \S/, `${code} needs the sentence that is said with it`);
  }
});
