/**
 * The protocol over HTTP, at 127.0.0.1 alone and under a token. A page in the user's browser gets nothing: the Host header tells a name
 * that was made to lead here (DNS rebinding), the Origin header tells another page.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type * as Sdk from "@modelcontextprotocol/server";
import { CodedError } from "#base";
import { adminDenied, originCheck, type Problem, sameSecret, sendProblem } from "#gateway";
import { mcpLimits } from "./limits.ts";

const host = "127.0.0.1";
const path = "/mcp";

export interface McpHttpOptions {
  readonly sdk: typeof Sdk;
  /** A server for one request; `gone` is aborted when its client leaves. */
  readonly make: (gone: AbortSignal) => Sdk.McpServer;
  readonly token: string;
  /** With 0 the system chooses one. */
  readonly port: number;
  readonly report: (error: Error) => void;
}

export interface McpHttp {
  readonly url: string;
  close(): Promise<void>;
}

const unknown: Problem = {
  status: 404,
  code: "MF_NOT_FOUND",
  detail: `the protocol is spoken at ${path}`,
  headers: { connection: "close" },
};

const tooLong: Problem = {
  status: 413,
  code: "MF_MCP_LENGTH",
  detail: `the request is longer than ${mcpLimits.requestBytes} bytes: send less`,
  headers: { connection: "close" },
};

/** The request's body; undefined for one that is too long. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > mcpLimits.requestBytes) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function headersOf({ rawHeaders }: IncomingMessage): [string, string][] {
  return Array.from({ length: rawHeaders.length / 2 }, (_, at) => [rawHeaders[2 * at] as string, rawHeaders[2 * at + 1] as string]);
}

async function answer({ sdk, make, report }: McpHttpOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  if (body === undefined) return sendProblem(response, tooLong);
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const { method = "GET" } = request;
  const handler = sdk.createMcpHandler(() => make(gone.signal), { onerror: report, maxRequestBodySize: mcpLimits.requestBytes });
  try {
    const answered = await handler.fetch(
      new Request(`http://${host}${path}`, {
        method,
        headers: headersOf(request),
        signal: gone.signal,
        ...(method === "GET" || method === "HEAD" ? {} : { body: new Uint8Array(body) }),
      }),
    );
    response.writeHead(answered.status, Object.fromEntries(answered.headers));
    if (answered.body === null) response.end();
    else await pipeline(Readable.fromWeb(answered.body as Parameters<typeof Readable.fromWeb>[0]), response);
  } finally {
    await handler.close();
  }
}

function listener(options: McpHttpOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const check = originCheck([host], "http");
  return (request, response) => {
    const isTrusted = sameSecret(request.headers.authorization ?? "", `Bearer ${options.token}`);
    const problem = check(request) ?? (isTrusted ? undefined : adminDenied) ?? (request.url === path ? undefined : unknown);
    if (problem !== undefined) {
      request.resume();
      return sendProblem(response, problem);
    }
    answer(options, request, response).catch((error: unknown) => {
      if (!response.destroyed) options.report(error as Error); // a client that left is no fault
      response.destroy();
    });
  };
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    const { code = "unknown" } = cause as NodeJS.ErrnoException;
    throw new CodedError("MF_MCP_PORT", `port ${port} of ${host} can't be listened on (${code}): choose another with --http`, { cause });
  }
}

/** Rejects with MF_MCP_PORT. */
export async function serveHttp(options: McpHttpOptions): Promise<McpHttp> {
  const server = createServer({ headersTimeout: mcpLimits.requestMs, requestTimeout: mcpLimits.requestMs }, listener(options));
  server.maxConnections = mcpLimits.connections;
  await listen(server, options.port);
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}${path}`,
    close: async () => {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, "close");
    },
  };
}
