/** `fetch` for flows: to declared hosts only, redirects included. */
import { headerList, type Headers } from "#abi";
import { CodedError, type MemoryAccount } from "#base";
import { OutletError } from "../../contract/outlet.ts";
import type { Dispatcher } from "undici";
import { type HostPattern, isDeclared } from "../../contract/hosts.ts";
import { exchange, type HttpAnswer } from "../../contract/http/exchange.ts";
import { gatewayLimits } from "../../contract/limits.ts";

function flowsFault(code: string, message: string): OutletError {
  return new OutletError(code, message, { retryable: false, origin: "flow" });
}

/** `patterns` undefined: every host may be reached. */
function declaredUrl(text: string, base: URL | undefined, patterns: readonly HostPattern[] | undefined, flow: string): URL {
  let url: URL;
  try {
    url = new URL(text, base);
  } catch {
    throw flowsFault("MF_URL_INVALID", `${JSON.stringify(text.slice(0, 200))} is not a URL`);
  }
  if (url.username !== "" || url.password !== "")
    throw flowsFault("MF_URL_INVALID", `the URL for ${url.host} contains a user or a password: send them in the authorization header`);
  if (patterns === undefined || isDeclared(url, patterns)) return url;
  throw flowsFault(
    "MF_HOST_NOT_DECLARED",
    `the flow may not reach ${url.protocol}//${url.host}: add ${url.host} to flows.${flow}.hosts in mayfly.yaml if it should`,
  );
}

const redirects = new Set([301, 302, 303, 307, 308]);

/** Headers that are for the first host only. */
const secretHeaders = ["authorization", "cookie", "proxy-authorization"];

export interface FetchRequest {
  readonly flow: string;
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
  readonly memory: MemoryAccount;
}

/** By this header a machine asks that no redirect is followed; it goes no further. */
const redirectHeader = "mayfly-fetch-redirect";
/** By this header a machine is told where an answer came from. */
const urlHeader = "mayfly-fetch-url";
/** Headers that describe a body, and go with it (Fetch Standard, §4.4). */
const bodyHeaders = ["content-encoding", "content-language", "content-location", "content-type", "content-length"];

function without(headers: Headers, names: readonly string[]): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
}

/** Method and URL of a request that may be made. Throws an OutletError of the flow's. */
export function checkFetch(
  { url, method, flow }: Pick<FetchRequest, "url" | "method" | "flow">,
  patterns: readonly HostPattern[] | undefined,
): { readonly url: URL; readonly method: string } {
  const checked = declaredUrl(url, undefined, patterns, flow);
  const name = method === "" ? "GET" : method.toUpperCase();
  if (!/^[A-Z]{1,32}$/.test(name) || name === "CONNECT")
    throw flowsFault("MF_METHOD_INVALID", `${JSON.stringify(name.slice(0, 32))} is not a method fetch can use`);
  return { url: checked, method: name };
}

/** Rejects with a CodedError, or as undici does. */
export async function fetchDeclared(agent: Dispatcher, patterns: readonly HostPattern[], request: FetchRequest): Promise<HttpAnswer> {
  let { url, method } = checkFetch(request, patterns);
  const follow = request.headers[redirectHeader] === undefined;
  let headers = without(request.headers, [redirectHeader]);
  let body: Uint8Array | undefined = request.body;
  for (let hop = 0; ; hop += 1) {
    const answer = await exchange(agent, { url, method, headers, body, signal: request.signal, memory: request.memory });
    const [location] = headerList(answer.headers["location"]);
    if (!follow || !redirects.has(answer.status) || location === undefined)
      return { ...answer, headers: { ...answer.headers, [urlHeader]: url.href } };
    if (hop >= gatewayLimits.redirects)
      throw new CodedError("MF_TOO_MANY_REDIRECTS", `${url.host} redirected more than ${gatewayLimits.redirects} times`);
    const next = declaredUrl(location, url, patterns, request.flow);
    if (next.origin !== url.origin) headers = without(headers, secretHeaders);
    if (answer.status === 303 || (method === "POST" && (answer.status === 301 || answer.status === 302))) {
      method = method === "HEAD" ? "HEAD" : "GET";
      body = undefined;
      headers = without(headers, bodyHeaders);
    }
    url = next;
  }
}
