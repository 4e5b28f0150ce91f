/** `auth` of HTTP sources as OpenAPI's security schemes. Names of headers and issuers go into the document, secrets do not. */
import { type AuthConfig, type AuthWay, type JsonSchema, signatureHeader } from "#gateway/contract";

/** One of them is enough; each names its scheme with the scopes a token must have. */
export type SecurityRequirement = Readonly<Record<string, readonly string[]>>;

interface Scheme {
  /** Name in the document, if no other scheme has it. */
  readonly name: string;
  readonly scheme: JsonSchema;
  readonly scopes: readonly string[];
}

type TokenRules = { readonly issuer: string | readonly string[]; readonly audience: string | readonly string[] };

function tokenDescription({ issuer, audience }: TokenRules): string {
  return `A token of ${[issuer].flat().join(" or ")} for ${[audience].flat().join(" or ")}.`;
}

function bearerToken(rules: TokenRules): JsonSchema {
  return { type: "http", scheme: "bearer", bearerFormat: "JWT", description: tokenDescription(rules) };
}

function schemesOf({ bearer, basic, apiKey, hmac, jwt, oidc, mtls }: AuthWay): readonly Scheme[] {
  const schemes: Scheme[] = [];
  if (bearer !== undefined) schemes.push({ name: "bearer", scheme: { type: "http", scheme: "bearer" }, scopes: [] });
  if (basic !== undefined) schemes.push({ name: "basic", scheme: { type: "http", scheme: "basic" }, scopes: [] });
  if (apiKey !== undefined) schemes.push({ name: "apiKey", scheme: { type: "apiKey", in: "header", name: apiKey.header }, scopes: [] });
  if (hmac !== undefined) {
    const description = `Signature of the body${hmac.preset === undefined ? "" : ` as ${hmac.preset} makes it`}, from a shared secret.`;
    schemes.push({ name: "signature", scheme: { type: "apiKey", in: "header", name: signatureHeader(hmac), description }, scopes: [] });
  }
  if (jwt !== undefined) schemes.push({ name: "jwt", scheme: bearerToken(jwt), scopes: jwt.scopes });
  if (oidc !== undefined) {
    const openIdConnectUrl = `${oidc.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const discovered = { type: "openIdConnect", openIdConnectUrl, description: tokenDescription(oidc) };
    // An issuer that the environment names is no URL yet.
    schemes.push({ name: "oidc", scheme: oidc.issuer.includes("${") ? bearerToken(oidc) : discovered, scopes: oidc.scopes });
  }
  if (mtls !== undefined) schemes.push({ name: "mtls", scheme: { type: "mutualTLS" }, scopes: [] });
  return schemes;
}

/** The schemes of a document, each once. */
export class SecuritySchemes {
  readonly #schemes = new Map<string, JsonSchema>();

  /** Adds the ways of a source. */
  add(auth: AuthConfig): readonly SecurityRequirement[] {
    const ways = [auth].flat() as readonly AuthWay[];
    return ways.flatMap(schemesOf).map(({ name, scheme, scopes }) => ({ [this.#nameOf(name, scheme)]: scopes }));
  }

  /** Undefined if there are none. */
  get section(): Readonly<Record<string, JsonSchema>> | undefined {
    return this.#schemes.size === 0 ? undefined : Object.fromEntries(this.#schemes);
  }

  #nameOf(wanted: string, scheme: JsonSchema): string {
    for (let count = 1; ; count++) {
      const name = count === 1 ? wanted : `${wanted}${count}`;
      const known = this.#schemes.get(name);
      if (known === undefined) this.#schemes.set(name, scheme);
      if (known === undefined || JSON.stringify(known) === JSON.stringify(scheme)) return name;
    }
  }
}
