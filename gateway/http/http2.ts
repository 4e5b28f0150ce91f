/**
 * HTTP/2 for clients that ask for it in the TLS handshake (RFC 9113; ALPN `h2`). Handlers see requests as HTTP/1.1 would have brought them:
 * without pseudo headers, with `host`, and with `transfer-encoding` where a body of unknown length follows.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import {
  constants,
  createServer,
  type Http2Server,
  Http2ServerRequest,
  Http2ServerResponse,
  type IncomingHttpHeaders as Http2Headers,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { ReadableOptions } from "node:stream";
import type { Server as TlsServer, TLSSocket } from "node:tls";
import { appendHeader, type HeadersDraft, type HeaderValue } from "#abi";
import type { Clock } from "#base";
import { gatewayLimits } from "../contract/limits.ts";

/** Offered in the handshake. */
export const applicationProtocols: readonly string[] = ["h2", "http/1.1"];

/** Header lines without pseudo headers: names and values in turn. Of `:authority` and an equal `host` one stays, as `host`. */
function linesOf(rawHeaders: readonly string[], hasBody: boolean): string[] {
  const lines: string[] = [];
  let authority: string | undefined;
  let hasLength = false;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const [name, value] = [rawHeaders[at] as string, rawHeaders[at + 1] as string];
    if (name === ":authority") lines.push("host", (authority = value));
    else if (!name.startsWith(":") && !(name === "host" && value === authority)) lines.push(name, value);
    hasLength ||= name === "content-length";
  }
  if (hasBody && !hasLength) lines.push("transfer-encoding", "chunked");
  return lines;
}

function headersOf(given: Http2Headers, lines: readonly string[]): IncomingHttpHeaders {
  const headers: IncomingHttpHeaders = Object.create(null);
  for (const name in given) if (!name.startsWith(":")) headers[name] = given[name];
  for (const name of ["host", "transfer-encoding"]) {
    const at = lines.indexOf(name);
    if (at >= 0) headers[name] = lines[at + 1];
  }
  return headers;
}

class Request extends Http2ServerRequest {
  constructor(stream: ServerHttp2Stream, given: Http2Headers, options: ReadableOptions, rawHeaders: readonly string[]) {
    super(stream, given, options, rawHeaders);
    const lines = linesOf(rawHeaders, !stream.endAfterHeaders);
    Object.defineProperties(this, { rawHeaders: { value: lines }, headers: { value: headersOf(given, lines) } });
  }
}

class Response extends Http2ServerResponse {
  constructor(stream: ServerHttp2Stream) {
    super(stream);
    Object.defineProperties(this, {
      destroyed: { get: () => stream.destroyed },
      writableFinished: { get: () => stream.writableFinished && !stream.aborted }, // Node's own is also true for a caller that has left
    });
  }

  /** `headers` may be names and values in turn, as ServerResponse takes them: repeated names keep all values. */
  override writeHead(status: number, ...rest: readonly unknown[]): this {
    const headers = rest.at(-1);
    if (!Array.isArray(headers)) return super.writeHead(status, headers as never);
    const all: HeadersDraft = Object.create(null);
    for (let at = 0; at + 1 < headers.length; at += 2) appendHeader(all, String(headers[at]).toLowerCase(), String(headers[at + 1]));
    for (const name in all) this.setHeader(name, all[name] as HeaderValue as string | string[]);
    return super.writeHead(status);
  }
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

export class Http2Connections {
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #clock: Clock;
  readonly #listener: Listener;
  #closing = false;

  constructor(clock: Clock, listener: Listener) {
    this.#clock = clock;
    this.#listener = listener;
    this.#server = createServer({
      Http2ServerRequest: Request,
      Http2ServerResponse: Response,
      maxHeaderListPairs: 2 * gatewayLimits.httpHeaders, // the handler counts, and says so
      settings: { maxConcurrentStreams: gatewayLimits.http2Streams, maxHeaderListSize: gatewayLimits.httpHeadersBytes, enablePush: false },
    } as Parameters<typeof createServer>[0]);
    this.#server.on("session", (session) => this.#keep(session));
    this.#server.on("request", (request: unknown, response: unknown) => this.#handle(request as Request, response as Response));
  }

  /** Takes those connections of an HTTPS server whose clients have chosen HTTP/2. */
  takeFrom(server: TlsServer): void {
    const others = server.listeners("secureConnection");
    server.removeAllListeners("secureConnection");
    server.on("secureConnection", (socket: TLSSocket) => {
      if (socket.alpnProtocol === "h2") this.#server.emit("connection", socket);
      else for (const other of others) other.call(server, socket);
    });
  }

  /** Requests under way are answered; further ones go to another connection. */
  beginClose(): void {
    this.#closing = true;
    for (const session of this.#sessions) session.close();
  }

  endClose(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #keep(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.on("close", () => this.#sessions.delete(session));
    session.setTimeout(gatewayLimits.httpKeepAliveMs, () => session.close());
    if (this.#closing) session.close();
  }

  #handle(request: Request, response: Response): void {
    const { stream } = request;
    const late = request.complete
      ? undefined
      : this.#clock.after(gatewayLimits.httpRequestMs, () => {
          if (!request.complete) stream.close(constants.NGHTTP2_CANCEL);
        });
    if (late !== undefined) {
      request.once("end", late);
      stream.once("close", late);
    }
    // The rest of a request that has its answer goes nowhere (RFC 9113, 8.1).
    stream.once("finish", () => {
      if (!request.complete && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
    });
    this.#listener(request as unknown as IncomingMessage, response as unknown as ServerResponse);
  }
}
