/** The `mayfly` command: wires the folders below, owns no logic. */
import type { Serving, ServingOptions } from "./serving/serving.ts";

export { capture, type Captured, type CaptureOptions } from "./capture.ts";
export { main } from "./command-line.ts";
export { packageRoot } from "./package.ts";
export { type Serving, type ServingOptions } from "./serving/serving.ts";
export { type Terminal } from "./terminal.ts";

/** Serves a mayfly.yaml in this process. Loaded when called: a command that serves nothing should not wait for it. */
export async function serve(options: ServingOptions): Promise<Serving> {
  const { startServing } = await import("./serving/serving.ts");
  return await startServing(options);
}
