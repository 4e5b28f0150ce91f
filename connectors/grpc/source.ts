/** Messages over gRPC: unary methods of a service, on a port of their own. */
import type { IncomingHttpHeaders } from "node:http";
import type * as Grpc from "@grpc/grpc-js";
import { type Headers, type HeadersDraft, headerText } from "#abi";
import { isCoded } from "#base";
import {
  type Accept,
  type AuthConfig,
  type AuthenticatedCaller,
  Authentication,
  authSchema,
  type Caller,
  type Expanded,
  type Health,
  type Incoming,
  type JsonSchema,
  type Outcome,
  type Reply,
  size,
  type Source,
  type SourceContext,
  type SourceDefinition,
} from "#gateway/contract";
import { messageOf } from "../shared/explain.ts";
import { headersOf, reportHeaders } from "../shared/wire.ts";
import { type GrpcLibrary, loadGrpc } from "./client.ts";
import { decodeMessage, encodeMessage } from "./json.ts";
import { grpcLimits } from "./limits.ts";
import { entriesOf, replyMetadata } from "./metadata.ts";
import { type CallEnd, type GrpcPort, leavePort, type PortSettings, type ServedMethod, serverTlsSchema, takePort } from "./port.ts";
import { type GrpcMethod, methodsOf, type ProtoSettings, readProto } from "./proto.ts";
import { codeNamed, codeOfHttp, grpcStatus, statusOfFailure } from "./status.ts";
import { protoSchema } from "./settings.ts";

export interface GrpcSourceConfig extends ProtoSettings, PortSettings {
  readonly mode: "reply" | "accept";
  readonly idHeader: string;
  readonly errors: "brief" | "full";
  readonly auth?: AuthConfig;
}

type Call = Grpc.ServerUnaryCall<Buffer, Uint8Array>;
type OwnMetadata = Readonly<Record<string, string>>;
type End = (end: CallEnd, reply?: Uint8Array) => void;

const anyone: AuthenticatedCaller = { credentials: "", name: undefined };
const noReply: Uint8Array = Buffer.from("{}");

class GrpcSource implements Source {
  readonly #config: GrpcSourceConfig;
  readonly #context: SourceContext;
  readonly #authentication: Authentication | undefined;
  readonly #secretHeaders: ReadonlySet<string>;
  #library: GrpcLibrary | undefined;
  #port: GrpcPort | undefined;
  #served: readonly ServedMethod[] = [];
  #accept: Accept | undefined;
  #open = 0;
  #idle: (() => void) | undefined;

  constructor(config: GrpcSourceConfig, context: SourceContext) {
    this.#config = config;
    this.#context = context;
    this.#authentication =
      config.auth === undefined ? undefined : new Authentication(config.auth, { memory: context.memory.answers, logger: context.logger });
    this.#secretHeaders = new Set(this.#authentication?.secretHeaders);
  }

  async start(accept: Accept): Promise<void> {
    this.#accept = accept;
    const methods = methodsOf(this.#config);
    this.#library = await loadGrpc();
    const port = await takePort(this.#config, this.#context);
    const served = methods.map((method): ServedMethod => this.#serve(method));
    try {
      for (const each of served) port.add(each);
    } catch (error) {
      for (const each of served) port.remove(each);
      await leavePort(this.#config);
      throw error;
    }
    this.#served = served;
    this.#port = port;
  }

  async stop(): Promise<void> {
    const port = this.#port;
    this.#port = undefined;
    for (const each of this.#served) each.isStopping = true;
    if (this.#open > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    for (const each of this.#served) port?.remove(each);
    if (port !== undefined) await leavePort(this.#config);
    await this.#authentication?.close();
  }

  health(): Health {
    const { service, host, port } = this.#config;
    return this.#port === undefined
      ? { ready: false, detail: "stopped" }
      : { ready: true, detail: `serving ${service} on ${host}:${port}` };
  }

  #serve(method: GrpcMethod): ServedMethod {
    return {
      path: method.path,
      isStopping: false,
      admit: (metadata) => this.#admit(metadata),
      handle: (call, admitted, end) => this.#handle(method, call, admitted as AuthenticatedCaller, end),
    };
  }

  #admit(metadata: Grpc.Metadata): Promise<object> | object {
    const authentication = this.#authentication;
    if (authentication === undefined) return anyone;
    const headers = metadata.getMap() as IncomingHttpHeaders;
    const found = authentication.byHeaders(headers, undefined);
    if (found !== undefined && !("status" in found)) return found;
    const token = authentication.tokenOf(headers);
    const refused = this.#denied(found);
    if (token === undefined) return refused;
    return authentication.byToken(token, this.#context.clock.now()).then((late) => ("status" in late ? this.#denied(late) : late));
  }

  #denied(problem: { readonly status: number; readonly code: string; readonly detail: string } | undefined): CallEnd {
    const { status = 401, code = "MF_UNAUTHORIZED", detail = "the credentials are wrong" } = problem ?? {};
    return this.#end(codeOfHttp(status), detail, { "mayfly-code": code });
  }

  #handle(method: GrpcMethod, call: Call, known: AuthenticatedCaller, end: End): void {
    const caller: Caller = { left: false, onLeave: undefined };
    let message: Incoming;
    try {
      message = this.#message(method, call, known, caller);
    } catch (error) {
      if (!isCoded(error)) throw error;
      return end(this.#end(grpcStatus.INVALID_ARGUMENT, error.message, { "mayfly-code": error.code }));
    }
    this.#open += 1;
    const over: End = (...how) => {
      this.#open -= 1;
      if (this.#open === 0) this.#idle?.();
      end(...how);
    };
    call.once("cancelled", () => {
      caller.left = true;
      caller.onLeave?.();
    });
    this.#accept?.(message).then(
      (outcome) => over(...this.#answer(method, outcome)),
      (error: unknown) => {
        this.#context.unexpected(error, "a gRPC call");
        over(this.#end(grpcStatus.INTERNAL, "the call failed in the gateway: its log has the reason", {}));
      },
    );
  }

  #message(method: GrpcMethod, { request, metadata }: Call, known: AuthenticatedCaller, caller: Caller): Incoming {
    const body = Buffer.from(JSON.stringify(decodeMessage(method.request, request)));
    const entries = entriesOf(metadata).filter(([name]) => !this.#secretHeaders.has(name));
    const headers: HeadersDraft = headersOf(entries, this.#context);
    headers["grpc-service"] = this.#config.service;
    headers["grpc-method"] = method.name;
    if (known.name !== undefined) headers["mayfly-caller"] = known.name;
    if (known.claimsJson !== undefined) headers["mayfly-claims"] = known.claimsJson;
    const isReply = this.#config.mode === "reply";
    const id = headerText(headers[this.#config.idHeader]);
    return {
      id,
      idScope: `${method.path} ${known.credentials}`,
      sameRequest: id !== undefined,
      headers,
      contentType: "application/json",
      body: Uint8Array.from(body),
      correlationId: headerText(headers["x-correlation-id"]),
      replyWanted: isReply,
      keeper: isReply ? "source" : "journal",
      ...(isReply ? { caller } : {}),
    };
  }

  #answer(method: GrpcMethod, outcome: Outcome): [CallEnd, Uint8Array?] {
    switch (outcome.status) {
      case "accepted":
        return this.#reply(method, outcome.id, undefined, {});
      case "done":
        return this.#reply(method, outcome.id, outcome.reply, {});
      case "duplicate":
        return this.#reply(method, outcome.id, outcome.reply, { "mayfly-duplicate": "true" });
      case "refused": {
        const pushback = { "mayfly-code": outcome.code, "grpc-retry-pushback-ms": String(Math.ceil(outcome.retryAfterMs)) };
        return [this.#end(grpcStatus.UNAVAILABLE, outcome.message, pushback)];
      }
      case "dead": {
        const { code, text, own } = statusOfFailure(outcome.failure, this.#config.errors);
        return [this.#end(code, text, { "mayfly-code": own, "mayfly-message-id": outcome.id })];
      }
    }
  }

  #reply(method: GrpcMethod, id: string, reply: Reply | undefined, more: OwnMetadata): [CallEnd, Uint8Array?] {
    const own = { ...more, "mayfly-message-id": id };
    const named = headerText(reply?.headers["grpc-status"]);
    const code = named === undefined ? codeOfHttp(reply?.status ?? 200) : (codeNamed(named) ?? grpcStatus.UNKNOWN);
    if (code !== grpcStatus.OK) return [this.#end(code, statusText(reply), own, reply?.headers)];
    try {
      const json = reply === undefined || reply.body.length === 0 ? noReply : reply.body;
      const bytes = encodeMessage(method.reply, parsed(json));
      if (bytes.length > grpcLimits.mostMessageBytes) throw new Error(`it has ${bytes.length} bytes`);
      return [this.#end(code, "", own, reply?.headers), bytes];
    } catch (error) {
      this.#context.metrics.count("reply_unsendable");
      this.#context.logger.error(
        { message: id, code: "MF_REPLY_UNSENDABLE" },
        `the message completed, but its reply can't be sent as ${method.reply.name}: ${messageOf(error)}`,
      );
      return [
        this.#end(grpcStatus.INTERNAL, "the flow's reply does not fit the contract", { ...own, "mayfly-code": "MF_REPLY_UNSENDABLE" }),
      ];
    }
  }

  #end(code: number, details: string, own: OwnMetadata, headers: Headers = {}): CallEnd {
    const library = this.#library as GrpcLibrary; // not before `start`
    const { metadata, dropped } = replyMetadata(library, headers, own);
    if (dropped !== undefined) reportHeaders("dropped", this.#context, `gRPC can't carry the header ${dropped} of a reply`);
    return { code, details: details.replace(/[^\P{Cc}\t]/gu, " "), metadata };
  }
}

function parsed(json: Uint8Array): unknown {
  return JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString("utf8"));
}

/** Text of a reply that is a failure: its header `grpc-message`, or the beginning of its body. */
function statusText(reply: Reply | undefined): string {
  const given = headerText(reply?.headers["grpc-message"]);
  return given ?? Buffer.from(reply?.body.subarray(0, grpcLimits.statusCharacters) ?? []).toString("utf8");
}

const { bearer, basic, apiKey, jwt, oidc } = (authSchema as { readonly properties: Readonly<Record<string, JsonSchema>> }).properties;
const ways = { bearer, basic, apiKey, jwt, oidc };

export const grpcSource: SourceDefinition<GrpcSourceConfig> = {
  name: "grpc",
  summary: "Unary gRPC methods, by a `.proto` file of the project.",
  description: `Serves methods of a service on a port of its own, which sources of several flows may share. A request reaches the flow as JSON, and the flow's
reply, JSON as well, becomes the method's reply message.

- **Client**: \`npm install @grpc/grpc-js@1 protobufjs@7\` beside Mayfly; without it mayfly.yaml is refused with \`MF_GRPC_CLIENT\`.
- **Contract**: read together with mayfly.yaml. Imports start from the folder of the file, then from that of mayfly.yaml, and stay within it; \`google/protobuf/…\` is
  known. Faults: \`MF_GRPC_PROTO\`, \`MF_GRPC_SERVICE\`, \`MF_GRPC_METHOD\`. A method that streams is \`MF_GRPC_STREAMING\`: name the unary ones under \`method\`.
- **JSON**: as protobuf maps it: lowerCamelCase names, 64-bit integers as text, bytes in base64, enums by name, \`Timestamp\`, \`Duration\`, wrappers, \`Struct\` and
  \`Value\` in their own forms. A field without presence is there with its default. \`Any\` is \`{"@type": url, "value": base64}\`. Of a reply unknown fields are refused.
- **Modes**: with \`mode: reply\` the caller waits, and owns the message until then: one attempt. With \`mode: accept\` it gets an empty reply message once the journal has
  the message, which is then retried according to \`retry\`. As a source of a signal it accepts.
- **Deadline**: when the caller's deadline is over, or it cancels, its message is cancelled.
- **Status**: a reply's HTTP status becomes a code (400 INVALID_ARGUMENT, 401 UNAUTHENTICATED, 403 PERMISSION_DENIED, 404 NOT_FOUND, 409 ALREADY_EXISTS,
  412 FAILED_PRECONDITION, 429 RESOURCE_EXHAUSTED, 500 INTERNAL, 501 UNIMPLEMENTED, 502 and 503 UNAVAILABLE, 504 DEADLINE_EXCEEDED); a reply's header \`grpc-status\`,
  a name or number, is another one, with \`grpc-message\` or the body as its text. A flow that fails is answered in the same way, with \`mayfly-code\`. A full queue is UNAVAILABLE with \`grpc-retry-pushback-ms\`.
- **Headers**: metadata, lower case; values of \`…-bin\` in base64. \`grpc-service\` and \`grpc-method\` say what was called. Headers of the reply, and
  \`mayfly-message-id\`, are trailing metadata. The \`idHeader\` is the message's id: with \`dedup\` a second call with it gets the first one's reply.
- **Limits**: a message over \`bodyLimit\` is RESOURCE_EXHAUSTED, one that is no such message INVALID_ARGUMENT with \`MF_GRPC_MESSAGE\`. A reply that does not fit
  its type is INTERNAL, and \`MF_REPLY_UNSENDABLE\` in the log. ${grpcLimits.callsPerConnection} calls of one connection at once. There is no reflection and no health service.
- **Stop**: methods that are stopping answer UNAVAILABLE; calls in progress are finished.
- **Errors**: \`MF_GRPC_PORT\` (in use, or shared with other \`tls\` or \`bodyLimit\`), \`MF_TLS_FILE\`, \`MF_GRPC_TLS\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["proto", "service", "port"],
    properties: {
      ...protoSchema("Methods to serve"),
      port: {
        type: "integer",
        minimum: 1,
        maximum: 65535,
        description: "Port to listen on. Sources with the same one share it.",
        examples: [50051],
      },
      host: { type: "string", minLength: 1, default: "127.0.0.1", description: "Address to listen on; `0.0.0.0` or `::` for all." },
      mode: {
        type: "string",
        enum: ["reply", "accept"],
        default: "reply",
        description: "reply: the caller waits for the flow's reply. accept: answer once the message is in the journal.",
      },
      bodyLimit: size(
        `Maximum length of a message; at most ${grpcLimits.mostMessageBytes / 2 ** 20}MiB.`,
        `${grpcLimits.messageBytes / 2 ** 20}MiB`,
      ),
      idHeader: {
        type: "string",
        default: "idempotency-key",
        pattern: "^[a-z0-9-]+$",
        patternErrorMessage: "must be a name of metadata in lower case",
        description: "Metadata that contains the message's id.",
      },
      errors: {
        type: "string",
        enum: ["brief", "full"],
        default: "brief",
        description: "full: answers include errors thrown inside the flow. Errors of peers are never included.",
      },
      auth: {
        ...authSchema,
        description:
          "Credentials that callers must send as metadata; of several, also in a list, one is enough. Default: anyone may call. They do not reach the flow.",
        properties: ways,
        items: { type: "object", additionalProperties: false, minProperties: 1, properties: ways },
      },
      tls: serverTlsSchema,
    },
  },
  example: "grpc: { proto: orders.proto, service: shop.Orders, method: [Create, Get], port: 50051 }",
  expand(config, base): Expanded {
    const { config: expanded, files } = readProto(config, base);
    return { config: { ...expanded, bodyLimit: Math.min(config.bodyLimit, grpcLimits.mostMessageBytes) }, files };
  },
  create: (config, context) => new GrpcSource(config, context),
};
