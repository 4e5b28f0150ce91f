/** Messages over HTTP: one route of the gateway's server. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { brotliCompress, gzip } from "node:zlib";
import { isCoded } from "#base";
import type { StagedClaim } from "../claims/store.ts";
import { size } from "../config/units.ts";
import type { Health } from "../connector.ts";
import { type AuthConfig, authSchema, refusal } from "../http/authentication.ts";
import { noBody, readBody } from "../http/body.ts";
import { readLargeBody } from "../http/large-body.ts";
import { type Problem, sendProblem } from "../http/problem.ts";
import type { RouteHandler } from "../http/routes.ts";
import { gatewayLimits } from "../limits.ts";
import type { Caller, Failure, Incoming, Outcome, Reply } from "../message.ts";
import { acceptCloudEventsSchema } from "../outlets/cloudevents.ts";
import { isStructured, parseCloudEvent } from "./cloudevents.ts";
import type { Accept, Source, SourceContext, SourceDefinition } from "./source.ts";

export interface HttpSourceConfig {
  readonly method: string;
  readonly path: string;
  readonly mode: "reply" | "accept";
  readonly bodyLimit: number;
  readonly compress: boolean;
  readonly idHeader: string;
  readonly errors: "brief" | "full";
  readonly cloudevents: boolean;
  readonly auth?: AuthConfig;
}

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/** Headers of a connection, or that are made anew from the body. */
const droppedHeaders = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "content-length",
  "content-encoding",
  "content-type",
  "upgrade",
  "te",
  "trailer",
  "expect",
]);
/** Headers a flow's reply can't have. */
const notReplied = new Set(["mayfly-message-id", "mayfly-duplicate", ...droppedHeaders].filter((name) => name !== "content-encoding"));
const printable = /^[\t\x20-\x7e]*$/;
const compressible = /^(text\/|application\/(json|xml|javascript|problem\+json|.*\+(json|xml)))/;
const mostJoinedBytes = 16_384;
const leastCompressedBytes = 1024; // below this the header costs more than is won

class HttpSource implements Source {
  readonly #config: HttpSourceConfig;
  readonly #context: SourceContext;
  #accept: Accept | undefined;
  #remove: (() => void) | undefined;
  #open = 0;
  #idle: (() => void) | undefined;

  constructor(config: HttpSourceConfig, context: SourceContext) {
    this.#config = config;
    this.#context = context;
  }

  async start(accept: Accept): Promise<void> {
    this.#accept = accept;
    const { method, path } = this.#config;
    this.#remove = this.#context.http.add(method, path, this.#handle);
  }

  /** Takes the route away within the same turn, so that a successor can have it. */
  async stop(): Promise<void> {
    this.#remove?.();
    this.#remove = undefined;
    if (this.#open > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  health(): Health {
    return { ready: this.#remove !== undefined, detail: `serving ${this.#config.path}` };
  }

  readonly #handle: RouteHandler = (request, response, parameters, query) => {
    const { auth } = this.#config;
    const denied = auth === undefined ? undefined : refusal(auth, request.headers.authorization);
    if (denied !== undefined) {
      request.resume();
      return sendProblem(response, denied);
    }
    this.#open += 1;
    const caller: Caller = { left: false, onLeave: undefined };
    response.on("close", () => {
      this.#open -= 1;
      if (this.#open === 0) this.#idle?.();
      if (response.writableFinished) return;
      caller.left = true;
      caller.onLeave?.();
    });
    const take = (body: Uint8Array, claim?: StagedClaim): void => {
      const plain = this.#message(request, parameters, query, body, caller, claim);
      const message = this.#config.cloudevents ? unwrapped(plain) : plain;
      if ("status" in message) {
        claim?.release();
        return sendProblem(response, message);
      }
      void this.#accept?.(message).then((outcome) => {
        claim?.release();
        this.#answer(request, response, outcome);
      });
    };
    const check = this.#context.claimCheck?.();
    if (
      check === undefined ||
      isSmall(request, check.thresholdBytes) ||
      (this.#config.cloudevents && isStructured(request.headers["content-type"] ?? ""))
    )
      readBody(request, this.#config.bodyLimit, (problem, body) => (problem === undefined ? take(body) : sendProblem(response, problem)));
    else
      void readLargeBody(request, this.#config.bodyLimit, check).then((read) => {
        if (read === undefined) return; // the client has left
        if ("problem" in read) return this.#refuse(response, read.problem);
        if ("body" in read) return take(read.body);
        if (!response.destroyed) return take(noBody, read.claim);
        read.claim.release();
      });
  };

  #refuse(response: ServerResponse, problem: Problem): void {
    if (problem.status === 503)
      this.#context.logger.error({ code: problem.code }, "a large body was refused: the claim store's disk does not take it");
    sendProblem(response, problem);
  }

  #message(
    request: IncomingMessage,
    parameters: Readonly<Record<string, string | undefined>>,
    query: string,
    body: Uint8Array,
    caller: Caller,
    claim: StagedClaim | undefined,
  ): Incoming {
    const headers: Record<string, string> = {};
    const given = request.headers;
    for (const name in given) {
      const value = given[name];
      if (name === "authorization" && this.#config.auth !== undefined) continue; // it has done its work, and is no business of the journal's
      if (value === undefined || droppedHeaders.has(name) || name.startsWith("mayfly-") || name === "__proto__") continue; // mayfly-… are ours to set
      headers[name] = typeof value === "string" ? value : value.join(", ");
    }
    headers["mayfly-method"] = request.method ?? "";
    const { url = "/" } = request;
    headers["mayfly-path"] = query === "" && !url.endsWith("?") ? url : url.slice(0, url.indexOf("?"));
    if (query !== "") headers["mayfly-query"] = query;
    for (const name in parameters)
      headers[name === "*" ? "mayfly-path-rest" : `mayfly-path-${name.toLowerCase()}`] = headerSafe(parameters[name] ?? "");
    const reply = this.#config.mode === "reply";
    return {
      id: headers[this.#config.idHeader],
      headers,
      contentType: given["content-type"] ?? "",
      body,
      claim,
      correlationId: headers["x-correlation-id"],
      replyWanted: reply,
      keeper: reply ? "source" : "journal",
      caller: reply ? caller : undefined,
    };
  }

  #answer(request: IncomingMessage, response: ServerResponse, outcome: Outcome): void {
    if (response.destroyed || response.headersSent) return;
    switch (outcome.status) {
      case "done":
        return this.#reply(request, response, outcome.id, outcome.reply, false);
      case "accepted":
        return answerAccepted(response, outcome.id, false);
      case "duplicate":
        if (this.#config.mode === "accept") return answerAccepted(response, outcome.id, true);
        return this.#reply(request, response, outcome.id, outcome.reply, true);
      case "refused":
        return sendProblem(response, {
          status: 503,
          code: outcome.code,
          detail: outcome.message,
          id: outcome.id,
          headers: { "retry-after": String(Math.max(Math.ceil(outcome.retryAfterMs / 1000), 1)) },
        });
      case "dead":
        return sendProblem(response, problemOf(outcome.failure, outcome.id, this.#config.errors));
    }
  }

  #reply(request: IncomingMessage, response: ServerResponse, id: string, reply: Reply | undefined, duplicate: boolean): void {
    const headers: string[] = reply === undefined ? [] : replyHeaders(reply);
    headers.push("mayfly-message-id", id);
    if (duplicate) headers.push("mayfly-duplicate", "true");
    if (reply === undefined || reply.status === 204 || reply.status === 304) {
      response.writeHead(reply?.status ?? 204, headers);
      response.end();
      return;
    }
    const { body } = reply;
    const encoding =
      this.#config.compress &&
      body.length >= leastCompressedBytes &&
      compressible.test(reply.contentType) &&
      reply.headers["content-encoding"] === undefined
        ? chosenEncoding(request.headers["accept-encoding"])
        : undefined;
    if (encoding === undefined) return end(response, reply.status, headers, body);
    (encoding === "br" ? brotliCompress : gzip)(body, (error, compressed) => {
      if (response.destroyed) return;
      if (error !== null) return end(response, reply.status, headers, body);
      headers.push("content-encoding", encoding, "vary", "accept-encoding");
      end(response, reply.status, headers, compressed);
    });
  }
}

/** Whether it is known beforehand that the body is not over the threshold. */
function isSmall({ headers }: IncomingMessage, thresholdBytes: number): boolean {
  return headers["content-encoding"] === undefined && Number(headers["content-length"]) <= thresholdBytes;
}

/** A CloudEvent as its data and ce-… headers; other messages as they are. */
function unwrapped(message: Incoming): Incoming | Problem {
  try {
    const event = parseCloudEvent(message);
    return event === undefined ? message : { ...message, ...event, id: message.id ?? event.id, key: message.key ?? event.key };
  } catch (error) {
    return {
      status: 400,
      code: isCoded(error) ? error.code : "MF_CLOUDEVENT",
      detail: error instanceof Error ? error.message : String(error),
    };
  }
}

/** `headers`: names and values in turn. */
function end(response: ServerResponse, status: number, headers: string[], body: Uint8Array): void {
  headers.push("content-length", String(body.length));
  response.writeHead(status, headers);
  // A short body as text goes out in one buffer with the headers: one write instead of a vector of two.
  if (body.length <= mostJoinedBytes) response.end(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1"), "latin1");
  else response.end(body);
}

function answerAccepted(response: ServerResponse, id: string, duplicate: boolean): void {
  const body = Buffer.from(JSON.stringify({ id, status: duplicate ? "duplicate" : "accepted" }));
  const headers = ["content-type", "application/json", "mayfly-message-id", id];
  if (duplicate) headers.push("mayfly-duplicate", "true");
  end(response, 202, headers, body);
}

/** Names and values in turn: an object made anew for every reply costs the server more. */
function replyHeaders({ headers, contentType }: Reply): string[] {
  const list: string[] = [];
  for (const name in headers) if (!notReplied.has(name)) list.push(name, headers[name] as string);
  if (contentType !== "") list.push("content-type", printable.test(contentType) ? contentType : contentType.replace(/[^\t\x20-\x7e]/g, ""));
  return list;
}

/** What a header can't hold is percent-encoded. */
function headerSafe(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(text);
}

export function chosenEncoding(accepted: string | undefined): "br" | "gzip" | undefined {
  if (accepted === undefined) return undefined;
  const offers = new Map(
    accepted.split(",").map((each): [string, number] => {
      const [name = "", ...parameters] = each.trim().toLowerCase().split(";");
      const quality = parameters.map((parameter) => /^\s*q=([0-9.]+)\s*$/.exec(parameter)?.[1]).find((found) => found !== undefined);
      return [name.trim(), quality === undefined ? 1 : Number(quality)];
    }),
  );
  const weight = (name: string): number => offers.get(name) ?? offers.get("*") ?? 0;
  if (weight("gzip") > 0 && weight("gzip") >= weight("br")) return "gzip";
  return weight("br") > 0 ? "br" : undefined;
}

/** Codes whose text may hold what the flow had in hand when it threw. */
const thrownText = /^MF_(FLOW_THREW|UNHANDLED_REJECTION)$/;
/** Codes of peers that were asked: their texts hold addresses, statements and what the peer said. */
const peerText = /^MF_(HTTP|FETCH|AMQP|NATS|JETSTREAM|MQTT|REDIS|POSTGRES|SMTP|CONNECTION)_/;

/** The gateway's part of RFC 9110, 15.6: 502 for a peer that fails, 503 for one that is left alone, 504 for one that does not answer. */
function statusOf({ status, code }: Failure): number {
  if (status >= 400 && status <= 599) return status;
  if (/^MF_(OUTLET|FETCH)_TIMEOUT$/.test(code)) return 504;
  if (code === "MF_CIRCUIT_OPEN") return 503;
  return peerText.test(code) || code === "MF_RESPONSE_INVALID" ? 502 : 500;
}

function briefText({ code, status, message }: Failure): string {
  if (status >= 400) return message;
  if (peerText.test(code))
    return "a system that the flow asked failed or did not answer; the gateway's log has the reason under the message's id";
  if (code.startsWith("MF_") && !thrownText.test(code)) return message;
  return "the flow failed on this message; the gateway's log has the reason under its id";
}

/** A failure as its caller is told: texts that were thrown inside the flow, or came from a peer, stay in the log unless `errors: full`. */
export function problemOf(failure: Failure, id: string, errors: "brief" | "full"): Problem {
  return { status: statusOf(failure), code: failure.code, detail: errors === "full" ? failure.message : briefText(failure), id };
}

export const httpSource: SourceDefinition<HttpSourceConfig> = {
  name: "http",
  summary: "Messages over HTTP, on the gateway's own server.",
  description: `Serves one path. With \`mode: reply\` the caller waits and gets the flow's reply; the message is with the caller until then, one attempt is made, and a failure is answered with
\`application/problem+json\` that has the message's id and a code: 502 and 504 where a system that the flow asked failed or did not answer, 500 where the flow did. A failure that is not the caller's fault (5xx) is kept as a dead letter as well. With \`mode: accept\` the caller gets \`202\` and
\`{"id": …}\` once the journal has the message, which is then retried as \`retry\` says.

- Path parameters come as the headers \`mayfly-path-NAME\` (\`*\` as \`mayfly-path-rest\`), the query as \`mayfly-query\`, method and path as \`mayfly-method\` and \`mayfly-path\`. Headers of the caller that begin with \`mayfly-\` are dropped.
- \`gzip\`, \`deflate\` and \`br\` bodies are decompressed; \`bodyLimit\` counts before and after. With the flow's \`claimCheck\` longer bodies are streamed to disk: raise \`bodyLimit\` to what is to be taken.
- A full queue answers \`503\` with \`Retry-After\`. A caller that disconnects cancels its message.
- \`Idempotency-Key\` becomes the message's id; with \`dedup\` a second request with it gets the first one's reply and \`mayfly-duplicate: true\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["path"],
    properties: {
      method: { type: "string", enum: methods, default: "POST", description: "Method. For several, give several entries." },
      path: {
        type: "string",
        description: "Path, with parameters such as /orders/:id or a trailing /*.",
        pattern: "^/(?!-/)",
        examples: ["/orders/:id"],
      },
      mode: {
        type: "string",
        enum: ["reply", "accept"],
        default: "reply",
        description: "reply: the caller waits for the flow's reply. accept: 202 once the message is kept safe.",
      },
      bodyLimit: size("Longest body, before and after decompression.", `${gatewayLimits.httpBodyBytes / 2 ** 20}MiB`),
      compress: { type: "boolean", default: false, description: "Compress replies for callers that accept it." },
      idHeader: { type: "string", default: "idempotency-key", pattern: "^[a-z0-9-]+$", description: "Header that holds the message's id." },
      errors: {
        type: "string",
        enum: ["brief", "full"],
        default: "brief",
        description: "Whether callers are told what was thrown inside the flow.",
      },
      cloudevents: acceptCloudEventsSchema,
      auth: authSchema,
    },
  },
  example: "http: { method: POST, path: /orders, bodyLimit: 1MiB }",
  create: (config, context) => new HttpSource(config, context),
};
