/** The gateway's one HTTP server, as a source sees it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { CorsConfig } from "./cors.ts";

/** Path parameters by name, decoded; and the query string without its `?`. */
export type RouteHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  parameters: Readonly<Record<string, string | undefined>>,
  query: string,
) => void;

export interface RouteOptions {
  /** Takes CloudEvents: OPTIONS answers the handshake of their webhooks. */
  readonly webhook?: boolean;
  /** Pages of these origins may call it. */
  readonly cors?: CorsConfig | undefined;
}

/** One method or several, as a list. */
export function methodList(methods: string | readonly string[]): readonly string[] {
  return typeof methods === "string" ? [methods] : methods;
}

export interface HttpRoutes {
  /**
   * Adds a route: `/orders/:id`, `/files/*`. Returns what takes it away again.
   * Throws MF_ROUTE_TAKEN when method and path are taken.
   */
  add(method: string, path: string, handler: RouteHandler, options?: RouteOptions): () => void;
  /** Address of who sent a request: the connection's or, behind trusted proxies, the one they name. Undefined if nobody knows. */
  addressOf(request: IncomingMessage): string | undefined;
}
