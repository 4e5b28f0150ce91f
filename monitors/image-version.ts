/** The check that an image fits this version of Mayfly. */
import { abiVersion } from "#abi";
import { CodedError } from "#base";
import type { Image } from "#image";
import { kernelArtifacts } from "#kernel";

/** Throws MF_IMAGE_VERSION if the image was built for another ABI or with another kernel than this version of Mayfly has. */
export function checkVersion({ manifest }: Image): void {
  if (manifest.abi === abiVersion && manifest.kernel === kernelArtifacts().hash) return;
  throw new CodedError(
    "MF_IMAGE_VERSION",
    `the image ${manifest.name} was built with a different version of Mayfly: build it again with \`mayfly build\``,
  );
}
