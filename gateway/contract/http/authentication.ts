/** Authentication of callers: a bearer token (RFC 6750) or a user with a password (RFC 7617). Secrets are compared in constant time. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { JsonSchema } from "../connector.ts";
import type { Problem } from "./problem.ts";

export interface AuthConfig {
  readonly bearer?: string;
  /** `user:password` */
  readonly basic?: string;
}

export const authSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  description: "Credentials that callers must send. Default: anyone may call. With it, the authorization header does not reach the flow.",
  properties: {
    bearer: { type: "string", minLength: 1, description: "Token, as `Authorization: Bearer …`.", examples: ["${ORDERS_TOKEN}"] },
    basic: {
      type: "string",
      pattern: "^[^:]+:",
      patternErrorMessage: "must be user:password",
      description: "`user:password`, as `Authorization: Basic …`.",
    },
  },
};

/** Says nothing of the secret's length or its beginning to who measures. */
export function sameSecret(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}

/** The header's credentials under a scheme, whose name has no case (RFC 9110, 11.1). */
function credentials(header: string, scheme: string): string | undefined {
  return header.slice(0, scheme.length + 1).toLowerCase() === `${scheme} ` ? header.slice(scheme.length + 1).trim() : undefined;
}

/** Name of the credentials that a request with this `authorization` header has, or what to answer it. */
export function authenticated({ bearer, basic }: AuthConfig, header = ""): "bearer" | "basic" | Problem {
  const token = credentials(header, "bearer");
  if (bearer !== undefined && token !== undefined && sameSecret(token, bearer)) return "bearer";
  const pair = credentials(header, "basic");
  if (basic !== undefined && pair !== undefined && sameSecret(Buffer.from(pair, "base64").toString("utf8"), basic)) return "basic";
  const challenges = [
    ...(bearer === undefined ? [] : ['Bearer realm="mayfly"']),
    ...(basic === undefined ? [] : ['Basic realm="mayfly", charset="UTF-8"']),
  ];
  return {
    status: 401,
    code: "MF_UNAUTHORIZED",
    detail: header === "" ? "this path requires credentials: send the authorization header" : "the credentials are wrong",
    headers: { "www-authenticate": challenges.join(", ") },
  };
}
