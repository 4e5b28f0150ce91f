/** Messages over HTTP: one route of the gateway's server. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { appendHeader, type Headers, type HeadersDraft, headerText, type HeaderValue } from "#abi";
import { isCoded } from "#base";
import {
  type Accept,
  type AuthenticatedCaller,
  Authentication,
  type BodyBounds,
  type Caller,
  clientCertificate,
  connectionHeaders,
  failWith,
  type Health,
  type Incoming,
  Networks,
  noBody,
  type Outcome,
  type Problem,
  type Reply,
  readBody,
  type RouteHandler,
  routesOf,
  sendProblem,
  type Source,
  type SourceContext,
  type SourceDefinition,
  type StagedBody,
} from "#gateway/contract";
import { type LargeBody, readLargeBody } from "./large-body.ts";
import { addressDenied, isProblem, problemOf, refuse, unusablePath } from "./problems.ts";
import { RateLimiter } from "./rate-limit.ts";
import { type HttpSourceConfig, httpSourceDescription, httpSourceSchema } from "./source-settings.ts";
import { contractChecks, type OperationCheck } from "./contract/check.ts";
import type { Breach } from "./contract/validators.ts";
import { expandHttpSource } from "./contract/expand.ts";
import { contractLimits } from "./contract/limits.ts";
import { answerAccepted, sendReply } from "./reply.ts";
import { isStructured, parseCloudEvent } from "../shared/cloudevents/read.ts";

/** Headers that end here, or that are made anew from the body. */
const droppedHeaders = new Set(["content-length", "content-encoding", "content-type", ...connectionHeaders]);

const controls = /[\u0000-\u001f\u007f]/;

/** A request, and where its route leads. */
interface Routed {
  /** The contract's operation; undefined without one. */
  readonly operation: OperationCheck | undefined;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly parameters: Readonly<Record<string, string | undefined>>;
  readonly query: string;
}

/** One object for each request, filled as it goes on. A spread of it would do, but V8 gives each a hidden class of its own, in the old generation. */
class Exchange implements Routed {
  readonly operation: Routed["operation"];
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly parameters: Routed["parameters"];
  readonly query: string;
  /** The caller whose credentials were right; undefined where a signature of the body has still to be checked. */
  known: AuthenticatedCaller | undefined = undefined;
  caller: Caller | undefined = undefined;

  constructor({ operation, request, response, parameters, query }: Routed) {
    this.operation = operation;
    this.request = request;
    this.response = response;
    this.parameters = parameters;
    this.query = query;
  }
}

const anyone: AuthenticatedCaller = { credentials: "", name: undefined };

class HttpSource implements Source {
  readonly #config: HttpSourceConfig;
  readonly #context: SourceContext;
  readonly #bounds: BodyBounds;
  readonly #authentication: Authentication | undefined;
  readonly #allowed: Networks | undefined;
  readonly #limiter: RateLimiter | undefined;
  readonly #operations: readonly OperationCheck[];
  readonly #secretHeaders: ReadonlySet<string>;
  #accept: Accept | undefined;
  #remove: (() => void) | undefined;
  #open = 0;
  #idle: (() => void) | undefined;

  constructor(config: HttpSourceConfig, context: SourceContext) {
    this.#config = config;
    this.#context = context;
    this.#authentication =
      config.auth === undefined
        ? undefined
        : new Authentication(config.auth, { memory: context.memory.answers, logger: context.logger, reach: context.reach });
    this.#secretHeaders = new Set(this.#authentication?.secretHeaders);
    this.#allowed = config.allow === undefined ? undefined : new Networks(config.allow);
    this.#limiter = config.rateLimit === undefined ? undefined : new RateLimiter(config.rateLimit, context.clock);
    this.#bounds = { limit: config.bodyLimit, memory: context.memory };
    this.#operations = config.contract === undefined ? [] : contractChecks(config.contract);
  }

  async start(accept: Accept): Promise<void> {
    this.#accept = accept;
    const { cloudevents, cors } = this.#config;
    const removes: (() => void)[] = [];
    this.#remove = () => removes.forEach((remove) => remove());
    try {
      for (const [index, { method, path }] of routesOf(this.#config).entries())
        removes.push(this.#context.http.add(method, path, this.#handler(this.#operations[index]), { webhook: cloudevents, cors }));
    } catch (error) {
      this.#remove();
      this.#remove = undefined;
      throw error;
    }
  }

  /** Takes the route away within the same turn, so that a successor can have it. */
  async stop(): Promise<void> {
    this.#remove?.();
    this.#remove = undefined;
    if (this.#open > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    await this.#authentication?.close();
  }

  health(): Health {
    return { ready: this.#remove !== undefined, detail: `serving ${this.#config.openapi ?? this.#config.path}` };
  }

  #handler(operation: OperationCheck | undefined): RouteHandler {
    return (request, response, parameters, query) => this.#handle(new Exchange({ operation, request, response, parameters, query }));
  }

  #handle(exchange: Exchange): void {
    const { request, response } = exchange;
    if (this.#allowed?.has(this.#context.http.addressOf(request)) === false) return refuse(request, response, addressDenied);
    const authentication = this.#authentication;
    const certificate = authentication?.asksForCertificate === true ? clientCertificate(request, this.#context.clock.now()) : undefined;
    const known = authentication === undefined ? anyone : authentication.byHeaders(request.headers, certificate);
    if (known === undefined || !("status" in known)) {
      exchange.known = known;
      this.#enters(exchange);
      return this.#admit(exchange);
    }
    const token = authentication?.tokenOf(request.headers);
    if (token === undefined || authentication === undefined) return refuse(request, response, known);
    this.#enters(exchange);
    authentication
      .byToken(token, this.#context.clock.now())
      .then((found) => {
        if ("status" in found) return refuse(request, response, found);
        exchange.known = found;
        if (!response.destroyed) this.#admit(exchange);
      })
      .catch((error: unknown) => this.#failed(exchange, error));
  }

  /** Counts the request until its response is closed: `stop` waits for it. */
  #enters(exchange: Exchange): void {
    const { response } = exchange;
    const caller: Caller = { left: false, onLeave: undefined };
    exchange.caller = caller;
    this.#open += 1;
    response.on("close", () => {
      this.#open -= 1;
      if (this.#open === 0) this.#idle?.();
      if (response.writableFinished) return;
      caller.left = true;
      caller.onLeave?.();
    });
  }

  /** The caller's credentials are right, or its body must be seen first. */
  #admit(exchange: Exchange): void {
    const { request, response, known, operation } = exchange;
    // A signature that is not checked yet may be a stranger's, who must not use up what the sender may send.
    if (known !== undefined && !this.#allows(request, response, known)) return;
    const check = this.#context.longBodies?.();
    const bounds =
      operation?.readsBody === true ? { ...this.#bounds, limit: Math.min(this.#bounds.limit, contractLimits.bodyBytes) } : this.#bounds;
    if (
      check === undefined ||
      known === undefined || // its signature is of the whole body
      operation?.readsBody === true ||
      isSmall(request, check.thresholdBytes) ||
      (this.#config.cloudevents && isStructured(request.headers["content-type"] ?? ""))
    )
      readBody(request, bounds, (problem, body) => this.#read(exchange, problem === undefined ? { body } : { problem }));
    else
      readLargeBody(request, bounds, check).then(
        (read) => this.#read(exchange, read),
        (error: unknown) => this.#failed(exchange, error),
      );
  }

  /** False: the caller has made too many requests, and is told. */
  #allows(request: IncomingMessage, response: ServerResponse, { credentials }: AuthenticatedCaller): boolean {
    const limiter = this.#limiter;
    if (limiter === undefined) return true;
    const allowance = limiter.take(request, credentials, this.#context.http.addressOf(request));
    const headers = limiter.headers(allowance);
    for (const name in headers) response.setHeader(name, headers[name] as string);
    if (allowance.allowed) return true;
    request.resume();
    this.#context.metrics.count("rate_limited");
    const detail = `too many requests: try again in ${headers["retry-after"]} s`;
    sendProblem(response, { status: 429, code: "MF_RATE_LIMIT", detail });
    return false;
  }

  /** The body is there, or a reason why it is not; undefined when the client has left. */
  #read(exchange: Exchange, read: LargeBody): void {
    const { response } = exchange;
    try {
      if (read === undefined) return;
      if ("problem" in read) this.#refuse(response, read.problem);
      else if ("body" in read) this.#take(exchange, read.body, undefined);
      else if (response.destroyed) read.storedBody.release();
      else this.#take(exchange, noBody, read.storedBody);
    } catch (error) {
      if (read !== undefined && "storedBody" in read) read.storedBody.release();
      this.#failed(exchange, error);
    }
  }

  #take(exchange: Exchange, body: Uint8Array, storedBody: StagedBody | undefined): void {
    const { request, response } = exchange;
    const known = exchange.known ?? this.#authentication?.byBody(request.headers, body, this.#context.clock.now()) ?? anyone;
    if ("status" in known) return sendProblem(response, known);
    if (exchange.known === undefined && !this.#allows(request, response, known)) return;
    const added = exchange.operation?.request({ ...exchange, headers: request.headers, body, isStored: storedBody !== undefined }) ?? {};
    const plain = isProblem(added) ? added : this.#message(exchange, known, { added, body, storedBody });
    const message = this.#config.cloudevents && !isProblem(plain) ? unwrapped(plain) : plain;
    if (isProblem(message)) {
      storedBody?.release();
      return sendProblem(exchange.response, message);
    }
    this.#accept?.(message).then(
      (outcome) => {
        storedBody?.release();
        try {
          this.#answer(exchange, outcome);
        } catch (error) {
          this.#unsendable(exchange, outcome, error);
        }
      },
      (error: unknown) => this.#failed(exchange, error),
    );
  }

  /** The message is done, but HTTP can't carry its reply. */
  #unsendable({ response }: Exchange, { id }: Outcome, error: unknown): void {
    this.#context.metrics.count("reply_unsendable");
    const why = error instanceof Error ? error.message : String(error);
    this.#context.logger.error({ message: id, code: "MF_REPLY_UNSENDABLE" }, `the message completed, but its reply can't be sent: ${why}`);
    if (response.headersSent) response.destroy();
    else sendProblem(response, { status: 500, code: "MF_REPLY_UNSENDABLE", detail: "HTTP can't carry the flow's reply", id });
  }

  /** The message is done, but its reply breaks the contract. */
  #brokenReply(response: ServerResponse, id: string, operation: string, { pointer, rule, message }: Breach): void {
    this.#context.metrics.count("reply_off_contract");
    const place = pointer === "" ? "" : ` at ${pointer}`;
    this.#context.logger.error(
      { message: id, code: "MF_CONTRACT_REPLY", operation, pointer, rule },
      `the message completed, but its reply breaks the contract of ${operation}: the reply${place} ${message}`,
    );
    sendProblem(response, {
      status: 500,
      code: "MF_CONTRACT_REPLY",
      detail: "the reply breaks the contract of this operation: the gateway's log has the reason",
      id,
    });
  }

  #failed({ response }: Pick<Exchange, "response">, error: unknown): void {
    this.#context.unexpected(error, "an HTTP request");
    failWith(response);
  }

  #refuse(response: ServerResponse, problem: Problem): void {
    if (problem.code.startsWith("MF_CLAIMS"))
      this.#context.logger.error({ code: problem.code }, "a large body was refused: the disk of stored bodies does not accept it");
    sendProblem(response, problem);
  }

  #message(
    { request, parameters, query, caller, operation }: Exchange,
    known: AuthenticatedCaller,
    { added, body, storedBody }: { readonly added: Headers; readonly body: Uint8Array; readonly storedBody: StagedBody | undefined },
  ): Incoming | Problem {
    const headers: HeadersDraft = {};
    const given = request.headers;
    let lines = 0;
    for (const name in given) {
      lines += 1;
      if (this.#keeps(name)) headers[name] = given[name] as HeaderValue;
    }
    if (2 * lines < request.rawHeaders.length) this.#repeated(request.rawHeaders, headers);
    headers["mayfly-method"] = request.method ?? "";
    const { url = "/" } = request;
    headers["mayfly-path"] = query === "" && !url.endsWith("?") ? url : url.slice(0, url.indexOf("?"));
    if (query !== "") headers["mayfly-query"] = query;
    for (const name in parameters) {
      const value = parameters[name] ?? "";
      if (controls.test(value)) return unusablePath;
      const own = operation?.operation.names[name] ?? name;
      headers[own === "*" ? "mayfly-path-rest" : `mayfly-path-${own.toLowerCase()}`] = value;
    }
    Object.assign(headers, added);
    if (known.name !== undefined) headers["mayfly-caller"] = known.name;
    if (known.claimsJson !== undefined) headers["mayfly-claims"] = known.claimsJson;
    const reply = this.#config.mode === "reply";
    const id = headerText(headers[this.#config.idHeader]);
    return {
      id,
      idScope: `${operation?.operation.id ?? (request.method === "HEAD" ? "GET" : request.method)} ${known.credentials}`,
      sameRequest: id !== undefined,
      headers,
      contentType: given["content-type"] ?? "",
      body,
      storedBody,
      correlationId: headerText(headers["x-correlation-id"]),
      replyWanted: reply,
      latin1Reply: reply,
      keeper: reply ? "source" : "journal",
      caller: reply ? caller : undefined,
    };
  }

  #keeps(name: string): boolean {
    if (this.#secretHeaders.has(name)) return false; // it has done its work, and is no business of the journal's
    return !droppedHeaders.has(name) && !name.startsWith("mayfly-") && name !== "__proto__"; // mayfly-… are ours to set
  }

  /** Node joins repeated headers or drops all but the first: here each line is a value. Cookies stay one text (RFC 6265, 5.4). */
  #repeated(lines: readonly string[], headers: HeadersDraft): void {
    const all: HeadersDraft = {};
    for (let at = 0; at + 1 < lines.length; at += 2) {
      const name = (lines[at] as string).toLowerCase();
      if (name !== "cookie" && this.#keeps(name)) appendHeader(all, name, lines[at + 1] as string);
    }
    Object.assign(headers, all);
  }

  #answer({ request, response, operation }: Exchange, outcome: Outcome): void {
    if (response.destroyed || response.headersSent) return;
    const { compress, mode } = this.#config;
    switch (outcome.status) {
      case "done":
      case "duplicate": {
        const { id, reply, status } = outcome;
        const duplicate = status === "duplicate";
        if (duplicate && mode === "accept") return answerAccepted(response, id, { status: "duplicate" });
        const breach = operation?.reply(reply ?? noReply);
        if (operation !== undefined && breach !== undefined) return this.#brokenReply(response, id, operation.operation.id, breach);
        return sendReply(
          request,
          response,
          { id, reply, duplicate, compress, memory: this.#context.memory.replies },
          this.#context.unexpected,
        );
      }
      case "accepted":
        return answerAccepted(response, outcome.id, {
          status: "accepted",
          ...(outcome.waiting === undefined ? {} : { waiting: outcome.waiting }),
        });
      case "refused":
        return sendProblem(response, {
          status: 503,
          code: outcome.code,
          detail: outcome.message,
          id: outcome.id,
          headers: { "retry-after": String(Math.max(Math.ceil(outcome.retryAfterMs / 1000), 1)) },
        });
      case "dead":
        return sendProblem(response, problemOf(outcome, this.#config.errors));
    }
  }
}

/** Of a flow that replies nothing. */
const noReply: Reply = { status: 204, contentType: "", headers: {}, body: noBody };

/** True if the body is not compressed, and its declared length is within the threshold. */
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

export const httpSource: SourceDefinition<HttpSourceConfig> = {
  name: "http",
  summary: "Messages over HTTP, on the gateway's own server.",
  description: httpSourceDescription,
  schema: httpSourceSchema,
  example: "http: { method: POST, path: /orders, bodyLimit: 1MiB }",
  expand: expandHttpSource,
  create: (config, context) => new HttpSource(config, context),
};
