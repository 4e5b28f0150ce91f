/** Shared by the endpoints of the admin listeners: access, query parameters, answers as JSON or as a stream. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline, type Readable } from "node:stream";
import { appendHeader, type HeadersDraft } from "#abi";
import { isCoded, toUtf8 } from "#base";
import { gatewayLimits } from "../contract/limits.ts";
import type { GatewayMemory } from "../contract/memory.ts";
import { sameSecret } from "../contract/http/authentication.ts";
import { readBody } from "../contract/http/body.ts";
import { sendProblem } from "../contract/http/problem.ts";
import type { RouteHandler } from "../contract/http/routes.ts";

/** The rights of a listener's callers. `socket`: whoever can connect is trusted. */
export type Access = { readonly kind: "public" | "tcp"; readonly token: string | undefined } | { readonly kind: "socket" };

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = toUtf8(`${JSON.stringify(value)}\n`);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": body.length,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}

/** The accepted values of a query parameter. */
export interface Parameter {
  readonly pattern: RegExp;
  readonly says: string;
}

export const flag: Parameter = { pattern: /^(true|false)$/, says: "true or false" };
export const limit: Parameter = { pattern: /^([1-9]\d{0,3}|10000)$/, says: "a whole number from 1 to 10000" };
export const flowName: Parameter = { pattern: /^[A-Za-z][A-Za-z0-9_-]{0,63}$/, says: "a flow's name" };
export const messageId: Parameter = { pattern: /^.{1,1000}$/s, says: "an id of 1 to 1000 characters" };

export type Parameters = Readonly<Record<string, Parameter>>;
export type Query = ReadonlyMap<string, string>;

/** The parameters of a query string; a sentence for the first that is unknown, given twice or not what it may be. */
export function readQuery(text: string, known: Parameters): Query | string {
  const query = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text)) {
    const parameter = Object.hasOwn(known, name) ? known[name] : undefined;
    if (parameter === undefined) return `unknown query parameter ${JSON.stringify(name.slice(0, 64))}`;
    if (query.has(name)) return `the query parameter ${name} is given twice`;
    if (!parameter.pattern.test(value)) return `the query parameter ${name} must be ${parameter.says}`;
    query.set(name, value);
  }
  return query;
}

/** Headers of the message that a request carries: those that begin with `x-message-`. */
export function messageHeaders({ rawHeaders }: IncomingMessage): HeadersDraft {
  const headers: HeadersDraft = {};
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase();
    if (name.startsWith("x-message-")) appendHeader(headers, name.slice("x-message-".length), rawHeaders[at + 1] as string);
  }
  return headers;
}

export type Answer = (
  request: IncomingMessage,
  parameters: Readonly<Record<string, string | undefined>>,
  query: Query,
  body: Uint8Array,
) => Promise<{ readonly status: number; readonly value: unknown } | { readonly bytes: number; readonly stream: Readable }>;

/** Of errors that are the caller's. */
const statuses: ReadonlyMap<string, number> = new Map([
  ["MF_FLOW_UNKNOWN", 404],
  ["MF_CLUSTER_NODE_UNKNOWN", 404],
  ["MF_OUTLET_UNKNOWN", 404],
  ["MF_IMAGE_NOT_FOUND", 404],
  ["MF_ROLLBACK_REFUSED", 409],
  ["MF_QUERY_INVALID", 400],
  ["MF_SLEEPER_UNKNOWN", 404],
  ["MF_SLEEPER_AWAKE", 409],
  ["MF_SLEEPER_STUCK", 409],
]);

export const notFound = { status: 404, value: { code: "MF_NOT_FOUND" } };

export const denied = {
  status: 401,
  code: "MF_ADMIN_DENIED",
  detail: "send the token of http.admin.token as a bearer token",
  headers: { "www-authenticate": 'Bearer realm="mayfly admin"' },
};

export function isTrusted(request: IncomingMessage, access: Access): boolean {
  if (access.kind === "socket") return true;
  return access.token !== undefined && sameSecret(request.headers.authorization ?? "", `Bearer ${access.token}`);
}

/** A handler that asks for the token, checks the query and reads the body before it answers. */
export function guard(access: Access, memory: GatewayMemory, known: Parameters, answer: Answer): RouteHandler {
  return (request, response, parameters, queryText) => {
    const trusted = isTrusted(request, access);
    const query = trusted ? readQuery(queryText, known) : "";
    if (typeof query === "string") {
      request.resume();
      return sendProblem(response, trusted ? { status: 400, code: "MF_QUERY_INVALID", detail: query } : denied);
    }
    return readBody(request, { limit: gatewayLimits.fileBytes, memory }, (problem, body) => {
      if (problem !== undefined) return sendProblem(response, problem);
      answer(request, parameters, query, body).then(
        (answered) => {
          if ("value" in answered) return sendJson(response, answered.status, answered.value);
          response.writeHead(200, {
            "content-type": "application/octet-stream",
            "content-length": answered.bytes,
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
          });
          pipeline(answered.stream, response, () => undefined); // a body that turns out damaged ends too early
        },
        (error: unknown) =>
          sendProblem(response, {
            status: isCoded(error) ? (statuses.get(error.code) ?? 500) : 500,
            code: isCoded(error) ? error.code : "MF_INTERNAL",
            detail: error instanceof Error ? error.message : String(error),
          }),
      );
    });
  };
}
