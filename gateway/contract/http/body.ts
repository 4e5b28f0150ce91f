/**
 * A request's body, bounded as it comes and again as it unfolds. Memory is taken as the bytes come, so that a sender can hold no more
 * than it has sent; one that stalls is turned away when somebody else needs the room. Callbacks, not promises: this is in the path of
 * every message.
 */
import type { IncomingMessage } from "node:http";
import type { MemoryAccount, MemoryHolder } from "#base";
import { memoryBusyProblem } from "../memory.ts";
import { Pieces } from "./pieces.ts";
import type { Problem } from "./problem.ts";
import { unpack, type Unpacked } from "./unpack.ts";
import { gatewayLimits } from "../limits.ts";

export type BodyDone = (problem: Problem | undefined, body: Uint8Array) => void;

export interface BodyBounds {
  /** Most bytes, before and after decompression. */
  readonly limit: number;
  readonly memory: { readonly requests: MemoryAccount; readonly uploads: MemoryAccount };
}

export const noBody: Uint8Array = new Uint8Array(0);

export function tooBig(limit: number): Problem {
  return {
    status: 413,
    code: "MF_BODY_LIMIT",
    detail: `the body is longer than ${limit} bytes, as sent or decompressed: send less, or raise bodyLimit (and \`memory\`, if that is the limit)`,
    headers: { connection: "close" },
  };
}

export function wrongEncoding(encoding: string): Problem {
  return { status: 400, code: "MF_BODY_ENCODING", detail: `the body is not valid ${encoding}` };
}

export function unknownEncoding(encoding: string): Problem {
  return {
    status: 415,
    code: "MF_BODY_ENCODING",
    detail: `the content encoding ${JSON.stringify(encoding.slice(0, 64))} is not supported: use gzip, deflate, br or none`,
    headers: { "accept-encoding": "gzip, deflate, br" },
  };
}

function tinyChunks(): Problem {
  return {
    status: 400,
    code: "MF_BODY_CHUNKS",
    detail: `the body arrives in chunks shorter than ${gatewayLimits.httpShortChunkBytes} bytes: send longer ones`,
    headers: { connection: "close" },
  };
}

function stalled(): Problem {
  return memoryBusyProblem("the body arrived too slowly while the gateway was short of memory: send it again");
}

/** True when the request says that its body is short. */
export function isShort(request: IncomingMessage): boolean {
  const length = request.headers["content-length"];
  return length !== undefined && Number(length) <= gatewayLimits.shortBodyBytes;
}

/** Calls `done` once, unless the client leaves before the end: then never. What the body took is given back right before. */
export function readBody(request: IncomingMessage, bounds: BodyBounds, done: BodyDone): void {
  const length = request.headers["content-length"];
  if (length === undefined && request.headers["transfer-encoding"] === undefined) return done(undefined, noBody);
  const limit = Math.min(bounds.limit, bounds.memory.uploads.largestBytes);
  if (length !== undefined && Number(length) > limit) return done(tooBig(limit), noBody);
  const reader = new BodyReader(request, bounds, done);
  request.on("data", reader.take);
  request.on("end", reader.finish);
  request.on("close", reader.drop);
}

class BodyReader implements MemoryHolder {
  readonly #request: IncomingMessage;
  readonly #limit: number;
  readonly #uploads: MemoryAccount;
  #account: MemoryAccount;
  readonly #expectedBytes: number;
  readonly #done: BodyDone;
  /** Nearly every body comes in one piece. */
  #first: Buffer | undefined;
  #pieces: Pieces | undefined;
  #bytes = 0;
  #taken = 0;
  #progressAt = 0;
  #chunks = 1;
  #complete = false;
  #over = false;

  constructor(request: IncomingMessage, { limit, memory }: BodyBounds, done: BodyDone) {
    this.#request = request;
    this.#done = done;
    this.#uploads = memory.uploads;
    this.#account = isShort(request) ? memory.requests : memory.uploads;
    this.#limit = Math.min(limit, memory.uploads.largestBytes);
    this.#expectedBytes = Number(request.headers["content-length"]);
  }

  readonly take = (chunk: Buffer): void => {
    if (this.#over) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limit) return this.#finished(tooBig(this.#limit));
    if (this.#first === undefined) {
      this.#first = chunk;
      if (chunk.length === this.#expectedBytes) return; // all of it: `finish` follows at once
    } else {
      if (++this.#chunks > gatewayLimits.httpShortChunks && this.#bytes < this.#chunks * gatewayLimits.httpShortChunkBytes)
        return this.#finished(tinyChunks());
      if (this.#pieces === undefined) {
        this.#pieces = new Pieces();
        this.#pieces.add(this.#first);
      }
      this.#pieces.add(chunk);
    }
    if (!this.#takeMemory(chunk.length)) return this.#finished(memoryBusyProblem());
    if (this.#bytes < this.#progressAt) return;
    this.#progressAt = this.#bytes + gatewayLimits.httpProgressBytes;
    this.#account.progressed(this);
  };

  readonly finish = (): void => {
    if (this.#over) return;
    this.#complete = true;
    const encoding = this.#request.headers["content-encoding"];
    if (encoding === undefined || encoding === "identity" || this.#bytes === 0) {
      const body = this.#pieces === undefined ? (this.#first ?? noBody) : this.#pieces.whole();
      return this.#finished(undefined, body);
    }
    const whole = this.#pieces?.whole() ?? this.#first ?? noBody;
    this.#account.left(this); // it has sent all
    const take = (bytes: number): boolean => this.#takeUnfolded(bytes);
    unpack(whole, { encoding: encoding.toLowerCase(), limit: this.#limit, take }, (unpacked) => this.#unpacked(unpacked, encoding));
  };

  /** The connection of the request is done with: before its end the client has left. */
  readonly drop = (): void => {
    if (this.#over || this.#complete) return;
    this.#over = true;
    this.#giveBack();
  };

  evict(): void {
    this.#finished(stalled());
  }

  #takeMemory(bytes: number): boolean {
    if (!this.#account.tryTake(bytes)) return false;
    this.#taken += bytes;
    return true;
  }

  /** A short body that unfolds to a long one is one from then on: with many of them no room would be left for short ones. */
  #takeUnfolded(bytes: number): boolean {
    if (this.#account === this.#uploads || this.#taken + bytes <= gatewayLimits.shortBodyBytes) return this.#takeMemory(bytes);
    const wholeBytes = this.#taken + bytes;
    this.#giveBack();
    this.#account = this.#uploads;
    return this.#takeMemory(wholeBytes);
  }

  #unpacked(unpacked: Unpacked, encoding: string): void {
    if (this.#over) return;
    if ("body" in unpacked) this.#finished(undefined, unpacked.body);
    else if (unpacked.failed === "tooBig") this.#finished(tooBig(this.#limit));
    else if (unpacked.failed === "noMemory") this.#finished(memoryBusyProblem());
    else this.#finished(unpacked.failed === "unknown" ? unknownEncoding(encoding) : wrongEncoding(encoding));
  }

  /** A problem's answer closes the connection. Until then what comes is thrown away: a paused request would keep chunks, however many tiny ones. */
  #finished(problem: Problem | undefined, body: Uint8Array = noBody): void {
    this.#over = true;
    this.#first = this.#pieces = undefined;
    this.#giveBack();
    this.#done(problem, body);
  }

  #giveBack(): void {
    if (this.#progressAt > 0) this.#account.left(this);
    if (this.#taken > 0) this.#account.give(this.#taken);
    this.#taken = 0;
  }
}
