/** JSONTestSuite, csv-spectrum and W3C's XML suite: bodies as a message brings them. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type CaseResult, failed, passed, type Suite, type SuiteOptions } from "./case.ts";
import { flowMachine } from "./machine.ts";

const wanted = (name: string, { filter }: SuiteOptions): boolean => filter === undefined || name.includes(filter);

function v8Value(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)) as unknown;
}

export const json: Suite = {
  name: "json",
  about: "JSONTestSuite",
  run: async (options) => {
    const machine = await flowMachine(
      'import { flow } from "mayfly"; export default flow((msg) => new Response(JSON.stringify({ value: msg.json() })));',
    );
    const results: CaseResult[] = [];
    try {
      for (const folder of ["test_parsing", "test_transform"]) {
        const at = join(options.data, "conformance", "json", folder);
        for (const file of readdirSync(at).sort()) {
          const name = `${folder}/${file}`;
          if (!file.endsWith(".json") || !wanted(name, options)) continue;
          const bytes = readFileSync(join(at, file));
          results.push(judgeJson(name, file, bytes, await machine.run(bytes, "application/json")));
        }
      }
      return results;
    } finally {
      await machine.close();
    }
  },
};

/** `y_`: accepted, with V8's value; `n_`: refused; everything else may be either, and has V8's value when it is accepted. */
function judgeJson(
  name: string,
  file: string,
  bytes: Uint8Array,
  { reply, failure }: { reply: string | undefined; failure: string },
): CaseResult {
  const invalid = failure.startsWith("MF_MESSAGE_INVALID");
  if (reply === undefined && !invalid) return failed(name, failure);
  if (file.startsWith("n_")) return invalid ? passed(name) : failed(name, `accepted as ${reply}`);
  if (reply === undefined) return file.startsWith("y_") ? failed(name, failure) : passed(name);
  let expected: string;
  try {
    expected = JSON.stringify({ value: v8Value(bytes) });
  } catch {
    return passed(name);
  }
  return expected === reply ? passed(name) : failed(name, `${reply} instead of ${expected}`);
}

export const csv: Suite = {
  name: "csv",
  about: "csv-spectrum",
  run: async (options) => {
    const machine = await flowMachine(
      'import { flow } from "mayfly"; export default flow((msg) => new Response(JSON.stringify(msg.csv())));',
    );
    const at = join(options.data, "conformance", "csv");
    const results: CaseResult[] = [];
    try {
      for (const file of readdirSync(join(at, "csvs")).sort()) {
        const name = file.replace(/\.csv$/, "");
        if (!wanted(name, options)) continue;
        const { reply, failure } = await machine.run(readFileSync(join(at, "csvs", file)), "text/csv");
        const expected = JSON.parse(readFileSync(join(at, "json", `${name}.json`), "utf8")) as unknown;
        if (reply !== undefined && isDeepStrictEqual(JSON.parse(reply), Array.isArray(expected) ? expected : [expected]))
          results.push(passed(name));
        else results.push(failed(name, reply ?? failure));
      }
      return results;
    } finally {
      await machine.close();
    }
  },
};

interface XmlCase {
  readonly name: string;
  readonly path: string;
  readonly type: string;
}

function* xmlFiles(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* xmlFiles(path);
    else if (entry.name.endsWith(".xml")) yield path;
  }
}

/**
 * Cases a processor of XML 1.0 that reads no external entities has to judge: `valid` and `invalid` are accepted, `not-wf` is refused.
 * `error` may be either.
 */
function xmlCases(root: string): XmlCase[] {
  const cases = new Map<string, XmlCase>();
  for (const list of xmlFiles(root)) {
    const text = readFileSync(list, "latin1");
    for (const [, attributes = ""] of text.matchAll(/<TEST\s([^>]*)>/g)) {
      const of = (name: string): string => new RegExp(`\\b${name}\\s*=\\s*["']([^"']*)["']`).exec(attributes)?.[1] ?? "";
      const type = of("TYPE");
      if (!["valid", "invalid", "not-wf"].includes(type)) continue;
      if (!["", "none"].includes(of("ENTITIES")) || /1\.1/.test(`${of("RECOMMENDATION")} ${of("VERSION")}`) || of("EDITION") === "1 2 3 4")
        continue;
      const base = /<TESTCASES[^>]*xml:base="([^"]*)"/.exec(text)?.[1] ?? "";
      const path = [join(dirname(list), of("URI")), join(dirname(list), base, of("URI"))].find((each) =>
        statSync(each, { throwIfNoEntry: false })?.isFile(),
      );
      if (path !== undefined) cases.set(path, { name: relative(root, path), path, type });
    }
  }
  return [...cases.values()];
}

export const xml: Suite = {
  name: "xml",
  about: "W3C XML 1.0, without external entities",
  run: async (options) => {
    const machine = await flowMachine('import { flow } from "mayfly"; export default flow((msg) => { msg.xml(); return "read"; });');
    const cases = xmlCases(join(options.data, "conformance", "xml", "xmlconf")).filter(
      ({ name }, index) => wanted(name, options) && (!options.quick || index % 10 === 0),
    );
    const results: CaseResult[] = [];
    try {
      for (const { name, path, type } of cases) {
        const { reply, failure } = await machine.run(readFileSync(path), "application/xml");
        if (reply === undefined && !failure.startsWith("MF_MESSAGE_INVALID")) results.push(failed(name, failure));
        else if ((reply !== undefined) === (type !== "not-wf")) results.push(passed(name));
        else results.push(failed(name, type === "not-wf" ? "not well-formed, and accepted" : failure));
      }
      return results;
    } finally {
      await machine.close();
    }
  },
};
