/** A function's text → the image in which each call finds it, already compiled. Nothing of it runs while the image is built. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CodedError } from "#base";
import { buildImage, type Frame, type Image as Frozen, readImage, StackMapper } from "#image";
import type { LogEffect } from "#abi";
import { buildApart } from "./builder.ts";
import { optionError, type Places } from "./errors.ts";
import { checkCode, inFolder } from "./images.ts";
import { embedLimits } from "./limits.ts";

/** Name of the caller's source in places. It begins in the second line of its module, so that columns are right. */
const sourceName = "function.ts";
const linesBefore = 1;

const valuesFile = fileURLToPath(new URL("./values.js", import.meta.url));

/** The flow of a sandbox. `names`: functions of the host, which are in the source's scope. */
function entryOf(names: readonly string[]): string {
  const { depth, valueParts, valueBytes } = embedLimits;
  return `import { fail, flow } from "mayfly"; import make from "./${sourceName}"; import { decodeForm, decodeValue, encodeValue } from "./values.js";
const names = ${JSON.stringify(names)};
const bounds = ${JSON.stringify({ depth, parts: valueParts, characters: valueBytes })};
const { parse } = JSON;
const { isArray } = Array;
const base64 = { to: (bytes) => bytes.toBase64(), from: (text) => Uint8Array.fromBase64(text) };
const askFor = (outlet) => async (...values) =>
  decodeValue((await outlet.request(encodeValue(values, bounds, base64))).text(), parse, base64);
const made = ${names.length === 0 ? "() => make()" : "({ to }) => make(...names.map((name) => askFor(to[name])))"};
const written = (result) => encodeValue(result, bounds, base64);
export default flow({ outlets: names }, (msg, context) => {
  const called = made(context);
  if (typeof called !== "function")
    fail("the sandbox's code is " + (called === null ? "null" : typeof called) + ": give it the text of a function, such as (x) => x * 2", { code: "MF_SANDBOX_INVALID", retry: false });
  const given = msg.json();
  const result = called(...(isArray(given) ? given : decodeForm(given.form, base64)));
  if ((typeof result !== "object" && typeof result !== "function") || result === null || typeof result.then !== "function") return written(result);
  return Promise.resolve(result).then(written);
});
`;
}

const identifier = /^[A-Za-z_$][\w$]{0,63}$/;
const reserved = new Set(
  `arguments await break case catch class const continue debugger default delete do else enum eval export extends false finally for function
  if implements import in instanceof interface let new null package private protected public return static super switch this throw true try
  typeof var void while with yield`.split(/\s+/),
);

export function checkFunctionNames(names: readonly string[]): void {
  if (names.length > embedLimits.functions) throw optionError(`functions has more than ${embedLimits.functions} names`);
  for (const name of names)
    if (!identifier.test(name) || reserved.has(name))
      throw optionError(`functions: ${JSON.stringify(name.slice(0, 64))} can't be a variable's name: use letters, digits, _ and $`);
}

interface Fault {
  readonly text: string;
  readonly location: { readonly line: number; readonly column: number } | null;
}

/**
 * Throws MF_SANDBOX_INVALID where the text is not one expression. It is parsed between two kinds of brackets: what closes one early does not
 * close the other, so that no text can leave its place in the module.
 */
async function checkExpression(code: string): Promise<void> {
  const { transform } = await import("esbuild");
  for (const [open, close] of ["()", "[]"])
    try {
      await transform(`${open}${code}\n${close}`, { loader: "ts", tsconfigRaw: {}, logLevel: "silent" });
    } catch (cause) {
      const { errors } = cause as { readonly errors?: readonly Fault[] };
      if (errors === undefined) throw cause; // the bundler has crashed
      const [fault] = errors;
      const { line = 1, column = 1 } = fault?.location ?? {};
      const place = `${sourceName}:${line}:${line === 1 ? Math.max(column, 1) : column + 1}`;
      const text = `${place}: the code is not one expression: ${fault?.text ?? String(cause)}. Give the text of a function, such as (x) => x * 2`;
      throw new CodedError("MF_SANDBOX_INVALID", text, { cause });
    }
}

function shifted(text: string): string {
  return text.replaceAll(/\bfunction\.ts:(\d+):/g, (_, line: string) => `${sourceName}:${Number(line) - linesBefore}:`);
}

/** Places in the caller's source; the frames of what is around it are left out. */
export class SandboxPlaces implements Places {
  readonly #mapper: StackMapper;

  constructor(mapper: StackMapper) {
    this.#mapper = mapper;
  }

  frames(stack: string | undefined): readonly Frame[] {
    return this.#mapper
      .frames(stack)
      .filter(({ file, line }) => file === sourceName && line > linesBefore)
      .map((frame) => ({ ...frame, line: frame.line - linesBefore }));
  }

  stack(stack: string): string {
    const lines = this.#mapper.stack(stack).split("\n");
    return shifted(lines.filter((line) => !/\b(sandbox\.js:\d+|values\.js:\d+|function\.ts:1):\d+\)?$/.test(line)).join("\n"));
  }

  log(effect: LogEffect): LogEffect {
    const { text, fieldsJson, ...line } = this.#mapper.log(effect);
    return { ...line, text: shifted(text), fieldsJson: fieldsJson === undefined ? undefined : shifted(fieldsJson) };
  }
}

/** A sandbox's image, to be loaded and let go, and the places in its source, which stay. */
export interface SandboxImage {
  readonly frozen: Frozen;
  readonly places: SandboxPlaces;
}

/** In the process that builds. Throws MF_SANDBOX_INVALID, MF_BUNDLE_FAILED, MF_BUNDLE_OUTSIDE. */
export async function buildFunction(code: string, names: readonly string[]): Promise<Frozen> {
  await checkExpression(code);
  const files = {
    "sandbox.js": entryOf(names),
    [sourceName]: `export default (${names.join(", ")}) => (\n${code}\n);\n`,
    "values.js": await readFile(valuesFile, "utf8"),
  };
  try {
    return await inFolder(files, async (folder) => {
      const alone = [join(folder, sourceName)];
      return (await buildImage(join(folder, "sandbox.js"), { name: "sandbox", check: false, alone })).image;
    });
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw new CodedError(error.code, shifted(error.message), { cause: error.cause });
  }
}

/** Throws MF_EMBED_OPTION, MF_BUILD_TIME, MF_BUILD_BUSY, and what the build throws. */
export async function buildSandbox(code: string, names: readonly string[]): Promise<SandboxImage> {
  checkCode(code, embedLimits.functionCharacters);
  checkFunctionNames(names);
  const frozen = readImage(await buildApart({ kind: "sandbox", code, names }));
  const sourceMap = frozen.sourceMap.slice(); // the image itself has a hundred times as much
  return { frozen, places: new SandboxPlaces(new StackMapper(() => sourceMap, undefined, "sandbox.js")) };
}
