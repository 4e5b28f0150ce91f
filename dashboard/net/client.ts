/** Talks to the gateway that served this page. The token is in this tab's storage alone, and goes into one header. */
const tokenName = "mayfly-token";

export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

export function storedToken(): string | null {
  return sessionStorage.getItem(tokenName);
}

export function storeToken(token: string | null): void {
  if (token === null) sessionStorage.removeItem(tokenName);
  else sessionStorage.setItem(tokenName, token);
}

/** Told when the gateway does not take the token any more. */
let onDenied: () => void = () => undefined;
export function whenDenied(listener: () => void): void {
  onDenied = listener;
}

export interface Ask {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE" | undefined;
  /** ETag of what is changed. */
  readonly ifMatch?: string | undefined;
  readonly json?: unknown;
  readonly body?: string | Uint8Array<ArrayBuffer> | undefined;
  /** Of `body`. */
  readonly contentType?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly token?: string | undefined;
}

export async function open(path: string, { method = "GET", json, body, contentType, signal, token, ifMatch }: Ask = {}): Promise<Response> {
  const headers: Record<string, string> = { authorization: `Bearer ${token ?? storedToken() ?? ""}` };
  if (json !== undefined || contentType !== undefined) headers["content-type"] = contentType ?? "application/json";
  if (ifMatch !== undefined) headers["if-match"] = ifMatch;
  const payload = json === undefined ? body : JSON.stringify(json);
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      cache: "no-store",
      ...(payload === undefined ? {} : { body: payload }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new ApiError(0, "UNREACHABLE", "The gateway does not answer. It may be stopping, or the network is down.");
  }
  if (response.ok) return response;
  const problem = (await response.json().catch(() => ({}))) as { code?: string; detail?: string };
  if (response.status === 401 && token === undefined) onDenied();
  throw new ApiError(
    response.status,
    problem.code ?? `HTTP ${response.status}`,
    problem.detail ?? `The gateway answered ${response.status}.`,
  );
}

export async function ask<T>(path: string, options?: Ask): Promise<T> {
  return (await (await open(path, options)).json()) as T;
}

/** True when the gateway has this endpoint at all: its routes tell without a token. */
export async function offers(path: string, method: "GET" | "POST"): Promise<boolean> {
  try {
    const response = await fetch(path, { method: "OPTIONS", cache: "no-store" });
    return response.ok && (response.headers.get("allow") ?? "").split(", ").includes(method);
  } catch {
    return false;
  }
}

/** Frames of an event stream (HTML standard, 9.2), until it ends. */
export async function* frames(response: Response): AsyncGenerator<{ readonly event: string; readonly data: string }> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      const lines = rest.slice(0, end).split("\n");
      rest = rest.slice(end + 2);
      const field = (name: string): string =>
        lines.flatMap((line) => (line.startsWith(`${name}: `) ? [line.slice(name.length + 2)] : [])).join("\n");
      const event = field("event");
      if (event !== "") yield { event, data: field("data") };
    }
  }
}

/** Gives a file to the browser to keep. */
export async function download(path: string, name: string): Promise<void> {
  const blob = await (await open(path)).blob();
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
