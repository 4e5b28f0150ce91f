/** Events of a machine, as an exploration makes them. */
import type { Event } from "#abi";
import type { MessageStimulus } from "./matter.ts";
import type { Kept } from "./world.ts";

const noBody = new Uint8Array(0);

export function signalEvent(timeMs: number, wait: number, signal: Kept | undefined): Event & { readonly kind: "signal" } {
  const { id, headersJson = "{}", body = noBody } = signal ?? {};
  return { kind: "signal", timeMs, wait, id, headersJson, body };
}

export function deliverOf(
  { id, source, key, headers, body }: MessageStimulus,
  given: { readonly nowMs: number; readonly attempt: number; readonly stateJson: string | undefined; readonly number: number },
): Event {
  const seed = new Uint8Array(32);
  seed[31] = given.number;
  const { nowMs: timeMs, attempt, stateJson: state } = given;
  return { kind: "deliver", timeMs, seed, id, source, attempt, key, headersJson: JSON.stringify(headers), stateJson: state, body };
}
