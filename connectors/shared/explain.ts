/** Errors between the gateway and a peer, classified by the reports of the socket and TLS layers. */
import { CodedError, isCoded } from "#base";

const unreachable = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EPIPE",
  "ETIMEDOUT",
]);

/** Text of anything thrown. AggregateError (every address of a host failed) has an empty message of its own. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}

/** Node's code of the error or of what caused it, or "". */
export function codeOf(error: unknown): string {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    const code = (at as { readonly code?: unknown }).code;
    if (typeof code === "string" && code !== "") return code;
  }
  return "";
}

const tlsSigns = /certificate|self[- ]signed|wrong version number|handshake failure|tls alert|SSL routines|altnames/i;

/**
 * The error as `MF_<BROKER>_TLS` or `MF_<BROKER>_UNREACHABLE`. Connectors call it last, for errors that their protocol does not explain.
 */
export function explainNetwork(broker: string, peer: string, error: unknown): CodedError {
  if (isCoded(error)) return error;
  const code = codeOf(error);
  const message = messageOf(error);
  if (code.startsWith("ERR_TLS") || code.startsWith("ERR_SSL") || code.startsWith("CERT_") || tlsSigns.test(`${code} ${message}`)) {
    return new CodedError(`MF_${broker}_TLS`, `no trusted TLS connection to ${peer}: ${message}. Check tls: ca, cert, key`, {
      cause: error,
    });
  }
  const why = unreachable.has(code) && !message.includes(code) ? `${code} ${message}` : message;
  return new CodedError(`MF_${broker}_UNREACHABLE`, `no connection to ${peer}: ${why}`, { cause: error });
}

/** A url for people: without user, password and query. */
export function withoutSecrets(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname === "/" ? "" : pathname}`;
  } catch {
    return "the configured url";
  }
}

/** A url a connector can use; throws MF_CONFIG_URL, without quoting what may hold a password. */
export function parseUrl(url: string, schemes: readonly string[]): URL {
  let parsed: URL | undefined;
  try {
    parsed = new URL(url);
  } catch {
    // reported below
  }
  if (parsed === undefined || !schemes.includes(parsed.protocol)) {
    throw new CodedError("MF_CONFIG_URL", `url must start with ${schemes.map((scheme) => `${scheme}//`).join(" or ")}`);
  }
  return parsed;
}
