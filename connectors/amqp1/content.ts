/** A message between AMQP 1.0's sections and the gateway's terms. */
import type * as Rhea from "rhea";
import { type HeadersDraft, headerPairs, headerText } from "#abi";
import type { ConnectorContext } from "#gateway/contract";
import { header, headersOf, type Received, type Sendable } from "../shared/wire.ts";
import type { Client } from "./client.ts";
import { type Amqp1Message, decodeMessage, textOf } from "./message.ts";

/** Headers that have several values, as JSON: application properties have one each, and that is the first. */
const repeated = "mayfly-repeated";

/** Properties that are a header of their own; the others have a field in our message, or are the address. */
const propertyHeaders = [
  "user-id",
  "to",
  "subject",
  "absolute-expiry-time",
  "creation-time",
  "group-id",
  "group-sequence",
  "reply-to-group-id",
] as const;

export interface Content extends Received {
  readonly replyTo: string | undefined;
}

/** The message as the gateway has it. Of bytes that can't be read as a message: those bytes, and the reason in `mayfly-error`. */
export function contentOf(bytes: Uint8Array, context: ConnectorContext): Content {
  let message: Amqp1Message;
  try {
    message = decodeMessage(bytes);
  } catch (error) {
    context.metrics.count("undecodable");
    const headers = headersOf([[header.error, `this is no AMQP 1.0 message: ${String(error)}`]], context);
    return { headers, body: bytes, replyTo: undefined };
  }
  const { properties, application, annotations, body, bodyType, deliveryCount } = message;
  const property = (name: string): string | undefined => textOf(properties.get(name));
  const special: (readonly [string, unknown])[] = propertyHeaders.map((name) => [`amqp-${name}`, property(name)]);
  const headers = {
    ...headersOf(textsOf(application), context),
    ...headersOf(textsOf(annotations), context),
    ...headersOf([...special, ["content-encoding", property("content-encoding")], ["reply-to", property("reply-to")]], context),
  };
  restoreRepeated(headers);
  const replyTo = property("reply-to");
  return {
    headers,
    body,
    id: property("message-id"),
    contentType: property("content-type") ?? headerText(headers[header.contentType]) ?? bodyType,
    correlationId: property("correlation-id"),
    key: headerText(headers[header.key]) ?? property("group-id"),
    replyTo: replyTo === "" ? undefined : replyTo,
    replyWanted: replyTo !== undefined && replyTo !== "",
    redelivered: deliveryCount > 0,
  };
}

function textsOf(values: ReadonlyMap<string, unknown>): (readonly [string, unknown])[] {
  return [...values].map(([name, value]) => [name, Array.isArray(value) ? value.map(textOf) : textOf(value)]);
}

function restoreRepeated(headers: HeadersDraft): void {
  const text = headerText(headers[repeated]);
  delete headers[repeated];
  if (text === undefined) return;
  let lists: unknown;
  try {
    lists = JSON.parse(text);
  } catch {
    return; // cut short by a bound: the first values are there
  }
  if (typeof lists !== "object" || lists === null) return;
  for (const [name, values] of Object.entries(lists))
    if (Object.hasOwn(headers, name) && Array.isArray(values) && values.length > 1 && values.every((value) => typeof value === "string"))
      headers[name] = values;
}

const printable = /^[\x20-\x7e]*$/;

/** The message as the client library writes it. */
export function messageOf(client: Client, sendable: Omit<Sendable, "id">, more: Omit<Rhea.Message, "body">): Rhea.Message {
  const { "content-encoding": encoding, ...headers } = sendable.headers;
  const application = Object.create(null) as Record<string, string>;
  const lists: Record<string, readonly string[]> = {};
  for (const [name, value] of headerPairs(headers)) application[name] ??= value;
  for (const [name, value] of Object.entries(headers))
    if (Array.isArray(value) && value.length > 1) lists[name] = value as readonly string[];
  if (Object.keys(lists).length > 0) application[repeated] = JSON.stringify(lists);
  if (sendable.key !== undefined) application[header.key] = sendable.key;
  if (!printable.test(sendable.contentType)) application[header.contentType] = sendable.contentType;
  const contentEncoding = headerText(encoding);
  return {
    ...(sendable.correlationId === undefined ? {} : { correlation_id: sendable.correlationId }),
    ...(printable.test(sendable.contentType) ? { content_type: sendable.contentType } : {}),
    ...(contentEncoding === undefined || !printable.test(contentEncoding) ? {} : { content_encoding: contentEncoding }),
    ...more,
    application_properties: application,
    body: client.message.data_section(Buffer.from(sendable.body.buffer, sendable.body.byteOffset, sendable.body.byteLength)),
  };
}
