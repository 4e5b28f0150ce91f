/** Files of types beside the contracts of a project. */
import { readFile, writeFile } from "node:fs/promises";
import type { GatewayConfig } from "#gateway";

/** Writes those that are not as they should be. Resolves with the paths of all, and of those that were written. */
export async function writeContractTypes(
  config: GatewayConfig,
): Promise<{ readonly files: readonly string[]; readonly written: readonly string[] }> {
  const { contractTypes } = await import("#connectors");
  const types = contractTypes(config);
  const written: string[] = [];
  for (const [path, text] of types) {
    if ((await readFile(path, "utf8").catch(() => undefined)) === text) continue;
    await writeFile(path, text);
    written.push(path);
  }
  return { files: [...types.keys()], written };
}
