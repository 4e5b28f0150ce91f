/**
 * Authentication of callers: a bearer token (RFC 6750), a user with a password (RFC 7617), keys in a header, tokens that an issuer has signed,
 * a certificate of the connection, or a signature of the body. Of several ways one is enough. Secrets are compared in constant time.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { JsonSchema } from "../connector.ts";
import { gatewayLimits } from "../limits.ts";
import type { Problem } from "./problem.ts";
import { type ClientCertificate, type MtlsConfig, mtlsSchema } from "./client-certificate.ts";
import { invalid, issuerOf, type JwtConfig, jwtSchema, type OidcConfig, oidcSchema, TokenVerifier, type VerifierPorts } from "./tokens.ts";
import { checkSignature, type HmacConfig, hmacSchema, signatureHeader } from "./signatures.ts";

export interface ApiKeyConfig {
  /** Lower case. */
  readonly header: string;
  /** Secrets by the name of who has them. */
  readonly keys: Readonly<Record<string, string>>;
}

export interface AuthWay {
  readonly bearer?: string;
  /** `user:password` */
  readonly basic?: string;
  readonly apiKey?: ApiKeyConfig;
  readonly hmac?: HmacConfig;
  readonly jwt?: JwtConfig;
  readonly oidc?: OidcConfig;
  readonly mtls?: MtlsConfig;
}

export type AuthConfig = AuthWay | readonly AuthWay[];

const way = {
  bearer: { type: "string", minLength: 1, description: "Token, as `Authorization: Bearer …`.", examples: ["${ORDERS_TOKEN}"] },
  basic: {
    type: "string",
    pattern: "^[^:]+:",
    patternErrorMessage: "must be user:password",
    description: "`user:password`, as `Authorization: Basic …`.",
  },
  apiKey: {
    type: "object",
    additionalProperties: false,
    required: ["keys"],
    description: "A key for each caller. Its name reaches the flow as the header `mayfly-caller`, the key does not.",
    properties: {
      header: {
        type: "string",
        default: "x-api-key",
        pattern: "^[a-z0-9-]+$",
        patternErrorMessage: "must be a header name in lower case",
        description: "Header that has the key.",
      },
      keys: {
        type: "object",
        minProperties: 1,
        additionalProperties: { type: "string", minLength: 1 },
        propertyNames: { pattern: "^[A-Za-z0-9._-]{1,64}$" },
        description: "Names of callers, and the key of each.",
        examples: [{ ada: "${KEY_ADA}" }],
      },
    },
  },
  hmac: hmacSchema,
  jwt: jwtSchema,
  oidc: oidcSchema,
  mtls: mtlsSchema,
} as const;

export const authSchema: JsonSchema = {
  type: ["object", "array"],
  additionalProperties: false,
  minProperties: 1,
  minItems: 1,
  description:
    "Credentials that callers must send; of several, also in a list, one is enough. Default: anyone may call. With it, the authorization header and the key do not reach the flow.",
  properties: way,
  items: { type: "object", additionalProperties: false, minProperties: 1, properties: way },
};

/** Says nothing of the secret's length or its beginning to who measures. */
export function sameSecret(given: string, wanted: string): boolean {
  return timingSafeEqual(digest(given), digest(wanted));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** Compares what callers give with a secret, which is hashed once; without one nothing is right. */
function comparison(wanted: string | undefined): (given: string | undefined) => boolean {
  if (wanted === undefined) return () => false;
  const known = digest(wanted);
  return (given) => given !== undefined && timingSafeEqual(digest(given), known);
}

/** The holders of keys. A key is found by its hash: the time this takes says nothing of the keys. */
function keyHolders({ header, keys }: ApiKeyConfig): (headers: IncomingHttpHeaders) => string | undefined {
  const hashed = (key: string): string => digest(key).toString("hex");
  const names = new Map(Object.entries(keys).map(([name, key]) => [hashed(key), name]));
  return (headers) => {
    const given = headers[header];
    return typeof given === "string" ? names.get(hashed(given)) : undefined;
  };
}

/** The header's credentials under a scheme, whose name has no case (RFC 9110, 11.1). */
function credentials(header: string, scheme: string): string | undefined {
  return header.slice(0, scheme.length + 1).toLowerCase() === `${scheme} ` ? header.slice(scheme.length + 1).trim() : undefined;
}

/** Somebody whose credentials were right. */
export interface AuthenticatedCaller {
  /** Kind of the credentials, and whose they are: ids of two kinds are never duplicates of each other. */
  readonly credentials: string;
  /** Name of the caller, where the credentials have one. */
  readonly name: string | undefined;
  /** Claims of its token, as JSON. */
  readonly claimsJson?: string;
}

function holderOf({ subject, issuer, claimsJson }: ClientCertificate): AuthenticatedCaller {
  return { credentials: `mtls ${JSON.stringify([issuer, subject])}`, name: subject, claimsJson };
}

const unnamed = (kind: string): AuthenticatedCaller => ({ credentials: kind, name: undefined });

/** Comparisons of one way. */
interface Checks {
  readonly bearer: (token: string | undefined) => boolean;
  readonly basic: (pair: string | undefined) => boolean;
  readonly keyHolder: ((headers: IncomingHttpHeaders) => string | undefined) | undefined;
  readonly subject: (certificate: ClientCertificate) => boolean;
}

/** The ways that callers of a source may show who they are. */
export class Authentication {
  readonly #ways: readonly AuthWay[];
  readonly #checks: readonly Checks[];
  readonly #hmacs: readonly HmacConfig[];
  readonly #verifiers: readonly TokenVerifier[];

  /** Throws MF_URL_INVALID. */
  constructor(config: AuthConfig, ports: VerifierPorts) {
    this.#ways = isList(config) ? config : [config];
    this.#checks = this.#ways.map(({ bearer, basic, apiKey, mtls }) => ({
      bearer: comparison(bearer),
      basic: comparison(basic),
      keyHolder: apiKey === undefined ? undefined : keyHolders(apiKey),
      subject: (certificate) => mtls !== undefined && (mtls.subjects.length === 0 || mtls.subjects.includes(certificate.subject)),
    }));
    const tokens = this.#ways.flatMap(({ jwt, oidc }) => [jwt ?? [], oidc ?? []].flat());
    this.#verifiers = tokens.map((config) => new TokenVerifier(config, ports));
    this.#hmacs = this.#ways.flatMap(({ hmac }) => hmac ?? []);
  }

  /** Headers that hold secrets, in lower case. */
  get secretHeaders(): readonly string[] {
    return ["authorization", ...this.#ways.flatMap(({ apiKey }) => apiKey?.header ?? [])];
  }

  /**
   * The caller by the request's headers, or the good certificate of its connection; `undefined`: its body has to be seen first; or the answer
   * to a request without credentials.
   */
  byHeaders(headers: IncomingHttpHeaders, certificate: ClientCertificate | undefined): AuthenticatedCaller | Problem | undefined {
    const authorization = headers.authorization ?? "";
    const token = credentials(authorization, "bearer");
    const pair = credentials(authorization, "basic");
    const user = pair === undefined ? undefined : Buffer.from(pair, "base64").toString("utf8");
    for (const { bearer, basic, keyHolder, subject } of this.#checks) {
      if (bearer(token)) return unnamed("bearer");
      if (basic(user)) return unnamed("basic");
      const name = keyHolder?.(headers);
      if (name !== undefined) return { credentials: `apiKey ${name}`, name };
      if (certificate !== undefined && subject(certificate)) return holderOf(certificate);
    }
    if (this.#hmacs.some((hmac) => headers[signatureHeader(hmac)] !== undefined)) return undefined;
    const gave =
      authorization !== "" ||
      (certificate !== undefined && this.asksForCertificate) ||
      this.#ways.some(({ apiKey }) => apiKey !== undefined && headers[apiKey.header] !== undefined);
    return this.#denied(gave ? "the credentials are wrong" : `this path requires credentials: send ${this.#wanted}`);
  }

  /** True if a certificate of the connection may say who the caller is. */
  get asksForCertificate(): boolean {
    return this.#ways.some(({ mtls }) => mtls !== undefined);
  }

  /** The token of a request that only its issuer's keys can judge. */
  tokenOf({ authorization = "" }: IncomingHttpHeaders): string | undefined {
    const token = this.#verifiers.length === 0 ? undefined : credentials(authorization, "bearer");
    return token !== undefined && token.split(".").length === 3 ? token : undefined;
  }

  /** The caller by its token, or what to answer. */
  async byToken(token: string, nowMs: number): Promise<AuthenticatedCaller | Problem> {
    let problem: Problem | undefined;
    const issuer = await issuerOf(token);
    for (const verifier of this.#verifiers) {
      if (!verifier.isFor(issuer)) continue; // another issuer that is away holds up no token of this one
      const found = await verifier.verify(token, nowMs);
      if ("status" in found) {
        if (problem === undefined || found.status !== 401) problem = found; // of several the one that says most
        continue;
      }
      const claimsJson = JSON.stringify(found.claims);
      if (claimsJson.length > gatewayLimits.claimsCharacters)
        return {
          status: 431,
          code: "MF_HEADERS_LIMIT",
          detail: `the token has more than ${gatewayLimits.claimsCharacters} characters of claims`,
        };
      return { credentials: found.credentials, name: found.subject, claimsJson };
    }
    return problem ?? invalid("ERR_JWT_CLAIM_VALIDATION_FAILED");
  }

  /** Closes connections to issuers. */
  async close(): Promise<void> {
    await Promise.all(this.#verifiers.map((verifier) => verifier.close()));
  }

  /** The caller by the signature of the body, or what to answer. */
  byBody(headers: IncomingHttpHeaders, body: Uint8Array, nowMs: number): AuthenticatedCaller | Problem {
    let isExpired = false;
    for (const hmac of this.#hmacs) {
      const found = checkSignature(hmac, headers, body, nowMs);
      if (found === "valid") return unnamed("hmac");
      isExpired ||= found === "expired";
    }
    if (!isExpired) return { ...this.#denied("the signature does not fit the body"), code: "MF_SIGNATURE_INVALID" };
    return {
      ...this.#denied("the signature is of another time: check the sender's clock, and send it anew"),
      code: "MF_SIGNATURE_EXPIRED",
    };
  }

  get #wanted(): string {
    const headers = this.#ways.flatMap(({ bearer, basic, apiKey, hmac, jwt, oidc, mtls }) => [
      ...[bearer ?? basic ?? jwt ?? oidc].flatMap((each) => (each === undefined ? [] : ["the authorization header"])),
      ...(apiKey === undefined ? [] : [`the header ${apiKey.header}`]),
      ...(hmac === undefined ? [] : [`a signature in ${signatureHeader(hmac)}`]),
      ...(mtls === undefined ? [] : ["a client certificate"]),
    ]);
    return [...new Set(headers)].join(" or ");
  }

  #denied(detail: string): Problem {
    const challenges = this.#ways.flatMap(({ bearer, basic, jwt, oidc }) => [
      ...((bearer ?? jwt ?? oidc) === undefined ? [] : ['Bearer realm="mayfly"']),
      ...(basic === undefined ? [] : ['Basic realm="mayfly", charset="UTF-8"']),
    ]);
    const headers = challenges.length === 0 ? {} : { "www-authenticate": challenges.join(", ") };
    return { status: 401, code: "MF_UNAUTHORIZED", detail, headers };
  }
}

function isList(config: AuthConfig): config is readonly AuthWay[] {
  return Array.isArray(config);
}
