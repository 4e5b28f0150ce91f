/** Settings of an HTTP source, and what the documentation says of it. */
import { type AuthConfig, authSchema, type CorsConfig, corsSchema, gatewayLimits, type JsonSchema, network, size } from "#gateway/contract";
import { acceptCloudEventsSchema } from "../shared/cloudevents/write.ts";
import type { Contract } from "./contract/model.ts";
import { type RateLimitConfig, rateLimitSchema } from "./rate-limit.ts";

export interface HttpSourceConfig {
  /** Default: POST; undefined beside `openapi`. */
  readonly method?: string | readonly string[];
  /** Beside `openapi` a prefix of the contract's paths. */
  readonly path?: string;
  /** File of a contract, as written. */
  readonly openapi?: string;
  readonly operation?: string | readonly string[];
  readonly partial?: boolean;
  /** The contract, once it is read. */
  readonly contract?: Contract;
  readonly mode: "reply" | "accept";
  readonly bodyLimit: number;
  readonly compress: boolean;
  readonly idHeader: string;
  readonly errors: "brief" | "full";
  readonly cloudevents: boolean;
  readonly allow?: readonly string[];
  readonly auth?: AuthConfig;
  readonly cors?: CorsConfig;
  readonly rateLimit?: RateLimitConfig;
}

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const oneMethod = { type: "string", enum: methods } as const;

export const httpSourceDescription = `Serves one path. With \`mode: reply\` the caller waits for the flow's reply; the caller owns the message until then, so there is one attempt, and a failure is answered with
\`application/problem+json\` that has the message's id and a code: 502 and 504 if a system that the flow called failed or did not answer, 500 if the flow failed. A failure that is not the caller's fault (5xx) is also kept as a dead letter. With \`mode: accept\` the caller gets \`202\` and
\`{"id": …}\` once the journal has the message, which is then retried according to \`retry\`.

- Path parameters arrive decoded as \`msg.params\` and the headers \`mayfly-path-NAME\` (\`*\` as \`mayfly-path-rest\`), the query as \`msg.query\` and \`mayfly-query\`, method and path as \`mayfly-method\` and \`mayfly-path\`. The caller's \`mayfly-\` headers are dropped. Repeated header lines are several values of one header; bytes beyond ASCII are read as Latin-1. A second \`Host\`, \`Content-Type\` or \`Authorization\` line is 400.
- \`gzip\`, \`deflate\` and \`br\` bodies are decompressed; \`bodyLimit\` counts before and after. With the flow's \`claimCheck\` longer bodies are streamed to disk: raise \`bodyLimit\` to the longest body you accept.
- As a source of a signal it answers \`202\` with \`{"id": …, "waiting": true}\` once the journal has the signal; \`waiting\` is false while no machine waits for it yet. \`mode\` does not matter.
- With \`cloudevents: true\`, \`OPTIONS\` answers the CloudEvents webhook handshake.
- A full queue answers \`503\` with \`Retry-After\`. A caller that disconnects cancels its message.
- \`Idempotency-Key\` becomes the message's id; with \`dedup\` a second request with it, to this path and with the same kind of credentials, gets the first one's reply and \`mayfly-duplicate: true\`. With another body, path or query it gets \`422\` and \`MF_ID_REUSED\`.
- \`openapi: petstore.yaml\` serves the operations of a contract, all of them or those that \`operation\` names: [contract first](CONTRACTS.md). A request that breaks it gets \`400\` and \`MF_CONTRACT_REQUEST\`, a body of another media type \`415\` and \`MF_CONTRACT_MEDIA\`, and nothing is run; a reply that breaks it is \`500\` and \`MF_CONTRACT_REPLY\`, with the reason in the gateway's log.`;

export const httpSourceSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    method: {
      type: ["string", "array"],
      pattern: `^(${methods.join("|")})$`,
      patternErrorMessage: `must be one of ${methods.join(", ")}, or a list of them`,
      minItems: 1,
      uniqueItems: true,
      items: oneMethod,
      description:
        "Method, or a list of them. Default: POST. `HEAD` is answered where `GET` is, `OPTIONS` by the gateway unless it is listed.",
    },
    path: {
      type: "string",
      description:
        "Path, with parameters such as /orders/:id or a trailing /*. Required unless `openapi` is set; beside it a prefix of the contract's paths, such as /v1.",
      pattern: "^/(?!-/)",
      patternErrorMessage: "must be a path such as /orders/:id; those below /-/ are the gateway's own",
      examples: ["/orders/:id"],
    },
    openapi: {
      type: "string",
      minLength: 1,
      description:
        "Contract: an OpenAPI 3.1 or 3.0 document, YAML or JSON, relative to this file and within its folder. Its operations are served, requests and replies that break it are refused.",
      examples: ["petstore.yaml"],
    },
    operation: {
      type: ["string", "array"],
      minLength: 1,
      minItems: 1,
      uniqueItems: true,
      items: { type: "string", minLength: 1 },
      description: "operationId of the contract's operation to serve, or a list of them. Default: all.",
    },
    partial: { type: "boolean", description: "Operations of the contract may be without a flow." },
    mode: {
      type: "string",
      enum: ["reply", "accept"],
      default: "reply",
      description: "reply: the caller waits for the flow's reply. accept: answer 202 once the message is in the journal.",
    },
    bodyLimit: size("Maximum length of a body, before and after decompression.", `${gatewayLimits.httpBodyBytes / 2 ** 20}MiB`),
    compress: { type: "boolean", default: false, description: "Compress replies for callers that accept compression." },
    idHeader: {
      type: "string",
      default: "idempotency-key",
      pattern: "^[a-z0-9-]+$",
      patternErrorMessage: "must be a header name in lower case",
      description: "Header that contains the message's id.",
    },
    errors: {
      type: "string",
      enum: ["brief", "full"],
      default: "brief",
      description: "full: error answers include errors thrown inside the flow. Errors of peers are never included.",
    },
    cloudevents: acceptCloudEventsSchema,
    allow: {
      type: "array",
      minItems: 1,
      maxItems: 256,
      items: network("An address, or a network."),
      description:
        "Addresses and networks that may call; others get 403. Behind proxies set `http.proxies`, so that the caller's address counts and not the proxy's. Default: every address.",
    },
    auth: authSchema,
    cors: corsSchema,
    rateLimit: rateLimitSchema,
  },
};
