/** A flow's images in the store, with the time each was last built. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Image, loadImage } from "#image";
import type { Monitor } from "#monitors";
import type { Candidate } from "#replay";
import { storeFolder } from "../images/store.ts";

/** The image's limits in the place where it runs. */
type LimitsOf = (image: Image) => Awaited<ReturnType<Candidate["load"]>>["limits"];

/** Images built from the flow at `source` that are kept in the project's store; those that this Mayfly can't read are left out. */
export async function keptImages(project: string, source: string, monitor: Monitor, limitsOf: LimitsOf): Promise<readonly Candidate[]> {
  const folder = storeFolder(project);
  const found: Candidate[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const sha256 = /^([0-9a-f]{64})\.mfi$/.exec(name)?.[1];
    if (sha256 === undefined) continue;
    const path = join(folder, name);
    try {
      const { flow, builtAt } = JSON.parse(await readFile(join(folder, `${sha256}.json`), "utf8")) as Readonly<Record<string, unknown>>;
      if (typeof flow !== "string" || resolve(project, flow) !== source) continue;
      const image = await loadImage(path);
      const { birthtimeMs, mtimeMs } = await stat(path);
      const load = async (): ReturnType<Candidate["load"]> => ({ loaded: await monitor.load(image), limits: limitsOf(image) });
      // A reading counts as use and changes the file's own time: its birth is when it was built.
      const bornMs = birthtimeMs > 0 ? birthtimeMs : mtimeMs;
      found.push({ sha256, builtMs: typeof builtAt === "number" ? builtAt : bornMs, load });
    } catch {
      // Not whole, or of another version.
    }
  }
  return found;
}
