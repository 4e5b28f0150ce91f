// Promises in our own code that are neither awaited, nor caught, nor discarded with `void`. Argument: the URL of image/promises.ts, compiled.
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { root } from "./setup.mjs";

const { droppedPromisesOf } = await import(process.argv[2]);
/** node:test awaits what these return. */
const awaitedByTests = /^(?:test|describe|it|suite|before|after|beforeEach|afterEach)\b/;

const found = (await droppedPromisesOf(join(root, "tsconfig.json"), { mayCatch: true })).filter(({ file, line, column }) => {
  const text = readFileSync(file, "utf8").split("\n")[line - 1] ?? "";
  return !awaitedByTests.test(text.slice(column - 1));
});
for (const { file, line, column, kind } of found)
  console.error(
    `${relative(root, file)}:${line}:${column}: ${kind === "statement" ? "a promise is not awaited: await it, catch its error, or put `void` before it" : "an async function is passed to a caller that ignores its promise"}`,
  );
process.exit(found.length === 0 ? 0 : 1);
