/** Hosts that a flow declares, and whether a URL leads to one. */
import { err, ok, type Result } from "#base";

/** A host of `hosts:` — `api.example.com`, `*.example.com`, `host:8443`. */
export interface HostPattern {
  /** Lower case; with `wildcard` the part after `*`, dot included. */
  readonly host: string;
  readonly wildcard: boolean;
  /** Undefined: the scheme's own, 80 or 443. */
  readonly port: string | undefined;
}

export function parseHost(text: string): Result<HostPattern, string> {
  const match = /^(\*\.)?((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/i.exec(
    text,
  );
  if (match === null) return err("must be a host such as api.example.com, *.example.com or localhost:8080, without a scheme or a path");
  const name = (match[2] ?? "").toLowerCase();
  return ok({ host: match[1] === undefined ? name : `.${name}`, wildcard: match[1] !== undefined, port: match[3] });
}

export function isDeclared(url: URL, patterns: readonly HostPattern[]): boolean {
  if (url.protocol !== "http:" && url.protocol !== "https:") return false;
  const host = url.hostname.toLowerCase();
  const schemePort = url.protocol === "https:" ? "443" : "80";
  const port = url.port === "" ? schemePort : url.port;
  return patterns.some(
    (pattern) =>
      (pattern.port ?? schemePort) === port &&
      (pattern.wildcard ? host.endsWith(pattern.host) && host.length > pattern.host.length : host === pattern.host),
  );
}
