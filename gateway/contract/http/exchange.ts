/** One HTTP exchange, bounded: what fetch and the http outlet are made of. */
import { headerList, type Headers, type HeadersDraft, headerText } from "#abi";
import { CodedError, type MemoryAccount } from "#base";
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from "undici";
import type { ReadableBody } from "../stored-body.ts";
import { gatewayLimits } from "../limits.ts";
import { memoryBusy } from "../memory.ts";
import { connectionHeaders, isHeaderName, isHeaderValue } from "./headers.ts";
import { Pieces } from "./pieces.ts";
import { checkedConnector, type Reach } from "./reach.ts";
import { unpack, type Unpacked } from "./unpack.ts";

export interface HttpExchange {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array | undefined;
  /** Sent instead of `body`. */
  readonly stream?: ReadableBody | undefined;
  readonly signal: AbortSignal;
  /** Where memory for the answer is taken while it comes in. */
  readonly memory: MemoryAccount;
  /** Most bytes of the answer, as it comes and decompressed. Default: gatewayLimits.answerBytes. */
  readonly answerLimit?: number | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly contentType: string;
  readonly body: Uint8Array;
}

const ofConnection: ReadonlySet<string> = new Set(connectionHeaders);
/** Headers that belong to a connection, or that the client sets itself. */
const ownHeaders = new Set([...connectionHeaders, "content-length", "host", "accept-encoding"]);

/** Connections, `connections` of them to each origin. `tls` as Node's tls.connect takes it. `reach`: addresses; undefined: any. */
export function newAgent(connections: number, tls: object = {}, reach?: Reach): Agent {
  const options = agentOptions(connections, tls);
  return new Agent(reach === undefined ? options : { ...options, connect: checkedConnector(reach, options.connect) });
}

/**
 * The same through an HTTP proxy, by CONNECT, except to hosts that the environment variable NO_PROXY names. `proxy`: its URL, with
 * user and password if it wants them.
 */
export function newProxyAgent(connections: number, proxy: string, tls: object = {}): Dispatcher {
  return new EnvHttpProxyAgent({
    ...agentOptions(connections, tls),
    requestTls: { timeout: 10_000, ...tls },
    httpProxy: proxy,
    httpsProxy: proxy,
  });
}

function agentOptions(connections: number, tls: object): Agent.Options & { readonly connect: object } {
  return {
    connections,
    pipelining: 1,
    keepAliveTimeout: 20_000,
    keepAliveMaxTimeout: 60_000,
    maxHeaderSize: 4 * gatewayLimits.httpHeadersBytes,
    connect: { timeout: 10_000, ...tls },
    headersTimeout: 0,
    bodyTimeout: 0,
  };
}

/** Headers fit to be sent: without those of a connection and without pseudo headers. */
function requestHeaders(headers: Headers): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers))
    if (!ownHeaders.has(name) && !name.startsWith(":")) out[name] = typeof value === "string" ? value : [...value];
  return out;
}

/** Name of the first header that HTTP can't carry; headers that are not sent at all are not looked at. */
export function unsendable(headers: Headers): string | undefined {
  return Object.entries(requestHeaders(headers)).find(
    ([name, value]) => !isHeaderName(name) || !headerList(value).every(isHeaderValue),
  )?.[0];
}

/**
 * Memory for one answer, given back as a whole. A long one takes all it may need before it is read on, and holds next to nothing while
 * it waits: answers that hold a part each and wait for the rest would wait for one another.
 */
class AnswerMemory {
  readonly #account: MemoryAccount;
  readonly #signal: AbortSignal;
  #bytes = 0;

  constructor(account: MemoryAccount, signal: AbortSignal) {
    this.#account = account;
    this.#signal = signal;
  }

  get largestBytes(): number {
    return this.#account.largestBytes;
  }

  /** Sees to it that so many bytes are taken in all; of an answer whose length is not known, as many as it may have. Rejects with MF_MEMORY_BUSY. */
  async hold(bytes: number, knownBytes: number | undefined): Promise<void> {
    if (bytes <= this.#bytes) return;
    const wanted =
      knownBytes ?? (bytes <= gatewayLimits.shortBodyBytes ? bytes : Math.min(gatewayLimits.answerBytes, this.#account.largestBytes));
    await this.take(Math.max(wanted, bytes) - this.#bytes);
  }

  async take(bytes: number): Promise<void> {
    if (!(await this.#account.take(bytes, { timeoutMs: gatewayLimits.memoryWaitMs, signal: this.#signal }))) throw noMemory();
    this.#bytes += bytes;
  }

  tryTake(bytes: number): boolean {
    if (!this.#account.tryTake(bytes)) return false;
    this.#bytes += bytes;
    return true;
  }

  giveBack(): void {
    if (this.#bytes > 0) this.#account.give(this.#bytes);
  }
}

function noMemory(): CodedError {
  return new CodedError(
    memoryBusy,
    "the gateway is out of memory for messages and could not read the answer: try again later, or raise `memory`",
  );
}

/** Rejects with a CodedError (MF_HTTP_ANSWER_TOO_BIG, MF_HTTP_ANSWER_GARBAGE, MF_MEMORY_BUSY), or as undici does. */
export async function exchange(agent: Dispatcher, wanted: HttpExchange): Promise<HttpAnswer> {
  const memory = new AnswerMemory(wanted.memory, wanted.signal);
  try {
    return await exchangeWithin(agent, wanted, memory);
  } finally {
    memory.giveBack();
  }
}

async function exchangeWithin(
  agent: Dispatcher,
  { url, method, headers, body, stream, signal, answerLimit = gatewayLimits.answerBytes }: HttpExchange,
  memory: AnswerMemory,
): Promise<HttpAnswer> {
  const response = await request(url, {
    dispatcher: agent,
    method: method as "GET",
    headers: stream === undefined ? requestHeaders(headers) : { ...requestHeaders(headers), "content-length": String(stream.bytes) },
    body: stream === undefined ? (body === undefined || body.length === 0 ? null : body) : stream.open(),
    signal,
  });
  const most = Math.min(answerLimit, gatewayLimits.answerBytes, memory.largestBytes);
  const length = Number(response.headers["content-length"] ?? Number.NaN);
  const knownBytes = length <= most ? length : undefined;
  const pieces = new Pieces();
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    if (length > most || pieces.bytes + chunk.length > most) {
      response.body.destroy();
      throw new CodedError(
        "MF_HTTP_ANSWER_TOO_BIG",
        `${url.host} answered with more than ${most} bytes: request less, or raise \`answerLimit\` of the outlet or \`memory\`, whichever is the limit`,
      );
    }
    await memory.hold(pieces.bytes + chunk.length, knownBytes);
    pieces.add(chunk);
  }
  const answerHeaders: HeadersDraft = {};
  for (const [name, value] of Object.entries(response.headers)) {
    if (value === undefined || ofConnection.has(name) || name === "__proto__") continue;
    answerHeaders[name] = value;
  }
  const whole = await decoded(pieces.whole(), answerHeaders, { url, memory, most });
  return { status: response.statusCode, headers: answerHeaders, contentType: headerText(answerHeaders["content-type"]) ?? "", body: whole };
}

interface Decoding {
  readonly url: URL;
  readonly memory: AnswerMemory;
  readonly most: number;
}

async function decoded(body: Uint8Array, headers: HeadersDraft, { url, memory, most }: Decoding): Promise<Uint8Array> {
  const encoding = headerText(headers["content-encoding"])?.toLowerCase();
  if (encoding === undefined || encoding === "identity" || body.length === 0) return body;
  let expectedBytes = Math.min(body.length * gatewayLimits.compressionRatio, most);
  await memory.take(expectedBytes);
  const take = (bytes: number): boolean => (expectedBytes -= bytes) >= 0 || memory.tryTake(bytes);
  const unpacked = await new Promise<Unpacked>((resolve) => unpack(body, { encoding, limit: most, take }, resolve));
  if ("body" in unpacked) {
    delete headers["content-encoding"];
    delete headers["content-length"]; // of what came
    return unpacked.body;
  }
  if (unpacked.failed === "unknown") return body; // the flow asked for it, or the peer is odd: it gets what came
  if (unpacked.failed === "noMemory") throw noMemory();
  throw new CodedError("MF_HTTP_ANSWER_GARBAGE", `${url.host} answered with a body that is invalid ${encoding} or too long`);
}

/** Milliseconds of a Retry-After header (seconds, or a date); undefined when it is missing or malformed. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? undefined : Math.max(dateMs - nowMs, 0);
}
