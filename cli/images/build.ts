/** Builds a flow; what goes wrong at its top level is placed in its source. */
import { dirname, relative, resolve } from "node:path";
import { CodedError, isCoded } from "#base";
import { type Built, buildImage, type BuildOptions, bundleFlow } from "#image";
import { includedFolders } from "./project.ts";
import { type Frame, framesText, StackMapper } from "../machine/stack.ts";
import { probeTopLevel } from "../machine/top-level.ts";

/** Codes of faults found while the machine was booted: their places are those of the bundle, which nobody has seen. */
const bootCodes = new Set(["MF_FLOW_TOP_LEVEL", "MF_TOP_LEVEL", "MF_FLOW_INVALID", "MF_UNHANDLED_REJECTION"]);

/** The sentence without the engine's stack. */
function sentenceOf(message: string): string {
  const lines = message.split("\n").filter((line) => !/^\s+at /.test(line));
  return lines.join("\n").replace(/^(running \S+|taking the flow): /, "");
}

/** Where the top level failed, innermost first: by the engine's own stack, and where that says nothing by running it once more. */
async function placeOf(error: CodedError, path: string, include: readonly string[]): Promise<readonly Frame[]> {
  const bundle = await bundleFlow(path, include).catch(() => undefined); // what can't be bundled was not run
  if (bundle === undefined) return [];
  const frames = new StackMapper(() => bundle.sourceMap, dirname(resolve(path))).frames(error.message);
  return frames.length > 0 ? frames : (await probeTopLevel(path)).failedAt;
}

async function explained(error: CodedError, path: string, include: readonly string[]): Promise<CodedError> {
  const [first, ...outer] = await placeOf(error, path, include);
  const place = first === undefined ? `${relative(process.cwd(), path)}: ` : `${first.file}:${first.line}:${first.column}: `;
  const from = outer.length === 0 ? "" : `\n${framesText(outer).replace(/^/gm, "  ")}`;
  return new CodedError(error.code, `${place}${sentenceOf(error.message)}${from}`, { cause: error });
}

/** As `buildImage`, with the folders that the nearest mayfly.yaml includes unless others are given; every CodedError says where. */
export async function buildFlow(path: string, options: BuildOptions = {}): Promise<Built> {
  const include = options.include ?? (await includedFolders(path));
  try {
    return await buildImage(path, { ...options, include });
  } catch (error) {
    if (isCoded(error) && bootCodes.has(error.code)) throw await explained(error, path, include);
    throw error;
  }
}
