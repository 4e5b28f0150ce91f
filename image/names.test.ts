/** Names of a flow's functions beside those of the kernel's parts, which are bundled into one scope with them. */
import { deepEqual, ok } from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { partModules } from "#kernel";
import { embeddedMonitor } from "../monitors/mod.ts";
import { deliver } from "../monitors/monitor.case.ts";
import { buildImage } from "./mod.ts";

const kernelFolder = fileURLToPath(new URL("../kernel/runtime/", import.meta.url));

/** The names that the parts declare, at their top level or further in, as a bundle of all of them has them. */
async function namesOfParts(): Promise<string[]> {
  const contents = Object.values(partModules)
    .map((module) => `import ${JSON.stringify(`${kernelFolder}${module.replace(/\.ts$/, ".js")}`)};`)
    .join("");
  const { metafile } = await build({
    stdin: { contents, resolveDir: kernelFolder },
    bundle: true,
    write: false,
    metafile: true,
    platform: "neutral",
    packages: "external",
  });
  const names = new Set<string>();
  for (const path of Object.keys(metafile.inputs).filter((name) => name !== "<stdin>")) {
    const text = await readFile(path, "utf8");
    for (const [, name = ""] of text.matchAll(/^(?:export )?(?:async )?(?:function\*?|class|const|let|var)\s+([A-Za-z$][\w$]*)/gm))
      names.add(name);
  }
  return [...names].sort();
}

async function answerOf(text: string): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-names-"));
  const monitor = embeddedMonitor({ workers: 1 });
  try {
    const path = join(folder, "flow.js");
    await writeFile(path, text);
    const { effects, failure } = await monitor.start(await monitor.load((await buildImage(path, { check: false })).image), deliver()).first;
    const last = effects.at(-1) as { readonly reply?: { readonly body: Uint8Array } };
    return failure ?? JSON.parse(new TextDecoder().decode(last.reply?.body));
  } finally {
    await monitor.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const isGlobal = (name: string): boolean => name in globalThis;
const imports = Object.keys(partModules)
  .map((name) => `import "mayfly/${name}";`)
  .join("\n");

/** A flow with one declaration for each name, and the names that a stack and `.name` give for them. */
const flowOf = (names: readonly string[], declare: (name: string) => string): string => `import { flow } from "mayfly";
${imports}
const earlier = () => 1; // esbuild joins the declarations that follow each other
${names.map(declare).join("\n")}
const stackOf = (one) => { try { one(); } catch (error) { return /at (?:async )?(\\S+)/.exec(error.stack)?.[1]; } };
export default flow(() => earlier() && [${names.map((name) => `[${name}.name, stackOf(${name})]`).join(", ")}]);`;

for (const [kind, declare] of Object.entries({
  functions: (name: string) => `function ${name}() { throw new Error("x"); }`,
  arrows: (name: string) => `const ${name} = (a = (1)) => { throw new Error(String(a)); };`,
  "function expressions": (name: string) => `const ${name} = function () { throw new Error("x"); };`,
}))
  test(`a flow's ${kind} keep their names where the kernel's parts have the same, all parts linked`, { timeout: 120_000 }, async () => {
    const names = (await namesOfParts()).filter((name) => !isGlobal(name) && !["flow", "stackOf", "earlier"].includes(name));
    ok(names.length > 100, `${names.length} names`);
    deepEqual(
      await answerOf(flowOf(names, declare)),
      names.map((name) => [name, name]),
    );
    // One at a time too: one that the bundle shows to be renamed would mend the others.
    for (const name of names.filter((_, index) => index % 40 === 0)) deepEqual(await answerOf(flowOf([name], declare)), [[name, name]]);
  });
