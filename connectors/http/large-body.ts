/** A request's body where large ones go to the body store: held in memory up to the threshold, streamed from there on. */
import type { IncomingMessage } from "node:http";
import { pipeline, Readable, type Transform } from "node:stream";
import { isCoded, type MemoryAccount } from "#base";
import {
  type BodyBounds,
  type LongBodies,
  decompressor,
  gatewayLimits,
  memoryBusyProblem,
  noBody,
  type Problem,
  type StagedBody,
  tooBig,
  unknownEncoding,
  wrongEncoding,
} from "#gateway/contract";

/** One of the three, unless the client left before the end: then undefined, and nothing is left of what it sent. */
export type LargeBody = { readonly problem: Problem } | { readonly body: Uint8Array } | { readonly storedBody: StagedBody } | undefined;

class TooBig extends Error {}
class WrongEncoding extends Error {}
class NoMemory extends Error {}

/** Pieces held before the body is known to be large; given back when it is whole, stored or refused. */
class HeldPieces {
  readonly pieces: Uint8Array[] = [];
  readonly #account: MemoryAccount;
  bytes = 0;

  constructor(account: MemoryAccount) {
    this.#account = account;
  }

  add(piece: Uint8Array): void {
    if (!this.#account.tryTake(piece.length)) throw new NoMemory();
    this.bytes += piece.length;
    this.pieces.push(piece);
  }

  giveBack(): void {
    if (this.bytes > 0) this.#account.give(this.bytes);
    this.bytes = 0;
  }
}

/** Never rejects. */
export async function readLargeBody(
  request: IncomingMessage,
  { limit, memory }: BodyBounds,
  { thresholdBytes, store }: LongBodies,
): Promise<LargeBody> {
  const length = request.headers["content-length"];
  if (length === undefined && request.headers["transfer-encoding"] === undefined) return { body: noBody };
  if (length !== undefined && Number(length) > limit) return { problem: tooBig(limit) };
  const encoding = request.headers["content-encoding"]?.toLowerCase() ?? "identity";
  const unfolding = decompressor(encoding);
  if (encoding !== "identity" && unfolding === undefined) return { problem: unknownEncoding(encoding) };
  // Not closed when it is left early: the socket is still to carry the answer.
  const raw = bounded(request.iterator({ destroyOnReturn: false }), limit);
  const pieces = unfolding === undefined ? raw : bounded(decompressed(raw, unfolding), limit);
  const held = new HeldPieces(memory.uploads);
  try {
    for (let next = await pieces.next(); ; next = await pieces.next()) {
      if (next.done === true)
        return { body: held.pieces.length === 1 ? (held.pieces[0] ?? noBody) : Buffer.concat(held.pieces, held.bytes) };
      held.add(next.value);
      if (held.bytes > thresholdBytes) return { storedBody: await store.stage(after(held.pieces, pieces)) };
    }
  } catch (error) {
    return problemOf(error, limit, encoding, request);
  } finally {
    held.giveBack();
    await pieces.return(undefined);
  }
}

function problemOf(error: unknown, limit: number, encoding: string, request: IncomingMessage): LargeBody {
  if (request.destroyed && !request.complete) return undefined;
  if (error instanceof TooBig || error instanceof NoMemory) {
    request.pause(); // the answer closes the connection: nothing more is read
    return { problem: error instanceof TooBig ? tooBig(limit) : memoryBusyProblem() };
  }
  request.resume(); // the rest goes nowhere; were the connection closed on a client that still sends, it might never see the answer
  if (error instanceof WrongEncoding) return { problem: wrongEncoding(encoding) };
  return {
    problem: {
      status: 503,
      code: isCoded(error) ? error.code : "MF_CLAIMS_IO",
      detail: "the body can't be stored at the moment (see the gateway's log): try again later",
      headers: { "retry-after": String(Math.ceil(gatewayLimits.bodySweepMs.least / 1000)) },
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

/** The held pieces, then the rest. */
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
