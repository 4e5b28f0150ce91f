/** Memory that an image leaves its machines to work with. */
import { layout } from "#kernel";
import type { Manifest } from "./manifest.ts";
import { imageLimits } from "./limits.ts";

const mib = 1024 ** 2;

/** Says what to do when `memoryBytes` leave no room beside the image; undefined when they do. */
export function memoryShortage({ name, memoryPages }: Pick<Manifest, "name" | "memoryPages">, memoryBytes: number): string | undefined {
  const restBytes = memoryPages * layout.wasmPageBytes;
  if (restBytes + imageLimits.roomBytes <= memoryBytes) return undefined;
  const [rest, limit] = [restBytes, memoryBytes].map((bytes) => (bytes / mib).toFixed(1).replace(".0", ""));
  return `a machine of ${name} starts with ${rest} MiB, more than limits.memory, ${limit} MiB: keep less at the flow's top level, or raise limits.memory`;
}
