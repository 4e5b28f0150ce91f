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

/** One operation of a contract, as the router has it. */
interface ContractRoute {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  /** Names of path parameters as the router has them, with the contract's. */
  readonly names: Readonly<Record<string, string>>;
}

/** Settings of an HTTP source that say where it is served. */
export interface HttpPlace {
  readonly method?: string | readonly string[];
  readonly path?: string;
  /** The document that `openapi` names; its operations are served instead of `path`. */
  readonly contract?: { readonly file: string; readonly operations: readonly ContractRoute[]; readonly all: readonly string[] };
  readonly partial?: boolean;
}

/** Path of the page to try a document: `/openapi` for `/openapi.json`. */
export function pageOf(document: string): string {
  return document.replace(/\.json$/, "");
}

/** Every method and path of a source. */
export function routesOf({
  method = "POST",
  path = "",
  contract,
}: HttpPlace): readonly { readonly method: string; readonly path: string }[] {
  return contract?.operations ?? methodList(method).map((each) => ({ method: each, path }));
}

/** Path parameters of a source, as a flow finds them: in lower case, `rest` for a trailing `*`. */
export function pathParametersOf({ path = "", contract }: HttpPlace): readonly string[] {
  if (contract !== undefined) return contract.operations.flatMap(({ names }) => Object.values(names).map((name) => name.toLowerCase()));
  const named = [...path.matchAll(/:([A-Za-z_][A-Za-z0-9_]*)/g)].map(([, name = ""]) => name.toLowerCase());
  return path.endsWith("*") ? [...named, "rest"] : named;
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
