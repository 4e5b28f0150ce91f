/**
 * Signatures of a request's body (HMAC), as webhooks have them: a secret both sides know, and for most a time that bounds replays.
 *
 *   github     x-hub-signature-256: sha256=HEX                          of the body
 *   shopify    x-shopify-hmac-sha256: BASE64                            of the body
 *   stripe     stripe-signature: t=SECONDS,v1=HEX,…                     of SECONDS.BODY
 *   slack      x-slack-signature: v0=HEX, x-slack-request-timestamp     of v0:SECONDS:BODY
 *   standard   webhook-signature: v1,BASE64 …, webhook-id, -timestamp   of ID.SECONDS.BODY, secret whsec_BASE64 (Standard Webhooks)
 *
 * Without a preset: `header` has the signature of the body, after `prefix`, in `encoding`.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { JsonSchema } from "../connector.ts";
import { gatewayLimits } from "../limits.ts";
import { duration } from "../units.ts";

export interface HmacConfig {
  readonly preset?: "github" | "shopify" | "stripe" | "slack" | "standard";
  /** Several while one takes the place of another. */
  readonly secret: string | readonly string[];
  readonly header?: string;
  readonly algorithm: "sha256" | "sha512" | "sha1";
  readonly encoding: "hex" | "base64";
  readonly prefix: string;
  /** Largest difference between the request's time and ours, in milliseconds. */
  readonly tolerance: number;
}

export const hmacSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["secret"],
  anyOf: [{ required: ["preset"] }, { required: ["header"] }],
  description: "Signature of the body, as webhooks have it. It is checked before anything else is done with the request.",
  properties: {
    preset: {
      type: "string",
      enum: ["github", "shopify", "stripe", "slack", "standard"],
      description: "Form of a well-known sender; `standard`: Standard Webhooks.",
    },
    secret: {
      type: ["string", "array"],
      minLength: 1,
      minItems: 1,
      items: { type: "string", minLength: 1 },
      description: "The secret, or several of which one fits.",
      examples: ["${WEBHOOK_SECRET}"],
    },
    header: {
      type: "string",
      pattern: "^[a-z0-9-]+$",
      patternErrorMessage: "must be a header name in lower case",
      description: "Header that has the signature, without a preset.",
    },
    algorithm: { type: "string", enum: ["sha256", "sha512", "sha1"], default: "sha256", description: "Hash, without a preset." },
    encoding: { type: "string", enum: ["hex", "base64"], default: "hex", description: "Encoding of the signature, without a preset." },
    prefix: { type: "string", default: "", description: "Text before the signature, such as `sha256=`, without a preset." },
    tolerance: duration("Largest age of a request whose signature has a time.", "5m"),
  },
};

/** Signatures a request has, and what they are signatures of. */
interface Claimed {
  readonly signatures: readonly Buffer[];
  readonly signed: readonly (string | Uint8Array)[];
  /** Seconds since 1970. */
  readonly seconds?: number;
}

function decoded(texts: readonly string[], encoding: "hex" | "base64"): Buffer[] {
  return texts.filter((text) => text !== "").map((text) => Buffer.from(text, encoding));
}

function after(text: string, prefix: string): readonly string[] {
  return text.startsWith(prefix) ? [text.slice(prefix.length)] : [];
}

type Form = (header: (name: string) => string, body: Uint8Array) => Claimed;

const presets: Readonly<Record<NonNullable<HmacConfig["preset"]>, Form>> = {
  github: (header, body) => ({ signatures: decoded(after(header("x-hub-signature-256"), "sha256="), "hex"), signed: [body] }),
  shopify: (header, body) => ({ signatures: decoded([header("x-shopify-hmac-sha256")], "base64"), signed: [body] }),
  stripe: (header, body) => {
    const parts = header("stripe-signature")
      .split(",")
      .map((part) => part.trim());
    const time = parts.flatMap((part) => after(part, "t="))[0] ?? "";
    return {
      signatures: decoded(
        parts.flatMap((part) => after(part, "v1=")),
        "hex",
      ),
      signed: [`${time}.`, body],
      seconds: secondsOf(time),
    };
  },
  slack: (header, body) => {
    const time = header("x-slack-request-timestamp");
    return {
      signatures: decoded(after(header("x-slack-signature"), "v0="), "hex"),
      signed: [`v0:${time}:`, body],
      seconds: secondsOf(time),
    };
  },
  standard: (header, body) => {
    const time = header("webhook-timestamp");
    const signatures = header("webhook-signature")
      .split(" ")
      .flatMap((each) => after(each, "v1,"));
    return { signatures: decoded(signatures, "base64"), signed: [`${header("webhook-id")}.${time}.`, body], seconds: secondsOf(time) };
  },
};

function secondsOf(text: string): number {
  return /^[0-9]{1,12}$/.test(text) ? Number(text) : Number.NaN;
}

/** Headers whose presence says that a request means to be signed. */
const signatureHeaders: Readonly<Record<NonNullable<HmacConfig["preset"]>, string>> = {
  github: "x-hub-signature-256",
  shopify: "x-shopify-hmac-sha256",
  stripe: "stripe-signature",
  slack: "x-slack-signature",
  standard: "webhook-signature",
};

export function signatureHeader({ preset, header = "" }: HmacConfig): string {
  return preset === undefined ? header : signatureHeaders[preset];
}

function keyOf(secret: string, preset: HmacConfig["preset"]): Uint8Array | string {
  return preset === "standard" && secret.startsWith("whsec_") ? Buffer.from(secret.slice("whsec_".length), "base64") : secret;
}

/** `expired`: the signature fits, but it is too old, or of a time to come. */
export type SignatureCheck = "valid" | "invalid" | "expired";

export function checkSignature(config: HmacConfig, headers: IncomingHttpHeaders, body: Uint8Array, nowMs: number): SignatureCheck {
  const { preset, algorithm, encoding, prefix, tolerance } = config;
  const header = (name: string): string => {
    const value = headers[name];
    return typeof value === "string" ? value : "";
  };
  const plain: Form = () => ({ signatures: decoded(after(header(signatureHeader(config)), prefix), encoding), signed: [body] });
  const { signatures, signed, seconds } = (preset === undefined ? plain : presets[preset])(header, body);
  const secrets = typeof config.secret === "string" ? [config.secret] : config.secret;
  let fits = false;
  for (const secret of secrets) {
    const mac = createHmac(preset === undefined ? algorithm : "sha256", keyOf(secret, preset));
    for (const part of signed) mac.update(part);
    const wanted = mac.digest();
    for (const given of signatures.slice(0, gatewayLimits.signaturesRead))
      if (given.length === wanted.length && timingSafeEqual(given, wanted)) fits = true;
  }
  if (!fits) return "invalid";
  return seconds === undefined || Math.abs(nowMs - seconds * 1000) <= tolerance ? "valid" : "expired";
}
