/**
 * JSON Web Tokens as callers show them (RFC 7519, RFC 6750): signed by one of the issuer's keys, which are fetched from its JWKS, kept, and
 * fetched again when a token names one that is not among them.
 */
import type { JWTPayload, JWTVerifyGetKey } from "jose";
import type { JsonSchema } from "../connector.ts";
import { gatewayLimits } from "../limits.ts";
import { duration } from "../units.ts";
import type { Problem } from "./problem.ts";

export interface JwtConfig {
  readonly jwks: string;
  readonly issuer: string | readonly string[];
  readonly audience: string | readonly string[];
  readonly algorithms: readonly string[];
  readonly scopes: readonly string[];
  /** Texts that claims may have. */
  readonly claims: Readonly<Record<string, string | readonly string[]>>;
  readonly tolerance: number;
}

const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];
const texts = { type: ["string", "array"], minLength: 1, minItems: 1, items: { type: "string", minLength: 1 } } as const;

export const jwtSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["jwks", "issuer", "audience"],
  description: "A signed token, as `Authorization: Bearer …`. Its claims reach the flow as `msg.claims`, its subject as `mayfly-caller`.",
  properties: {
    jwks: {
      type: "string",
      pattern: "^https?://",
      patternErrorMessage: "must begin with https:// or http://",
      description: "URL of the issuer's keys.",
      examples: ["https://login.example.com/jwks.json"],
    },
    issuer: { ...texts, description: "`iss` of the token, or one of several." },
    audience: { ...texts, description: "`aud` of the token, or one of several." },
    algorithms: {
      type: "array",
      minItems: 1,
      items: { type: "string", enum: algorithms },
      default: ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"],
      description: "Algorithms of signatures.",
    },
    scopes: {
      type: "array",
      items: { type: "string", minLength: 1 },
      default: [],
      description: "Scopes the token must have, all of them (`scope`, `scp`).",
    },
    claims: {
      type: "object",
      default: {},
      additionalProperties: texts,
      description: "Claims the token must have, and their text, or one of several.",
    },
    tolerance: duration("Difference of clocks that is overlooked.", "5s"),
  },
};

export interface VerifiedToken {
  readonly credentials: string;
  readonly subject: string | undefined;
  readonly claims: JWTPayload;
}

const none: readonly string[] = [];

function list(value: unknown): readonly string[] {
  if (typeof value === "string") return value.split(" ").filter((each) => each !== "");
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : none;
}

function refused(status: 401 | 403, code: string, detail: string, error: string): Problem {
  return { status, code, detail, headers: { "www-authenticate": `Bearer realm="mayfly", error="${error}"` } };
}

export class TokenVerifier {
  readonly #config: JwtConfig;
  #keys: Promise<JWTVerifyGetKey> | undefined;

  constructor(config: JwtConfig) {
    this.#config = config;
  }

  /** The token's claims, or what to answer. `nowMs`: milliseconds since 1970. Never rejects. */
  async verify(token: string, nowMs: number): Promise<VerifiedToken | Problem> {
    const { issuer, audience, tolerance, scopes } = this.#config;
    const jose = await import("jose");
    this.#keys ??= Promise.resolve(
      jose.createRemoteJWKSet(new URL(this.#config.jwks), {
        timeoutDuration: gatewayLimits.jwksMs,
        cooldownDuration: gatewayLimits.jwksCooldownMs,
      }),
    );
    let claims: JWTPayload;
    try {
      const { payload } = await jose.jwtVerify(token, await this.#keys, {
        issuer: [issuer].flat(),
        audience: [audience].flat(),
        algorithms: [...this.#config.algorithms],
        clockTolerance: tolerance / 1000,
        currentDate: new Date(nowMs),
        requiredClaims: ["exp"],
      });
      claims = payload;
    } catch (error) {
      if (error instanceof jose.errors.JOSEError && !(error instanceof jose.errors.JWKSTimeout) && !isFetch(error))
        return this.#invalid(error);
      const detail = "the keys of the token's issuer can't be fetched at the moment: try again later";
      return { status: 503, code: "MF_JWKS_UNAVAILABLE", detail, headers: { "retry-after": "5" } };
    }
    const has = [...list(claims["scope"]), ...list(claims["scp"])];
    const missing = scopes.find((scope) => !has.includes(scope));
    if (missing !== undefined) return refused(403, "MF_FORBIDDEN", `the token lacks the scope ${missing}`, "insufficient_scope");
    const wrong = Object.entries(this.#config.claims).find(
      ([name, wanted]) => ![wanted].flat().some((each) => claimTexts(claims[name]).includes(each)),
    );
    if (wrong !== undefined)
      return refused(403, "MF_FORBIDDEN", `the claim ${wrong[0]} of the token is not among those allowed`, "insufficient_scope");
    const { iss = "", sub } = claims;
    return { credentials: `jwt ${iss} ${sub ?? ""}`, subject: sub, claims };
  }

  /** Says what is wrong, and nothing of the token. */
  #invalid(error: { readonly code: string; readonly message: string }): Problem {
    const detail = error.code === "ERR_JWT_EXPIRED" ? "the token has expired" : `the token is not valid here (${error.code})`;
    return refused(401, "MF_TOKEN_INVALID", detail, "invalid_token");
  }
}

/** The issuer answered something else than its keys. */
function isFetch({ code, message }: { readonly code: string; readonly message: string }): boolean {
  return code === "ERR_JOSE_GENERIC" && /JSON Web Key Set/i.test(message);
}

function claimTexts(value: unknown): readonly string[] {
  return [value]
    .flat()
    .flatMap((each) => (typeof each === "string" || typeof each === "number" || typeof each === "boolean" ? [String(each)] : []));
}
