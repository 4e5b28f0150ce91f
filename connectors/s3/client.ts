/**
 * The part of the S3 API that source and outlet need, over undici. Requests are signed by connectors/shared/sigv4.ts.
 *
 * Why no client library? aws4fetch only signs, and S3's own SDK has forty times our code; none reads and writes within a budget of memory.
 */
import type { Agent, Dispatcher } from "undici";
import { CodedError, isCoded } from "#base";
import { type ConnectorContext, duration, gatewayLimits, type JsonSchema, newAgent } from "#gateway/contract";
import { explainNetwork } from "../shared/explain.ts";
import { quoteLimits } from "../shared/limits.ts";
import { type AwsCredentials, awsEncoded, awsQuery, emptyPayload, presignedQuery, signedHeaders } from "../shared/sigv4.ts";
import { checkTls, readTls, type TlsConfig, tlsSchema } from "../shared/tls.ts";
import { s3Limits } from "./limits.ts";
import { parseS3Error } from "./xml.ts";

export interface S3Config extends AwsCredentials {
  readonly endpoint?: string;
  readonly region: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly timeout: number;
  readonly tls?: TlsConfig;
}

export const s3Schema: Readonly<Record<string, JsonSchema>> = {
  endpoint: {
    type: "string",
    pattern: "^https?://[^/?#@\\s]+/?$",
    patternErrorMessage: "must be http://HOST:PORT or https://HOST, without bucket, user or path",
    description: "Address of an S3-compatible server. Default: Amazon's for the region.",
    examples: ["http://minio:9000"],
  },
  region: {
    type: "string",
    pattern: "^[a-z0-9-]+$",
    patternErrorMessage: "must be a region such as eu-central-1",
    default: "us-east-1",
    description: "Region that requests are signed for.",
  },
  bucket: {
    type: "string",
    pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{1,62}$",
    patternErrorMessage: "must be the name of a bucket",
    description: "Bucket.",
  },
  accessKeyId: { type: "string", minLength: 1, description: "Id of the access key." },
  secretAccessKey: { type: "string", minLength: 1, description: "Secret of the access key." },
  sessionToken: { type: "string", minLength: 1, description: "Session token of temporary credentials." },
  timeout: duration("Timeout for a server that sends nothing.", "30s"),
  tls: { ...tlsSchema, description: "Certificates for an endpoint with https; PEM files are relative to mayfly.yaml." },
};

export const s3Required = ["bucket", "accessKeyId", "secretAccessKey"] as const;

/** The server answered with an error. */
export class S3Error extends Error {
  readonly status: number;
  /** S3's own, such as NoSuchKey; empty where there is no body. */
  readonly code: string;
  readonly retryAfter: string | undefined;

  constructor(status: number, code: string, message: string, retryAfter?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export interface S3Request {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Absent: the bucket itself. */
  readonly key?: string;
  readonly query?: readonly (readonly [string, string])[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Dispatcher.DispatchOptions["body"];
  /** Hexadecimal SHA-256 of the body. */
  readonly payload?: string;
  readonly signal: AbortSignal;
}

export type S3Response = Pick<Dispatcher.ResponseData, "statusCode" | "headers" | "body">;

export class S3Client {
  readonly peer: string;
  readonly #config: S3Config;
  readonly #context: ConnectorContext;
  readonly #origin: string;
  readonly #host: string;
  /** Of the bucket: `/bucket` where the host is that of all buckets. */
  readonly #root: string;
  #agent: Promise<Agent> | undefined;

  /** Throws MF_CONFIG_TLS. */
  constructor(config: S3Config, context: ConnectorContext) {
    const { endpoint, region, bucket } = config;
    if (endpoint !== undefined) checkTls(endpoint, config.tls, { "http:": "https:" });
    const amazon = `s3.${region}.amazonaws.com`;
    const inHost = endpoint === undefined && /^[a-z0-9-]+$/.test(bucket); // a certificate of Amazon's fits no name with dots
    const url = new URL(endpoint ?? `https://${inHost ? `${bucket}.` : ""}${amazon}`);
    this.#config = config;
    this.#context = context;
    this.#origin = url.origin;
    this.#host = url.host;
    this.#root = inHost ? "" : `/${bucket}`;
    this.peer = `${endpoint === undefined ? `https://${amazon}` : url.origin}`;
  }

  /** Resolves with an answer of 2xx, whose body has to be read; rejects with an S3Error for others. */
  async call({ method, key, query = [], headers = {}, body = null, payload = emptyPayload, signal }: S3Request): Promise<S3Response> {
    const { region, timeout } = this.#config;
    const path = this.#pathOf(key);
    const signed = signedHeaders(
      { method, host: this.#host, path, query, headers, payload },
      { credentials: this.#config, scope: { region, service: "s3" }, timeMs: this.#context.clock.now() },
    );
    const agent = await this.#connections();
    const response = await agent.request({
      origin: this.#origin,
      path: query.length === 0 ? path : `${path}?${awsQuery(query)}`,
      method,
      headers: signed,
      body,
      signal,
      headersTimeout: timeout,
      bodyTimeout: timeout,
    });
    const { statusCode } = response;
    if (statusCode >= 200 && statusCode <= 299) return response;
    const text = await textOf(response, gatewayLimits.shortBodyBytes).catch(() => "");
    const { code, message } = parseS3Error(text);
    const after = response.headers["retry-after"];
    throw new S3Error(statusCode, code, message, typeof after === "string" ? after : undefined);
  }

  /** Like `call`, of an answer in XML, which comes in time. */
  async text(request: S3Request): Promise<string> {
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(s3Limits.xmlMs)]);
    return await textOf(await this.call({ ...request, signal }), s3Limits.xmlBytes);
  }

  /** Like `call`, of answers without a body that matters. */
  async run(request: S3Request): Promise<S3Response["headers"]> {
    const { headers, body } = await this.call(request);
    await body.dump();
    return headers;
  }

  /** A link to an object, for whoever has it. */
  link(key: string, method: "GET" | "PUT", expiresSeconds: number): string {
    const path = this.#pathOf(key);
    const query = presignedQuery(
      { method, host: this.#host, path, query: [], headers: {} },
      {
        credentials: this.#config,
        scope: { region: this.#config.region, service: "s3" },
        timeMs: this.#context.clock.now(),
        expiresSeconds,
      },
    );
    return `${this.#origin}${path}?${query}`;
  }

  /** Source of a copy, in the form of its header. */
  copySource(key: string): string {
    return `/${awsEncoded(this.#config.bucket)}/${awsEncoded(key, "/")}`;
  }

  /** Rejects if the bucket can't be used. Credentials that may not list are good enough: they may read or write. */
  async probe(signal: AbortSignal): Promise<void> {
    const query = [["list-type", "2"] as const, ["max-keys", "1"] as const, ["prefix", this.#config.prefix] as const];
    await this.run({ method: "GET", query, signal }).catch((error: unknown) => {
      if (!(error instanceof S3Error) || error.code !== "AccessDenied") throw error;
    });
  }

  /**
   * Ends every request and connection; a later request opens new ones. Not left to the link, which closes sockets without a word: a request
   * that was about to connect would wait for ever.
   */
  async close(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    await (await agent?.catch(() => undefined))?.destroy();
  }

  #pathOf(key: string | undefined): string {
    return key === undefined ? `${this.#root}/` : `${this.#root}/${awsEncoded(key, "/")}`;
  }

  /** Made when it is first needed, and again after the TLS files could not be read: they may be put there yet. */
  #connections(): Promise<Agent> {
    if (this.#agent !== undefined) return this.#agent;
    const agent = readTls(this.#config.tls, this.#context).then((tls) => newAgent(s3Limits.connections, tls));
    this.#agent = agent;
    agent.catch(() => {
      if (this.#agent === agent) this.#agent = undefined;
    });
    return agent;
  }
}

/** The body as text. Rejects if it is longer than `mostBytes`. */
export async function textOf(response: S3Response, mostBytes: number): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of response.body as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > mostBytes) throw new Error(`the server's answer has more than ${mostBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

const wrongKey = new Set([
  "InvalidAccessKeyId",
  "SignatureDoesNotMatch",
  "ExpiredToken",
  "InvalidToken",
  "TokenRefreshRequired",
  "XAdminUserNotFound",
]);
const wrongRegion = new Set([
  "AuthorizationHeaderMalformed",
  "PermanentRedirect",
  "TemporaryRedirect",
  "IllegalLocationConstraintException",
]);
const passing = new Set(["RequestTimeout", "SlowDown", "OperationAborted", "BadDigest", "IncompleteBody", "NoSuchUpload"]);

export function explainS3(peer: string, place: string, error: unknown): CodedError {
  if (isCoded(error)) return error;
  const coded = (code: string, text: string): CodedError => new CodedError(code, text, { cause: error });
  if (!(error instanceof S3Error)) {
    const { code } = error as { readonly code?: unknown };
    if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT")
      return coded("MF_S3_UNREACHABLE", `${peer} sent nothing for the whole \`timeout\`: check the server, or raise it`);
    return explainNetwork("S3", peer, error);
  }
  const { status, code } = error;
  const said = `${code === "" ? status : code}${error.message === "" ? "" : `: ${error.message.slice(0, quoteLimits.text)}`}`;
  if (code === "NoSuchBucket") return coded("MF_S3_NO_BUCKET", `${place} does not exist at ${peer}: create it, or correct its name`);
  if (code === "RequestTimeTooSkewed")
    return coded("MF_S3_AUTH", `${peer} takes the requests for old or new ones: set this computer's clock, or the server's`);
  if (wrongKey.has(code)) return coded("MF_S3_AUTH", `${peer} rejected the access key (${code}): check accessKeyId and secretAccessKey`);
  if (wrongRegion.has(code) || status === 301 || status === 307)
    return coded("MF_S3_REGION", `${place} belongs to another region or endpoint: correct \`region\` or \`endpoint\` (${said})`);
  if (status === 401 || status === 403)
    return coded("MF_S3_FORBIDDEN", `${peer} denied this access key the use of ${place} (${said}): change its policy`);
  if (status >= 500 || status === 429 || passing.has(code)) return coded("MF_S3_UNAVAILABLE", `${peer} is not available: ${said}`);
  return coded("MF_S3_FAILED", `${peer} rejected a request for ${place}: ${said}`);
}

/** True for what says something about the connection or the bucket, not about one object. */
export function isOutage(error: unknown): boolean {
  if (error instanceof S3Error) return wrongKey.has(error.code) || error.code === "NoSuchBucket";
  return !isCoded(error) && (error as Error).name !== "AbortError";
}
