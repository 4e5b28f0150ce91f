/**
 * A message between the gateway's terms and a broker's. Every broker carries the same names, so that what one connector sends
 * another one (over a bridge, a dead-letter queue, an export) understands:
 *
 *   content-type, mayfly-correlation-id, mayfly-key, mayfly-id     where the broker has no field of its own for it
 *   mayfly-status, mayfly-error                                    on replies
 */
import { createHash } from "node:crypto";
import { appendHeader, type Headers, type HeadersDraft, headerText } from "#abi";
import { CodedError } from "#base";
import {
  type Answer,
  type Attempt,
  type ConnectorContext,
  gatewayLimits,
  type Incoming,
  type Keeper,
  type Outgoing,
  OutletError,
  type Reply,
  told,
} from "#gateway/contract";
import { emitCloudEvent, type CloudEventsConfig } from "./cloudevents/write.ts";
import { parseCloudEvent } from "./cloudevents/read.ts";
import { messageOf } from "./explain.ts";
import type { Settled } from "./intake.ts";
import { brokerLimits, quoteLimits } from "./limits.ts";

export const header = {
  contentType: "content-type",
  correlation: "mayfly-correlation-id",
  key: "mayfly-key",
  id: "mayfly-id",
  status: "mayfly-status",
  error: "mayfly-error",
} as const;

const own: ReadonlySet<string> = new Set([header.contentType, header.correlation, header.key, header.id, header.status, header.error]);
/** Headers that say who a caller is. Sources that have looked at credentials set them, and nobody else who can publish a message. */
const identity: ReadonlySet<string> = new Set(["mayfly-caller", "mayfly-claims"]);
const unprintable = /[^\t\x20-\x7e\u00a0-\u{10ffff}]/gu;

/** A header's value as text; undefined for null. */
function valueText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return undefined;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("utf8");
  return typeof value === "object" ? JSON.stringify(value) : String(value as number | boolean | bigint);
}

/** Text a header may hold: one line, bounded. */
function headerLine(text: string): string {
  return text.slice(0, brokerLimits.headerCharacters).replace(unprintable, " ");
}

/** A list of texts and numbers is a header's several values; one with anything else in it is one value, as JSON. */
function valuesOf(value: unknown): readonly unknown[] {
  const isList = Array.isArray(value) && value.length > 0 && value.every((each) => typeof each !== "object" || each instanceof Uint8Array);
  return isList ? (value as readonly unknown[]) : [value];
}

/** Characters that no header's name can have, once it is in lower case. */
const foreign = /[^!#$%&'*+.^_`|~0-9a-z:-]/g;

type HeaderContext = Pick<ConnectorContext, "metrics" | "logger">;

/** Each change of headers: its code, and the connectors whose log has named it. */
const headerChanges = {
  altered: { code: "MF_HEADERS_ALTERED", logged: new WeakSet<object>() },
  dropped: { code: "MF_HEADERS_DROPPED", logged: new WeakSet<object>() },
} as const;

/** Counts a message whose headers were changed or left out, and logs the first of a connector. */
export function reportHeaders(change: keyof typeof headerChanges, context: HeaderContext, reason: string): void {
  const event = `headers_${change}`;
  const { code, logged } = headerChanges[change];
  context.metrics.count(event);
  if (logged.has(context)) return;
  logged.add(context);
  context.logger.warn({ code }, `headers of a message were ${change}: ${reason}; further messages are only counted, as ${event}`);
}

/**
 * A broker's headers as the gateway has them: lower-case names, text values, bounded in number and length, and none that says who a caller is.
 * A change beyond upper case is reported.
 */
export function headersOf(entries: Iterable<readonly [string, unknown]>, context: HeaderContext): HeadersDraft {
  const headers: HeadersDraft = {};
  let count = 0;
  let altered: string | undefined;
  let dropped: string | undefined;
  for (const [name, value] of entries) {
    const given = name.toLowerCase();
    const lower = given.replace(foreign, "-");
    for (const each of valuesOf(value)) {
      const whole = valueText(each);
      if (whole === undefined) continue;
      if (lower === "" || lower === "__proto__") dropped ??= `${JSON.stringify(lower)} is not a header name`;
      else if (identity.has(lower)) dropped ??= `${lower} is set by sources that check callers only`;
      else if (count++ >= brokerLimits.headersPerMessage) dropped ??= `it has more than ${brokerLimits.headersPerMessage}`;
      else {
        const line = headerLine(whole);
        if (line.length < whole.length) altered ??= `a value has more than ${brokerLimits.headerCharacters} characters`;
        else if (line !== whole) altered ??= "a value contains a control character";
        if (lower !== given) altered ??= "a name contains a character that no header name can have";
        appendHeader(headers, lower, line);
      }
    }
  }
  if (altered !== undefined) reportHeaders("altered", context, altered);
  if (dropped !== undefined) reportHeaders("dropped", context, dropped);
  return headers;
}

/** A message as a source read it, in the broker's own fields where it has them. */
export interface Received {
  readonly headers: HeadersDraft;
  readonly body: Uint8Array;
  readonly id?: string | undefined;
  readonly contentType?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly key?: string | undefined;
  readonly replyWanted?: boolean;
  readonly redelivered?: boolean;
  /** `source` unless the broker keeps nothing. */
  readonly keeper?: Keeper;
}

/** The message as it is handed to the gateway. `cloudevents`: unwrap CloudEvents, with the protocol's prefix of their attributes. */
export function incomingOf(received: Received, cloudevents: { readonly prefixes: readonly string[] } | undefined): Incoming {
  const { headers } = received;
  const taken = (name: string): string | undefined => {
    const value = headerText(headers[name]);
    delete headers[name];
    return value;
  };
  const ids = {
    contentType: taken(header.contentType),
    correlationId: taken(header.correlation),
    key: taken(header.key),
    id: taken(header.id),
  };
  const keeper: Keeper = received.keeper ?? "source";
  const plain = {
    id: nonEmpty(received.id) ?? nonEmpty(ids.id),
    headers,
    contentType: nonEmpty(received.contentType) ?? ids.contentType ?? "application/octet-stream",
    // The client's buffer may be a slice of something larger or be used again; and it may be a Buffer, which a flow's code must not see.
    body: Uint8Array.from(received.body),
    correlationId: nonEmpty(received.correlationId) ?? nonEmpty(ids.correlationId),
    key: nonEmpty(received.key) ?? nonEmpty(ids.key),
    replyWanted: received.replyWanted ?? false,
    redelivered: received.redelivered ?? false,
    keeper,
  };
  if (cloudevents === undefined) return plain;
  let event: ReturnType<typeof parseCloudEvent>;
  try {
    event = parseCloudEvent(plain, cloudevents.prefixes);
  } catch (error) {
    // A broker redelivers a refused message forever. The flow can judge it better, and its dead letter shows all of it.
    return { ...plain, headers: { ...headers, [header.error]: headerLine(messageOf(error)) } };
  }
  if (event === undefined) return plain;
  return { ...plain, headers: event.headers, contentType: event.contentType, body: event.body, id: event.id, key: event.key ?? plain.key };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

/** A message for an outlet to write: fields for brokers that have them, and `headers` without any of ours. */
export interface Sendable {
  readonly headers: Headers;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly id: string;
  readonly correlationId: string | undefined;
  readonly key: string | undefined;
}

export function sendableOf(message: Outgoing, attempt: Attempt, cloudevents: CloudEventsConfig | undefined, prefix = "ce-"): Sendable {
  const event = cloudevents === undefined ? message : emitCloudEvent(message, attempt.idempotencyKey, cloudevents, prefix);
  const headers: HeadersDraft = {};
  for (const [name, value] of Object.entries(event.headers)) if (!own.has(name)) headers[name] = value;
  const { key, correlationId } = message;
  return { headers, contentType: event.contentType, body: event.body, id: attempt.idempotencyKey, correlationId, key };
}

/** All headers of a message for brokers that have headers only. `id` is left to the caller: each broker has its own place for it. */
export function flatHeaders(message: Omit<Sendable, "id" | "body">): HeadersDraft {
  const flat: HeadersDraft = { ...message.headers, [header.contentType]: message.contentType };
  if (message.correlationId !== undefined) flat[header.correlation] = message.correlationId;
  if (message.key !== undefined) flat[header.key] = message.key;
  return flat;
}

/** The reply to a request as headers and body; an empty one when the flow gave none. */
export function replyOf(outcome: Settled): Omit<Sendable, "id"> {
  const none = { correlationId: undefined, key: undefined };
  if (outcome.status === "dead") {
    const { status, code, message } = told(outcome.failure);
    return {
      ...none,
      headers: { [header.status]: String(status), [header.error]: headerLine(code) },
      contentType: "application/json",
      body: Buffer.from(JSON.stringify({ code, message })),
    };
  }
  const reply: Reply | undefined = outcome.status === "accepted" ? undefined : outcome.reply;
  if (reply === undefined)
    return { ...none, headers: { [header.status]: "204" }, contentType: "application/octet-stream", body: new Uint8Array() };
  return {
    ...none,
    headers: { ...reply.headers, [header.status]: String(reply.status) },
    contentType: reply.contentType,
    body: reply.body,
  };
}

/** The answer to a request. Throws when the peer says it failed or the body is longer than a flow may be given. */
export function answerOf(headers: Headers, contentType: string | undefined, body: Uint8Array): Answer {
  const status = Number(headerText(headers[header.status]) ?? "200");
  const code = headerText(headers[header.error]);
  if (code !== undefined) {
    // The peer will repeat a 4xx; anything else may be temporary.
    const retryable = !(status >= 400 && status < 500);
    throw new OutletError(
      "MF_PEER_FAILED",
      `the peer answered with ${code}: ${Buffer.from(body).toString("utf8").slice(0, quoteLimits.answer)}`,
      {
        retryable,
        status,
      },
    );
  }
  if (body.length > gatewayLimits.answerBytes) {
    throw new OutletError("MF_ANSWER_LIMIT", `the answer has ${body.length} bytes, more than ${gatewayLimits.answerBytes}`, {
      retryable: false,
    });
  }
  const rest: HeadersDraft = {};
  for (const [name, value] of Object.entries(headers)) if (!own.has(name)) rest[name] = value;
  const type = contentType ?? headerText(headers[header.contentType]) ?? "application/octet-stream";
  return {
    status: Number.isInteger(status) ? status : 200,
    contentType: type,
    headers: rest,
    body: Uint8Array.from(body),
  };
}

/** The id, or a hash of it where a broker's field is too short: the same in, the same out. */
export function shortId(id: string, most: number): string {
  return id.length <= most ? id : createHash("sha256").update(id).digest("hex").slice(0, most);
}

const placeholder = /\{([a-z]+)(?:\.([^{}]+))?\}/g;

/**
 * Fills `{key}`, `{flow}`, `{outlet}`, `{id}` and `{header.name}` into an address. `allowed` says which values keep the address one
 * address: a value with a wildcard or a separator must not change where a message goes, nor may an absent one.
 */
export function addressOf(template: string, message: Outgoing, allowed: RegExp): string {
  if (!template.includes("{")) return template;
  return template.replace(placeholder, (whole, name: string, argument: string | undefined) => {
    const value = addressPart(name, argument, message);
    if (value !== undefined && value !== "" && allowed.test(value)) return value;
    throw new OutletError(
      "MF_OUTLET_ADDRESS",
      `${whole} in ${template} has no usable value in this message: ${value === undefined ? "none" : JSON.stringify(value.slice(0, quoteLimits.text))}`,
      {
        retryable: false,
      },
    );
  });
}

function addressPart(name: string, argument: string | undefined, message: Outgoing): string | undefined {
  if (name === "header") return argument === undefined ? undefined : headerText(message.headers[argument.toLowerCase()]);
  if (name === "key") return message.key;
  if (name === "flow") return message.flow;
  if (name === "outlet") return message.outlet;
  return name === "id" ? message.messageId : undefined;
}

/** Throws MF_CONFIG_TEMPLATE for a placeholder that will never have a value. */
export function checkTemplate(template: string): void {
  for (const [whole, name, argument] of template.matchAll(placeholder)) {
    const known =
      name === "header" ? argument !== undefined : ["key", "flow", "outlet", "id"].includes(name ?? "") && argument === undefined;
    if (!known) throw new CodedError("MF_CONFIG_TEMPLATE", `${whole} is not one of {key}, {flow}, {outlet}, {id}, {header.name}`);
  }
}
