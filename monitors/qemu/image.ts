/** An image as a file that QEMU boots, and who uses it. */
import type { FileHandle } from "node:fs/promises";
import type { FlowLimits } from "#abi";
import type { Image } from "#image";
import type { LoadedImage } from "../monitor.ts";

export class QemuImage implements LoadedImage {
  readonly sha256: string;
  readonly name: string;
  readonly limits: FlowLimits;
  readonly elf: FileHandle;
  users = 1;
  #machines = 0;
  readonly #dispose: (image: QemuImage) => void;

  constructor(image: Image, elf: FileHandle, dispose: (image: QemuImage) => void) {
    this.sha256 = image.sha256;
    this.name = image.manifest.name;
    this.limits = image.manifest.limits;
    this.elf = elf;
    this.#dispose = dispose;
  }

  retain(): void {
    this.#machines++;
  }
  release(): void {
    this.#machines--;
    this.settle();
  }
  /** Lets go of file and virtual machines when nobody uses it. */
  settle(): void {
    if (this.users === 0 && this.#machines === 0) this.#dispose(this);
  }
}
