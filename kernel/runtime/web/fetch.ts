/**
 * The part `fetch`: fetch, Headers, Request and Response (Fetch Standard) for bodies that are wholly there. The gateway carries the
 * request out, and only to hosts the flow declares: others are refused with MF_HOST_NOT_DECLARED.
 */
import { kernel } from "../link.ts";
import { fetchOperation } from "../wire.ts";
import { AbortController, type AbortSignal } from "./events.ts";
import { Headers, headersRecord, type HeadersInit } from "./headers.ts";
import { URL } from "./url.ts";

type Init = string | ArrayBuffer | ArrayBufferView | object | null | undefined;
type Answer = InstanceType<typeof kernel.Answer>;

const noBytes = new Uint8Array(0);

/** A body: bytes of its own, or those of the answer it came with, which are read on first touch. */
abstract class Body {
  protected source: Uint8Array | Answer | undefined;
  bodyUsed = false;

  abstract readonly headers: Headers;

  /** Takes what a constructor was given, and names its type when nobody did. */
  protected take(body: Init): void {
    if (body === null || body === undefined) return;
    let type: string | undefined;
    if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) this.source = kernel.viewBytes(body).slice();
    else {
      type =
        Object.prototype.toString.call(body) === "[object URLSearchParams]"
          ? "application/x-www-form-urlencoded;charset=UTF-8"
          : "text/plain;charset=UTF-8";
      this.source = kernel.utf8.encode(String(body));
    }
    if (type !== undefined && !this.headers.has("content-type")) this.headers.set("content-type", type);
  }

  /** There is no stream: `null`, as for an empty body. */
  get body(): null {
    return null;
  }

  /** All bytes, whether read before or not. */
  static bytesOf(of: Body): Uint8Array {
    const source = of.source;
    if (source === undefined) return noBytes;
    return source instanceof Uint8Array ? source : source.bytes;
  }

  static sourceOf(of: Body): Uint8Array | Answer | undefined {
    return of.source;
  }

  private use(): Uint8Array {
    if (this.bodyUsed) throw new TypeError("the body was read already");
    this.bodyUsed = this.source !== undefined;
    return Body.bytesOf(this);
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return this.use().slice().buffer as ArrayBuffer;
  }

  async bytes(): Promise<Uint8Array> {
    return this.use().slice();
  }

  async text(): Promise<string> {
    return kernel.decodeText(this.use(), "utf-8")!;
  }

  async json(): Promise<unknown> {
    return JSON.parse(kernel.decodeText(this.use(), "utf-8")!);
  }
}

interface RequestInit {
  readonly method?: string;
  readonly headers?: HeadersInit;
  readonly body?: Init;
  readonly signal?: AbortSignal | null;
}

export class Request extends Body {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly signal: AbortSignal;

  constructor(input: string | object, init: RequestInit = {}) {
    super();
    const from = input instanceof Request ? input : undefined;
    const address = new URL(from?.url ?? String(input));
    if (address.username !== "" || address.password !== "")
      throw new TypeError("fetch: a URL with a name or a password is refused; use the header authorization");
    if (address.protocol !== "http:" && address.protocol !== "https:")
      throw new TypeError(`fetch: ${address.protocol} is not http: or https:`);
    this.url = address.href;
    const method = String(init.method ?? from?.method ?? "GET");
    this.method = /^(?:delete|get|head|options|post|put)$/i.test(method) ? method.toUpperCase() : method;
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method) || /^(?:connect|trace|track)$/i.test(method))
      throw new TypeError(`fetch: the method ${JSON.stringify(method)} is refused`);
    this.headers = new Headers(init.headers ?? from?.headers);
    this.signal = init.signal ?? from?.signal ?? new AbortController().signal;
    const hasBody = init.body !== undefined && init.body !== null;
    if (hasBody && (this.method === "GET" || this.method === "HEAD")) throw new TypeError(`fetch: a ${this.method} has no body`);
    if (hasBody) this.take(init.body);
    else if (from !== undefined) this.source = Body.sourceOf(from);
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

export class Response extends Body {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  readonly url: string = "";
  readonly redirected: boolean = false;
  readonly type: string = "default";

  constructor(body?: Init, init: ResponseInit = {}) {
    super();
    const status = init.status ?? 200;
    if (!Number.isInteger(status) || status < 200 || status > 599)
      throw new RangeError(`Response: the status ${String(status)} must be from 200 to 599`);
    this.status = status;
    this.statusText = String(init.statusText ?? "");
    this.headers = new Headers(init.headers);
    if (body !== null && body !== undefined && emptyStatuses.includes(status)) throw new TypeError(`Response: a ${status} has no body`);
    this.take(body);
  }

  /** The response to a fetch. */
  static answered(answer: Answer, url: string): Response {
    const response = Object.create(Response.prototype) as { -readonly [Name in keyof Response]: Response[Name] };
    Object.assign(response, {
      status: answer.status,
      statusText: "",
      headers: new Headers(),
      url,
      redirected: false,
      type: "basic",
      bodyUsed: false,
      source: answer,
    });
    for (const [name, value] of Object.entries(answer.headers)) response.headers.append(name, value);
    return response as Response;
  }

  static json(value: unknown, init: ResponseInit = {}): Response {
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError("Response.json: the value can't be written as JSON");
    const headers = new Headers(init.headers);
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
    return new Response(text, { ...init, headers });
  }

  static redirect(url: string | object, status = 302): Response {
    if (![301, 302, 303, 307, 308].includes(status)) throw new RangeError(`Response.redirect: ${status} is no redirect`);
    return new Response(null, { status, headers: { location: String(url) } });
  }

  static error(): Response {
    const response = new Response();
    Object.assign(response, { type: "error", status: 0 });
    return response;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status <= 299;
  }

  clone(): Response {
    if (this.bodyUsed) throw new TypeError("the body was read already");
    const copy = Object.create(Response.prototype) as Response;
    return Object.assign(copy, this, { headers: new Headers(this.headers) });
  }
}

async function fetch(input: string | object, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  request.signal.throwIfAborted();
  const type = request.headers.get("content-type") ?? "";
  const answer = kernel.call(fetchOperation, request.url, request.method, type, headersRecord(request.headers), 0, Body.bytesOf(request));
  const number = kernel.lastCall();
  const abort = (): void => kernel.abandonCall(number, request.signal.reason);
  request.signal.addEventListener("abort", abort);
  try {
    return Response.answered(await answer, request.url);
  } finally {
    request.signal.removeEventListener("abort", abort);
  }
}

kernel.onResponse((value) => {
  if (!(value instanceof Response)) return undefined;
  const headers = new Headers(value.headers);
  const contentType = headers.get("content-type") ?? "";
  headers.delete("content-type");
  return { status: value.status, headers: headersRecord(headers), contentType, body: Body.bytesOf(value) };
});

kernel.define("fetch", fetch);
kernel.define("Headers", Headers);
kernel.define("Request", Request);
kernel.define("Response", Response);
