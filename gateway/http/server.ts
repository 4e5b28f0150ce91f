/** The gateway's one HTTP server: finds the route, answers what has none, and closes in order. */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerOptions, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { CodedError } from "#base";
import type { GatewayConfig } from "../config/types.ts";
import { gatewayLimits } from "../limits.ts";
import { sendProblem } from "./problem.ts";
import { Router } from "./router.ts";

const options: ServerOptions = {
  noDelay: true,
  keepAliveTimeout: gatewayLimits.httpKeepAliveMs,
  headersTimeout: gatewayLimits.httpHeadersMs,
  requestTimeout: gatewayLimits.httpRequestMs,
  maxHeaderSize: gatewayLimits.httpHeadersBytes,
  connectionsCheckingInterval: 5_000,
};

export class HttpServer {
  readonly routes = new Router();
  readonly #server: Server;
  #closing = false;

  constructor(config: GatewayConfig["http"], base: string) {
    const listener: RequestListener = (request, response) => this.#handle(request, response);
    const { tls } = config;
    this.#server =
      tls === undefined
        ? createServer(options, listener)
        : createTlsServer({ ...options, cert: readPem(base, tls.cert), key: readPem(base, tls.key) }, listener);
    this.#server.maxConnections = gatewayLimits.httpConnections;
    this.#server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      if (!socket.writable || error.code === "ECONNRESET") return socket.destroy();
      const status =
        error.code === "HPE_HEADER_OVERFLOW"
          ? "431 Request Header Fields Too Large"
          : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
            ? "408 Request Timeout"
            : "400 Bad Request";
      return socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    });
  }

  /** Rejects with MF_PORT_IN_USE, MF_PORT_DENIED or MF_LISTEN. */
  async listen(host: string, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const failed = (cause: NodeJS.ErrnoException): void => {
        const where = `${host}:${port}`;
        if (cause.code === "EADDRINUSE")
          reject(
            new CodedError("MF_PORT_IN_USE", `${where} is in use: stop what listens there, or choose another with http.port or --port`, {
              cause,
            }),
          );
        else if (cause.code === "EACCES")
          reject(new CodedError("MF_PORT_DENIED", `${where} needs more rights than this process has: choose a port over 1023`, { cause }));
        else reject(new CodedError("MF_LISTEN", `cannot listen on ${where}: ${cause.message}`, { cause }));
      };
      this.#server.once("error", failed);
      this.#server.listen(port, host, () => {
        this.#server.off("error", failed);
        resolve();
      });
    });
  }

  get address(): { readonly host: string; readonly port: number } | undefined {
    const address = this.#server.address() as AddressInfo | null;
    return address === null ? undefined : { host: address.address, port: address.port };
  }

  /** From now on answers say that the connection ends, and idle ones are closed. */
  beginClose(): void {
    this.#closing = true;
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  /** Cuts what is still open. */
  endClose(): void {
    this.#server.closeAllConnections();
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const url = request.url ?? "/";
    const mark = url.indexOf("?");
    const path = mark < 0 ? url : url.slice(0, mark);
    if (this.#closing) response.setHeader("connection", "close");
    const method = request.method ?? "GET";
    const found = this.routes.find(method, path) ?? (method === "HEAD" ? this.routes.find("GET", path) : undefined);
    if (found !== undefined) found.handler(request, response, found.parameters, mark < 0 ? "" : url.slice(mark + 1));
    else this.#unrouted(method, path, request, response);
  }

  #unrouted(method: string, path: string, request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    if (this.#closing)
      return sendProblem(response, {
        status: 503,
        code: "MF_STOPPING",
        detail: "the gateway is stopping: try the next one",
        headers: { "retry-after": "1" },
      });
    const methods = this.routes.methodsOf(path);
    if (methods.length === 0)
      return sendProblem(response, {
        status: 404,
        code: "MF_NOT_FOUND",
        detail: "no flow is served at this path: see `from` in mayfly.yaml",
      });
    const allow = [...new Set([...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"])].sort().join(", ");
    if (method !== "OPTIONS")
      return sendProblem(response, { status: 405, code: "MF_METHOD_NOT_ALLOWED", detail: `this path takes ${allow}`, headers: { allow } });
    response.writeHead(204, { allow });
    response.end();
  }
}

function readPem(base: string, path: string): Buffer {
  try {
    return readFileSync(resolve(base, path));
  } catch (cause) {
    throw new CodedError("MF_TLS_FILE", `cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
