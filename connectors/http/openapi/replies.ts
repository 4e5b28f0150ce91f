/** Answers of an HTTP source as an OpenAPI document lists them: the flow's reply, and the errors that the gateway makes. */
import type { JsonSchema } from "#gateway/contract";

/** Properties of an operation that decide its answers. */
export interface Answering {
  /** The caller waits for the flow's reply; otherwise for the journal, as with a signal. */
  readonly waits: boolean;
  readonly isSignal: boolean;
  readonly hasBody: boolean;
  readonly hasAuth: boolean;
  /** Some of its credentials go into the authorization header, so that 401 names a scheme. */
  readonly hasChallenge: boolean;
  /** A right caller may still lack a scope, or call from the wrong address. */
  readonly mayForbid: boolean;
  readonly hasDedup: boolean;
  readonly hasRateLimit: boolean;
}

const text: JsonSchema = { type: "string" };
const whole: JsonSchema = { type: "integer", minimum: 0 };

export const replySchemas: Readonly<Record<string, JsonSchema>> = {
  Problem: {
    description: "An error of the gateway: RFC 9457 problem details.",
    type: "object",
    required: ["type", "title", "status", "detail", "code"],
    properties: {
      type: text,
      title: text,
      status: { type: "integer", minimum: 400, maximum: 599 },
      detail: { ...text, description: "What is wrong, and what to do." },
      code: { ...text, description: "Stable name of the error." },
      id: { ...text, description: "Id of the message, if there is one already." },
    },
  },
  Accepted: {
    description: "The gateway keeps the message.",
    type: "object",
    required: ["id", "status"],
    properties: {
      id: { ...text, description: "Id of the message." },
      status: { enum: ["accepted", "duplicate"] },
      waiting: { type: "boolean", description: "Of a signal: false while no machine waits for it yet." },
    },
  },
};

export const replyHeaders: Readonly<Record<string, JsonSchema>> = {
  MessageId: { description: "Id of the message.", schema: text },
  Duplicate: { description: "`true`: a message with this id has been here already, and this is its answer.", schema: text },
  RetryAfter: { description: "Seconds until another try makes sense.", schema: whole },
  RateLimit: { description: "Requests that a caller may make in the time.", schema: whole },
  RateLimitRemaining: { description: "Requests that are left at once.", schema: whole },
  RateLimitReset: { description: "Seconds until all of them are back.", schema: whole },
  WwwAuthenticate: { description: "Credentials that are asked for.", schema: text },
};

type HeaderRefs = Readonly<Record<string, { readonly $ref: string }>>;
const header = (name: string): { readonly $ref: string } => ({ $ref: `#/components/headers/${name}` });

const ownHeaders: HeaderRefs = { "mayfly-message-id": header("MessageId"), "mayfly-duplicate": header("Duplicate") };
const limitHeaders: HeaderRefs = {
  "ratelimit-limit": header("RateLimit"),
  "ratelimit-remaining": header("RateLimitRemaining"),
  "ratelimit-reset": header("RateLimitReset"),
};
const retryAfter: HeaderRefs = { "retry-after": header("RetryAfter") };

const problemContent = { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } };
const anyContent = { "*/*": {} };

type Problem = readonly [status: number, description: string, headers?: HeaderRefs];

/** Errors by status. Those before the rate limit is looked at have no headers of it. */
function problemsOf(answering: Answering): readonly Problem[] {
  const { waits, hasBody, hasAuth, hasChallenge, mayForbid, hasDedup, hasRateLimit } = answering;
  return [
    [400, "The request or its body is malformed."],
    ...(hasAuth
      ? [
          [
            401,
            "Credentials are missing or wrong (`MF_UNAUTHORIZED`).",
            hasChallenge ? { "www-authenticate": header("WwwAuthenticate") } : {},
          ] as const,
        ]
      : []),
    ...(mayForbid ? [[403, "The caller may not call this path."] as const] : []),
    ...(hasBody
      ? ([
          [413, "The body is too long (`MF_BODY_LIMIT`)."],
          [415, "The body's `Content-Encoding` is not supported (`MF_BODY_ENCODING`)."],
        ] as const)
      : []),
    ...(hasDedup ? [[422, "Another request had this id (`MF_ID_REUSED`)."] as const] : []),
    ...(hasRateLimit ? [[429, "Too many requests (`MF_RATE_LIMIT`).", retryAfter] as const] : []),
    [431, "The request has too many headers (`MF_HEADERS_LIMIT`)."],
    [500, "The flow or the gateway failed on this request."],
    ...(waits ? [[502, "A system that the flow called failed."] as const] : []),
    [503, "The gateway has no room, is starting or is stopping: try again.", retryAfter],
    ...(waits ? [[504, "A system that the flow called did not answer in time."] as const] : []),
  ];
}

const beforeRateLimit = new Set([401, 403, 431]);

export function responsesOf(answering: Answering): Readonly<Record<string, JsonSchema>> {
  const limits = answering.hasRateLimit ? limitHeaders : {};
  const headers = { ...ownHeaders, ...limits };
  const responses: Record<string, JsonSchema> = {};
  if (!answering.waits) {
    const content = { "application/json": { schema: { $ref: "#/components/schemas/Accepted" } } };
    const description = answering.isSignal ? "The journal has the signal." : "The journal has the message; the flow runs later.";
    responses["202"] = { description, headers, content };
  } else {
    responses["200"] = { description: "The flow's reply.", headers, content: anyContent };
    responses["204"] = { description: "The flow is done, and has no reply.", headers };
  }
  for (const [status, description, own = {}] of problemsOf(answering)) {
    const all = { ...own, ...(beforeRateLimit.has(status) ? {} : limits) };
    responses[String(status)] = { description, ...(Object.keys(all).length === 0 ? {} : { headers: all }), content: problemContent };
  }
  if (answering.waits)
    responses["default"] = {
      description: "A reply with a status that the flow chose.",
      headers,
      content: { ...problemContent, ...anyContent },
    };
  return responses;
}
