import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Engine, evaluate } from "./engines.ts";

/** Scripts of test262, the conformance suite of ECMAScript, made of one text each. Its files are not part of the repository. */

export interface Script {
  readonly name: string;
  readonly code: string;
}

const preamble = `var __said = []; var print = text => void __said.push(String(text));
var $262 = { createRealm() { throw new Test262Error("no realms"); }, detachArrayBuffer(b) { b.transfer(); }, evalScript: text => (0, eval)(text), gc() {}, global: globalThis };`;

function* walk(folder: string): Generator<string> {
  const entries = readdirSync(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else if (entry.name.endsWith(".js") && !entry.name.includes("_FIXTURE")) yield path;
  }
}

/** The list after `key:` in a test's front matter, on one line or on several. */
function listOf(matter: string, key: string): readonly string[] {
  const inline = new RegExp(`^${key}:\\s*\\[(.*)\\]`, "m").exec(matter)?.[1];
  if (inline !== undefined) return inline.split(",").map((item) => item.trim());
  const lines = new RegExp(`^${key}:\\s*\\n((?:\\s+-.*\\n)+)`, "m").exec(matter)?.[1] ?? "";
  return [...lines.matchAll(/-\s*(\S+)/g)].map((match) => match[1] as string);
}

/** A test with what it includes; `undefined` for modules and what needs other agents: this host has neither. */
export function scriptAt(folder: string, path: string): Script | undefined {
  const body = readFileSync(path, "utf8");
  const matter = /\/\*---([\s\S]*?)---\*\//.exec(body)?.[1] ?? "";
  const flags = listOf(matter, "flags");
  if (flags.includes("module") || /\$262\.agent|CanBlockIs/.test(body)) return undefined;
  const harness = (name: string): string => readFileSync(join(folder, "harness", name), "utf8");
  const includes = flags.includes("raw")
    ? []
    : ["assert.js", "sta.js", ...(flags.includes("async") ? ["doneprintHandle.js"] : []), ...listOf(matter, "includes")];
  const strict = flags.includes("onlyStrict") ? '"use strict";\n' : "";
  return { name: path.slice(folder.length + 1), code: `${strict}${preamble}\n${includes.map(harness).join("\n")}\n${body}` };
}

export function scriptPaths(folder: string, below: string): readonly string[] {
  return [...walk(join(folder, "test", below))];
}

/** The result of a script: the exception it threw, else its output once its promises were settled. */
export async function outcome(engine: Engine, script: Script): Promise<string> {
  // As an eval of its own: what it declares with let, const and class is not there for the next one.
  const value = await evaluate(engine, `(0, eval)(${JSON.stringify(script.code)})`);
  if (value.startsWith("thrown: ")) return value;
  for (let jobs = 0; jobs < 10_000 && (await engine.call("qjs_execute_pending_job")) > 0; jobs++);
  return await evaluate(engine, "String(globalThis.__said)");
}
