/** Faults of a flow's top level, placed in its source. */
import { dirname, relative, resolve } from "node:path";
import { CodedError, isCoded } from "#base";
import { buildImage, type BuildOptions, type Built } from "./build.ts";
import { bundleFlow } from "./bundle.ts";
import { type Frame, framesText, StackMapper } from "./stack.ts";

/** Codes of faults found while the machine was booted: their places are those of the bundle, which nobody has seen. */
const bootCodes = new Set([
  "MF_FLOW_TOP_LEVEL",
  "MF_TOP_LEVEL",
  "MF_FLOW_INVALID",
  "MF_UNHANDLED_REJECTION",
  "MF_WARM_FAILED",
  "MF_WARM_PENDING",
]);

/** The sentence without the engine's stack. */
function sentenceOf(message: string): string {
  const lines = message.split("\n").filter((line) => !/^\s+at /.test(line));
  return lines.join("\n").replace(/^(running \S+|taking the flow|running warm): /, "");
}

/** Finds where a top level failed, innermost first, where the engine's stack says nothing. */
export type FindFault = () => Promise<readonly Frame[]>;
const unknown: FindFault = () => Promise.resolve([]);

/** Where the top level failed, innermost first. */
async function placeOf(error: CodedError, path: string, options: BuildOptions, find: FindFault): Promise<readonly Frame[]> {
  const bundle = await bundleFlow(path, options.include, options).catch(() => undefined); // what can't be bundled was not run
  if (bundle === undefined) return [];
  const frames = new StackMapper(() => bundle.sourceMap, dirname(resolve(path))).frames(error.message);
  return frames.length > 0 ? frames : find();
}

async function explained(error: CodedError, path: string, options: BuildOptions, find: FindFault): Promise<CodedError> {
  const [first, ...outer] = await placeOf(error, path, options, find);
  const place = first === undefined ? `${relative(process.cwd(), path)}: ` : `${first.file}:${first.line}:${first.column}: `;
  const from = outer.length === 0 ? "" : `\n${framesText(outer).replace(/^/gm, "  ")}`;
  return new CodedError(error.code, `${place}${sentenceOf(error.message)}${from}`, { cause: error });
}

/** As `buildImage`; every CodedError says where. */
export async function buildExplained(path: string, options: BuildOptions = {}, find: FindFault = unknown): Promise<Built> {
  try {
    return await buildImage(path, options);
  } catch (error) {
    if (isCoded(error) && bootCodes.has(error.code)) throw await explained(error, path, options, find);
    throw error;
  }
}
