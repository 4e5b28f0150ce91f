/** To an HTTP server. */
import type { Dispatcher } from "undici";
import { type Headers, type HeadersDraft, headerText } from "#abi";
import { CodedError, fromUtf8, isCoded } from "#base";
import {
  type Answer,
  type Attempt,
  duration,
  exchange,
  finalBodyError,
  gatewayLimits,
  headerSafe,
  type Health,
  type HttpAnswer,
  isUnreached,
  newAgent,
  newProxyAgent,
  type Outgoing,
  type Outlet,
  type OutletContext,
  type OutletDefinition,
  OutletError,
  type OutletRequest,
  retryAfterMs,
  size,
  unsendable,
} from "#gateway/contract";
import { type OutletAuthConfig, outletAuthSchema, type OutletCredentials, outletCredentials } from "./credentials.ts";
import { quoteLimits } from "../shared/limits.ts";
import { checkTls, readTls, type TlsConfig, tlsSchema } from "../shared/tls.ts";
import { type CloudEventsConfig, cloudEventsSchema, emitCloudEvent } from "../shared/cloudevents/write.ts";

export interface HttpOutletConfig {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly timeout: number;
  readonly cloudevents: CloudEventsConfig | undefined;
  readonly tls?: TlsConfig;
  readonly auth?: OutletAuthConfig;
  readonly proxy?: string;
  readonly answerLimit?: number;
}

/** Statuses that may change with time: too early, too many requests, or a failing peer. */
function isTransient(status: number): boolean {
  return status >= 500 || status === 408 || status === 425 || status === 429;
}

/** A parameter's name as lenient servers read it: without case, brackets and what stands for a space or a dot. */
function plainName(name: string): string {
  return name
    .normalize("NFKC")
    .toLowerCase()
    .replace(/\[.*$/s, "")
    .replace(/[^\p{L}\p{N}]+/gu, "_")
    .replace(/^_+|_+$/g, "");
}

/** Names in a query string, also where a server takes `;` for `&`. */
function parameterNames(search: string): Set<string> {
  return new Set([search, search.replace(/;/g, "&")].flatMap((text) => [...new URLSearchParams(text).keys()].map(plainName)));
}

/** The operator's query with the flow's behind it, which names none of its parameters: the operator's may be a key. */
function joinedQuery(own: string, asked: string): string {
  if (own === "" || asked.length <= 1) return own === "" ? asked : own;
  const taken = parameterNames(own);
  for (const name of parameterNames(asked))
    if (taken.has(name))
      throw new OutletError(
        "MF_PATH_REFUSED",
        `the query parameter ${JSON.stringify(name.slice(0, quoteLimits.name))} is set by the outlet's url: leave it out of the request`,
        {
          retryable: false,
        },
      );
  return `${own}&${asked.slice(1)}`;
}

/**
 * `base` with the path and query a flow asked for below it. Never leaves the base, and never changes its query: the machine may be
 * compromised.
 */
export function pathBelow(base: URL, path: string | undefined): URL {
  if (path === undefined || path === "") return base;
  const mark = path.search(/[?#]/);
  const plain = mark < 0 ? path : path.slice(0, mark);
  const root = base.pathname.endsWith("/") ? base.pathname : `${base.pathname}/`;
  const url = new URL(base);
  url.pathname = root + plain.replace(/^\/+/, "");
  if (mark >= 0 && path[mark] === "?") url.search = joinedQuery(base.search, path.slice(mark).replace(/#.*$/s, ""));
  if (!url.pathname.startsWith(root) || /%2e%2e|%2f|%5c/i.test(url.pathname))
    throw new OutletError(
      "MF_PATH_REFUSED",
      `the path ${JSON.stringify(path.slice(0, quoteLimits.text))} points outside the outlet's url`,
      {
        retryable: false,
      },
    );
  return url;
}

/** Takes `user:password@` out of the url, as a Basic authorization header (RFC 7617). */
function withCredentials(headers: Headers, url: URL): Headers {
  const { username, password } = url;
  if (username === "" && password === "") return headers;
  if (headers["authorization"] !== undefined)
    throw new CodedError("MF_URL_INVALID", "url contains a user, and headers an authorization: remove one of the two");
  url.username = url.password = "";
  const [user, word] = [username, password].map((text) => Buffer.from(decoded(text)));
  if (user === undefined || user.includes(":")) throw new CodedError("MF_URL_INVALID", "url: the user's name must not contain a colon");
  return { ...headers, authorization: `Basic ${Buffer.concat([user, Buffer.from(":"), word ?? Buffer.alloc(0)]).toString("base64")}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a plain percent sign
  }
}

class HttpOutlet implements Outlet {
  readonly #config: HttpOutletConfig;
  readonly #context: OutletContext;
  readonly #url: URL;
  /** Headers of every request, credentials of the url among them. */
  readonly #headers: Headers;
  readonly #credentials: OutletCredentials | undefined;
  #agent: Promise<Dispatcher> | undefined;
  #detail = "not used yet";

  constructor(config: HttpOutletConfig, context: OutletContext) {
    this.#config = config;
    this.#context = context;
    checkTls(config.url, config.tls, { "http:": "https:" });
    try {
      this.#url = new URL(config.url);
    } catch (cause) {
      throw new CodedError("MF_URL_INVALID", `url: ${JSON.stringify(config.url)} is not a URL`, { cause });
    }
    if (this.#url.protocol !== "http:" && this.#url.protocol !== "https:")
      throw new CodedError("MF_URL_INVALID", "url must begin with http:// or https://");
    this.#headers = withCredentials(config.headers, this.#url);
    if (config.proxy !== undefined && !URL.canParse(config.proxy)) throw new CodedError("MF_URL_INVALID", "proxy is not a URL");
    if (config.auth === undefined) return;
    if (this.#headers["authorization"] !== undefined && config.auth.apiKey === undefined)
      throw new CodedError("MF_URL_INVALID", "auth, and an authorization in url or headers: remove one of the two");
    const { memory, clock, base } = context;
    this.#credentials = outletCredentials(config.auth, { clock, base, memory: memory.answers, agent: () => this.#connections() });
  }

  /** Made when it is first needed, and again after the TLS files could not be read: they may be put there yet. */
  #connections(): Promise<Dispatcher> {
    if (this.#agent !== undefined) return this.#agent;
    const { tls: config, proxy } = this.#config;
    const { outletConcurrency: most } = gatewayLimits;
    this.#agent = readTls(config, this.#context).then((tls) =>
      proxy === undefined ? newAgent(most, tls, this.#context.reach) : newProxyAgent(most, proxy, tls),
    );
    this.#agent.catch(() => (this.#agent = undefined));
    return this.#agent;
  }

  /** A structured event has its data in it. */
  get streams(): boolean {
    return this.#config.cloudevents?.mode !== "structured";
  }

  async send(message: Outgoing, attempt: Attempt): Promise<void> {
    const answer = await this.#exchange(message, this.#config.method, attempt);
    if (answer.status < 200 || answer.status > 299) throw this.#refused(answer);
  }

  async request(message: OutletRequest, attempt: Attempt): Promise<Answer> {
    const answer = await this.#exchange(message, message.method === "" ? this.#config.method : message.method.toUpperCase(), attempt);
    if (isTransient(answer.status)) throw this.#refused(answer, answer);
    return answer;
  }

  health(): Health {
    return { ready: true, detail: this.#detail };
  }

  async stop(): Promise<void> {
    this.#credentials?.close();
    await (await this.#agent?.catch(() => undefined))?.destroy();
  }

  async #exchange(message: Outgoing, method: string, { idempotencyKey, signal }: Attempt): Promise<HttpAnswer> {
    if (!/^[A-Z]{1,32}$/.test(method) || method === "CONNECT")
      throw new OutletError(
        "MF_METHOD_INVALID",
        `${JSON.stringify(method.slice(0, quoteLimits.name))} is not a method this outlet can use`,
        {
          retryable: false,
        },
      );
    const url = pathBelow(this.#url, headerText(message.headers[":path"]));
    const { cloudevents } = this.#config;
    const event = cloudevents === undefined ? message : emitCloudEvent(message, idempotencyKey, cloudevents);
    const headers: HeadersDraft = { ...event.headers, ...this.#headers };
    if (event.contentType !== "") headers["content-type"] ??= event.contentType;
    if (message.correlationId !== undefined) headers["x-correlation-id"] ??= headerSafe(message.correlationId);
    headers["idempotency-key"] ??= idempotencyKey;
    const wrong = unsendable(headers);
    if (wrong !== undefined)
      throw new OutletError(
        "MF_HEADER_INVALID",
        `HTTP can't carry the header ${JSON.stringify(wrong.slice(0, quoteLimits.name))}: encode its value, or leave it out`,
        {
          retryable: false,
        },
      );
    const bodiless = method === "GET" || method === "HEAD";
    try {
      const [body, stream] = bodiless ? [] : [event.body, message.storedBody];
      const agent = await this.#connections();
      const request = { url, method, headers, body, stream };
      const { memory } = this.#context;
      const { answerLimit } = this.#config;
      const once = async (own: Headers | undefined): Promise<HttpAnswer> =>
        exchange(agent, { ...request, headers: { ...headers, ...own }, signal, memory: memory.answers, answerLimit });
      const shown = await this.#credentials?.headers(request);
      let answer = await once(shown);
      if (answer.status === 401 && shown !== undefined && this.#credentials?.refused(shown, answer.headers) === true)
        answer = await once(await this.#credentials.headers(request));
      this.#detail = `last answer ${answer.status}`;
      return answer;
    } catch (cause) {
      const code = (cause as { code?: unknown }).code;
      this.#detail = `last attempt failed: ${typeof code === "string" ? code : "unknown"}`;
      if (cause instanceof OutletError) throw cause;
      const final = finalBodyError(cause);
      if (final !== undefined) throw final;
      if (isCoded(cause)) throw new OutletError(cause.code, cause.message, { retryable: cause.code !== "MF_ADDRESS_REFUSED", cause });
      throw new OutletError(
        "MF_HTTP_FAILED",
        `${method} ${url.host}: ${typeof code === "string" ? `${code} ` : ""}${cause instanceof Error ? cause.message : String(cause)}`,
        { retryable: true, unreached: isUnreached(cause), cause },
      );
    }
  }

  #refused(answer: HttpAnswer, whole?: Answer): OutletError {
    const { status, body, headers } = answer;
    const begin = fromUtf8(body.subarray(0, quoteLimits.text))
      .replace(/[^\x20-\x7e]+/g, " ")
      .trim();
    return new OutletError("MF_HTTP_STATUS", `${this.#url.host} answered ${status}${begin === "" ? "" : `: ${begin}`}`, {
      retryable: isTransient(status),
      status,
      ...(whole === undefined ? {} : { answer: whole }),
      retryAfterMs: isTransient(status) ? retryAfterMs(headerText(headers["retry-after"]), this.#context.clock.now()) : undefined,
    });
  }
}

export const httpOutlet: OutletDefinition<HttpOutletConfig> = {
  name: "http",
  summary: "To an HTTP server.",
  description: `A send is complete once the server answers 2xx. 5xx, 408, 425, 429, timeouts and broken connections are retried, not before \`Retry-After\`; any other status is final. While a server can't be reached at all, sends wait for up to \`retry.age\` and use up no attempts. A request returns to the flow any
answer that is not retried, 4xx included, and immediately one whose \`Retry-After\` exceeds a second. Connections are pooled; redirects are not followed.

Every attempt at one send carries the same \`Idempotency-Key\`, \`traceparent\` and correlation id (\`X-Correlation-Id\`). Several values of a header become several lines; a value beyond Latin-1 is \`MF_HEADER_INVALID\`, and nothing is sent. A request's \`path\` is resolved below \`url\` and can't leave it; its query is added to that of \`url\`, and must not repeat its parameters. \`user:password@\` in \`url\` is sent as Basic credentials.`,
  answers: true,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url"],
    properties: {
      url: { type: "string", minLength: 1, description: "Where to.", examples: ["https://erp.example.com/orders"] },
      method: {
        type: "string",
        enum: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        default: "POST",
        description: "Method, unless the flow sets one.",
      },
      headers: {
        type: "object",
        description: "Headers of every request; they override the flow's. Names in lower case.",
        default: {},
        propertyNames: { pattern: "^[a-z0-9-]+$", patternErrorMessage: "must be a header name in lower case" },
        additionalProperties: { type: "string" },
      },
      timeout: duration("Timeout of one attempt.", "30s"),
      cloudevents: cloudEventsSchema,
      tls: tlsSchema,
      auth: outletAuthSchema,
      proxy: {
        type: "string",
        pattern: "^https?://",
        patternErrorMessage: "must begin with http:// or https://",
        description:
          "HTTP proxy through which the server is reached, by CONNECT, except for hosts that the environment variable NO_PROXY names. `user:password@` in it is for the proxy.",
        examples: ["http://proxy.example.com:3128"],
      },
      answerLimit: size(
        `Longest answer, as it comes and decompressed; at most ${gatewayLimits.answerBytes / 2 ** 20}MiB, which is the default.`,
      ),
    },
  },
  example: 'http: { url: "https://erp.example.com/orders", timeout: 5s, headers: { authorization: "Bearer secret" } }',
  create: (config, context) => new HttpOutlet(config, context),
};
