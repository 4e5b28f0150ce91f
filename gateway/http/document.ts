/** The OpenAPI document of the contracts that are served, and a page to try it: two paths of the public port, while there is a contract. */
import { createHash } from "node:crypto";
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { JsonSchema } from "../contract/connector.ts";
import { type HttpRoutes, pageOf } from "../contract/http/routes.ts";
import { tryPage, tryScript, tryStyle } from "./try-page.ts";

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** The page calls the gateway it came from, and loads nothing. */
const policy = [
  "default-src 'none'",
  `script-src ${hashOf(tryScript)}`,
  `style-src ${hashOf(tryStyle)}`,
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const guards: OutgoingHttpHeaders = {
  "content-security-policy": policy,
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
};

export class ServedDocument {
  readonly #routes: HttpRoutes;
  readonly #path: string | undefined;
  #remove: (() => void)[] = [];

  /** `path`: of the document; undefined: neither it nor the page is served. */
  constructor(routes: HttpRoutes, path: string | undefined) {
    this.#routes = routes;
    this.#path = path;
  }

  /** Serves another document from now on; undefined: none. */
  use(document: JsonSchema | undefined): void {
    for (const remove of this.#remove.splice(0)) remove();
    if (document === undefined || this.#path === undefined) return;
    const text = Buffer.from(JSON.stringify(document));
    const page = Buffer.from(tryPage(this.#path));
    this.#add(this.#path, text, { "content-type": "application/json" });
    this.#add(pageOf(this.#path), page, { "content-type": "text/html; charset=utf-8", ...guards });
  }

  #add(path: string, body: Buffer, own: OutgoingHttpHeaders): void {
    const headers = {
      ...own,
      "cache-control": "no-cache",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "content-length": body.length,
    };
    const handler = (request: IncomingMessage, response: ServerResponse): void => {
      request.resume();
      response.writeHead(200, headers);
      response.end(request.method === "HEAD" ? undefined : body);
    };
    this.#remove.push(this.#routes.add("GET", path, handler));
  }
}
