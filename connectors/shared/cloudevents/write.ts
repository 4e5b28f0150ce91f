/**
 * Any outlet's messages as CloudEvents 1.0. Attributes the flow set as `ce-…` headers win; the rest comes from the configuration and
 * the message: `id` is the idempotency key, so that a second attempt is the same event.
 */
import { isUtf8 } from "node:buffer";
import { type Headers, type HeadersDraft, headerText } from "#abi";
import type { JsonSchema, Outgoing } from "#gateway/contract";
import { isJson } from "./read.ts";

export interface CloudEventsConfig {
  readonly mode: "binary" | "structured";
  readonly source?: string;
  readonly type?: string;
}

/** The `cloudevents:` option of an outlet. */
export const cloudEventsSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  description: "Send each message as a CloudEvent 1.0.",
  required: ["mode"],
  properties: {
    mode: {
      enum: ["binary", "structured"],
      description: "binary: attributes in headers. structured: one JSON object that contains everything.",
    },
    source: { type: "string", minLength: 1, description: "`source` attribute. Default: `/mayfly/<flow>`." },
    type: { type: "string", minLength: 1, description: "`type` attribute. Default: `mayfly.<flow>.<outlet>`." },
  },
};

/** The same where there are no headers to put attributes into. */
export const structuredCloudEventsSchema: JsonSchema = {
  ...cloudEventsSchema,
  properties: {
    ...(cloudEventsSchema["properties"] as object),
    mode: { const: "structured", description: "One JSON object that contains everything." },
  },
};

/** The `cloudevents:` option of a source. */
export const acceptCloudEventsSchema: JsonSchema = {
  type: "boolean",
  default: false,
  description: "Unwrap CloudEvents, binary and structured: attributes become ce-… headers, the event's data becomes the body.",
};

export interface EmittedCloudEvent {
  readonly headers: Headers;
  readonly contentType: string;
  readonly body: Uint8Array;
}

/** `prefix` is the protocol's for binary mode: HTTP and NATS `ce-`, AMQP `cloudEvents:`, MQTT none. */
export function emitCloudEvent(message: Outgoing, id: string, config: CloudEventsConfig, prefix = "ce-"): EmittedCloudEvent {
  const { attributes, headers } = split(message, id, config);
  if (config.mode === "binary") {
    for (const [name, value] of attributes) headers[`${prefix}${name}`] = prefix === "ce-" ? encodePercent(value) : value;
    return { headers, contentType: message.contentType, body: message.body };
  }
  const event: Record<string, unknown> = Object.fromEntries(attributes);
  if (message.contentType !== "") event["datacontenttype"] = message.contentType;
  const body = structuredBody(event, message);
  return { headers, contentType: "application/cloudevents+json; charset=utf-8", body };
}

/** JSON data is put in as the bytes it is: parsing and printing it would change numbers and spacing. Data that is not JSON in UTF-8 goes as base64. */
function structuredBody(event: Record<string, unknown>, { contentType, body }: Outgoing): Uint8Array {
  if (body.length === 0) return Buffer.from(JSON.stringify(event));
  const text = isJson(contentType) && isUtf8(body) ? Buffer.from(body).toString("utf8") : "";
  if (isJsonText(text)) return Buffer.from(`${JSON.stringify(event).slice(0, -1)},"data":${text}}`);
  return Buffer.from(JSON.stringify({ ...event, data_base64: Buffer.from(body).toString("base64") }));
}

function isJsonText(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function split(message: Outgoing, id: string, config: CloudEventsConfig): { attributes: Map<string, string>; headers: HeadersDraft } {
  const attributes = new Map([
    ["specversion", "1.0"],
    ["id", id],
    ["source", config.source ?? `/mayfly/${encodeURIComponent(message.flow)}`],
    ["type", config.type ?? `mayfly.${message.flow}.${message.outlet}`],
    ["time", new Date(message.timeMs).toISOString()],
  ]);
  if (message.key !== undefined) attributes.set("partitionkey", message.key);
  const headers: HeadersDraft = {};
  for (const [name, value] of Object.entries(message.headers)) {
    const attribute = /^ce-([a-z0-9]+)$/.exec(name)?.[1];
    if (attribute === undefined) headers[name] = value;
    else if (attribute !== "specversion" && value !== "") attributes.set(attribute, headerText(value));
  }
  return { attributes, headers };
}

/** HTTP binding 3.1.3.2: everything but printable ASCII, and space, quote and percent themselves. */
function encodePercent(value: string): string {
  return value.replace(/[^\x21\x23\x24\x26-\x7e]+/g, (part) => encodeURIComponent(part));
}
