/**
 * The key of approval links: made once, in the journal's folder, for its owner only. Whoever removes it makes all links that are out void. Nodes of a
 * cluster have one from mayfly.yaml instead, the same for all.
 */
import { createHash } from "node:crypto";
import { existsSync, linkSync, mkdirSync, openSync, closeSync, fsyncSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { CodedError } from "#base";
import type { Entropy } from "../delivery/seeds.ts";

const keyBytes = 32;
export const nameOfKey = "approvals.key";

/** The key of a secret that is written in mayfly.yaml. */
export function keyOfSecret(secret: string): Uint8Array {
  return createHash("sha256").update(`approvals ${secret}`).digest();
}

/** True where a key was made before. */
export function hasApprovalKey(folder: string | undefined): boolean {
  return folder !== undefined && existsSync(join(folder, nameOfKey));
}

/** `folder`: undefined where the journal is in memory; then links end with the process, as the machines do. Throws MF_APPROVAL_KEY. */
export function approvalKey(folder: string | undefined, entropy: Entropy): Uint8Array {
  const made = new Uint8Array(keyBytes);
  if (folder === undefined) {
    entropy(made);
    return made;
  }
  const path = join(folder, nameOfKey);
  try {
    return readKey(path) ?? makeKey(folder, path, entropy, made);
  } catch (cause) {
    if (cause instanceof CodedError) throw cause;
    throw new CodedError("MF_APPROVAL_KEY", `the key of approval links can't be read or made: ${String((cause as Error).message)}`, {
      cause,
    });
  }
}

function readKey(path: string): Uint8Array | undefined {
  let found: Uint8Array;
  try {
    found = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  if (found.length === keyBytes) return found;
  throw new CodedError(
    "MF_APPROVAL_KEY",
    `${path} has ${found.length} bytes instead of ${keyBytes}: put it back from a backup, or remove it, which makes the links that are out void`,
  );
}

/** Whole or not at all, and never over another's. */
function makeKey(folder: string, path: string, entropy: Entropy, made: Uint8Array): Uint8Array {
  entropy(made);
  mkdirSync(folder, { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  const file = openSync(temporary, "wx", 0o600);
  try {
    writeSync(file, made);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  return readKey(path) ?? made;
}
