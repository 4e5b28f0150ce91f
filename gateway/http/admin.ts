/** What the gateway itself serves: /ping, /ready, /metrics for machines, and /-/ for `mayfly send` and `mayfly dlq`. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline, type Readable } from "node:stream";
import { fromUtf8, isCoded, toUtf8 } from "#base";
import type { DeadLetter } from "../journal/dead-letters.ts";
import { gatewayLimits } from "../limits.ts";
import type { Outcome } from "../message.ts";
import { sameSecret } from "./authentication.ts";
import { readBody } from "./body.ts";
import { sendProblem } from "./problem.ts";
import type { HttpRoutes, RouteHandler } from "./routes.ts";

/** What this needs of the gateway. */
export interface Administered {
  readonly token: string | undefined;
  ready(): { readonly ready: boolean; readonly problems: readonly object[] };
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  flows(): readonly object[];
  inject(
    flow: string,
    message: {
      readonly headers: Readonly<Record<string, string>>;
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
  /** The body of a dead letter, also of one in the claim store; undefined when there is no such letter. */
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

/** /ping, /ready and /metrics. */
export function addProbes(routes: HttpRoutes, gateway: Administered): void {
  routes.add("GET", "/ping", (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain", "content-length": 5 });
    response.end("pong\n");
  });
  routes.add("GET", "/ready", (_request, response) => {
    const state = gateway.ready();
    sendJson(response, state.ready ? 200 : 503, state);
  });
  routes.add("GET", "/metrics", (_request, response) => {
    void gateway.metrics().then(
      ({ contentType, text }) => {
        response.writeHead(200, { "content-type": contentType });
        response.end(text);
      },
      (error: unknown) => sendProblem(response, { status: 500, code: "MF_METRICS", detail: String(error) }),
    );
  });
}

type Answer = (
  request: IncomingMessage,
  parameters: Readonly<Record<string, string | undefined>>,
  query: URLSearchParams,
  body: Uint8Array,
) => Promise<{ readonly status: number; readonly value: unknown } | { readonly bytes: number; readonly stream: Readable }>;

const notFound = { status: 404, value: { code: "MF_NOT_FOUND" } };

/** The endpoints under /-/: guarded by the token, and by a header no foreign web page can send. */
export function addAdmin(routes: HttpRoutes, gateway: Administered): void {
  const guarded = (method: string, path: string, answer: Answer): void => {
    routes.add(method, path, guard(gateway.token, answer));
  };
  guarded("GET", "/-/flows", async () => ({ status: 200, value: gateway.flows() }));
  guarded("POST", "/-/flows/:flow/messages", async (request, { flow = "" }, query, body) => {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(request.headers))
      if (name.startsWith("x-message-") && typeof value === "string") headers[name.slice("x-message-".length)] = value;
    const outcome = await gateway.inject(flow, {
      headers,
      contentType: request.headers["content-type"] ?? "",
      body,
      wait: query.get("wait") !== "false",
      id: query.get("id") ?? undefined,
    });
    return { status: outcome.status === "refused" ? 503 : 200, value: outcomeJson(outcome) };
  });
  guarded("GET", "/-/dead-letters", async (_request, _parameters, query) => {
    const letters: DeadLetter[] = [];
    const most = Math.min(Number(query.get("limit") ?? 1000), 10_000);
    for await (const letter of gateway.deadLetters.list(query.get("flow") ?? undefined)) {
      if (letters.length >= most) break;
      letters.push(letter);
    }
    return { status: 200, value: letters };
  });
  guarded("GET", "/-/dead-letters/:flow/:name", async (_request, { flow, name }) => {
    const found = await gateway.deadLetters.read(`${flow}/${name}`);
    return found === undefined ? notFound : { status: 200, value: { ...found.letter, body: bodyJson(found.body) } };
  });
  guarded("GET", "/-/dead-letters/:flow/:name/body", async (_request, { flow, name }) => {
    return (await gateway.letterBody(`${flow}/${name}`)) ?? notFound;
  });
  guarded("DELETE", "/-/dead-letters/:flow/:name", async (_request, { flow, name }) =>
    (await gateway.deadLetters.remove(`${flow}/${name}`)) ? { status: 200, value: { removed: true } } : notFound,
  );
  guarded("POST", "/-/dead-letters/:flow/:name/retry", async (_request, { flow, name }, query, body) => {
    const outcome = await gateway.retryDeadLetter(`${flow}/${name}`, query.get("edit") === "true" ? body : undefined);
    return outcome === undefined ? notFound : { status: outcome.status === "refused" ? 503 : 200, value: outcomeJson(outcome) };
  });
}

function isAuthorised(request: IncomingMessage, token: string | undefined): boolean {
  // Without a token only programs on this machine may: no foreign web page can send the header without a preflight, which is not granted,
  // nor, with a name of its own that leads here, the host.
  if (token === undefined)
    return request.headers["mayfly-admin"] !== undefined && /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(request.headers.host ?? "");
  return sameSecret(request.headers.authorization ?? "", `Bearer ${token}`);
}

function guard(token: string | undefined, answer: Answer): RouteHandler {
  return (request, response, parameters, query) => {
    if (!isAuthorised(request, token)) {
      request.resume();
      return sendProblem(response, {
        status: 401,
        code: "MF_ADMIN_DENIED",
        detail:
          token === undefined ? "send the header mayfly-admin: 1, to localhost" : "send the token of http.admin.token as a bearer token",
      });
    }
    return readBody(request, gatewayLimits.fileBytes, (problem, body) => {
      if (problem !== undefined) return sendProblem(response, problem);
      answer(request, parameters, new URLSearchParams(query), body).then(
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
