/** The body of a dead letter, wherever it is. */
import { Readable } from "node:stream";
import type { DeadLetter } from "../journal/dead-letters.ts";
import { storedBodyOf } from "../contract/stored-body.ts";
import type { BodyStore } from "./store.ts";

/** From the body store where the letter's headers say so. Rejects, and its stream fails, as the store's `check` and `open`. */
export async function letterBody(
  { letter, body }: { readonly letter: DeadLetter; readonly body: Uint8Array },
  bodyStore: BodyStore | undefined,
): Promise<{ readonly bytes: number; readonly stream: Readable }> {
  const storedBody = storedBodyOf(letter.headers);
  if (storedBody === undefined || bodyStore === undefined) return { bytes: body.length, stream: Readable.from([body]) };
  await bodyStore.check(storedBody);
  return { bytes: storedBody.bytes, stream: bodyStore.open(storedBody) };
}
