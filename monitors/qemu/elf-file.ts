/** An ELF as an open file without a name: QEMU opens it by its descriptor, nobody else can, and nothing has to be cleaned up. */
import { randomBytes } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The descriptor under which QEMU gets it. */
export const elfDescriptor = 4;
export const elfPath = `/dev/fd/${elfDescriptor}`;

export async function namelessFile(bytes: Uint8Array): Promise<FileHandle> {
  const path = join(tmpdir(), `mayfly-${randomBytes(12).toString("hex")}.elf`);
  const file = await open(path, "wx+", 0o644); // QEMU reads it as nobody
  try {
    await unlink(path);
    await file.writeFile(bytes);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
