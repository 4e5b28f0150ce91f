/** Into objects of an S3 bucket; requests list, read and link them. */
import { headerText } from "#abi";
import { CodedError } from "#base";
import {
  type Answer,
  type Attempt,
  finalBodyError,
  gatewayLimits,
  type Health,
  type Outgoing,
  type Outlet,
  type OutletContext,
  type OutletDefinition,
  OutletError,
  type OutletRequest,
  retryAfterMs,
  size,
} from "#gateway/contract";
import { type CloudEventsConfig, emitCloudEvent, structuredCloudEventsSchema } from "../shared/cloudevents/write.ts";
import { contentTypeOf } from "../shared/dropped-files.ts";
import { type NameTemplate, nameTemplate } from "../shared/file-name.ts";
import { Link, unlessAborted } from "../shared/link.ts";
import { explainS3, isOutage, S3Client, type S3Config, S3Error, type S3Response, s3Required, s3Schema } from "./client.ts";
import { s3Limits } from "./limits.ts";
import { head, isMissing, listed } from "./objects.ts";
import { putBytes, putStored } from "./upload.ts";
import { unquoted } from "./xml.ts";

export interface S3OutletConfig extends S3Config {
  readonly name: string;
  readonly part: number;
  readonly cloudevents?: CloudEventsConfig;
}

interface Session {
  readonly lost: (error: unknown) => void;
}

class S3Outlet implements Outlet {
  readonly #config: S3OutletConfig;
  readonly #context: OutletContext;
  readonly #name: NameTemplate;
  readonly #s3: S3Client;
  readonly #link: Link<Session>;

  constructor(config: S3OutletConfig, context: OutletContext) {
    const name = nameTemplate(config.name);
    if (!name.ok) throw new CodedError("MF_S3_NAME", `name: ${name.error}`);
    if (config.part < s3Limits.leastPartBytes) throw new CodedError("MF_S3_PART", "part must be at least 5MiB: S3 refuses smaller ones");
    this.#config = config;
    this.#context = context;
    this.#name = name.value;
    this.#s3 = new S3Client(config, context);
    this.#link = new Link<Session>({
      context,
      peer: `${this.#s3.peer} bucket ${config.bucket}`,
      explain: (error) => this.#explain(error),
      open: async ({ lost, own }) => {
        const ending = new AbortController();
        own(this.#s3);
        own({ close: () => ending.abort() });
        await this.#s3.probe(ending.signal);
        return { lost };
      },
    });
  }

  /** A structured event has its data in it. */
  get streams(): boolean {
    return this.#config.cloudevents === undefined;
  }

  start(): Promise<void> {
    return this.#link.start();
  }

  health(): Health {
    return this.#link.health();
  }

  stop(): Promise<void> {
    return this.#link.stop();
  }

  async send(message: Outgoing, { idempotencyKey, signal }: Attempt): Promise<void> {
    const { cloudevents, prefix, part } = this.#config;
    const key = prefix + this.#name(message, idempotencyKey);
    checkKey(key);
    const { body, contentType } = cloudevents === undefined ? message : emitCloudEvent(message, idempotencyKey, cloudevents);
    const upload = { key, headers: { "content-type": contentType }, signal };
    const memory = this.#context.memory.sends;
    await this.#during(signal, () =>
      message.storedBody === undefined
        ? putBytes(this.#s3, upload, body)
        : putStored(this.#s3, upload, message.storedBody, { partBytes: part, memory }),
    );
  }

  async request(request: OutletRequest, { signal }: Attempt): Promise<Answer> {
    const method = request.method.toLowerCase();
    const key = this.#keyOf(headerText(request.headers[":path"]) ?? "", method === "list");
    return await this.#during(signal, async () => {
      if (method === "get") return await this.#get(key, signal);
      if (method === "head") return await this.#head(key, signal);
      if (method === "list") return await this.#list(key, signal);
      if (method === "presign") return this.#presign(key, request.body);
      throw final("MF_S3_METHOD", "method must be get, head, list or presign");
    });
  }

  /** Tells the link of an outage, and explains errors. */
  async #during<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const session = this.#link.need();
    try {
      return await unlessAborted(signal, work());
    } catch (error) {
      if (isOutage(error) && !signal.aborted && finalBodyError(error) === undefined) session.lost(error);
      throw finalBodyError(error) ?? this.#failure(error);
    }
  }

  /** Below `prefix`, whatever the flow made it of. */
  #keyOf(path: string, isFolder: boolean): string {
    const { prefix } = this.#config;
    if (path === "" && isFolder) return prefix;
    const parts = path.split("/");
    const last = isFolder && parts.at(-1) === "" ? parts.slice(0, -1) : parts;
    if (!last.every((part) => part !== "" && part !== "." && part !== ".." && !part.includes("\0")))
      throw final("MF_PATH_REFUSED", "path must be a key below the outlet's prefix, without empty parts, . or ..");
    checkKey(prefix + path);
    return prefix + path;
  }

  async #get(key: string, signal: AbortSignal): Promise<Answer> {
    const response = await this.#s3.call({ method: "GET", key, signal }).catch(missing);
    const bytes = Number(response.headers["content-length"]);
    const most = Math.min(gatewayLimits.answerBytes, this.#context.memory.answers.largestBytes);
    if (!(bytes <= most)) {
      response.body.destroy();
      throw final("MF_ANSWER_LIMIT", `the object has ${bytes} bytes, more than ${most}: give the peer a link with presign instead`);
    }
    const memory = this.#context.memory.answers;
    if (!(await memory.take(bytes, { timeoutMs: gatewayLimits.memoryWaitMs, signal }))) {
      response.body.destroy();
      throw new OutletError("MF_MEMORY_BUSY", "there is no memory for the object now", { retryable: true, origin: "gateway" });
    }
    try {
      return { status: 200, ...described(key, response.headers), body: new Uint8Array(await response.body.arrayBuffer()) };
    } finally {
      memory.give(bytes);
    }
  }

  async #head(key: string, signal: AbortSignal): Promise<Answer> {
    const headers = await head(this.#s3, key, signal);
    if (headers === undefined) return json({ exists: false });
    const { contentType } = described(key, headers);
    const time = timeOf(Date.parse(String(headers["last-modified"])));
    return json({ exists: true, size: Number(headers["content-length"]), time, etag: unquoted(headers["etag"]), contentType });
  }

  async #list(prefix: string, signal: AbortSignal): Promise<Answer> {
    const entries: object[] = [];
    for await (const { objects } of listed(this.#s3, { prefix, signal })) {
      for (const { key, size: bytes, timeMs, etag } of objects)
        entries.push({ path: key.slice(this.#config.prefix.length), size: bytes, time: timeOf(timeMs), etag });
      if (entries.length > s3Limits.objectsPerAnswer)
        throw final("MF_ANSWER_LIMIT", `there are more than ${s3Limits.objectsPerAnswer} objects: list with a longer path`);
    }
    return json(entries);
  }

  #presign(key: string, body: Uint8Array): Answer {
    const asked = linkOf(body);
    const url = this.#s3.link(key, asked.method, asked.seconds);
    return json({ url, method: asked.method, expires: timeOf(this.#context.clock.now() + asked.seconds * 1000) });
  }

  #explain(error: unknown): CodedError {
    return explainS3(this.#s3.peer, `bucket ${this.#config.bucket}`, error);
  }

  #failure(error: unknown): OutletError {
    if (error instanceof OutletError) return error;
    const { code, message } = this.#explain(error);
    const refused = error instanceof S3Error ? error : undefined;
    const after = retryAfterMs(refused?.retryAfter, this.#context.clock.now());
    return new OutletError(code, message, {
      retryable: code !== "MF_S3_FAILED",
      retryAfterMs: after,
      status: refused?.status ?? 0,
      cause: error,
    });
  }
}

function final(code: string, message: string, status = 0): OutletError {
  return new OutletError(code, message, { retryable: false, status });
}

function checkKey(key: string): void {
  if (Buffer.byteLength(key) > s3Limits.keyBytes)
    throw final("MF_S3_KEY", `the key is longer than ${s3Limits.keyBytes} bytes: make it shorter`);
}

function missing(error: unknown): never {
  throw isMissing(error) ? final("MF_S3_NO_OBJECT", "there is no such object: ask head first", 404) : error;
}

function json(value: unknown): Answer {
  return { status: 200, contentType: "application/json", headers: {}, body: Buffer.from(JSON.stringify(value)) };
}

const timeOf = (ms: number): string | null => (Number.isFinite(ms) ? new Date(ms).toISOString() : null);

function described(key: string, headers: S3Response["headers"]): Pick<Answer, "contentType" | "headers"> {
  const type = headers["content-type"];
  const own = Object.entries(headers).filter(([name, value]) => typeof value === "string" && name.startsWith("x-amz-meta-"));
  return {
    contentType: typeof type === "string" ? type : contentTypeOf(key),
    headers: { ...(Object.fromEntries(own) as Record<string, string>), "mayfly-file-etag": unquoted(headers["etag"]) },
  };
}

/** `{ "method": "PUT", "expires": 900 }`, or nothing. */
function linkOf(body: Uint8Array): { readonly method: "GET" | "PUT"; readonly seconds: number } {
  let asked: unknown = {};
  try {
    if (body.length > 0) asked = JSON.parse(Buffer.from(body).toString());
  } catch {
    asked = undefined; // told below
  }
  const { method = "GET", expires = 900 } = (typeof asked === "object" && asked !== null ? asked : { method: 0 }) as Readonly<
    Record<string, unknown>
  >;
  if ((method === "GET" || method === "PUT") && Number.isInteger(expires)) {
    const seconds = expires as number;
    if (seconds >= 1 && seconds <= s3Limits.linkSeconds) return { method, seconds };
  }
  throw final("MF_S3_LINK", `the body of presign must be { method, expires }: GET or PUT, and 1 to ${s3Limits.linkSeconds} seconds`);
}

export const s3Outlet: OutletDefinition<S3OutletConfig> = {
  name: "s3",
  summary: "Into objects of an S3 bucket.",
  description: `For Amazon S3 and servers that speak its API. A message counts as sent when S3 has the whole object: readers never see half of one.

- **Names** come from a template and are the same for every attempt at one send: a second attempt replaces the first. Variables: \`{id}\` (of this
  send, unique), \`{message}\`, \`{date}\`, \`{hour}\`, \`{time}\` (UTC, when the flow completed), \`{flow}\`, \`{outlet}\`, \`{key}\`, \`{header:NAME}\`. Their
  values are made safe: no name leads out of \`prefix\`, and different values give different names.
- **Stored bodies** are streamed; those longer than \`part\` are uploaded in parts, which are removed if the upload fails.
- **Requests**: \`request(undefined, { method: "get", path: "2026/a.csv" })\` answers with the object, at most 16 MiB; \`head\` with
  \`{ exists, size, time, etag, contentType }\`; \`list\` with \`{ path, size, time, etag }\` of all keys that begin with the path, at most 10,000;
  \`presign\` with \`{ url, method, expires }\`: a link that whoever has it may use. Its body may be \`{ "method": "PUT", "expires": 900 }\`, in
  seconds. A path leads to no key outside \`prefix\` (\`MF_PATH_REFUSED\`). What is not there is \`MF_S3_NO_OBJECT\`.
- **Rights**: PutObject, AbortMultipartUpload; GetObject and ListBucket for requests.
- **Errors**: those of the source. \`MF_S3_FAILED\`, a request that S3 finds wrong, is not tried again.`,
  answers: true,
  schema: {
    type: "object",
    additionalProperties: false,
    required: s3Required,
    properties: {
      ...s3Schema,
      prefix: { type: "string", default: "", description: "Beginning of all keys." },
      name: {
        type: "string",
        minLength: 1,
        default: "{date}/{id}",
        description: "Template of the key behind `prefix`.",
        examples: ["{date}/{id}.json"],
      },
      part: size("Size of a part; longer stored bodies are uploaded in parts. At least 5MiB.", "16MiB"),
      cloudevents: structuredCloudEventsSchema,
    },
  },
  example: `s3: { endpoint: "http://minio:9000", bucket: archive, name: "{date}/{id}.json", accessKeyId: "\${S3_KEY}", secretAccessKey: "\${S3_SECRET}" }`,
  create: (config, context) => new S3Outlet(config, context),
};
