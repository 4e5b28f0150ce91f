/**
 * AWS Signature Version 4, by headers or in a link. The steps and their names are those of the AWS General Reference:
 *
 *     canonical request = method, path, query, headers, signed names, SHA-256 of the body
 *     string to sign    = algorithm, time, scope (day/region/service/aws4_request), SHA-256 of the canonical request
 *     signature         = HMAC of it, with a key made of the secret, day, region and service
 */
import { createHash, createHmac } from "node:crypto";

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string | undefined;
}

export interface AwsScope {
  readonly region: string;
  /** `s3`, `sqs`, `execute-api`. */
  readonly service: string;
}

export interface Unsigned {
  readonly method: string;
  readonly host: string;
  /** Percent-encoded, as it is sent. */
  readonly path: string;
  /** Not encoded. */
  readonly query: readonly (readonly [string, string])[];
  /** Further headers that are signed, by lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Hexadecimal SHA-256 of the body, or `UNSIGNED-PAYLOAD`. */
  readonly payload: string;
}

const algorithm = "AWS4-HMAC-SHA256";
export const unsignedPayload = "UNSIGNED-PAYLOAD";
export const emptyPayload = sha256("");

export function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Every byte but the unreserved ones of RFC 3986, and `/` where `keep` has it. */
export function awsEncoded(text: string, keep = ""): string {
  const encoded = encodeURIComponent(wellFormed(text)).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  return keep === "/" ? encoded.replaceAll("%2F", "/") : encoded;
}

/** A half of a surrogate pair has no UTF-8. */
const wellFormed = (text: string): string => Buffer.from(text).toString();

/** In the order that is signed; also the query to send. */
export function awsQuery(query: Unsigned["query"]): string {
  const pairs = query.map(([name, value]) => [awsEncoded(name), awsEncoded(value)] as const);
  pairs.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0));
  return pairs.map(([name, value]) => `${name}=${value}`).join("&");
}

/** Headers of the signed request: those given, and the signature's. */
export function signedHeaders(
  request: Unsigned,
  { credentials, scope, timeMs }: { readonly credentials: AwsCredentials; readonly scope: AwsScope; readonly timeMs: number },
): Readonly<Record<string, string>> {
  const time = awsTime(timeMs);
  const { sessionToken } = credentials;
  const headers: Record<string, string> = { ...request.headers, "x-amz-date": time };
  if (scope.service === "s3") headers["x-amz-content-sha256"] = request.payload;
  if (sessionToken !== undefined) headers["x-amz-security-token"] = sessionToken;
  const authorization = awsAuthorization({ ...request, headers: { ...headers, host: request.host } }, { credentials, scope, time });
  return { ...headers, authorization };
}

/** The header `authorization` of a request whose signed headers are whole: `host` and `x-amz-date`, which is `time`, are among them. */
export function awsAuthorization(
  request: Omit<Unsigned, "host">,
  { credentials, scope, time }: { readonly credentials: AwsCredentials; readonly scope: AwsScope; readonly time: string },
): string {
  const { accessKeyId, secretAccessKey } = credentials;
  const signature = signatureOf(request, { secretAccessKey, scope, time });
  return `${algorithm} Credential=${accessKeyId}/${scopeText(scope, time)}, SignedHeaders=${namesOf(request.headers)}, Signature=${signature}`;
}

/** Query of a link that whoever has it may use for `expiresSeconds`. */
export function presignedQuery(
  request: Omit<Unsigned, "payload">,
  signing: { readonly credentials: AwsCredentials; readonly scope: AwsScope; readonly timeMs: number; readonly expiresSeconds: number },
): string {
  const { credentials, scope, timeMs, expiresSeconds } = signing;
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const time = awsTime(timeMs);
  const headers = { ...request.headers, host: request.host };
  const query: Unsigned["query"] = [
    ...request.query,
    ["X-Amz-Algorithm", algorithm],
    ["X-Amz-Credential", `${accessKeyId}/${scopeText(scope, time)}`],
    ["X-Amz-Date", time],
    ["X-Amz-Expires", String(expiresSeconds)],
    ...(sessionToken === undefined ? [] : [["X-Amz-Security-Token", sessionToken] as const]),
    ["X-Amz-SignedHeaders", namesOf(headers)],
  ];
  const signature = signatureOf({ ...request, headers, query, payload: unsignedPayload }, { secretAccessKey, scope, time });
  return `${awsQuery(query)}&X-Amz-Signature=${signature}`;
}

function signatureOf(
  { method, path, query, headers, payload }: Omit<Unsigned, "host">,
  { secretAccessKey, scope, time }: { readonly secretAccessKey: string; readonly scope: AwsScope; readonly time: string },
): string {
  // All services but S3 take the path as sent, encoded once more.
  const canonicalPath = scope.service === "s3" ? path : awsEncoded(path, "/");
  const lines = Object.keys(headers)
    .sort()
    .map((name) => `${name}:${(headers[name] ?? "").trim().replace(/ +/g, " ")}\n`);
  const canonical = [method, canonicalPath, awsQuery(query), lines.join(""), namesOf(headers), payload].join("\n");
  const text = [algorithm, time, scopeText(scope, time), sha256(canonical)].join("\n");
  let key: Uint8Array = Buffer.from(`AWS4${secretAccessKey}`);
  for (const part of [...scopeText(scope, time).split("/"), text]) key = createHmac("sha256", key).update(part).digest();
  return Buffer.from(key).toString("hex");
}

const namesOf = (headers: Readonly<Record<string, string>>): string => Object.keys(headers).sort().join(";");
/** `20150830T123600Z` */
export const awsTime = (timeMs: number): string => new Date(timeMs).toISOString().replace(/[:-]|\.\d{3}/g, "");
const scopeText = ({ region, service }: AwsScope, time: string): string => `${time.slice(0, 8)}/${region}/${service}/aws4_request`;
