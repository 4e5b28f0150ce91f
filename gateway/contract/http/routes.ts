/** The gateway's one HTTP server, as a source sees it. */
import type { IncomingMessage, ServerResponse } from "node:http";

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
}

export interface HttpRoutes {
  /**
   * Adds a route: `/orders/:id`, `/files/*`. Returns what takes it away again.
   * Throws MF_ROUTE_TAKEN when method and path are taken.
   */
  add(method: string, path: string, handler: RouteHandler, options?: RouteOptions): () => void;
}
