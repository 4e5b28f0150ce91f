/** A request's body, bounded as it comes and again as it unfolds. Callbacks, not promises: this is in the path of every message. */
import type { IncomingMessage } from "node:http";
import { brotliDecompress, gunzip, inflate } from "node:zlib";
import type { Problem } from "./problem.ts";

export type BodyDone = (problem: Problem | undefined, body: Uint8Array) => void;

export const noBody: Uint8Array = new Uint8Array(0);

export function tooBig(limit: number): Problem {
  return {
    status: 413,
    code: "MF_BODY_LIMIT",
    detail: `the body may have ${limit} bytes at most, also when decompressed: send less, or raise bodyLimit`,
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
    detail: `the content encoding ${JSON.stringify(encoding.slice(0, 64))} is not known: use gzip, deflate, br or none`,
    headers: { "accept-encoding": "gzip, deflate, br" },
  };
}

/** Calls `done` once, unless the client leaves before the end: then never. */
export function readBody(request: IncomingMessage, limit: number, done: BodyDone): void {
  const length = request.headers["content-length"];
  if (length === undefined && request.headers["transfer-encoding"] === undefined) return done(undefined, noBody);
  if (length !== undefined && Number(length) > limit) return done(tooBig(limit), noBody);
  let first: Buffer | undefined;
  let more: Buffer[] | undefined;
  let bytes = 0;
  let over = false;
  request.on("data", (chunk: Buffer) => {
    if (over) return;
    bytes += chunk.length;
    if (bytes > limit) {
      over = true;
      first = more = undefined;
      request.pause(); // the answer closes the connection: nothing more is read
      done(tooBig(limit), noBody);
    } else if (first === undefined) first = chunk;
    else if (more === undefined) more = [first, chunk];
    else more.push(chunk);
  });
  request.on("end", () => {
    if (over) return;
    const body = more === undefined ? (first ?? noBody) : Buffer.concat(more, bytes);
    const encoding = request.headers["content-encoding"];
    if (encoding === undefined || encoding === "identity" || body.length === 0) done(undefined, body);
    else decode(body, encoding.toLowerCase(), limit, done);
  });
}

function decode(body: Uint8Array, encoding: string, limit: number, done: BodyDone): void {
  const decoded = (error: NodeJS.ErrnoException | null, whole: Uint8Array): void => {
    if (error === null) done(undefined, whole);
    else if (error.code === "ERR_BUFFER_TOO_LARGE") done(tooBig(limit), noBody);
    else done(wrongEncoding(encoding), noBody);
  };
  const options = { maxOutputLength: Math.max(limit, 1) };
  if (encoding === "gzip" || encoding === "x-gzip") gunzip(body, options, decoded);
  else if (encoding === "deflate") inflate(body, options, decoded);
  else if (encoding === "br") brotliDecompress(body, options, decoded);
  else done(unknownEncoding(encoding), noBody);
}
