/** test262, the suite of ECMAScript: every script is a message that a fresh machine evaluates. */
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { toUtf8 } from "#base";
import { scriptAt, scriptPaths } from "../../compiler/quickjs/test262.ts";
import { type CaseResult, failed, passed, type Suite } from "./case.ts";
import { flowMachine } from "./machine.ts";

/** Evaluates the body as a script, lets its promises settle, and replies what it said and threw. */
const evaluator = `import { flow } from "mayfly";
export default flow(async (msg, { sleep }) => {
  const evaluate = globalThis.eval;
  let thrown = null;
  try { evaluate(msg.text()); } catch (error) { thrown = String(error?.name ?? error) + ": " + String(error?.message ?? ""); }
  await sleep(100);
  return new Response([globalThis.__said, thrown].map((each) => (each === null || each === undefined ? "" : String(each))).join("\\u0000"));
});`;

interface Expected {
  readonly negative: string | undefined;
  readonly isAsync: boolean;
}

function expectedOf(text: string): Expected {
  const matter = /\/\*---([\s\S]*?)---\*\//.exec(text)?.[1] ?? "";
  return { negative: /negative:[\s\S]*?type:\s*(\w+)/.exec(matter)?.[1], isAsync: /flags:\s*\[[^\]]*async/.test(matter) };
}

function judge(name: string, { negative, isAsync }: Expected, reply: string): CaseResult {
  const [said = "", thrown = ""] = reply.split("\0");
  if (negative !== undefined)
    return thrown.startsWith(negative) ? passed(name) : failed(name, `${thrown || "nothing"} instead of ${negative}`);
  if (thrown !== "") return failed(name, thrown);
  return !isAsync || said.includes("Test262:AsyncTestComplete") ? passed(name) : failed(name, said || "never said that it was done");
}

/** Scripts between two that are run in the quick part. */
const quickStep = 40;

export const test262: Suite = {
  name: "test262",
  about: "ECMAScript, a twelfth of it",
  run: async ({ data, quick, filter }) => {
    const folder = join(data, "test262");
    const machine = await flowMachine(evaluator);
    const results: CaseResult[] = [];
    const paths = ["language", "built-ins"].flatMap((below) => scriptPaths(folder, below));
    try {
      for (const [index, path] of paths.entries()) {
        const name = relative(join(folder, "test"), path);
        if ((quick && index % quickStep !== 0) || (filter !== undefined && !name.includes(filter))) continue;
        const script = scriptAt(folder, path);
        if (script === undefined) continue;
        const { reply, failure } = await machine.run(toUtf8(script.code), "text/plain");
        results.push(reply === undefined ? failed(name, failure) : judge(name, expectedOf(readFileSync(path, "utf8")), reply));
      }
      return results;
    } finally {
      await machine.close();
    }
  },
};
