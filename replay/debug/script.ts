/** A flow's bundle as a debugger wants it: its source map inline, with the sources by their full URLs. */
import { dirname, isAbsolute, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { bundleFlow, projectFolder } from "#image";
import type { DebugScript } from "./realm.ts";

export interface DebugBundle extends Omit<DebugScript, "outlets"> {
  /** As the bundler wrote it. */
  readonly sourceMap: Uint8Array;
}

/** `include`: folders that the bundle may read besides the project's. Throws as a build does. */
export async function debugBundle(flow: string, include: readonly string[]): Promise<DebugBundle> {
  const path = resolve(flow);
  const folder = dirname(path);
  const { script, sourceMap } = await bundleFlow(path, include, { plain: true });
  const map = JSON.parse(Buffer.from(sourceMap).toString("utf8")) as { sources: string[]; sourceRoot?: string; [more: string]: unknown };
  const full = {
    ...map,
    sources: map.sources.map((source) =>
      /^[a-z]+:[^\\/]/i.test(source) ? source : pathToFileURL(isAbsolute(source) ? source : resolve(folder, source)).href,
    ),
  };
  const inline = Buffer.from(JSON.stringify(full)).toString("base64");
  const text = `${Buffer.from(script).toString("utf8")}\n//# sourceMappingURL=data:application/json;charset=utf-8;base64,${inline}\n`;
  // In the project, where VS Code looks for scripts with source maps; no such file is written.
  const project = projectFolder(path) ?? folder;
  const url = pathToFileURL(
    resolve(project, ".mayfly", "debug", `${path.slice(path.lastIndexOf("/") + 1).replace(/\.[^.]+$/, "")}.js`),
  ).href;
  return { text, url, sourceMap };
}
