/** `auth` of an http source → groups of credentials of a service. */
import { type ServiceAuth, type ServiceSignature, type ServiceToken, tokenAlgorithms } from "#abi";
import type { Report } from "#gateway";
import type { SecretCheck } from "./outlets.ts";

type Path = readonly (string | number)[];

interface Signature {
  readonly preset?: "github" | "shopify" | "stripe" | "slack" | "standard";
  readonly secret: string | readonly string[];
  readonly header?: string;
  readonly encoding: "hex" | "base64";
  readonly prefix: string;
  /** Milliseconds. */
  readonly tolerance: number;
}

/** The part of `jwt` that a standalone service has: all of it. */
interface Jwt {
  readonly jwks: string;
  readonly issuer: string | readonly string[];
  readonly audience: string | readonly string[];
  readonly algorithms: readonly string[];
  readonly scopes: readonly string[];
  readonly claims: Readonly<Record<string, string | readonly string[]>>;
  /** Milliseconds. */
  readonly tolerance: number;
}

export interface AuthWay {
  readonly bearer?: string;
  readonly basic?: string;
  readonly apiKey?: { readonly header: string; readonly keys: Readonly<Record<string, string>> };
  readonly hmac?: Signature;
  readonly jwt?: Jwt;
}

const httpsKeys =
  "a standalone service does no TLS: name a proxy that does, as http://proxy:port/path, and let it lead to the issuer's keys, or run this flow with `mayfly serve`";

/** Settings that a preset stands for (gateway/contract/http/signatures.ts). */
const presets: Readonly<Record<NonNullable<Signature["preset"]>, { readonly header: string } & Pick<ServiceSignature, "form" | "prefix">>> =
  {
    github: { header: "x-hub-signature-256", form: "hex", prefix: "sha256=" },
    shopify: { header: "x-shopify-hmac-sha256", form: "base64", prefix: "" },
    stripe: { header: "stripe-signature", form: "stripe", prefix: "v1=" },
    slack: { header: "x-slack-signature", form: "slack", prefix: "v0=" },
    standard: { header: "webhook-signature", form: "standard", prefix: "v1," },
  };

function signaturesOf(hmac: Signature, at: Path, checkSecret: SecretCheck): ServiceAuth[] {
  const { preset, secret, header = "", encoding, prefix, tolerance } = hmac;
  const plain = { header, form: encoding, prefix };
  const { header: own, ...known } = preset === undefined ? plain : presets[preset];
  return (typeof secret === "string" ? [secret] : secret).map((each, index) => {
    checkSecret(each, typeof secret === "string" ? [...at, "secret"] : [...at, "secret", index]);
    return { type: "signature", header: own, caller: undefined, secret: each, signature: { ...known, toleranceMs: tolerance } };
  });
}

function tokenOf(jwt: Jwt, at: Path, report: Report): ServiceAuth[] {
  const { jwks, issuer, audience, algorithms, scopes, claims, tolerance } = jwt;
  const list = (value: string | readonly string[]): readonly string[] => [value].flat();
  const refuse = (setting: string, why: string, code = "MF_STANDALONE_AUTH"): readonly never[] => {
    report(at, why, setting, code);
    return [];
  };
  // A reference is read where the service starts.
  if (/^https:/i.test(jwks)) return [...refuse("jwks", httpsKeys, "MF_STANDALONE_HTTPS")];
  if (!jwks.includes("${") && !URL.canParse(jwks))
    return [...refuse("jwks", "must be a URL such as http://proxy:8000/jwks.json", "MF_URL_INVALID")];
  const unknown = algorithms.find((each) => !tokenAlgorithms.includes(each));
  if (unknown !== undefined)
    return [...refuse("algorithms", `a standalone service does not verify ${unknown}: use ${tokenAlgorithms.join(", ")}`)];
  const token: ServiceToken = {
    algorithms,
    issuers: list(issuer),
    audiences: list(audience),
    scopes,
    claims: Object.fromEntries(Object.entries(claims).map(([name, texts]) => [name, list(texts)])),
    toleranceMs: tolerance,
  };
  const texts = [...token.issuers, ...token.audiences, ...scopes, ...Object.entries(token.claims).flat(2)];
  if (texts.some((text) => text.includes("\n")))
    return [
      ...refuse(
        "claims",
        "a standalone service compares texts of one line: remove the line breaks from issuer, audience, scopes and claims",
      ),
    ];
  return [{ type: "jwt", header: "authorization", caller: undefined, secret: jwks, token }];
}

function waysOf(auth: AuthWay, at: Path, checkSecret: SecretCheck, report: Report): ServiceAuth[] {
  const found: ServiceAuth[] = [];
  for (const type of ["bearer", "basic"] as const) {
    const secret = auth[type];
    if (secret === undefined) continue;
    checkSecret(secret, [...at, type]);
    found.push({ type, header: "authorization", caller: undefined, secret });
  }
  for (const [caller, secret] of Object.entries(auth.apiKey?.keys ?? {})) {
    checkSecret(secret, [...at, "apiKey", "keys", caller]);
    found.push({ type: "apiKey", header: auth.apiKey?.header ?? "", caller, secret });
  }
  if (auth.jwt !== undefined) found.push(...tokenOf(auth.jwt, [...at, "jwt"], report));
  if (auth.hmac !== undefined) found.push(...signaturesOf(auth.hmac, [...at, "hmac"], checkSecret));
  return found;
}

function isList(auth: AuthWay | readonly AuthWay[]): auth is readonly AuthWay[] {
  return Array.isArray(auth);
}

/** Of several ways one is enough. */
export function groupOf(auth: AuthWay | readonly AuthWay[], at: Path, checkSecret: SecretCheck, report: Report): ServiceAuth[] {
  return isList(auth)
    ? auth.flatMap((each, way) => waysOf(each, [...at, way], checkSecret, report))
    : waysOf(auth, at, checkSecret, report);
}
