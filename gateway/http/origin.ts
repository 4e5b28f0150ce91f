/**
 * Which requests a TCP admin listener answers at all. A page of somebody else in the operator's browser reaches it in two ways: under its
 * own name, which it makes lead here (DNS rebinding: the Host header tells), and across origins (the Origin header tells).
 */
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import type { Problem } from "../contract/http/problem.ts";

/** The name in a Host header or an authority, without its port; undefined when it is malformed. */
function nameIn(authority: string): string | undefined {
  const [, bracketed, plain] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?$/.exec(authority) ?? [];
  return (bracketed ?? plain)?.toLowerCase();
}

const hostDenied = (names: readonly string[]): Problem => ({
  status: 421,
  code: "MF_HOST_DENIED",
  detail: `call the admin endpoints by an IP address or by one of ${names.join(", ")}; add another name to http.admin.hosts`,
  headers: { connection: "close" },
});

const originDenied: Problem = {
  status: 403,
  code: "MF_ORIGIN_DENIED",
  detail: "the admin endpoints answer no page of another origin: open the gateway's own page, or call them from a program",
  headers: { connection: "close" },
};

/** The refusal of a request; undefined for one that may go on. `names`: hosts besides IP addresses and localhost. */
export function originCheck(names: readonly string[], scheme: "http" | "https"): (request: IncomingMessage) => Problem | undefined {
  const known = [...new Set(["localhost", ...names.map((name) => name.toLowerCase())])].filter((name) => isIP(name) === 0);
  return ({ headers }) => {
    const authority = headers.host ?? "";
    const name = nameIn(authority);
    if (name === undefined || (isIP(name) === 0 && !known.includes(name))) return hostDenied(known);
    const { origin } = headers;
    return origin === undefined || origin.toLowerCase() === `${scheme}://${authority.toLowerCase()}` ? undefined : originDenied;
  };
}
