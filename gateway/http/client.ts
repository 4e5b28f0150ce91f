/** One HTTP exchange, bounded: what fetch and the http outlet are made of. */
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate } from "node:zlib";
import { CodedError } from "#base";
import { Agent, request } from "undici";
import type { ClaimedBody } from "../claims/claim.ts";
import { gatewayLimits } from "../limits.ts";
import { isHeaderName, isHeaderValue } from "./headers.ts";
import type { Headers } from "../message.ts";

export interface HttpExchange {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array | undefined;
  /** Sent instead of `body`. */
  readonly stream?: ClaimedBody | undefined;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly contentType: string;
  readonly body: Uint8Array;
}

/** Headers that belong to a connection, or that the client sets itself. */
const ownHeaders = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "content-length",
  "host",
  "upgrade",
  "te",
  "trailer",
  "expect",
  "accept-encoding",
]);

/** `tls` as Node's tls.connect takes it. */
export function newAgent(connections: number, tls: object = {}): Agent {
  return new Agent({
    connections,
    pipelining: 1,
    keepAliveTimeout: 20_000,
    keepAliveMaxTimeout: 60_000,
    maxHeaderSize: 4 * gatewayLimits.httpHeadersBytes,
    connect: { timeout: 10_000, ...tls },
    headersTimeout: 0,
    bodyTimeout: 0,
  });
}

/** Headers fit to be sent: without those of a connection and without pseudo headers. */
export function requestHeaders(headers: Headers): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) if (!ownHeaders.has(name) && !name.startsWith(":")) out[name] = value;
  return out;
}

/** Name of the first header that HTTP can't carry; headers that are not sent at all are not looked at. */
export function unsendable(headers: Headers): string | undefined {
  return Object.entries(requestHeaders(headers)).find(([name, value]) => !isHeaderName(name) || !isHeaderValue(value))?.[0];
}

const decoders: Readonly<Record<string, (body: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>>> = {
  gzip: promisify(gunzip),
  "x-gzip": promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
};

/** Rejects with a CodedError (MF_HTTP_ANSWER_TOO_BIG, MF_HTTP_ANSWER_GARBAGE), or as undici does. */
export async function exchange(agent: Agent, { url, method, headers, body, stream, signal }: HttpExchange): Promise<HttpAnswer> {
  const response = await request(url, {
    dispatcher: agent,
    method: method as "GET",
    headers: stream === undefined ? requestHeaders(headers) : { ...requestHeaders(headers), "content-length": String(stream.bytes) },
    body: stream === undefined ? (body === undefined || body.length === 0 ? null : body) : stream.open(),
    signal,
  });
  const most = gatewayLimits.answerBytes;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > most) {
      response.body.destroy();
      throw new CodedError("MF_HTTP_ANSWER_TOO_BIG", `${url.host} answered with more than ${most} bytes: ask it for less`);
    }
    chunks.push(chunk);
  }
  const answerHeaders: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    if (value === undefined || ownHeaders.has(name) || name === "__proto__") continue;
    answerHeaders[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  const whole = await decoded(Buffer.concat(chunks), answerHeaders, url);
  return { status: response.statusCode, headers: answerHeaders, contentType: answerHeaders["content-type"] ?? "", body: whole };
}

async function decoded(body: Buffer, headers: Record<string, string>, url: URL): Promise<Uint8Array> {
  const encoding = headers["content-encoding"]?.toLowerCase();
  if (encoding === undefined || encoding === "identity" || body.length === 0) return body;
  const decode = decoders[encoding];
  if (decode === undefined) return body; // the flow asked for it, or the peer is odd: it gets what came
  try {
    const whole = await decode(body, { maxOutputLength: gatewayLimits.answerBytes });
    delete headers["content-encoding"];
    return whole;
  } catch (cause) {
    throw new CodedError("MF_HTTP_ANSWER_GARBAGE", `${url.host} answered with a body that is not valid ${encoding}, or too big`, { cause });
  }
}

/** Milliseconds of a Retry-After header (seconds, or a date); undefined when there is none or it makes no sense. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? undefined : Math.max(dateMs - nowMs, 0);
}
