/**
 * The gateway's own paths: /ping, /ready and /metrics for machines, and /-/ for `mayfly send` and `mayfly dlq`.
 *
 *   public listener (http.port)        /ping, /ready without details, /metrics unless it is for the admin only
 *   UNIX socket (admin-socket.ts)      everything, for whoever may open it
 *   admin listener (http.admin.port)   everything, for whoever has the token
 */
import type { Readable } from "node:stream";
import type { Headers } from "#abi";
import { fromUtf8, toUtf8 } from "#base";
import type { DeadLetter } from "../journal/dead-letters.ts";
import type { GatewayMemory } from "../contract/memory.ts";
import type { Outcome } from "../contract/message.ts";
import { sendProblem } from "../contract/http/problem.ts";
import type { Readiness } from "../contract/readiness.ts";
import type { HttpRoutes } from "../contract/http/routes.ts";
import {
  type Access,
  type Answer,
  denied,
  flag,
  flowName,
  guard,
  isTrusted,
  limit,
  messageHeaders,
  messageId,
  notFound,
  type Parameters,
  sendJson,
} from "./guard.ts";

/** The part of the gateway that this needs. */
export interface Administered {
  readonly memory: GatewayMemory;
  ready(): Readiness;
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
  retryDeadLetter(id: string, body: Uint8Array | undefined, wait: boolean): Promise<Outcome | undefined>;
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

/** /ping and /ready. Strangers learn whether the gateway is ready, and not what it is made of. */
export function addProbes(routes: HttpRoutes, gateway: Administered, access: Access): void {
  routes.add("GET", "/ping", (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain", "content-length": 5 });
    response.end("pong\n");
  });
  routes.add("GET", "/ready", (request, response) => {
    const { ready, problems, remarks, paused, partitions } = gateway.ready();
    const some = { ...(remarks.length === 0 ? {} : { remarks }), ...(paused.length === 0 ? {} : { paused }) };
    const told = { ready, problems, ...some, ...(partitions === undefined ? {} : { partitions }) };
    sendJson(response, ready ? 200 : 503, isTrusted(request, access) ? told : { ready });
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

/** The endpoints under /-/. */
export function addAdmin(routes: HttpRoutes, gateway: Administered, access: Access): void {
  const guarded = (method: string, path: string, known: Parameters, answer: Answer): void => {
    routes.add(method, path, guard(access, gateway.memory, known, answer));
  };
  guarded("GET", "/-/flows", {}, async () => ({ status: 200, value: gateway.flows() }));
  guarded("POST", "/-/flows/:flow/messages", { wait: flag, id: messageId }, async (request, { flow = "" }, query, body) => {
    const outcome = await gateway.inject(flow, {
      headers: messageHeaders(request),
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
  guarded("POST", "/-/dead-letters/:flow/:name/retry", { edit: flag, wait: flag }, async (_request, { flow, name }, query, body) => {
    const outcome = await gateway.retryDeadLetter(
      `${flow}/${name}`,
      query.get("edit") === "true" ? body : undefined,
      query.get("wait") === "true",
    );
    return outcome === undefined ? notFound : { status: outcome.status === "refused" ? 503 : 200, value: outcomeJson(outcome) };
  });
}
