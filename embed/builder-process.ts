/** The process that builds strangers' code: one request, one answer. Ends with its parent. */
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename } from "node:path";
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

process.on("disconnect", () => {
  // Its parent is gone, and can't remove the folder that it made for it.
  if (basename(tmpdir()).startsWith("mayfly-builder-")) rmSync(tmpdir(), { recursive: true, force: true });
  process.exit();
});
process.on("message", (request) => void answer(request as BuildRequest).then((given) => process.send?.(given)));
