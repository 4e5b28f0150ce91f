/**
 * A claimed body: it lies in the claim store, and the message that travels has an empty body and three headers that say which one it is.
 * Only the gateway sets these headers. A machine may name the claim of its own message in what it sends, and no other.
 */
import type { Readable } from "node:stream";
import { type Headers, headerText } from "#abi";

export const claimHeader = "mayfly-claim";
const bytesHeader = "mayfly-claim-bytes";
const sha256Header = "mayfly-claim-sha256";

export interface Claim {
  /** 128 random bits in base64url, 22 characters: the name of the file. */
  readonly id: string;
  readonly bytes: number;
  /** Of the body, 64 hexadecimal digits. */
  readonly sha256: string;
}

/** A claimed body as an outlet that streams gets it. */
export interface ClaimedBody extends Claim {
  /** The body from its beginning; may be called again, for another attempt. The stream fails with a CodedError, or as the disk does. */
  open(): Readable;
}

/** A claim no record names yet. */
export interface StagedClaim extends Claim {
  /** To be called once, when the gateway has said what became of the message. */
  release(): void;
}

/** A flow's `claimCheck`: bodies of more bytes than the threshold go into the store. */
export interface ClaimCheck {
  readonly thresholdBytes: number;
  readonly store: { stage(body: AsyncIterable<Uint8Array>): Promise<StagedClaim> };
}

const claimId = /^[A-Za-z0-9_-]{22}$/;

export function isClaimId(text: string): boolean {
  return claimId.test(text);
}

/** The claim the headers name, if any. */
export function claimOf(headers: Headers): Claim | undefined {
  const id = headerText(headers[claimHeader]);
  return id === undefined ? undefined : { id, bytes: Number(headers[bytesHeader]), sha256: headerText(headers[sha256Header]) ?? "" };
}

export function withoutClaim(headers: Headers): Headers {
  if (headers[claimHeader] === undefined && headers[bytesHeader] === undefined && headers[sha256Header] === undefined) return headers;
  const { [claimHeader]: _id, [bytesHeader]: _bytes, [sha256Header]: _sha256, ...rest } = headers;
  return rest;
}

/** The headers with this claim and no other; without one, with none: what came from outside never names a claim. */
export function withClaim(headers: Headers, claim: Claim | undefined): Headers {
  const plain = withoutClaim(headers);
  if (claim === undefined) return plain;
  return { ...plain, [claimHeader]: claim.id, [bytesHeader]: String(claim.bytes), [sha256Header]: claim.sha256 };
}

/** Headers as they may go on, or why they may not. */
export type CheckedHeaders = { readonly headers: Headers } | { readonly code: string; readonly problem: string };

export function refusedHeaders(code: string, problem: string): CheckedHeaders {
  return { code, problem };
}

/**
 * Headers of what a machine sends, whose message has the headers `own`. MF_CLAIM_FORBIDDEN when they name another claim, or a body beside
 * it: the machine may be compromised, and must not read another message's body by naming it.
 */
export function checkedClaim(headers: Headers, body: Uint8Array, own: Headers): CheckedHeaders {
  if (headers[claimHeader] === undefined) return { headers };
  if (headers[claimHeader] !== own[claimHeader])
    return refusedHeaders(
      "MF_CLAIM_FORBIDDEN",
      "the send names another message's stored body: forward the message with send(msg), and do not set a mayfly-claim header",
    );
  if (body.length > 0)
    return refusedHeaders("MF_CLAIM_FORBIDDEN", "the send names the message's stored body and also has a body: send only one of the two");
  return { headers: withClaim(headers, claimOf(own)) };
}
