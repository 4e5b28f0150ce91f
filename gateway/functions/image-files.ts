/**
 * Uploaded images by their SHA-256, one file each.
 *
 *   put: SHA256.NONCE.tmp, synced ─▶ renamed to SHA256.mfi ─▶ names synced
 *
 * An upload that was cut off leaves at most a temporary file, which the next start removes. records.ts says which images are needed.
 */
import { randomBytes } from "node:crypto";
import type { Disk } from "../journal/log/disk.ts";
import { diskFailure } from "./failures.ts";

const imageName = /^([0-9a-f]{64})\.mfi$/;

export class ImageFiles {
  readonly #disk: Disk;
  readonly #hashes = new Set<string>();
  /** As far as somebody has asked. */
  readonly #sizes = new Map<string, number>();
  readonly #writing = new Map<string, Promise<void>>();

  private constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Rejects with MF_FUNCTIONS_DISK. */
  static async open(disk: Disk): Promise<ImageFiles> {
    const files = new ImageFiles(disk);
    try {
      for (const name of await disk.list()) {
        const sha256 = imageName.exec(name)?.[1];
        if (sha256 !== undefined) files.#hashes.add(sha256);
        else if (name.endsWith(".tmp")) await disk.remove(name);
      }
    } catch (error) {
      throw diskFailure(error, "the list of images");
    }
    return files;
  }

  has(sha256: string): boolean {
    return this.#hashes.has(sha256);
  }

  /** Bytes of an image; 0 where it can't be read. */
  async bytesOf(sha256: string): Promise<number> {
    const known = this.#sizes.get(sha256);
    if (known !== undefined) return known;
    try {
      const file = await this.#disk.open(ImageFiles.nameOf(sha256));
      const bytes = await file.size().finally(() => file.close());
      if (this.#hashes.has(sha256)) this.#sizes.set(sha256, bytes);
      return bytes;
    } catch {
      return 0;
    }
  }

  get hashes(): ReadonlySet<string> {
    return this.#hashes;
  }

  /** Name of the file in its folder. */
  static nameOf(sha256: string): string {
    return `${sha256}.mfi`;
  }

  /** Keeps an image, whose bytes are known to be good. Rejects with MF_FUNCTIONS_FULL or MF_FUNCTIONS_DISK. */
  async put(sha256: string, bytes: Uint8Array): Promise<void> {
    if (this.#hashes.has(sha256)) return;
    const writing = this.#writing.get(sha256) ?? this.#write(sha256, bytes);
    this.#writing.set(sha256, writing);
    try {
      await writing;
    } finally {
      this.#writing.delete(sha256);
    }
  }

  /** Never rejects: a file that can't be removed is removed another time. */
  async remove(sha256: string): Promise<void> {
    this.#hashes.delete(sha256);
    this.#sizes.delete(sha256);
    await this.#disk.remove(ImageFiles.nameOf(sha256)).catch(() => undefined);
  }

  async #write(sha256: string, bytes: Uint8Array): Promise<void> {
    const temporary = `${sha256}.${randomBytes(4).toString("hex")}.tmp`;
    try {
      const file = await this.#disk.create(temporary);
      try {
        await file.write(bytes, 0);
        await file.sync();
      } finally {
        await file.close();
      }
      await this.#disk.rename(temporary, ImageFiles.nameOf(sha256));
      await this.#disk.syncNames();
    } catch (error) {
      await this.#disk.remove(temporary).catch(() => undefined);
      throw diskFailure(error, `the image sha256:${sha256.slice(0, 12)}`);
    }
    this.#hashes.add(sha256);
  }
}
