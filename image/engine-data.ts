/** The part of an image that is the engine's and the natives' own initial data, as every instance of the modules has it anyway. */
import { instantiateKernel, kernelArtifacts, layout } from "#kernel";
import type { Image } from "./file.ts";

/** The pages of the image that a fresh instance of its modules holds already, end to end. */
export function engineDataBytes(image: Image): Uint8Array {
  const { engine, native } = kernelArtifacts();
  const fresh = new Uint8Array(
    instantiateKernel(new WebAssembly.Module(engine), new WebAssembly.Module(native), () => 0).engine.memory.buffer,
  );
  const same: Uint8Array[] = [];
  for (const [index, page] of image.pageNumbers.entries()) {
    const frozen = image.pages.subarray(index * layout.pageBytes, (index + 1) * layout.pageBytes);
    if (Buffer.compare(frozen, fresh.subarray(page * layout.pageBytes, (page + 1) * layout.pageBytes)) === 0) same.push(frozen);
  }
  return Buffer.concat(same);
}
