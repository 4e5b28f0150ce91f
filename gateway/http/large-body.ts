/** A request's body where large ones go to the claim store: held in memory up to the threshold, streamed from there on. */
import type { IncomingMessage } from "node:http";
import { pipeline, Readable, type Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { isCoded } from "#base";
import type { ClaimCheck, StagedClaim } from "../claims/store.ts";
import { gatewayLimits } from "../limits.ts";
import { noBody, tooBig, unknownEncoding, wrongEncoding } from "./body.ts";
import type { Problem } from "./problem.ts";

/** One of the three, unless the client left before the end: then undefined, and nothing is left of what it sent. */
export type LargeBody = { readonly problem: Problem } | { readonly body: Uint8Array } | { readonly claim: StagedClaim } | undefined;

class TooBig extends Error {}
class WrongEncoding extends Error {}

const decompressors: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/** `limit` counts before and after decompression. Never rejects. */
export async function readLargeBody(request: IncomingMessage, limit: number, { thresholdBytes, store }: ClaimCheck): Promise<LargeBody> {
  const length = request.headers["content-length"];
  if (length === undefined && request.headers["transfer-encoding"] === undefined) return { body: noBody };
  if (length !== undefined && Number(length) > limit) return { problem: tooBig(limit) };
  const encoding = request.headers["content-encoding"]?.toLowerCase() ?? "identity";
  const decompressor = decompressors[encoding];
  if (encoding !== "identity" && decompressor === undefined) return { problem: unknownEncoding(encoding) };
  // Not closed when it is left early: the socket is still to carry the answer.
  const raw = bounded(request.iterator({ destroyOnReturn: false }), limit);
  const pieces = decompressor === undefined ? raw : bounded(decompressed(raw, decompressor()), limit);
  try {
    const held: Uint8Array[] = [];
    let bytes = 0;
    for (let next = await pieces.next(); ; next = await pieces.next()) {
      if (next.done === true) return { body: held.length === 1 ? (held[0] ?? noBody) : Buffer.concat(held, bytes) };
      held.push(next.value);
      bytes += next.value.length;
      if (bytes > thresholdBytes) return { claim: await store.stage(after(held, pieces)) };
    }
  } catch (error) {
    return problemOf(error, limit, encoding, request);
  } finally {
    await pieces.return(undefined);
  }
}

function problemOf(error: unknown, limit: number, encoding: string, request: IncomingMessage): LargeBody {
  if (request.destroyed && !request.complete) return undefined;
  if (error instanceof TooBig) {
    request.pause(); // the answer closes the connection: nothing more is read
    return { problem: tooBig(limit) };
  }
  request.resume(); // the rest goes nowhere; were the connection closed on a client that still sends, it might never see the answer
  if (error instanceof WrongEncoding) return { problem: wrongEncoding(encoding) };
  return {
    problem: {
      status: 503,
      code: isCoded(error) ? error.code : "MF_CLAIMS_IO",
      detail: "the body can't be kept at the moment (see the gateway's log): try again later",
      headers: { "retry-after": String(Math.ceil(gatewayLimits.claimSweepMs.least / 1000)) },
    },
  };
}

async function* bounded(pieces: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<Uint8Array, undefined> {
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > limit) throw new TooBig();
    yield piece;
  }
}

/** What is held, then the rest. */
async function* after(held: Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (let piece = held.shift(); piece !== undefined; piece = held.shift()) yield piece;
  yield* rest;
}

async function* decompressed(pieces: AsyncIterable<Uint8Array>, decompressor: Transform): AsyncGenerator<Uint8Array> {
  let failure: unknown;
  // Only what the pieces themselves throw: a decompressor that fails ends this generator with an error of its own.
  const input = async function* (): AsyncGenerator<Uint8Array> {
    const source = pieces[Symbol.asyncIterator]();
    for (;;) {
      const next = await source.next().catch((error: unknown) => {
        failure = error;
        throw error;
      });
      if (next.done === true) return;
      yield next.value;
    }
  };
  try {
    yield* pipeline(Readable.from(input()), decompressor, () => undefined) as AsyncIterable<Uint8Array>;
  } catch {
    throw failure ?? new WrongEncoding();
  }
}
