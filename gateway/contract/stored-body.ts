/**
 * A stored body: it lies in the body store, and the message that travels has an empty body and three headers that name it.
 * Only the gateway sets these headers. A machine may name the stored body of its own message in what it sends, and no other.
 */
import type { Readable } from "node:stream";
import { type Headers, headerText } from "#abi";

export const storedBodyHeader = "mayfly-claim";
const bytesHeader = "mayfly-claim-bytes";
const sha256Header = "mayfly-claim-sha256";

export interface StoredBody {
  /** 128 random bits in base64url, 22 characters: the name of the file. */
  readonly id: string;
  readonly bytes: number;
  /** Of the body, 64 hexadecimal digits. */
  readonly sha256: string;
}

/** A stored body for an outlet that streams. */
export interface ReadableBody extends StoredBody {
  /** The body from its beginning; may be called again, for another attempt. The stream fails with a CodedError, or as the disk does. */
  open(): Readable;
}

/** A stored body that no record names yet. */
export interface StagedBody extends StoredBody {
  /** To be called once, when the gateway has said what became of the message. */
  release(): void;
}

/** A flow's `claimCheck`: bodies longer than the threshold go into the store. */
export interface LongBodies {
  readonly thresholdBytes: number;
  readonly store: { stage(body: AsyncIterable<Uint8Array>): Promise<StagedBody> };
}

const bodyId = /^[A-Za-z0-9_-]{22}$/;

export function isBodyId(text: string): boolean {
  return bodyId.test(text);
}

/** The stored body that the headers name, if any. */
export function storedBodyOf(headers: Headers): StoredBody | undefined {
  const id = headerText(headers[storedBodyHeader]);
  return id === undefined ? undefined : { id, bytes: Number(headers[bytesHeader]), sha256: headerText(headers[sha256Header]) ?? "" };
}

export function withoutStoredBody(headers: Headers): Headers {
  if (headers[storedBodyHeader] === undefined && headers[bytesHeader] === undefined && headers[sha256Header] === undefined) return headers;
  const { [storedBodyHeader]: _id, [bytesHeader]: _bytes, [sha256Header]: _sha256, ...rest } = headers;
  return rest;
}

/** The headers naming this stored body, or none: headers from outside never name one. */
export function withStoredBody(headers: Headers, storedBody: StoredBody | undefined): Headers {
  const plain = withoutStoredBody(headers);
  if (storedBody === undefined) return plain;
  return { ...plain, [storedBodyHeader]: storedBody.id, [bytesHeader]: String(storedBody.bytes), [sha256Header]: storedBody.sha256 };
}

/** Where a message is read on, as its machine wrote it: only a batch that was committed sets it. */
export const positionHeader = "mayfly-position";

export function withoutPosition(headers: Headers): Headers {
  if (headers[positionHeader] === undefined) return headers;
  const { [positionHeader]: _position, ...rest } = headers;
  return rest;
}

/** Headers as they may go on, or why they may not. */
export type CheckedHeaders = { readonly headers: Headers } | { readonly code: string; readonly problem: string };

export function refusedHeaders(code: string, problem: string): CheckedHeaders {
  return { code, problem };
}

/**
 * Headers of a machine's send or request, whose message has the headers `own`. MF_CLAIM_FORBIDDEN when they name another stored body, or
 * have a body beside it: the machine may be compromised, and must not read another message's body by naming it.
 */
export function checkedStoredBody(headers: Headers, body: Uint8Array, own: Headers): CheckedHeaders {
  if (headers[storedBodyHeader] === undefined) return { headers };
  if (headers[storedBodyHeader] !== own[storedBodyHeader])
    return refusedHeaders(
      "MF_CLAIM_FORBIDDEN",
      "the send names another message's stored body: forward the message with send(msg), and do not set a mayfly-claim header",
    );
  if (body.length > 0)
    return refusedHeaders("MF_CLAIM_FORBIDDEN", "the send names the message's stored body and also has a body: send only one of the two");
  return { headers: withStoredBody(headers, storedBodyOf(own)) };
}
