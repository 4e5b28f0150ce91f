/** The kernel of an image: this version's own, or an older one that was kept. */
import { abiVersion } from "#abi";
import { CodedError } from "#base";
import { type Kernel, kernelArtifacts, kernelFileName, withLess } from "#kernel";
import type { Image } from "./file.ts";

/** The kernel that the image was booted with. Throws MF_IMAGE_VERSION where it is not here, or speaks another ABI. */
export function kernelOf({ manifest, kernel }: Image): Kernel {
  const own = kernelArtifacts();
  if (manifest.abi === abiVersion) {
    if (manifest.kernel === own.hash) return own;
    if (manifest.kernel === kernel?.hash) return kernel;
  }
  throw new CodedError(
    "MF_IMAGE_VERSION",
    manifest.abi === abiVersion
      ? `the image ${manifest.name} was built with a different version of Mayfly: build it again with \`mayfly build\`, or put its kernel, ${kernelFileName(manifest.kernel)}, back beside it`
      : `the image ${manifest.name} was built with a different version of Mayfly: build it again with \`mayfly build\``,
  );
}

/** Parts of the runtime whose natives work with keys. */
const keyParts = /^mayfly:.*\bweb\/keys\/(?:aes|derive|rsa|ec|okp)$/;
/** Parts with natives of their own. */
const otherParts = /^mayfly:.*\b(?:web\/(?:compression|structured-clone|multibyte\/[a-z-]+)|formats\/(?:xml|csv))$/;

/** The kernel that a standalone executable of the image links: without the natives of parts that it does not have. */
export function linkedKernelOf(image: Image): Kernel {
  const kernel = kernelOf(image);
  const has = (parts: RegExp): boolean => image.manifest.sources.some(({ path }) => parts.test(path));
  return has(keyParts) ? kernel : withLess(kernel, has(otherParts) ? "plain" : "bare");
}

/** True when the image runs on this version's own kernel. */
export function hasOwnKernel({ manifest }: Image): boolean {
  return manifest.kernel === kernelArtifacts().hash;
}
