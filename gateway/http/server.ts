/** An HTTP server of the gateway: finds the route, answers what has none, and closes in order. */
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Clock, CodedError } from "#base";
import type { GatewayConfig } from "../contract/config.ts";
import type { Logger } from "../contract/connector.ts";
import { gatewayLimits } from "../contract/limits.ts";
import type { ReportUnexpected } from "../contract/unexpected.ts";
import { Certificates } from "./certificates.ts";
import { ConnectionLimit } from "./connections.ts";
import { applicationProtocols, Http2Connections } from "./http2.ts";
import { Proxies } from "../contract/http/addresses.ts";
import { allowOrigin, type CorsConfig, isPreflight, preflightHeaders } from "../contract/http/cors.ts";
import { failWith, type Problem, sendProblem } from "../contract/http/problem.ts";
import { Router } from "./router.ts";

const options: ServerOptions = {
  noDelay: true,
  keepAliveTimeout: gatewayLimits.httpKeepAliveMs,
  headersTimeout: gatewayLimits.httpHeadersMs,
  requestTimeout: gatewayLimits.httpRequestMs,
  maxHeaderSize: gatewayLimits.httpHeadersBytes,
  connectionsCheckingInterval: 5_000,
};

export interface HttpServerPorts {
  readonly tls: GatewayConfig["http"]["tls"];
  /** Absent: none. */
  readonly proxies?: GatewayConfig["http"]["proxies"];
  /** Folder the paths in `tls` start from. */
  readonly base: string;
  readonly connectionsPerAddress: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly unexpected: ReportUnexpected;
  /** Why a request is refused before its route is looked for; undefined: it is not. Absent: none is. */
  readonly admits?: ((request: IncomingMessage) => Problem | undefined) | undefined;
}

export class HttpServer {
  readonly routes: Router;
  readonly connections: ConnectionLimit;
  readonly #server: Server;
  readonly #certificates: Certificates | undefined;
  readonly #http2: Http2Connections | undefined;
  /** False while sources are still to add theirs: then an unknown path says "later" instead of "never". */
  routesAreThere = true;
  /**
   * Asked before a request is routed: a problem that its caller is told, at once or later, or undefined to go on. Undefined: every request
   * goes on.
   */
  gate: ((path: string) => Problem | Promise<Problem | undefined> | undefined) | undefined;
  #closing = false;
  readonly #admits: HttpServerPorts["admits"];
  readonly #unexpected: ReportUnexpected;

  constructor({ tls, proxies, base, connectionsPerAddress, clock, logger, unexpected, admits }: HttpServerPorts) {
    this.routes = new Router(proxies === undefined ? undefined : new Proxies(proxies));
    this.#admits = admits;
    this.#unexpected = unexpected;
    this.connections = new ConnectionLimit(connectionsPerAddress, clock, logger);
    const listener: RequestListener = (request, response) => {
      try {
        this.#handle(request, response);
      } catch (error) {
        unexpected(error, "an HTTP request");
        failWith(response);
      }
    };
    this.#certificates = tls === undefined ? undefined : new Certificates({ tls, base, clock, logger });
    if (this.#certificates === undefined) this.#server = createServer(options, listener);
    else {
      const tlsOptions = { ...this.#certificates.options, ALPNProtocols: [...applicationProtocols] };
      const server: TlsServer = createTlsServer({ ...options, ...tlsOptions }, listener);
      this.#http2 = new Http2Connections(clock, listener);
      this.#http2.takeFrom(server);
      this.#certificates.watch(server);
      this.#server = server;
    }
    this.#server.maxConnections = gatewayLimits.httpConnections;
    this.#server.maxHeadersCount = 0; // Node would cut the rest off silently: `objection` counts instead
    this.#server.on("connection", (socket: Socket) => this.connections.admit(socket));
    this.#server.on("clientError", refuseBytes);
  }

  /** Rejects with MF_PORT_IN_USE, MF_PORT_DENIED or MF_LISTEN. */
  listen(host: string, port: number): Promise<void> {
    return this.#listen(`${host}:${port}`, () => this.#server.listen(port, host));
  }

  /** At a UNIX socket, which is bound when this returns. Rejects with MF_LISTEN. */
  listenAt(path: string): Promise<void> {
    return this.#listen(path, () => this.#server.listen(path));
  }

  #listen(where: string, begin: () => void): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const failed = (cause: NodeJS.ErrnoException): void => {
        if (cause.code === "EADDRINUSE")
          reject(
            new CodedError(
              "MF_PORT_IN_USE",
              `${where} is in use: stop the program that listens there, or choose another port with http.port or --port`,
              {
                cause,
              },
            ),
          );
        else if (cause.code === "EACCES")
          reject(
            new CodedError("MF_PORT_DENIED", `${where} needs more privileges than this process has: choose a port above 1023`, { cause }),
          );
        else reject(new CodedError("MF_LISTEN", `cannot listen on ${where}: ${cause.message}`, { cause }));
      };
      this.#server.once("error", failed);
      this.#server.once("listening", () => {
        this.#server.off("error", failed);
        // accept(2) fails while the process has no file descriptor left: the server goes on once it has.
        this.#server.on("error", (error: NodeJS.ErrnoException) => this.connections.acceptFailed(error));
        resolve();
      });
      begin();
    });
  }

  get address(): { readonly host: string; readonly port: number } | undefined {
    const address = this.#server.address() as AddressInfo | string | null;
    return address === null || typeof address === "string" ? undefined : { host: address.address, port: address.port };
  }

  /** From now on answers say that the connection ends, and idle ones are closed. */
  beginClose(): void {
    this.#closing = true;
    this.#certificates?.unwatch();
    this.#server.close();
    this.#server.closeIdleConnections();
    this.#http2?.beginClose();
  }

  /** Cuts what is still open. */
  endClose(): void {
    this.#server.closeAllConnections();
    this.#http2?.endClose();
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    response.on("error", ignored);
    const objection = objectionTo(request.rawHeaders);
    if (objection !== undefined) {
      request.resume();
      return sendProblem(response, objection);
    }
    const url = originForm(request);
    const refusal = this.#admits?.(request);
    if (refusal !== undefined) {
      request.resume();
      return sendProblem(response, refusal);
    }
    const mark = url.indexOf("?");
    const path = mark < 0 ? url : url.slice(0, mark);
    if (this.#closing) response.setHeader("connection", "close");
    const gate = this.gate?.(path);
    if (gate === undefined) return this.#route(request, response, path, mark < 0 ? "" : url.slice(mark + 1));
    const passed = (problem: Problem | undefined): void => {
      if (response.destroyed) return;
      if (problem === undefined) return this.#route(request, response, path, mark < 0 ? "" : url.slice(mark + 1));
      request.resume();
      sendProblem(response, problem);
    };
    if (!("then" in gate)) return passed(gate);
    gate.then(passed).catch((error: unknown) => {
      this.#unexpected(error, "an HTTP request");
      failWith(response);
    });
  }

  #route(request: IncomingMessage, response: ServerResponse, path: string, query: string): void {
    const method = request.method ?? "GET";
    if (isPreflight(request) && this.#preflight(path, request, response)) return;
    const found = this.routes.find(method, path) ?? (method === "HEAD" ? this.routes.find("GET", path) : undefined);
    if (found?.cors !== undefined) allowOrigin(found.cors, request, response);
    if (found !== undefined) found.handler(request, response, found.parameters, query);
    else this.#unrouted(method, path, request, response);
  }

  /** Answers a browser's question about a path that pages of other origins may call; false for any other path. */
  #preflight(path: string, request: IncomingMessage, response: ServerResponse): boolean {
    const asked = String(request.headers["access-control-request-method"]);
    const methods = this.routes.methodsOf(path);
    const cors = this.routes.find(asked, path)?.cors ?? this.#corsOf(path, methods);
    if (cors === undefined) return false;
    request.resume();
    const those = methods.filter((method) => this.routes.find(method, path)?.cors === cors); // another source of the path may allow others
    response.writeHead(204, { ...preflightHeaders(cors, request, those), allow: [...methods, "OPTIONS"].join(", ") });
    response.end();
    return true;
  }

  /** Of a path whose method is another. */
  #corsOf(path: string, methods: readonly string[]): CorsConfig | undefined {
    for (const method of methods) {
      const cors = this.routes.find(method, path)?.cors;
      if (cors !== undefined) return cors;
    }
    return undefined;
  }

  #unrouted(method: string, path: string, request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    if (this.#closing)
      return sendProblem(response, {
        status: 503,
        code: "MF_STOPPING",
        detail: "the gateway is stopping: try the next gateway",
        headers: { "retry-after": "1" },
      });
    const methods = this.routes.methodsOf(path);
    if (methods.length === 0 && !this.routesAreThere)
      return sendProblem(response, {
        status: 503,
        code: "MF_STARTING",
        detail: "the gateway is still starting: try again",
        headers: { "retry-after": "1" },
      });
    if (method === "OPTIONS" && path === "*") {
      response.writeHead(204);
      response.end();
      return;
    }
    if (methods.length === 0)
      return sendProblem(response, {
        status: 404,
        code: "MF_NOT_FOUND",
        detail: "no flow is served at this path: check `from` in mayfly.yaml",
      });
    const allow = [...new Set([...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"])].sort().join(", ");
    const cors = this.#corsOf(path, methods);
    if (cors !== undefined) allowOrigin(cors, request, response);
    if (method !== "OPTIONS")
      return sendProblem(response, {
        status: 405,
        code: "MF_METHOD_NOT_ALLOWED",
        detail: `this path accepts ${allow}`,
        headers: { allow },
      });
    const handshake = methods.some((each) => this.routes.find(each, path)?.webhook === true) ? webhookHandshake(request) : undefined;
    if (handshake === undefined) response.writeHead(204, { allow });
    else response.writeHead(200, { ...handshake, allow, "content-length": 0 });
    response.end();
  }
}

/** A response that is written to after its client left emits an error that says nothing new. */
const ignored = (): void => undefined;

/**
 * HTTP 1.1 Web Hooks for Event Delivery, 4.2: a sender asks before it delivers, and the operator who said `cloudevents: true` has agreed.
 * Undefined for a malformed request.
 */
function webhookHandshake({ headers }: IncomingMessage): OutgoingHttpHeaders | undefined {
  const origin = headers["webhook-request-origin"];
  if (typeof origin !== "string" || !/^[A-Za-z0-9._:*[\]-]{1,255}$/.test(origin)) return undefined;
  const rate = headers["webhook-request-rate"];
  return { "webhook-allowed-origin": origin, ...(rate === undefined ? {} : { "webhook-allowed-rate": "*" }) };
}

/** Bytes that are no HTTP request, or came too slowly. */
function refuseBytes(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const status =
    error.code === "HPE_HEADER_OVERFLOW"
      ? "431 Request Header Fields Too Large"
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "408 Request Timeout"
        : "400 Bad Request";
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}

/** Headers that say one thing: of two lines, whoever stands before this server may have read the other. */
const singleHeaders: readonly string[] = ["host", "content-type", "authorization"];

/** `rawHeaders`: names and values in turn. A request that repeats a header of one value gets 400 (RFC 9112, 3.2; RFC 9110, 5.3). */
function objectionTo(rawHeaders: readonly string[]): Problem | undefined {
  if (rawHeaders.length > 2 * gatewayLimits.httpHeaders)
    return {
      status: 431,
      code: "MF_HEADERS_LIMIT",
      detail: `the request has more than ${gatewayLimits.httpHeaders} header lines: send fewer`,
      headers: { connection: "close" },
    };
  let seen = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    const { length } = name;
    if (length !== 4 && length !== 12 && length !== 13) continue;
    const single = singleHeaders.indexOf(name.toLowerCase());
    if (single < 0) continue;
    if ((seen & (1 << single)) !== 0)
      return {
        status: 400,
        code: "MF_REQUEST_INVALID",
        detail: `the request must have one ${singleHeaders[single]} line: send the header once`,
        headers: { connection: "close" },
      };
    seen |= 1 << single;
  }
  return undefined;
}

const absoluteForm = /^https?:\/\/([^/?#]*)([^#]*)/i;

/** The target as path and query. RFC 9112, 3.2.2: an absolute form is accepted, and its authority replaces the Host header. */
function originForm(request: IncomingMessage): string {
  const { url = "/" } = request;
  if (url.startsWith("/")) return url;
  const [, authority = "", rest = ""] = absoluteForm.exec(url) ?? [];
  if (authority === "") return url;
  request.headers.host = authority;
  request.url = rest.startsWith("/") ? rest : `/${rest}`;
  return request.url;
}
