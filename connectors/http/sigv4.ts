/** AWS Signature Version 4 of a request as it goes over the wire (connectors/shared/sigv4.ts has the algorithm). */
import type { JsonSchema } from "#gateway/contract";
import { awsAuthorization, awsEncoded } from "../shared/sigv4.ts";

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

function decode(part: string): string {
  try {
    return decodeURIComponent(part.replace(/\+/g, " "));
  } catch {
    return part; // a plain percent sign
  }
}

/** Services join slashes of the path; S3 takes it as it was meant, however it was encoded. */
function signedPath(path: string, service: string): string {
  if (service !== "s3") return path.replace(/\/+/g, "/");
  return path
    .split("/")
    .map((part) => awsEncoded(decode(part.replace(/\+/g, "%2B"))))
    .join("/");
}

function pairsOf(query: string): readonly (readonly [string, string])[] {
  return query
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const mark = pair.indexOf("=");
      return mark < 0 ? [decode(pair), ""] : [decode(pair.slice(0, mark)), decode(pair.slice(mark + 1))];
    });
}

/** The value of the header `authorization`. */
export function sigV4Authorization(config: SigV4Config, { method, path, query, headers, bodySha256 }: SignableRequest): string {
  const { region, service } = config;
  return awsAuthorization(
    { method, path: signedPath(path, service), query: pairsOf(query), headers, payload: bodySha256 },
    { credentials: config, scope: { region, service }, time: headers["x-amz-date"] ?? "" },
  );
}
