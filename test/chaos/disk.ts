/** A small disk of its own under the journal, which can be filled to the last byte and emptied again. */
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

const sizeMiB = 192;

export class SmallDisk {
  readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
  }

  /** The disk, or the reason why it can't be made. */
  static mount(dir: string): SmallDisk | string {
    if (process.platform !== "linux") return "only Linux has tmpfs";
    if (process.getuid?.() !== 0) return "only root can mount a disk";
    mkdirSync(dir, { recursive: true });
    const { status, stderr } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMiB}m`, "mayfly-chaos", dir], { encoding: "utf8" });
    return status === 0 ? new SmallDisk(dir) : `no disk could be mounted: ${(stderr ?? "").trim()}`;
  }

  fill(): void {
    const file = openSync(join(this.dir, "filler"), "a");
    try {
      for (let bytes = 2 ** 20; bytes >= 512; ) {
        try {
          if (writeSync(file, Buffer.alloc(bytes)) < bytes) bytes = Math.floor(bytes / 2);
        } catch {
          bytes = Math.floor(bytes / 2);
        }
      }
    } finally {
      closeSync(file);
    }
  }

  empty(): void {
    rmSync(join(this.dir, "filler"), { force: true });
  }

  unmount(): void {
    // Lazily: a child that was killed may still hold a file for a moment.
    spawnSync("umount", ["-l", this.dir], { stdio: "ignore" });
  }
}
