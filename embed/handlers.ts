/**
 * A host behind an HTTP framework: the request is the message, the reply is the response. No framework is imported; each helper knows the
 * shape of what it is given.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { CodedError } from "#base";
import { connectionHeaders, isHeaderValue } from "#gateway/attempt";
import type { FastifyLike, HandlerOptions, HonoLike, Host, Message, RunResult } from "./embed.d.ts";
import { optionError } from "./errors.ts";
import { embedLimits } from "./limits.ts";
import { checkNames } from "./options.ts";

interface Response {
  readonly status: number;
  /** A list has several values of one header. */
  readonly headers: readonly (readonly [name: string, value: string | string[]])[];
  readonly body: Uint8Array;
}

/** Headers of a guest that are not passed on: those of the connection, the server's own, and what would act on the server's other pages. */
const kept = new Set([...connectionHeaders, "content-length", "content-type", "date", "set-cookie"]);

function problem(status: number, code: string, detail: string): Response {
  const body = Buffer.from(JSON.stringify({ status, code, detail }));
  return { status, headers: [["content-type", "application/problem+json"]], body };
}

/** Text of a failure that the guest meant for its caller, by the status it gave. */
function failure({ code, status, message, retry }: NonNullable<RunResult["error"]>): Response {
  if (status >= 400 && status <= 599) return problem(status, code, message);
  const isBusy = code === "MF_MONITOR_BUSY" || code === "MF_MEMORY_BUSY";
  return problem(isBusy ? 503 : 500, code, retry ? "the call failed: try again later" : "the call failed");
}

function responseOf(result: RunResult): Response {
  const { error, reply } = result;
  if (error !== undefined) return failure(error);
  if (reply === undefined) return { status: 204, headers: [], body: new Uint8Array(0) };
  const headers: [string, string | string[]][] = reply.contentType === "" ? [] : [["content-type", reply.contentType]];
  for (const [name, given] of Object.entries(reply.headers)) {
    if (kept.has(name)) continue;
    headers.push([name, typeof given === "string" ? given : [...given]]);
  }
  if (!headers.every(([, value]) => [value].flat().every(isHeaderValue)))
    return problem(500, "MF_HEADER_INVALID", "the reply has a header that HTTP can't carry");
  return { status: reply.status, headers, body: reply.body };
}

function checkOptions(options: HandlerOptions<never>): void {
  checkNames(options, "the options of a handler", ["outlets", "message", "result", "bodyBytes"]);
  const { bodyBytes = 0 } = options;
  if (!Number.isSafeInteger(bodyBytes) || bodyBytes < 0) throw optionError("bodyBytes must be a whole number");
}

/** Names that only a gateway may give a machine. */
const reserved = /^(:|mayfly-)/;

function headersFrom(given: Readonly<Record<string, string | readonly string[] | undefined>>): Record<string, string | readonly string[]> {
  const headers: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(given))
    if (value !== undefined && !reserved.test(name) && !kept.has(name)) headers[name] = value;
  const type = given["content-type"];
  if (type !== undefined) headers["content-type"] = type;
  return headers;
}

interface Asked<Request> {
  readonly request: Request;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: unknown;
  readonly signal: AbortSignal;
}

/** Never rejects. */
async function answer<Request>(
  host: Host,
  { outlets, message, result: use }: HandlerOptions<Request>,
  asked: Asked<Request>,
): Promise<Response> {
  try {
    const { request, body, signal } = asked;
    const own: Message = message === undefined ? {} : await message(request);
    const result = await host.run({ body, headers: headersFrom(asked.headers), ...own }, { outlets: outlets?.(request), signal });
    if (use !== undefined) await use(result, request);
    else if (result.sends.length > 0)
      return problem(500, "MF_EMBED_OPTION", "the flow sends messages, and the handler has no `result` that carries them out");
    return responseOf(result);
  } catch (error) {
    return problem(500, error instanceof CodedError ? error.code : "MF_EMBED_OPTION", "the call could not be made");
  }
}

const tooLong = problem(413, "MF_MESSAGE_LIMIT", "the body is too long");

/** The body, unless it is longer than allowed or cut off. */
async function bodyOf(request: IncomingMessage, mostBytes: number): Promise<Uint8Array | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > mostBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** A body that the framework has read already, within the same bound. */
function readAlready(body: unknown, mostBytes: number): boolean {
  const bytes = typeof body === "string" || body instanceof Uint8Array ? body.length : 0;
  return bytes <= mostBytes;
}

function leaving(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}

/** For Express, Connect and node:http. */
export function expressHandler(
  host: Host,
  options: HandlerOptions<IncomingMessage> = {},
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  checkOptions(options);
  const { bodyBytes = embedLimits.requestBytes } = options;
  return async (request, response) => {
    const signal = leaving(response);
    let body = (request as { body?: unknown }).body;
    try {
      if (body === undefined) body = await bodyOf(request, bodyBytes);
    } catch {
      return; // the caller has left in the middle of it
    }
    const { headers } = request;
    const given =
      body === undefined || !readAlready(body, bodyBytes) ? tooLong : await answer(host, options, { request, headers, body, signal });
    if (response.destroyed) return;
    response.statusCode = given.status;
    for (const [name, value] of given.headers) response.setHeader(name, value);
    response.end(given.body);
  };
}

export function fastifyHandler(
  host: Host,
  options: HandlerOptions<FastifyLike["request"]> = {},
): (request: FastifyLike["request"], reply: FastifyLike["reply"]) => Promise<unknown> {
  checkOptions(options);
  const { bodyBytes = embedLimits.requestBytes } = options;
  return async (request, reply) => {
    const { headers, body } = request;
    const given = readAlready(body, bodyBytes)
      ? await answer(host, options, { request, headers, body: body ?? undefined, signal: leaving(reply.raw) })
      : tooLong;
    reply.code(given.status);
    for (const [name, value] of given.headers) reply.header(name, value);
    return reply.send(Buffer.from(given.body));
  };
}

/** For Hono, and whatever else gives a Request and takes a Response. */
export function honoHandler(host: Host, options: HandlerOptions<Request> = {}): (context: HonoLike) => Promise<globalThis.Response> {
  checkOptions(options);
  const { bodyBytes = embedLimits.requestBytes } = options;
  return async ({ req: { raw: request } }) => {
    const body = await bytesOf(request, bodyBytes);
    const { signal } = request;
    const headers = Object.fromEntries(request.headers);
    const given = body === undefined ? tooLong : await answer(host, options, { request, headers, body, signal });
    return new globalThis.Response(given.status === 204 || given.status === 304 ? null : Buffer.from(given.body), {
      status: given.status,
      headers: given.headers.flatMap(([name, value]) => [value].flat().map((each): [string, string] => [name, each])),
    });
  };
}

async function bytesOf({ body }: Request, mostBytes: number): Promise<Uint8Array | undefined> {
  if (body === null) return new Uint8Array(0);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body as unknown as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > mostBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}
