/** The body of a dead letter, wherever it is. */
import { Readable } from "node:stream";
import type { DeadLetter } from "../journal/dead-letters.ts";
import { claimOf } from "../contract/stored-body.ts";
import type { ClaimStore } from "./store.ts";

/** From the claim store where the letter's headers say so. Rejects, and its stream fails, as the store's `check` and `open`. */
export async function letterBody(
  { letter, body }: { readonly letter: DeadLetter; readonly body: Uint8Array },
  claims: ClaimStore | undefined,
): Promise<{ readonly bytes: number; readonly stream: Readable }> {
  const claim = claimOf(letter.headers);
  if (claim === undefined || claims === undefined) return { bytes: body.length, stream: Readable.from([body]) };
  await claims.check(claim);
  return { bytes: claim.bytes, stream: claims.open(claim) };
}
