/** The process that builds strangers' code: one request, one answer. Ends with its parent. */
import { isCoded } from "#base";
import type { BuildAnswer, BuildRequest } from "./builder.ts";
import { buildCode } from "./images.ts";
import { buildFunction } from "./sandbox-image.ts";

async function answer(request: BuildRequest): Promise<BuildAnswer> {
  try {
    const image = request.kind === "flow" ? await buildCode(request) : await buildFunction(request.code, request.names);
    return { bytes: image.bytes };
  } catch (error) {
    return { error: { code: isCoded(error) ? error.code : undefined, message: error instanceof Error ? error.message : String(error) } };
  }
}

process.on("disconnect", () => process.exit());
process.on("message", (request) => void answer(request as BuildRequest).then((given) => process.send?.(given)));
