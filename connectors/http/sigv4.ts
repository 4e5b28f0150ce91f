/**
 * AWS Signature Version 4 in the Authorization header. Pure: a request as it goes over the wire in, its signature out.
 *
 *   canonical request   method, path, sorted query, signed headers, hash of the body
 *   text to sign        "AWS4-HMAC-SHA256", time, DATE/REGION/SERVICE/aws4_request, hash of the canonical request
 *   key                 HMAC of "aws4_request" under HMAC of the service under … the region under … the date under the secret
 */
import { createHash, createHmac } from "node:crypto";
import type { JsonSchema } from "#gateway/contract";

export interface SigV4Config {
  readonly region: string;
  readonly service: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

const text = { type: "string", minLength: 1 } as const;

export const sigV4Schema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["region", "service", "accessKeyId", "secretAccessKey"],
  description: "AWS Signature Version 4, for SQS, SNS, EventBridge, S3 and others by plain HTTP. Each attempt is signed anew.",
  properties: {
    region: { ...text, description: "Region.", examples: ["eu-central-1"] },
    service: { ...text, description: "Name of the service in signatures.", examples: ["sqs", "s3", "events"] },
    accessKeyId: { ...text, description: "The key's id.", examples: ["${AWS_ACCESS_KEY_ID}"] },
    secretAccessKey: { ...text, description: "The key.", examples: ["${AWS_SECRET_ACCESS_KEY}"] },
    sessionToken: { ...text, description: "Token of temporary credentials.", examples: ["${file:/run/secrets/aws-session}"] },
  },
};

export interface SignableRequest {
  readonly method: string;
  /** Path as it is sent, without the query. */
  readonly path: string;
  /** Query as it is sent, without its question mark. */
  readonly query: string;
  /** All of them are signed. Names in lower case, `host` and `x-amz-date` (`20150830T123600Z`) among them. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body, in hexadecimal digits. */
  readonly bodySha256: string;
}

export function sha256Hex(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

function hmac(key: string | Buffer, data: string): Buffer {
  return createHmac("sha256", key).update(data).digest();
}

/** Everything but letters, digits and `-._~` as its UTF-8 bytes. */
function encode(part: string): string {
  return encodeURIComponent(part).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part.replace(/\+/g, " "));
  } catch {
    return part; // a plain percent sign
  }
}

/** Services encode the path they got once more and join its slashes; S3 takes it as it was meant. */
function canonicalPath(path: string, service: string): string {
  if (service !== "s3") return path.replace(/\/+/g, "/").split("/").map(encode).join("/");
  return path
    .split("/")
    .map((part) => encode(decode(part.replace(/\+/g, "%2B"))))
    .join("/");
}

function canonicalQuery(query: string): string {
  const pairs = query
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair): [string, string] => {
      const mark = pair.indexOf("=");
      return mark < 0 ? [encode(decode(pair)), ""] : [encode(decode(pair.slice(0, mark))), encode(decode(pair.slice(mark + 1)))];
    });
  pairs.sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)));
  return pairs.map(([name, value]) => `${name}=${value}`).join("&");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `20150830T123600Z` */
export function amzDate(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/[:-]|\.\d{3}/g, "");
}

/** The value of the header `authorization`. */
export function sigV4Authorization(config: SigV4Config, { method, path, query, headers, bodySha256 }: SignableRequest): string {
  const { region, service, accessKeyId, secretAccessKey } = config;
  const names = Object.keys(headers).sort(compare);
  const lines = names.map((name) => `${name}:${(headers[name] as string).trim().replace(/ +/g, " ")}\n`);
  const signed = names.join(";");
  const request = [method, canonicalPath(path, service), canonicalQuery(query), lines.join(""), signed, bodySha256].join("\n");
  const time = headers["x-amz-date"] ?? "";
  const date = time.slice(0, 8);
  const scope = `${date}/${region}/${service}/aws4_request`;
  const key = [date, region, service, "aws4_request"].reduce<string | Buffer>((under, part) => hmac(under, part), `AWS4${secretAccessKey}`);
  const signature = hmac(key as Buffer, ["AWS4-HMAC-SHA256", time, scope, sha256Hex(request)].join("\n")).toString("hex");
  return `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${signed}, Signature=${signature}`;
}
