/** JSON web keys (RFC 7517, 7518, 8037), as §§ "Import Key" of the Web Cryptography API check them. */
import { dataError, type Jwk, minimal, type Usage } from "./registry.ts";

/** The engine has these; the library of ES2023 does not know them yet. */
type Base64Bytes = Uint8Array & { toBase64(options: { alphabet: "base64url"; omitPadding: boolean }): string };
type Base64Reader = Uint8ArrayConstructor & { fromBase64(text: string, options: { alphabet: "base64url" }): Uint8Array };

export function webText(bytes: Uint8Array): string {
  return (bytes as Base64Bytes).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** A number as RSA keys have it: without leading zeros. */
export function webNumber(bytes: Uint8Array): string {
  return webText(minimal(bytes));
}

/** Bytes of a member; throws DataError where it is missing or not base64url. */
export function webBytes(jwk: Jwk, name: string): Uint8Array {
  const text = jwk[name];
  if (typeof text !== "string" || /[^A-Za-z0-9_-]/.test(text)) throw dataError(`${name} of the JSON web key is missing, or not base64url`);
  try {
    return (Uint8Array as Base64Reader).fromBase64(text, { alphabet: "base64url" });
  } catch {
    throw dataError(`${name} of the JSON web key is not base64url`);
  }
}

export interface WebKeyRules {
  readonly kty: string;
  /** Value of `use` in a key for such usages. */
  readonly use: "sig" | "enc";
  /** Values of `alg`, where it is given; undefined: any. */
  readonly alg?: readonly string[] | undefined;
  readonly extractable: boolean;
  readonly usages: readonly Usage[];
}

export function checkWebKey(jwk: Jwk, { kty, use, alg, extractable, usages }: WebKeyRules): void {
  if (jwk.kty !== kty) throw dataError(`the JSON web key has kty ${JSON.stringify(jwk.kty)}, not "${kty}"`);
  if (usages.length > 0 && jwk.use !== undefined && jwk.use !== use)
    throw dataError(`the JSON web key is for "${String(jwk.use)}", not "${use}"`);
  if (jwk.key_ops !== undefined) {
    const operations = Array.isArray(jwk.key_ops) ? (jwk.key_ops as unknown[]) : undefined;
    if (operations === undefined || new Set(operations).size !== operations.length || usages.some((usage) => !operations.includes(usage)))
      throw dataError("key_ops of the JSON web key does not have these usages, or has one twice");
  }
  if (jwk.ext === false && extractable) throw dataError("the JSON web key says that it can't be exported");
  if (alg !== undefined && jwk.alg !== undefined && !alg.includes(String(jwk.alg)))
    throw dataError(`the JSON web key is for ${String(jwk.alg)}, not ${alg.join(" or ")}`);
}

/** The members that every exported key has. */
export function webKeyHead(kty: string, usages: readonly Usage[], extractable: boolean): { kty: string; key_ops: Usage[]; ext: boolean } {
  return { kty, key_ops: [...usages], ext: extractable };
}
