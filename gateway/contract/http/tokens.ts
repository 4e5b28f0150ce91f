/**
 * JSON Web Tokens as callers show them (RFC 7519, RFC 6750): signed by one of the issuer's keys, which are fetched from its JWKS, kept, and
 * fetched again when a token names one that is not among them.
 */
import type { JWTPayload } from "jose";
import type { MemoryAccount } from "#base";
import type { JsonSchema, Logger } from "../connector.ts";
import { gatewayLimits } from "../limits.ts";
import { duration } from "../units.ts";
import type { Reach } from "./reach.ts";
import { IssuerKeys, jwksUnavailable } from "./issuer-keys.ts";
import type { Problem } from "./problem.ts";

/** Rules that a token must keep. */
interface TokenRules {
  readonly audience: string | readonly string[];
  readonly algorithms: readonly string[];
  readonly scopes: readonly string[];
  /** Texts that claims may have. */
  readonly claims: Readonly<Record<string, string | readonly string[]>>;
  readonly tolerance: number;
}

export interface JwtConfig extends TokenRules {
  readonly jwks: string;
  readonly issuer: string | readonly string[];
}

/** The issuer says where its keys are. */
export interface OidcConfig extends TokenRules {
  readonly issuer: string;
}

const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];
const texts = { type: ["string", "array"], minLength: 1, minItems: 1, items: { type: "string", minLength: 1 } } as const;

const ruleProperties = {
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
};

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
    ...ruleProperties,
  },
};

export const oidcSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["issuer", "audience"],
  description: "As `jwt`, with the keys that the issuer names at `/.well-known/openid-configuration` (OpenID Connect Discovery).",
  properties: {
    issuer: {
      type: "string",
      pattern: "^https?://[^?#]+$",
      patternErrorMessage: "must be the issuer's URL, such as https://login.example.com",
      description: "The issuer, exactly as it names itself; `iss` of the token.",
      examples: ["https://login.example.com/realms/shop"],
    },
    ...ruleProperties,
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

export interface VerifierPorts {
  /** Where memory for the issuer's keys is taken while they come in. */
  readonly memory: MemoryAccount;
  readonly logger: Logger;
  /** Addresses at which an issuer may be; undefined: any. */
  readonly reach?: Reach | undefined;
}

export class TokenVerifier {
  readonly #config: JwtConfig | OidcConfig;
  readonly #ports: VerifierPorts;
  readonly #keys: IssuerKeys;
  #loggedMs = Number.NEGATIVE_INFINITY;

  /** Throws MF_URL_INVALID. */
  constructor(config: JwtConfig | OidcConfig, ports: VerifierPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#keys = new IssuerKeys("jwks" in config ? { jwks: config.jwks } : { issuer: config.issuer }, ports);
  }

  /** True for tokens that this verifier can judge. `issuer`: `iss` of the token, not verified yet. */
  isFor(issuer: unknown): boolean {
    return [this.#config.issuer].flat().some((each) => each === issuer);
  }

  /** The token's claims, or what to answer. `nowMs`: milliseconds since 1970. */
  async verify(token: string, nowMs: number): Promise<VerifiedToken | Problem> {
    const { issuer, audience, tolerance, scopes } = this.#config;
    const jose = await import("jose");
    let claims: JWTPayload;
    try {
      const { payload } = await jose.jwtVerify(token, await this.#keys.current(nowMs), {
        issuer: [issuer].flat(),
        audience: [audience].flat(),
        algorithms: [...this.#config.algorithms],
        clockTolerance: tolerance / 1000,
        currentDate: new Date(nowMs),
        requiredClaims: ["exp"],
      });
      claims = payload;
    } catch (error) {
      const { JOSEError, JWKSInvalid, JWKSTimeout } = jose.errors;
      if (error instanceof JOSEError && !(error instanceof JWKSTimeout) && !(error instanceof JWKSInvalid)) return invalid(error.code);
      return this.#unavailable(error, nowMs);
    }
    const has = [...list(claims["scope"]), ...list(claims["scp"])];
    const missing = scopes.find((scope) => !has.includes(scope));
    if (missing !== undefined) return refused(403, "MF_FORBIDDEN", `the token lacks the scope ${missing}`, "insufficient_scope");
    const wrong = Object.entries(this.#config.claims).find(
      ([name, wanted]) => ![wanted].flat().some((each) => claimTexts(claims[name]).includes(each)),
    );
    if (wrong !== undefined)
      return refused(403, "MF_FORBIDDEN", `the claim ${wrong[0]} of the token is not among those allowed`, "insufficient_scope");
    return { ...holderOf(claims), claims };
  }

  async close(): Promise<void> {
    await this.#keys.close();
  }

  #unavailable(error: unknown, nowMs: number): Problem {
    if (Math.abs(nowMs - this.#loggedMs) >= gatewayLimits.repeatedLogMs) {
      this.#loggedMs = nowMs;
      const why = error instanceof Error ? error.message : String(error);
      const setting = "jwks" in this.#config ? "jwks" : "issuer";
      this.#ports.logger.error({ code: jwksUnavailable }, `${this.#keys.host} gave no keys: ${why}: check ${setting}`);
    }
    const detail = "the keys of the token's issuer can't be fetched at the moment: try again later";
    return { status: 503, code: jwksUnavailable, detail, headers: { "retry-after": "5" } };
  }
}

/** `iss` of a token, before anything of it is verified; undefined for one that is malformed. */
export async function issuerOf(token: string): Promise<unknown> {
  const { decodeJwt } = await import("jose");
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

/** Names the fault, and nothing of the token. */
export function invalid(code: string): Problem {
  const detail = code === "ERR_JWT_EXPIRED" ? "the token has expired" : `the token is not valid here (${code})`;
  return refused(401, "MF_TOKEN_INVALID", detail, "invalid_token");
}

/** The subject; of a token without one, the client it was given to (RFC 9068, 2.2; OpenID Connect Core, 2). */
function holderOf({ iss = "", sub, client_id: client, azp }: JWTPayload): Pick<VerifiedToken, "credentials" | "subject"> {
  if (isText(sub)) return { credentials: `jwt ${iss} ${sub}`, subject: sub };
  const party = [client, azp].find(isText);
  return { credentials: party === undefined ? `jwt ${iss} ` : `jwt-client ${iss} ${party}`, subject: undefined };
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function claimTexts(value: unknown): readonly string[] {
  return [value]
    .flat()
    .flatMap((each) => (typeof each === "string" || typeof each === "number" || typeof each === "boolean" ? [String(each)] : []));
}
