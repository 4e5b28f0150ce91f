/** HTTP Digest authentication as a client (RFC 7616), with `qop=auth` or the older form without. Pure. */
import { createHash } from "node:crypto";
import { awsEncoded } from "../shared/sigv4.ts";

/** A server's question, of those it asked the one that is best. */
export interface DigestChallenge {
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | undefined;
  /** As the server wrote it; undefined: it did not. */
  readonly algorithm: string | undefined;
  readonly qop: "auth" | undefined;
  readonly userhash: boolean;
}

/** Node's names of hashes by those of RFC 7616, the best first. */
const hashes: readonly (readonly [name: string, hash: string])[] = [
  ["sha-512-256", "sha512-256"],
  ["sha-256", "sha256"],
  ["md5", "md5"],
];

interface Algorithm {
  readonly hash: string;
  /** 0 is best. */
  readonly rank: number;
  readonly isSession: boolean;
}

function algorithmOf(name: string | undefined): Algorithm | undefined {
  const plain = (name ?? "md5").toLowerCase();
  const isSession = plain.endsWith("-sess");
  const rank = hashes.findIndex(([each]) => each === plain.replace(/-sess$/, ""));
  const found = hashes[rank];
  return found === undefined ? undefined : { hash: found[1], rank, isSession };
}

const token = /[\t ,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)/y;
const valueOf = /[\t ]*=[\t ]*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^_`|~0-9A-Za-z-]+))/y;
const token68 = /[\t ]+[A-Za-z0-9._~+/-]+=*(?=[\t ]*(?:,|$))/y;

interface Asked {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Challenges of a WWW-Authenticate header (RFC 9110, 11.6.1), as far as it is well-formed. */
function challengesOf(header: string): Asked[] {
  const asked: Asked[] = [];
  let parameters: Map<string, string> | undefined;
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(header);
    if (found !== null) at = pattern.lastIndex;
    return found;
  };
  for (let name = match(token); name !== null; name = match(token)) {
    const value = parameters === undefined ? null : match(valueOf);
    if (value !== null) {
      parameters?.set((name[1] as string).toLowerCase(), value[1]?.replace(/\\(.)/gs, "$1") ?? value[2] ?? "");
      continue;
    }
    parameters = new Map();
    asked.push({ scheme: (name[1] as string).toLowerCase(), parameters });
    match(token68);
  }
  return asked;
}

/** The best of the challenges that can be answered, or undefined. `headers`: each line of WWW-Authenticate. */
export function digestChallenge(headers: readonly string[]): DigestChallenge | undefined {
  const known = headers.flatMap(challengesOf).flatMap(({ scheme, parameters }) => {
    const algorithm = algorithmOf(parameters.get("algorithm"));
    const realm = parameters.get("realm");
    const nonce = parameters.get("nonce");
    const offered = parameters
      .get("qop")
      ?.toLowerCase()
      .split(/[\t ,]+/);
    if (scheme !== "digest" || algorithm === undefined || realm === undefined || nonce === undefined) return [];
    if (offered !== undefined && !offered.includes("auth")) return []; // auth-int alone
    const challenge: DigestChallenge = {
      realm,
      nonce,
      opaque: parameters.get("opaque"),
      algorithm: parameters.get("algorithm"),
      qop: offered === undefined ? undefined : "auth",
      userhash: parameters.get("userhash")?.toLowerCase() === "true",
    };
    return [{ challenge, rank: algorithm.rank }];
  });
  known.sort((a, b) => a.rank - b.rank);
  return known[0]?.challenge;
}

export interface DigestRequest {
  readonly user: string;
  readonly password: string;
  readonly method: string;
  /** Path and query, as they are sent. */
  readonly uri: string;
  /** Uses of the nonce, this one included. */
  readonly count: number;
  readonly cnonce: string;
}

function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** The value of the header `authorization`. */
export function digestAuthorization(challenge: DigestChallenge, request: DigestRequest): string {
  const { realm, nonce, opaque, algorithm, qop, userhash } = challenge;
  const { user, password, method, uri, cnonce } = request;
  const { hash, isSession } = algorithmOf(algorithm) ?? { hash: "md5", isSession: false };
  const digest = (value: string): string => createHash(hash).update(value).digest("hex");
  const count = request.count.toString(16).padStart(8, "0");
  const plainSecret = digest(`${user}:${realm}:${password}`);
  const secret = isSession ? digest(`${plainSecret}:${nonce}:${cnonce}`) : plainSecret;
  const target = digest(`${method}:${uri}`);
  const response = digest([secret, nonce, ...(qop === undefined ? [] : [count, cnonce, qop]), target].join(":"));
  const name = userhash
    ? `username=${quoted(digest(`${user}:${realm}`))}`
    : /^[\x20-\x7e]*$/.test(user)
      ? `username=${quoted(user)}`
      : `username*=UTF-8''${awsEncoded(user)}`;
  const parts = [name, `realm=${quoted(realm)}`, `nonce=${quoted(nonce)}`, `uri=${quoted(uri)}`, `response="${response}"`];
  if (algorithm !== undefined) parts.push(`algorithm=${algorithm}`);
  if (opaque !== undefined) parts.push(`opaque=${quoted(opaque)}`);
  if (qop !== undefined) parts.push(`qop=${qop}`, `nc=${count}`);
  if (qop !== undefined || isSession) parts.push(`cnonce=${quoted(cnonce)}`);
  if (userhash) parts.push("userhash=true");
  return `Digest ${parts.join(", ")}`;
}
