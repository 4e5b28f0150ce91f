/** A message with a stored body, in the form its outlet accepts: a stream where it can send one, else the whole body. */
import { gatewayLimits } from "../contract/limits.ts";
import type { Outgoing } from "../contract/message.ts";
import { finalBodyError, type Outlet, OutletError } from "../contract/outlet.ts";
import { storedBodyOf, withoutStoredBody } from "../contract/stored-body.ts";
import type { BodyStore } from "./store.ts";

/** The message in the form the outlet accepts. Rejects with an OutletError that is final when the body is missing, damaged or too big for this outlet. */
export async function resolved<Message extends Outgoing>(
  message: Message,
  outlet: Outlet,
  bodyStore: BodyStore | undefined,
): Promise<Message> {
  const storedBody = storedBodyOf(message.headers);
  if (storedBody === undefined) return message;
  const headers = withoutStoredBody(message.headers);
  if (bodyStore === undefined)
    throw new OutletError(
      "MF_CLAIM_MISSING",
      "the message names a stored body, and this gateway has no store for bodies: set journal.dir",
      {
        retryable: false,
      },
    );
  try {
    await bodyStore.check(storedBody);
    if (outlet.streams === true) return { ...message, headers, storedBody: { ...storedBody, open: () => bodyStore.open(storedBody) } };
    if (storedBody.bytes > gatewayLimits.bodyLoadBytes)
      throw new OutletError(
        "MF_CLAIM_TOO_BIG",
        `the stored body has ${storedBody.bytes} bytes, and the outlet ${message.outlet} accepts at most ${gatewayLimits.bodyLoadBytes}: send it to an http, file or flow outlet, which stream it`,
        { retryable: false },
      );
    return { ...message, headers, body: await bodyStore.load(storedBody) };
  } catch (error) {
    throw finalBodyError(error) ?? error;
  }
}
