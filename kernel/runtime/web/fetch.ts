/**
 * The part `fetch`: fetch, Headers, Request and Response (Fetch Standard) for bodies that are wholly there. The gateway carries the
 * request out, and only to hosts the flow declares: others are refused with MF_HOST_NOT_DECLARED.
 */
import { kernel } from "../link.ts";
import { fetchOperation } from "../wire.ts";
import { Body, type BodyInit, bytesOf, extract, setSource, sourceOf, type Source } from "./body.ts";
import { AbortController, type AbortSignal } from "./events.ts";
import { copied, fixed, Headers, headersRecord, type HeadersInit } from "./headers.ts";
import { expose } from "./interface.ts";
import { defaultSettings, type RequestSettings, settingsOf, type SettingsInit, word } from "./request-settings.ts";
import { Collected } from "./stream-hook.ts";
import { URL } from "./url.ts";

type Redirect = "follow" | "error" | "manual";

interface RequestInit extends SettingsInit {
  readonly method?: string;
  readonly headers?: HeadersInit;
  readonly body?: BodyInit;
  readonly signal?: AbortSignal | null;
  readonly redirect?: Redirect;
}

type Answer = InstanceType<typeof kernel.Answer>;

const simpleMethods: readonly string[] = ["GET", "HEAD", "POST"];
const redirectModes: readonly string[] = ["follow", "error", "manual"];

export class Request extends Body {
  readonly #url: string;
  readonly #method: string;
  readonly #headers: Headers;
  readonly #signal: AbortSignal;
  readonly #redirect: Redirect;
  readonly #settings: RequestSettings;

  constructor(input: string | object, init: RequestInit = {}) {
    super();
    const from = input instanceof Request ? input : undefined;
    const given = init as RequestInit | Request;
    const address = new URL(from?.url ?? `${input as string}`);
    if (address.username !== "" || address.password !== "")
      throw new TypeError("fetch: a URL with a name or a password is refused; use the header authorization");
    this.#url = address.href;
    const method = `${given.method ?? from?.method ?? "GET"}`;
    this.#method = /^(?:delete|get|head|options|post|put)$/i.test(method) ? method.toUpperCase() : method;
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method) || /^(?:connect|trace|track)$/i.test(method))
      throw new TypeError(`fetch: the method ${JSON.stringify(method)} is refused`);
    this.#redirect = word<Redirect>(given.redirect ?? from?.redirect ?? "follow", redirectModes, "redirect");
    this.#settings = settingsOf(given, from === undefined ? defaultSettings : from.#settings);
    if (this.#settings.mode === "no-cors" && !simpleMethods.includes(this.#method))
      throw new TypeError(`mode: "no-cors" needs one of the methods ${simpleMethods.join(", ")}`);
    this.#headers = new Headers(given.headers ?? from?.headers);
    this.#signal = given.signal ?? from?.signal ?? new AbortController().signal;
    if (from?.bodyUsed === true && (given.body === undefined || given.body === null)) throw new TypeError("the body was read already");
    // A Request as settings brings its body, for which there is no stream to look at.
    const other = init instanceof Request ? sourceOf(init) : undefined;
    const body = other === undefined ? extract(given.body as BodyInit) : { source: other, type: undefined };
    const source = body?.source ?? (from === undefined ? undefined : sourceOf(from));
    if (source !== undefined && (this.#method === "GET" || this.#method === "HEAD"))
      throw new TypeError(`fetch: a ${this.#method} has no body`);
    setSource(this, source);
    if (body?.type !== undefined && !this.#headers.has("content-type")) this.#headers.set("content-type", body.type);
  }

  get url(): string {
    return this.#url;
  }

  get method(): string {
    return this.#method;
  }

  get headers(): Headers {
    return this.#headers;
  }

  get signal(): AbortSignal {
    return this.#signal;
  }

  get redirect(): Redirect {
    return this.#redirect;
  }

  // These have no meaning without a page.

  get destination(): string {
    return "";
  }

  get referrer(): string {
    return this.#settings.referrer;
  }

  get referrerPolicy(): string {
    return this.#settings.referrerPolicy;
  }

  get mode(): string {
    return this.#settings.mode;
  }

  get credentials(): string {
    return this.#settings.credentials;
  }

  get cache(): string {
    return this.#settings.cache;
  }

  get integrity(): string {
    return this.#settings.integrity;
  }

  get keepalive(): boolean {
    return this.#settings.keepalive;
  }

  get isReloadNavigation(): boolean {
    return false;
  }

  get isHistoryNavigation(): boolean {
    return false;
  }

  get duplex(): string {
    return "half";
  }

  clone(): Request {
    if (this.bodyUsed) throw new TypeError("the body was read already");
    return new Request(this);
  }
}

interface ResponseInit {
  readonly status?: number;
  readonly statusText?: string;
  readonly headers?: HeadersInit;
}

const emptyStatuses: readonly number[] = [101, 103, 204, 205, 304];
const redirectStatuses: readonly number[] = [301, 302, 303, 307, 308];

/** The parts of a response besides its body. */
interface Head {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  readonly url: string;
  readonly redirected: boolean;
  readonly type: string;
}

/** A response with this head. */
let responseOf: (head: Head, source: Source) => Response;

/** The header by which the gateway says where an answer came from, after redirects. */
const urlHeader = "mayfly-fetch-url";
/** The header that asks the gateway to follow no redirect. It goes no further. */
const redirectHeader = "mayfly-fetch-redirect";

export class Response extends Body {
  #head: Head;

  static {
    responseOf = (head, source) => {
      const response = new Response();
      response.#head = head;
      setSource(response, source);
      return response;
    };
  }

  constructor(body?: BodyInit, init: ResponseInit = {}) {
    super();
    const status = init.status ?? 200;
    if (!Number.isInteger(status) || status < 200 || status > 599)
      throw new RangeError(`Response: the status ${String(status)} must be from 200 to 599`);
    const statusText = `${init.statusText ?? ""}`;
    if (/[^\t\x20-\x7e\x80-\xff]/.test(statusText)) throw new TypeError("Response: the text of the status holds characters it must not");
    const headers = new Headers(init.headers ?? {});
    const extracted = extract(body);
    if (extracted !== undefined && emptyStatuses.includes(status)) throw new TypeError(`Response: a ${status} has no body`);
    if (extracted?.type !== undefined && !headers.has("content-type")) headers.set("content-type", extracted.type);
    this.#head = { status, statusText, headers, url: "", redirected: false, type: "default" };
    setSource(this, extracted?.source);
  }

  static json(value: unknown, init: ResponseInit = {}): Response {
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError("Response.json: the value can't be written as JSON");
    const headers = new Headers(init.headers ?? {});
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
    return new Response(text, { ...init, headers });
  }

  static redirect(url: string | object, status = 302): Response {
    const { href } = new URL(`${url as string}`);
    if (!redirectStatuses.includes(status)) throw new RangeError(`Response.redirect: ${status} is no redirect`);
    return responseOf(
      { status, statusText: "", headers: fixed(new Headers({ location: href })), url: "", redirected: false, type: "default" },
      undefined,
    );
  }

  static error(): Response {
    return responseOf({ status: 0, statusText: "", headers: fixed(new Headers()), url: "", redirected: false, type: "error" }, undefined);
  }

  get type(): string {
    return this.#head.type;
  }

  get url(): string {
    return this.#head.url;
  }

  get redirected(): boolean {
    return this.#head.redirected;
  }

  get status(): number {
    return this.#head.status;
  }

  get ok(): boolean {
    return this.#head.status >= 200 && this.#head.status <= 299;
  }

  get statusText(): string {
    return this.#head.statusText;
  }

  get headers(): Headers {
    return this.#head.headers;
  }

  clone(): Response {
    if (this.bodyUsed) throw new TypeError("the body was read already");
    return responseOf({ ...this.#head, headers: copied(this.#head.headers) }, sourceOf(this));
  }
}

/** The response to a fetch of `url`. */
function answered(answer: Answer, url: string, redirect: Redirect): Response {
  const headers = new Headers();
  let last = url;
  for (const name in answer.headers) {
    if (name === urlHeader) last = answer.headers[name]!;
    else for (const value of answer.headerValues(name)) headers.append(name, value);
  }
  const { status } = answer;
  if (redirect === "error" && redirectStatuses.includes(status) && headers.has("location"))
    throw new kernel.FlowError("MF_FETCH_REDIRECTED", 'the server redirects, and the request has redirect: "error"');
  const type = redirect === "manual" && redirectStatuses.includes(status) ? "opaqueredirect" : "basic";
  return responseOf(
    { status, statusText: "", headers: fixed(headers), url: last.replace(/#.*$/, ""), redirected: last !== url, type },
    answer,
  );
}

/** Asks the gateway. Rejects with a FlowError, or with the reason of the signal. */
async function ask(request: Request): Promise<Response> {
  const type = request.headers.get("content-type") ?? "";
  const headers = new Headers(request.headers);
  if (request.redirect !== "follow") headers.set(redirectHeader, "manual");
  const source = sourceOf(request);
  if (source instanceof Collected) await source.done;
  const answer = kernel.call(fetchOperation, request.url, request.method, type, headersRecord(headers), 0, bytesOf(request));
  const number = kernel.lastCall();
  const abort = (): void => kernel.abandonCall(number, request.signal.reason);
  request.signal.addEventListener("abort", abort);
  try {
    return answered(await answer, request.url, request.redirect);
  } finally {
    request.signal.removeEventListener("abort", abort);
  }
}

async function fetch(input: string | object, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  request.signal.throwIfAborted();
  const [scheme] = request.url.split(":", 1);
  if (scheme !== "http" && scheme !== "https") throw new TypeError(`fetch: ${scheme}: is not http: or https:`);
  try {
    return await ask(request);
  } catch (error) {
    // A message that is given up aborts its fetches: what they reject with is the reason of its signal.
    const isAbort = error === request.signal.reason || (error instanceof kernel.FlowError && error.code === "MF_CANCELLED");
    throw error instanceof kernel.FlowError && !isAbort ? kernel.fetchFailed(error) : error;
  }
}

kernel.onResponse((value) => {
  if (!(value instanceof Response)) return undefined;
  const headers = new Headers(value.headers);
  const contentType = headers.get("content-type") ?? "";
  headers.delete("content-type");
  return { status: value.status, headers: headersRecord(headers), contentType, body: bytesOf(value) };
});

kernel.define("fetch", fetch);
expose("Headers", Headers);
expose("Request", Request);
expose("Response", Response);
