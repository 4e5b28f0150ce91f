/**
 * The page, from the folder it was built into: read once, served compressed as it lies there. It holds no data; that needs the token.
 *
 *   index.html.gz      /            never stored, so that a new build is seen at once
 *   assets/NAME.gz     /assets/NAME the name has a hash of the content: kept for a year
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { CodedError } from "#base";
import { gatewayLimits } from "../contract/limits.ts";
import type { HttpRoutes } from "../contract/http/routes.ts";

const types = new Map([
  [".html", "text/html; charset=utf-8"],
  [".js", "text/javascript; charset=utf-8"],
  [".css", "text/css; charset=utf-8"],
  [".svg", "image/svg+xml"],
]);

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const guards: OutgoingHttpHeaders = {
  "content-security-policy": policy,
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
};

interface PageFile {
  readonly path: string;
  readonly zipped: Buffer;
  readonly headers: OutgoingHttpHeaders;
}

function readFiles(folder: string): PageFile[] {
  const file = (name: string, path: string, cache: string): PageFile => ({
    path,
    zipped: readFileSync(join(folder, name)),
    headers: { ...guards, "content-type": types.get(extname(path)) ?? types.get(".html"), "cache-control": cache, vary: "accept-encoding" },
  });
  const assets = readdirSync(join(folder, "assets")).filter((name) => name.endsWith(".gz"));
  return [
    file("index.html.gz", "/", "no-store"),
    ...assets.map((name) => file(join("assets", name), `/assets/${name.slice(0, -".gz".length)}`, "public, max-age=31536000, immutable")),
  ];
}

/** Adds the page's files. False: the folder has no page in it. */
export function addPage(routes: HttpRoutes, folder: string): boolean {
  if (!existsSync(join(folder, "index.html.gz"))) return false;
  const files = readFiles(folder);
  const bytes = files.reduce((sum, { zipped }) => sum + zipped.length, 0);
  if (bytes > gatewayLimits.pageBytes)
    throw new CodedError("MF_PAGE_LIMIT", `the page in ${folder} has ${bytes} bytes, more than ${gatewayLimits.pageBytes}: build it again`);
  for (const file of files) routes.add("GET", file.path, (request, response) => send(file, request, response));
  return true;
}

function send({ zipped, headers }: PageFile, request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const takesGzip = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:,|$))/.test(String(request.headers["accept-encoding"] ?? ""));
  const body = takesGzip ? zipped : gunzipSync(zipped);
  response.writeHead(200, { ...headers, "content-length": body.length, ...(takesGzip ? { "content-encoding": "gzip" } : {}) });
  response.end(request.method === "HEAD" ? undefined : body);
}
