/** Requests that `fetch` in a flow may make: to declared hosts only. */
import { OutletError } from "../../contract/outlet.ts";
import { type HostPattern, isDeclared } from "../../contract/hosts.ts";

function flowsFault(code: string, message: string): OutletError {
  return new OutletError(code, message, { retryable: false, origin: "flow" });
}

/** `patterns` undefined: every host may be reached. */
export function declaredUrl(text: string, base: URL | undefined, patterns: readonly HostPattern[] | undefined, flow: string): URL {
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

/** Method and URL of a request that may be made. Throws an OutletError of the flow's. */
export function checkFetch(
  { url, method, flow }: { readonly url: string; readonly method: string; readonly flow: string },
  patterns: readonly HostPattern[] | undefined,
): { readonly url: URL; readonly method: string } {
  const checked = declaredUrl(url, undefined, patterns, flow);
  const name = method === "" ? "GET" : method.toUpperCase();
  if (!/^[A-Z]{1,32}$/.test(name) || name === "CONNECT")
    throw flowsFault("MF_METHOD_INVALID", `${JSON.stringify(name.slice(0, 32))} is not a method fetch can use`);
  return { url: checked, method: name };
}
