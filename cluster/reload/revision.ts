/**
 * Revisions as nodes show them. What is served has secrets in it, so its hash must not let anybody try guesses of a weak one: it is keyed with
 * random bytes that only the cluster's servers and nodes have, and slow for those who have them.
 */
import { createHash, randomBytes, scrypt } from "node:crypto";

const keyBytes = 32;
const shownBytes = 8;
/** 16 MiB, some 50 ms. */
const cost = { N: 16_384, r: 8, p: 1 } as const;

export const newRevisionKey = (): string => randomBytes(keyBytes).toString("base64url");

/** 16 hexadecimal digits. */
export function revisionOf(text: string, key: string): Promise<string> {
  const content = createHash("sha256").update(text).digest();
  return new Promise((resolve, reject) => {
    scrypt(content, key, shownBytes, cost, (error, hash) => (error === null ? resolve(hash.toString("hex")) : reject(error)));
  });
}
