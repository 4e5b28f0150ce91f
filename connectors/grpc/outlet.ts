/** To a gRPC server: unary methods of a service. */
import { createSecureContext } from "node:tls";
import type * as Grpc from "@grpc/grpc-js";
import { type HeadersDraft, headerText } from "#abi";
import { CodedError, isCoded } from "#base";
import {
  type Answer,
  type Attempt,
  duration,
  type Expanded,
  gatewayLimits,
  headerSafe,
  type Outgoing,
  type Outlet,
  type OutletContext,
  type OutletDefinition,
  OutletError,
  type OutletRequest,
  size,
} from "#gateway/contract";
import { parseUrl, withoutSecrets } from "../shared/explain.ts";
import { credentialsHeader, type HeaderCredentials, headerCredentialsSchema } from "../shared/header-credentials.ts";
import { brokerLimits, quoteLimits } from "../shared/limits.ts";
import { Link, type Opening } from "../shared/link.ts";
import { checkTls, readTls, type TlsConfig, tlsSchema } from "../shared/tls.ts";
import { headersOf } from "../shared/wire.ts";
import { explainGrpc, type GrpcLibrary, loadGrpc } from "./client.ts";
import { decodeMessage, encodeMessage } from "./json.ts";
import { grpcLimits } from "./limits.ts";
import { entriesOf, sentMetadata } from "./metadata.ts";
import { type GrpcMethod, methodsOf, type ProtoSettings, readProto } from "./proto.ts";
import { protoSchema } from "./settings.ts";
import { grpcStatus, httpOfCode, isRetried, statusName } from "./status.ts";

export interface GrpcOutletConfig extends ProtoSettings {
  readonly url: string;
  readonly timeout: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly auth?: HeaderCredentials;
  readonly answerLimit: number;
  readonly heartbeat?: number;
  readonly tls?: TlsConfig;
}

interface Session {
  readonly library: GrpcLibrary;
  readonly client: Grpc.Client;
  /** Answers so far: a call without one, while none else came, was made over a connection that is dead. */
  answers: number;
  readonly lost: (error: unknown) => void;
}

/** A call that was answered, with OK or not. */
interface Called {
  readonly code: number;
  readonly details: string;
  readonly headers: HeadersDraft;
  readonly body: Uint8Array;
  readonly pushback: string | undefined;
}

class GrpcOutlet implements Outlet {
  readonly #config: GrpcOutletConfig;
  readonly #context: OutletContext;
  readonly #peer: string;
  readonly #link: Link<Session>;
  readonly #headers: Readonly<Record<string, string>>;
  #methods: ReadonlyMap<string, GrpcMethod> | undefined;

  constructor(config: GrpcOutletConfig, context: OutletContext) {
    this.#config = config;
    this.#context = context;
    checkTls(config.url, config.tls, { "grpc:": "grpcs:" });
    parseUrl(config.url, ["grpc:", "grpcs:"]);
    this.#peer = withoutSecrets(config.url);
    this.#headers = { ...config.metadata, ...credentialsHeader(config.auth ?? {}) };
    this.#link = new Link<Session>({
      context,
      peer: this.#peer,
      open: (opening) => openClient(config, context, opening),
      explain: (error) => explainGrpc(this.#peer, error),
    });
  }

  start(): Promise<void> {
    return this.#link.start();
  }

  health(): ReturnType<Outlet["health"]> {
    return this.#link.health();
  }

  stop(): Promise<void> {
    return this.#link.stop();
  }

  async send(message: Outgoing, attempt: Attempt): Promise<void> {
    const { method, called } = await this.#call(message, attempt);
    if (called.code !== grpcStatus.OK) throw this.#refused(method, called);
  }

  async request(message: OutletRequest, attempt: Attempt): Promise<Answer> {
    const { method, called } = await this.#call(message, attempt);
    const { code, headers, details } = called;
    if (code === grpcStatus.OK) return { status: 200, contentType: "application/json", headers, body: this.#json(method, called.body) };
    if (isRetried(code)) throw this.#refused(method, called);
    const body = Buffer.from(JSON.stringify({ code: statusName(code), message: details }));
    headers["grpc-status"] = statusName(code);
    return { status: httpOfCode(code), contentType: "application/json", headers, body: Uint8Array.from(body) };
  }

  #json(method: GrpcMethod, bytes: Uint8Array): Uint8Array {
    try {
      const body = Uint8Array.from(Buffer.from(JSON.stringify(decodeMessage(method.reply, bytes))));
      if (body.length <= gatewayLimits.answerBytes) return body;
      const text = `the answer has ${body.length} bytes as JSON, more than ${gatewayLimits.answerBytes}`;
      throw new OutletError("MF_ANSWER_LIMIT", text, { retryable: false });
    } catch (error) {
      if (!isCoded(error) || error instanceof OutletError) throw error;
      throw new OutletError(
        error.code,
        `${method.path} of ${this.#peer} was answered with what its contract does not have: ${error.message}`,
        {
          retryable: false,
          cause: error,
        },
      );
    }
  }

  async #call(message: Outgoing, attempt: Attempt): Promise<{ readonly method: GrpcMethod; readonly called: Called }> {
    const session = this.#link.need();
    const method = this.#method(headerText(message.headers[":path"]));
    const bytes = requestBytes(method, message);
    const metadata = sentMetadata(session.library, this.#sentHeaders(message, attempt));
    const { answers } = this.#context.memory;
    const held = Math.min(this.#config.answerLimit, answers.largestBytes);
    const isTaken = await answers.take(held, { timeoutMs: this.#config.timeout, signal: attempt.signal });
    if (!isTaken)
      throw new OutletError("MF_MEMORY_BUSY", "the gateway is out of memory for answers", {
        retryable: true,
        unreached: true,
        origin: "gateway",
      });
    try {
      return { method, called: await this.#exchange(session, method, { bytes, metadata, signal: attempt.signal }) };
    } finally {
      answers.give(held);
    }
  }

  #method(path: string | undefined): GrpcMethod {
    const methods = (this.#methods ??= new Map(methodsOf(this.#config).map((each) => [each.name, each])));
    const [only] = methods.values();
    const name = path?.replace(/^\//, "");
    const found = name === undefined || name === "" ? (methods.size === 1 ? only : undefined) : methods.get(name);
    if (found !== undefined) return found;
    const wanted =
      name === undefined || name === "" ? "a path is missing" : `${JSON.stringify(name.slice(0, quoteLimits.name))} is no method`;
    const text = `${wanted}: name one of ${[...methods.keys()].slice(0, 16).join(", ")} as the request's path`;
    throw new OutletError("MF_GRPC_METHOD", text, { retryable: false, origin: "flow" });
  }

  #sentHeaders({ headers: given, correlationId }: Outgoing, { idempotencyKey }: Attempt): HeadersDraft {
    const headers: HeadersDraft = { ...given, ...this.#headers };
    if (correlationId !== undefined) headers["x-correlation-id"] ??= headerSafe(correlationId);
    headers["idempotency-key"] ??= idempotencyKey;
    return headers;
  }

  #exchange(
    session: Session,
    { path }: GrpcMethod,
    { bytes, metadata, signal }: { readonly bytes: Uint8Array; readonly metadata: Grpc.Metadata; readonly signal: AbortSignal },
  ): Promise<Called> {
    const { client } = session;
    const { clock } = this.#context;
    const before = session.answers;
    return new Promise((resolve, reject) => {
      let initial: Grpc.Metadata | undefined;
      const finished = (error: Grpc.ServiceError | null, reply: Buffer | undefined): void => {
        signal.removeEventListener("abort", cancel);
        const { code = grpcStatus.OK, details = "", metadata: trailers } = error ?? status ?? {};
        if (code === grpcStatus.UNAVAILABLE && details.startsWith("No connection established"))
          return reject(unreached(explainGrpc(this.#peer, new Error(details))));
        if (code !== grpcStatus.DEADLINE_EXCEEDED && code !== grpcStatus.CANCELLED) session.answers += 1;
        else if (session.answers === before && !signal.aborted) session.lost(new Error(`no answer within ${this.#config.timeout} ms`));
        const entries = [initial, trailers].flatMap((each) => (each === undefined ? [] : entriesOf(each)));
        const pushback = trailers?.get("grpc-retry-pushback-ms")[0];
        resolve({
          code,
          details: details.slice(0, quoteLimits.answer),
          headers: headersOf(entries, this.#context),
          body: reply ?? new Uint8Array(),
          pushback: typeof pushback === "string" ? pushback : undefined,
        });
      };
      let status: Grpc.StatusObject | undefined;
      const call = client.makeUnaryRequest(
        path,
        (request: Uint8Array) => Buffer.from(request.buffer, request.byteOffset, request.byteLength),
        (reply: Buffer) => reply,
        bytes,
        metadata,
        { deadline: clock.now() + this.#config.timeout },
        (error, reply) => queueMicrotask(() => finished(error, reply)), // the status comes in the same turn
      );
      const cancel = (): void => call.cancel();
      call.on("metadata", (each) => (initial = each));
      call.on("status", (each) => (status = each));
      signal.addEventListener("abort", cancel, { once: true });
      if (signal.aborted) cancel();
    });
  }

  #refused({ path }: GrpcMethod, { code, details, pushback }: Called): OutletError {
    const retryable = isRetried(code);
    const waitMs = pushback !== undefined && /^\d{1,9}$/.test(pushback) ? Number(pushback) : undefined;
    return new OutletError(
      "MF_GRPC_STATUS",
      `${path} of ${this.#peer} answered ${statusName(code)}${details === "" ? "" : `: ${details}`}`,
      {
        retryable,
        status: httpOfCode(code),
        ...(retryable && waitMs !== undefined ? { retryAfterMs: waitMs } : {}),
      },
    );
  }
}

const unreached = (error: CodedError): OutletError =>
  new OutletError(error.code, error.message, { retryable: true, unreached: true, cause: error });

/** The body, JSON, as the method's request. Throws MF_GRPC_JSON. */
function requestBytes({ request }: GrpcMethod, { body }: Outgoing): Uint8Array {
  try {
    const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
    return encodeMessage(request, text === "" ? {} : JSON.parse(text));
  } catch (error) {
    if (isCoded(error)) throw new OutletError(error.code, error.message, { retryable: false, origin: "flow", cause: error });
    const text = `the body is no JSON: ${(error as Error).message.slice(0, quoteLimits.text)}`;
    throw new OutletError("MF_GRPC_JSON", text, { retryable: false, origin: "flow", cause: error });
  }
}

/** Connects, and watches the connection: one that is closed in order is opened again by the library, one that can't be opened is lost. */
async function openClient(config: GrpcOutletConfig, context: OutletContext, { lost, own }: Opening): Promise<Session> {
  const library = await loadGrpc();
  const url = parseUrl(config.url, ["grpc:", "grpcs:"]);
  const tls = await readTls(config.tls, context);
  const { credentials: kinds } = library;
  const { servername, rejectUnauthorized = true, ca, cert, key, passphrase } = tls ?? { rejectUnauthorized: true };
  const secure = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }), ...(passphrase && { passphrase }) };
  const shown =
    url.protocol === "grpcs:" ? kinds.createFromSecureContext(createSecureContext(secure), { rejectUnauthorized }) : kinds.createInsecure();
  const client = new library.Client(`dns:${url.hostname}:${url.port === "" ? (url.protocol === "grpcs:" ? 443 : 80) : url.port}`, shown, {
    "grpc.max_receive_message_length": config.answerLimit,
    "grpc.max_send_message_length": -1,
    "grpc.enable_retries": 0,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
    "grpc.service_config_disable_resolution": 1,
    "grpc.use_local_subchannel_pool": 1,
    ...(servername === undefined ? {} : { "grpc.ssl_target_name_override": servername }),
    ...(config.heartbeat === undefined
      ? {}
      : {
          "grpc.keepalive_time_ms": config.heartbeat,
          "grpc.keepalive_timeout_ms": config.heartbeat,
          "grpc.keepalive_permit_without_calls": 1,
        }),
  });
  let isClosed = false;
  own({
    close() {
      isClosed = true;
      client.close();
    },
  });
  const { READY, TRANSIENT_FAILURE, SHUTDOWN } = library.connectivityState;
  const channel = client.getChannel();
  const changed = (from: Grpc.connectivityState): Promise<void> =>
    new Promise((resolve) => channel.watchConnectivityState(from, Number.POSITIVE_INFINITY, () => resolve()));
  const session: Session = { library, client, answers: 0, lost };
  const watch = async (until: Grpc.connectivityState | undefined): Promise<void> => {
    while (!isClosed) {
      const state = channel.getConnectivityState(true); // of a channel that is closed it would connect again, and leak the connection
      if (state === until) return;
      if (state === SHUTDOWN) throw new Error("the connection was closed");
      if (state === TRANSIENT_FAILURE) throw await reasonOf(session, context);
      await changed(state);
    }
  };
  await watch(READY);
  watch(undefined).catch(lost);
  return session;
}

/** Why there is no connection: a call fails at once then, and says so. */
function reasonOf({ client }: Session, { clock }: OutletContext): Promise<Error> {
  return new Promise((resolve) => {
    const nothing = (): Buffer => Buffer.alloc(0);
    client.makeUnaryRequest(
      "/grpc.health.v1.Health/Check",
      nothing,
      nothing,
      undefined,
      { deadline: clock.now() + brokerLimits.closeMs },
      (error) =>
        resolve(new Error(error?.details.replace(/^.*?Last error: /, "").replace(/\. Resolution note: .*$/s, "") ?? "no connection")),
    );
  });
}

export const grpcOutlet: OutletDefinition<GrpcOutletConfig> = {
  name: "grpc",
  summary: "To unary gRPC methods, by a `.proto` file of the project.",
  description: `The body, JSON, becomes the method's request message; a request's answer is the reply message as JSON. JSON, contract, client and their errors are
as for the source.

- **Method**: the one that \`method\` names. Of several a request names one with its \`path\`: \`to.orders.request(order, { path: "Get" })\`; for sends name one only.
- **Send**: counts as sent when the server answers OK. UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, ABORTED, CANCELLED, INTERNAL and UNKNOWN are retried
  according to \`retry\`, not before \`grpc-retry-pushback-ms\`; INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, UNAUTHENTICATED, FAILED_PRECONDITION,
  OUT_OF_RANGE, UNIMPLEMENTED and DATA_LOSS are final: \`MF_GRPC_STATUS\`.
- **Request**: a final status is an answer: \`status\` is the HTTP status that fits, the header \`grpc-status\` its name, the body \`{"code", "message"}\`.
- **Deadline**: \`timeout\`, sent along; the call is cancelled when its attempt ends before.
- **Headers** become metadata, those of \`…-bin\` from base64; one that metadata can't carry is \`MF_HEADER_INVALID\`. Every attempt of one send has the same
  \`idempotency-key\`. An answer has leading and trailing metadata as headers.
- **Connection**: opened again with backoff; the library's own retries are off. A call that is not answered in time, while nothing else is answered either, ends its connection.
- **Errors**: \`MF_GRPC_JSON\` (the body does not fit the type), \`MF_GRPC_METHOD\`, \`MF_GRPC_MESSAGE\` (the answer does not), \`MF_GRPC_UNREACHABLE\`, \`MF_GRPC_TLS\`,
  \`MF_ANSWER_LIMIT\`, \`MF_MEMORY_BUSY\`.`,
  answers: true,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "proto", "service"],
    properties: {
      url: {
        type: "string",
        minLength: 1,
        description: "`grpcs://host:port`, or `grpc://host:port` without TLS.",
        examples: ["grpcs://orders.example.com:443"],
      },
      ...protoSchema("Methods to call"),
      timeout: duration("Deadline of one call.", "30s"),
      metadata: {
        type: "object",
        default: {},
        description: "Metadata of every call; it overrides the flow's headers. Names in lower case.",
        propertyNames: { pattern: "^[a-z0-9_.-]+$", patternErrorMessage: "must be a name of metadata in lower case" },
        additionalProperties: { type: "string" },
      },
      auth: {
        type: "object",
        additionalProperties: false,
        minProperties: 1,
        maxProperties: 1,
        description: "Credentials of every call, as metadata.",
        properties: headerCredentialsSchema("ORDERS"),
      },
      answerLimit: size(
        `Longest reply message; at most ${grpcLimits.mostMessageBytes / 2 ** 20}MiB.`,
        `${grpcLimits.messageBytes / 2 ** 20}MiB`,
      ),
      heartbeat: duration("Interval of pings, where the server allows them: many close the connection of one that pings. Default: none."),
      tls: tlsSchema,
    },
  },
  example: 'grpc: { url: "grpcs://orders.example.com", proto: orders.proto, service: shop.Orders, method: Create, timeout: 5s }',
  expand(config, base): Expanded {
    const { config: expanded, files } = readProto(config, base);
    return { config: { ...expanded, answerLimit: Math.min(config.answerLimit, grpcLimits.mostMessageBytes) }, files };
  },
  create: (config, context) => new GrpcOutlet(config, context),
};
