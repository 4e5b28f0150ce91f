/**
 * The gateway's own paths: /ping, /ready and /metrics for machines, and /-/ for `mayfly send` and `mayfly dlq`.
 *
 *   public listener (http.port)        /ping, /ready without details, /metrics unless it is for the admin only
 *   UNIX socket (admin-socket.ts)      everything, for whoever may open it
 *   admin listener (http.admin.port)   everything, for whoever has the token
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline, type Readable } from "node:stream";
import { appendHeader, type Headers, type HeadersDraft } from "#abi";
import { fromUtf8, isCoded, toUtf8 } from "#base";
import type { DeadLetter } from "../journal/dead-letters.ts";
import { gatewayLimits } from "../contract/limits.ts";
import type { GatewayMemory } from "../contract/memory.ts";
import type { Outcome } from "../contract/message.ts";
import { sameSecret } from "../contract/http/authentication.ts";
import { readBody } from "../contract/http/body.ts";
import { sendProblem } from "../contract/http/problem.ts";
import type { HttpRoutes, RouteHandler } from "../contract/http/routes.ts";

/** The part of the gateway that this needs. */
export interface Administered {
  readonly memory: GatewayMemory;
  ready(): { readonly ready: boolean; readonly problems: readonly object[] };
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  flows(): readonly object[];
  inject(
    flow: string,
    message: {
      readonly headers: Headers;
      readonly contentType: string;
      readonly body: Uint8Array;
      readonly wait: boolean;
      readonly id?: string | undefined;
    },
  ): Promise<Outcome>;
  deadLetters: {
    list(flow: string | undefined): AsyncIterable<DeadLetter>;
    read(id: string): Promise<{ readonly letter: DeadLetter; readonly body: Uint8Array } | undefined>;
    remove(id: string): Promise<boolean>;
  };
  /** The body of a dead letter, also of one in the body store; undefined when there is no such letter. */
  letterBody(id: string): Promise<{ readonly bytes: number; readonly stream: Readable } | undefined>;
  retryDeadLetter(id: string, body: Uint8Array | undefined): Promise<Outcome | undefined>;
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = toUtf8(`${JSON.stringify(value)}\n`);
  response.writeHead(status, { "content-type": "application/json", "content-length": body.length, "cache-control": "no-store" });
  response.end(body);
}

/** Bytes as JSON can hold them: text when they are UTF-8, otherwise base64. */
export function bodyJson(body: Uint8Array): { readonly text: string } | { readonly base64: string } {
  const text = fromUtf8(body);
  return Buffer.compare(toUtf8(text), body) === 0 ? { text } : { base64: Buffer.from(body).toString("base64") };
}

export function outcomeJson(outcome: Outcome): object {
  if (outcome.status !== "done" && outcome.status !== "duplicate") return outcome;
  const { reply } = outcome;
  return {
    ...outcome,
    reply:
      reply === undefined
        ? undefined
        : { status: reply.status, contentType: reply.contentType, headers: reply.headers, body: bodyJson(reply.body) },
  };
}

/** The rights of a listener's callers. `socket`: whoever can connect is trusted. */
export type Access = { readonly kind: "public" | "tcp"; readonly token: string | undefined } | { readonly kind: "socket" };

/** /ping and /ready. Strangers learn whether the gateway is ready, and not what it is made of. */
export function addProbes(routes: HttpRoutes, gateway: Administered, access: Access): void {
  routes.add("GET", "/ping", (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain", "content-length": 5 });
    response.end("pong\n");
  });
  routes.add("GET", "/ready", (request, response) => {
    const { ready, problems } = gateway.ready();
    sendJson(response, ready ? 200 : 503, isTrusted(request, access) ? { ready, problems } : { ready });
  });
}

export function addMetrics(routes: HttpRoutes, gateway: Administered, access: Access): void {
  routes.add("GET", "/metrics", (request, response) => {
    if (access.kind === "tcp" && !isTrusted(request, access)) return sendProblem(response, denied);
    gateway.metrics().then(
      ({ contentType, text }) => {
        response.writeHead(200, { "content-type": contentType });
        response.end(text);
      },
      (error: unknown) => sendProblem(response, { status: 500, code: "MF_METRICS", detail: String(error) }),
    );
  });
}

/** The accepted values of a query parameter. */
interface Parameter {
  readonly pattern: RegExp;
  readonly says: string;
}

const flag: Parameter = { pattern: /^(true|false)$/, says: "true or false" };
const limit: Parameter = { pattern: /^([1-9]\d{0,3}|10000)$/, says: "a whole number from 1 to 10000" };
const flowName: Parameter = { pattern: /^[A-Za-z][A-Za-z0-9_-]{0,63}$/, says: "a flow's name" };
const messageId: Parameter = { pattern: /^.{1,1000}$/s, says: "an id of 1 to 1000 characters" };

type Parameters = Readonly<Record<string, Parameter>>;
type Query = ReadonlyMap<string, string>;

/** The parameters of a query string; a sentence for the first that is unknown, given twice or not what it may be. */
function readQuery(text: string, known: Parameters): Query | string {
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

type Answer = (
  request: IncomingMessage,
  parameters: Readonly<Record<string, string | undefined>>,
  query: Query,
  body: Uint8Array,
) => Promise<{ readonly status: number; readonly value: unknown } | { readonly bytes: number; readonly stream: Readable }>;

const notFound = { status: 404, value: { code: "MF_NOT_FOUND" } };

/** The endpoints under /-/. */
export function addAdmin(routes: HttpRoutes, gateway: Administered, access: Access): void {
  const guarded = (method: string, path: string, known: Parameters, answer: Answer): void => {
    routes.add(method, path, guard(access, gateway.memory, known, answer));
  };
  guarded("GET", "/-/flows", {}, async () => ({ status: 200, value: gateway.flows() }));
  guarded("POST", "/-/flows/:flow/messages", { wait: flag, id: messageId }, async (request, { flow = "" }, query, body) => {
    const headers: HeadersDraft = {};
    for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
      const name = (request.rawHeaders[at] as string).toLowerCase();
      if (name.startsWith("x-message-")) appendHeader(headers, name.slice("x-message-".length), request.rawHeaders[at + 1] as string);
    }
    const outcome = await gateway.inject(flow, {
      headers,
      contentType: request.headers["content-type"] ?? "",
      body,
      wait: query.get("wait") !== "false",
      id: query.get("id"),
    });
    return { status: outcome.status === "refused" ? 503 : 200, value: outcomeJson(outcome) };
  });
  guarded("GET", "/-/dead-letters", { flow: flowName, limit }, async (_request, _parameters, query) => {
    const letters: DeadLetter[] = [];
    const most = Number(query.get("limit") ?? 1000);
    for await (const letter of gateway.deadLetters.list(query.get("flow"))) {
      if (letters.length >= most) break;
      letters.push(letter);
    }
    return { status: 200, value: letters };
  });
  guarded("GET", "/-/dead-letters/:flow/:name", {}, async (_request, { flow, name }) => {
    const found = await gateway.deadLetters.read(`${flow}/${name}`);
    return found === undefined ? notFound : { status: 200, value: { ...found.letter, body: bodyJson(found.body) } };
  });
  guarded("GET", "/-/dead-letters/:flow/:name/body", {}, async (_request, { flow, name }) => {
    return (await gateway.letterBody(`${flow}/${name}`)) ?? notFound;
  });
  guarded("DELETE", "/-/dead-letters/:flow/:name", {}, async (_request, { flow, name }) =>
    (await gateway.deadLetters.remove(`${flow}/${name}`)) ? { status: 200, value: { removed: true } } : notFound,
  );
  guarded("POST", "/-/dead-letters/:flow/:name/retry", { edit: flag }, async (_request, { flow, name }, query, body) => {
    const outcome = await gateway.retryDeadLetter(`${flow}/${name}`, query.get("edit") === "true" ? body : undefined);
    return outcome === undefined ? notFound : { status: outcome.status === "refused" ? 503 : 200, value: outcomeJson(outcome) };
  });
}

const denied = {
  status: 401,
  code: "MF_ADMIN_DENIED",
  detail: "send the token of http.admin.token as a bearer token",
  headers: { "www-authenticate": 'Bearer realm="mayfly admin"' },
};

function isTrusted(request: IncomingMessage, access: Access): boolean {
  if (access.kind === "socket") return true;
  return access.token !== undefined && sameSecret(request.headers.authorization ?? "", `Bearer ${access.token}`);
}

function guard(access: Access, memory: GatewayMemory, known: Parameters, answer: Answer): RouteHandler {
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
          });
          pipeline(answered.stream, response, () => undefined); // a body that turns out damaged ends too early
        },
        (error: unknown) =>
          sendProblem(response, {
            status: isCoded(error) && error.code === "MF_FLOW_UNKNOWN" ? 404 : 500,
            code: isCoded(error) ? error.code : "MF_INTERNAL",
            detail: error instanceof Error ? error.message : String(error),
          }),
      );
    });
  };
}
