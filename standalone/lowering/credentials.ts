/** `auth` of an http source → groups of credentials of a service. */
import type { ServiceAuth, ServiceSignature } from "#abi";
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

export interface AuthWay {
  readonly bearer?: string;
  readonly basic?: string;
  readonly apiKey?: { readonly header: string; readonly keys: Readonly<Record<string, string>> };
  readonly hmac?: Signature;
}

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

function waysOf(auth: AuthWay, at: Path, checkSecret: SecretCheck): ServiceAuth[] {
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
  if (auth.hmac !== undefined) found.push(...signaturesOf(auth.hmac, [...at, "hmac"], checkSecret));
  return found;
}

function isList(auth: AuthWay | readonly AuthWay[]): auth is readonly AuthWay[] {
  return Array.isArray(auth);
}

/** Of several ways one is enough. */
export function groupOf(auth: AuthWay | readonly AuthWay[], at: Path, checkSecret: SecretCheck): ServiceAuth[] {
  return isList(auth) ? auth.flatMap((each, way) => waysOf(each, [...at, way], checkSecret)) : waysOf(auth, at, checkSecret);
}
