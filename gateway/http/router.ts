/** Routes: paths without parameters in a map, since most are; the others in find-my-way's tree. */
import findMyWay, { type HTTPMethod } from "find-my-way";
import { type IncomingMessage, METHODS } from "node:http";
import { CodedError } from "#base";
import { Proxies } from "../contract/http/addresses.ts";
import type { CorsConfig } from "../contract/http/cors.ts";
import type { HttpRoutes, RouteHandler, RouteOptions } from "../contract/http/routes.ts";

export interface FoundRoute {
  readonly handler: RouteHandler;
  readonly webhook: boolean;
  readonly cors: CorsConfig | undefined;
  readonly parameters: Readonly<Record<string, string | undefined>>;
}

const noParameters: FoundRoute["parameters"] = Object.freeze({});

type StoredRoute = Omit<FoundRoute, "parameters">;

/** Of two parameters with one name a flow would see the second only. */
function repeatedParameter(path: string): string | undefined {
  const names = [...path.matchAll(/:\w+/g)].map(([name]) => name);
  return names.find((name, index) => names.indexOf(name) !== index);
}

export class Router implements HttpRoutes {
  readonly #fixed = new Map<string, Map<string, FoundRoute>>();
  readonly #tree = findMyWay({ ignoreTrailingSlash: false, caseSensitive: true, maxParamLength: 500 });
  #inTree = 0;
  readonly #methods = new Map<string, number>();
  readonly #proxies: Proxies;

  constructor(proxies: Proxies = new Proxies({ trusted: [], header: "x-forwarded-for" })) {
    this.#proxies = proxies;
  }

  addressOf({ socket, headers }: IncomingMessage): string | undefined {
    return this.#proxies.addressOf(socket.remoteAddress, headers);
  }

  add(method: string, path: string, handler: RouteHandler, { webhook = false, cors }: RouteOptions = {}): () => void {
    const route: StoredRoute = { handler, webhook, cors };
    const removed = path.includes(":") || path.includes("*") ? this.#addToTree(method, path, route) : this.#addFixed(method, path, route);
    this.#methods.set(method, (this.#methods.get(method) ?? 0) + 1);
    let there = true;
    return () => {
      if (!there) return;
      there = false;
      this.#methods.set(method, (this.#methods.get(method) ?? 1) - 1);
      removed();
    };
  }

  find(method: string, path: string): FoundRoute | undefined {
    const fixed = this.#fixed.get(path)?.get(method);
    if (fixed !== undefined || this.#inTree === 0) return fixed;
    const found = this.#tree.find(method as HTTPMethod, path);
    if (found === null) return undefined;
    return { ...(found.store as StoredRoute), parameters: found.params };
  }

  /** Methods this path has: for OPTIONS and 405. */
  methodsOf(path: string): string[] {
    return [...this.#methods].filter(([method, count]) => count > 0 && this.find(method, path) !== undefined).map(([method]) => method);
  }

  #addFixed(method: string, path: string, route: StoredRoute): () => void {
    let methods = this.#fixed.get(path);
    if (methods === undefined) this.#fixed.set(path, (methods = new Map()));
    if (methods.has(method)) throw taken(method, path);
    methods.set(method, { ...route, parameters: noParameters });
    return () => {
      methods.delete(method);
      if (methods.size === 0) this.#fixed.delete(path);
    };
  }

  #addToTree(method: string, path: string, store: StoredRoute): () => void {
    if (!METHODS.includes(method)) throw new CodedError("MF_METHOD_INVALID", `${JSON.stringify(method)} is not an HTTP method`);
    const twice = repeatedParameter(path);
    if (twice !== undefined)
      throw new CodedError("MF_ROUTE_INVALID", `the path ${path} can't be used: it has the parameter ${twice} twice`);
    try {
      this.#tree.on(method as HTTPMethod, path, () => undefined, store);
    } catch (cause) {
      if (cause instanceof Error && cause.message.includes("already declared")) throw taken(method, path);
      throw new CodedError(
        "MF_ROUTE_INVALID",
        `the path ${path} can't be used: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    }
    this.#inTree += 1;
    return () => {
      this.#tree.off(method as HTTPMethod, path);
      this.#inTree -= 1;
    };
  }
}

function taken(method: string, path: string): CodedError {
  return new CodedError(
    "MF_ROUTE_TAKEN",
    `${method} ${path} is already served by another source: change the path or method of one of them`,
  );
}
