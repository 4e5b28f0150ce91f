/** An ELF as an open file without a name: QEMU opens it by its descriptor, nobody else can, and nothing has to be cleaned up. */
import { randomBytes } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CodedError } from "#base";

/** The descriptor under which QEMU gets it. */
export const elfDescriptor = 4;
export const elfPath = `/dev/fd/${elfDescriptor}`;

/** Where the folder for temporary files can't be written to (a read-only root, a full disk), memory will do. */
const otherFolders = ["/dev/shm", "/var/tmp"];

async function writeNameless(folder: string, bytes: Uint8Array): Promise<FileHandle> {
  const path = join(folder, `mayfly-${randomBytes(12).toString("hex")}.elf`);
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

/** Throws MF_QEMU_FAILED where no folder takes it. */
export async function namelessFile(bytes: Uint8Array, folders: readonly string[] = [tmpdir(), ...otherFolders]): Promise<FileHandle> {
  const complaints: string[] = [];
  for (const folder of folders) {
    try {
      return await writeNameless(folder, bytes);
    } catch (error) {
      complaints.push((error as Error).message);
    }
  }
  throw new CodedError("MF_QEMU_FAILED", `the ELF for QEMU can't be written: set TMPDIR to a writable folder (${complaints.join("; ")})`);
}
