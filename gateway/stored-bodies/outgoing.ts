/** What an outlet is given of a message that names a claim: a stream where it can send one, else the whole body. */
import { gatewayLimits } from "../contract/limits.ts";
import type { Outgoing } from "../contract/message.ts";
import { finalClaimError, type Outlet, OutletError } from "../contract/outlet.ts";
import { claimOf, withoutClaim } from "../contract/stored-body.ts";
import type { ClaimStore } from "./store.ts";

/** The message as the outlet is to have it. Rejects with an OutletError that is final when the body is missing, damaged or too big for this outlet. */
export async function resolved<Message extends Outgoing>(
  message: Message,
  outlet: Outlet,
  claims: ClaimStore | undefined,
): Promise<Message> {
  const claim = claimOf(message.headers);
  if (claim === undefined) return message;
  const headers = withoutClaim(message.headers);
  if (claims === undefined)
    throw new OutletError(
      "MF_CLAIM_MISSING",
      "the message names a stored body, and this gateway has no store for bodies: set journal.dir",
      {
        retryable: false,
      },
    );
  try {
    await claims.check(claim);
    if (outlet.streams === true) return { ...message, headers, claim: { ...claim, open: () => claims.open(claim) } };
    if (claim.bytes > gatewayLimits.claimLoadBytes)
      throw new OutletError(
        "MF_CLAIM_TOO_BIG",
        `the stored body has ${claim.bytes} bytes, and the outlet ${message.outlet} accepts at most ${gatewayLimits.claimLoadBytes}: send it to an http, file or flow outlet, which stream it`,
        { retryable: false },
      );
    return { ...message, headers, body: await claims.load(claim) };
  } catch (error) {
    throw finalClaimError(error) ?? error;
  }
}
