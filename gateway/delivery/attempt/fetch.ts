/** `fetch` for flows: to declared hosts only, redirects included. */
import { headerList, type Headers } from "#abi";
import { CodedError, type MemoryAccount } from "#base";
import type { Dispatcher } from "undici";
import { type HostPattern } from "../../contract/hosts.ts";
import { exchange, type HttpAnswer } from "../../contract/http/exchange.ts";
import { gatewayLimits } from "../../contract/limits.ts";
import { checkFetch, declaredUrl } from "./fetch-rules.ts";

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
