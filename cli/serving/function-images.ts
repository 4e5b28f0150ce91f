/** Images of deployed functions: read as hostile bytes, loaded into the gateway's monitor when the function is called. */
import { readFileSync } from "node:fs";
import type { FunctionImages } from "#gateway";
import { loadImage, memoryShortage, readImage, StackMapper } from "#image";
import type { ManyMonitors } from "./many-monitors.ts";

export function functionImages(monitors: ManyMonitors): FunctionImages {
  return {
    check(bytes) {
      const { manifest, sha256 } = readImage(bytes);
      return {
        sha256,
        outlets: manifest.outlets ?? undefined,
        limits: manifest.limits,
        shortage: (memoryBytes) => memoryShortage(manifest, memoryBytes),
      };
    },
    open: async (monitor) => void (await monitors.monitor(monitor)),
    async load(file, monitor) {
      const image = await loadImage(file);
      const { manifest } = image;
      // The source map is read again for the rare stack that needs it: in memory it would be the largest part of a function.
      const places = new StackMapper(() => readImage(readFileSync(file)).sourceMap, undefined, `${manifest.name}.js`);
      return { image: await monitors.load(image, monitor), outlets: manifest.outlets ?? undefined, limits: manifest.limits, places };
    },
    unload: (image) => monitors.unload(image),
  };
}
