/** Errors of a peer that was not reached, known by their codes. */
const unreachedCodes: ReadonlySet<unknown> = new Set([
  ...["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "ENOENT", "EADDRNOTAVAIL"],
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** True for an error before there was a connection: the peer can't have seen anything. */
export function isUnreached(error: unknown): boolean {
  const { code, syscall } = error as { readonly code?: unknown; readonly syscall?: unknown };
  return unreachedCodes.has(code) || (code === "ETIMEDOUT" && syscall === "connect");
}
