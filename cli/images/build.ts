/** Builds a flow; what goes wrong at its top level is placed in its source. */
import { relative } from "node:path";
import { CodedError, isCoded } from "#base";
import { type Built, buildImage, type BuildOptions } from "#image";
import { framesText } from "../machine/stack.ts";
import { probeTopLevel } from "../machine/top-level.ts";

/** Codes of faults found while the machine was booted: their places are those of the bundle, which nobody has seen. */
const bootCodes = new Set(["MF_FLOW_TOP_LEVEL", "MF_TOP_LEVEL", "MF_FLOW_INVALID", "MF_UNHANDLED_REJECTION"]);

/** The sentence without the engine's stack. */
function sentenceOf(message: string): string {
  const lines = message.split("\n").filter((line) => !/^\s+at /.test(line));
  return lines.join("\n").replace(/^(running \S+|taking the flow): /, "");
}

async function explained(error: CodedError, path: string): Promise<CodedError> {
  const { touched, failedAt } = await probeTopLevel(path);
  const refused = touched.find(({ what }) => error.message.includes(what.replace(/\(\)$/, "")));
  const frames = error.code === "MF_TOP_LEVEL" ? (refused?.frames ?? failedAt) : failedAt;
  const [first, ...outer] = frames;
  const place = first === undefined ? `${relative(process.cwd(), path)}: ` : `${first.file}:${first.line}:${first.column}: `;
  const from = outer.length === 0 ? "" : `\n${framesText(outer).replace(/^/gm, "  ")}`;
  return new CodedError(error.code, `${place}${sentenceOf(error.message)}${from}`, { cause: error });
}

/** As `buildImage`; every CodedError says where. */
export async function buildFlow(path: string, options: BuildOptions = {}): Promise<Built> {
  try {
    return await buildImage(path, options);
  } catch (error) {
    if (isCoded(error) && bootCodes.has(error.code)) throw await explained(error, path);
    throw error;
  }
}
