/**
 * The text duplicates are found by. It names the id together with the place the message came from and its caller, so that nobody gets
 * another's reply by naming their id; each part is told from the next, whatever the parts hold.
 *
 *   ["http /orders","POST bearer","K-17"]                 identity
 *   ["http /orders","POST bearer","K-17"] NUL SHA-256     identity, and a fingerprint of the request it was first used for
 */
import { createHash } from "node:crypto";
import { gatewayLimits } from "../contract/limits.ts";

export interface DedupParts {
  /** The source: what it reads from or serves. */
  readonly place: string;
  /** Route and caller, as far as the source knows: empty for none. */
  readonly scope: string;
  readonly id: string;
  /** Given where an id promises that the request is the same. */
  readonly fingerprint: string | undefined;
}

export function dedupIdOf({ place, scope, id, fingerprint }: DedupParts): string {
  const parts = JSON.stringify([place, scope, id]); // holds no NUL: JSON escapes it
  // A hash does not begin as an array does.
  const identity = parts.length <= gatewayLimits.dedupIdCharacters ? parts : `sha256:${createHash("sha256").update(parts).digest("hex")}`;
  return fingerprint === undefined ? identity : `${identity}\0${fingerprint}`;
}

/** Equal for messages that are duplicates of each other. */
export function identityOf(dedupId: string): string {
  const end = dedupId.indexOf("\0");
  return end < 0 ? dedupId : dedupId.slice(0, end);
}

/** True for two texts of one identity whose requests differ. */
export function contradicts(one: string, other: string): boolean {
  return one !== other && one.includes("\0") && other.includes("\0");
}
