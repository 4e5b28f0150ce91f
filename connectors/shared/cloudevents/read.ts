/**
 * CloudEvents 1.0 as they come in, over any protocol. After parsing both modes look the same to a flow: attributes are `ce-…`
 * headers, the body is the event's data, the content type the data's.
 *
 *   binary      attributes in headers under the protocol's prefix (HTTP and NATS `ce-`, AMQP `cloudEvents:`, MQTT none), data in the body
 *   structured  content type application/cloudevents+json, everything in one JSON object
 *
 * The npm package `cloudevents` is not used: its receiver parses JSON data into objects, so the sender's bytes are lost (a number of 20
 * digits comes out rounded), and it leaves the percent-encoding of the HTTP binding in the attributes. Its events are in our tests.
 */
import { type Headers, type HeadersDraft, headerText, type HeaderValue } from "#abi";
import { CodedError, toUtf8 } from "#base";
import { quoteLimits } from "../limits.ts";
import { jsonMembers } from "./json-members.ts";

export interface CloudEventParts {
  readonly headers: Headers;
  readonly contentType: string;
  readonly body: Uint8Array;
}

export interface ParsedCloudEvent extends CloudEventParts {
  /** source and id together are what is unique about an event ("id", section 3.1.1): producers count from 1 as they please. */
  readonly id: string;
  /** The partitioning extension's `partitionkey`. */
  readonly key: string | undefined;
}

const structuredType = /^application\/cloudevents\+json\s*(;|$)/i;
const batchType = /^application\/cloudevents-batch\+/i;
const attributeName = /^[a-z0-9]{1,64}$/; // "lower-case letters and digits", section 3

/** Returns undefined if the message is no CloudEvent; throws MF_CLOUDEVENT if it is a malformed one. */
export function parseCloudEvent(parts: CloudEventParts, prefixes: readonly string[] = ["ce-"]): ParsedCloudEvent | undefined {
  if (batchType.test(parts.contentType)) throw broken("batches are not supported: send events one by one");
  if (structuredType.test(parts.contentType)) return parseStructured(parts.headers, parts.body);
  for (const prefix of prefixes) {
    const lower = prefix.toLowerCase();
    if (parts.headers[`${lower}specversion`] !== undefined) return parseBinary(parts, lower);
  }
  return undefined;
}

/** True in structured mode: the body holds the whole event. */
export function isStructured(contentType: string): boolean {
  return structuredType.test(contentType);
}

/** A document may begin with a byte order mark. */
const documentUtf8 = new TextDecoder("utf-8", { fatal: true });

function broken(why: string): CodedError {
  return new CodedError("MF_CLOUDEVENT", `not a CloudEvent: ${why}`);
}

function parseBinary(parts: CloudEventParts, prefix: string): ParsedCloudEvent {
  const headers: HeadersDraft = {};
  for (const [name, value] of Object.entries(parts.headers)) {
    const attribute = name.startsWith(prefix) ? name.slice(prefix.length) : "";
    // Without a prefix (MQTT) any header could be an attribute by its name; the ones that can't be stay headers.
    if (attributeName.test(attribute)) headers[`ce-${attribute}`] = checkedText(attribute, attributeHeader(attribute, value, prefix));
    else headers[name] = value;
  }
  return finished(headers, parts.contentType, parts.body);
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function attributeHeader(name: string, value: HeaderValue, prefix: string): string {
  if (typeof value !== "string") throw broken(`attribute ${name} occurs ${value.length} times`);
  return prefix === "ce-" ? decodedText(name, value) : value;
}

/** HTTP binding 3.1.3.2: quotes around the value go first, then one round of percent-decoding, whose bytes have to be UTF-8. */
function decodedText(name: string, value: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/s.exec(value)?.[1];
  const plain = quoted === undefined ? value : quoted.replace(/\\(.)/gs, "$1");
  return plain.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    try {
      return strictUtf8.decode(Buffer.from(run.replaceAll("%", ""), "hex"));
    } catch {
      throw broken(`attribute ${name} contains ${run.slice(0, quoteLimits.name)}, which is not UTF-8`);
    }
  });
}

function parseStructured(outer: Headers, body: Uint8Array): ParsedCloudEvent {
  let event: unknown;
  let text: string;
  try {
    text = documentUtf8.decode(body);
    event = JSON.parse(text);
  } catch {
    throw broken("the body is not JSON in UTF-8");
  }
  if (typeof event !== "object" || event === null || Array.isArray(event)) throw broken("the body is not a JSON object");
  const headers: HeadersDraft = {};
  for (const [name, value] of Object.entries(outer)) if (!name.startsWith("ce-")) headers[name] = value;
  const written = jsonMembers(text);
  let contentType = "application/json"; // JSON format, section 3.1: what `data` is when nothing else is said
  let data: Uint8Array = new Uint8Array();
  for (const [name, value] of Object.entries(event)) {
    if (value === null) continue; // "null … MUST be treated as absent"
    if (name === "datacontenttype") contentType = attributeText(name, value, written.get(name));
    else if (name === "data_base64") data = base64(value);
    else if (name !== "data") headers[`ce-${attribute(name)}`] = attributeText(name, value, written.get(name));
  }
  if (Object.hasOwn(event, "data")) {
    if (Object.hasOwn(event, "data_base64")) throw broken("it contains both data and data_base64");
    const value = (event as { readonly data: unknown }).data;
    // A string of a type that is not JSON is the data itself, section 3.1; all else is kept as it is written.
    data = toUtf8(typeof value === "string" && !isJson(contentType) ? value : (written.get("data") ?? ""));
  }
  return finished(headers, contentType, data);
}

export function isJson(contentType: string): boolean {
  return /^[^;]*[/+]json\s*(;|$)/i.test(contentType);
}

function attribute(name: string): string {
  if (!attributeName.test(name)) throw broken(`${JSON.stringify(name.slice(0, quoteLimits.name))} is not an attribute name`);
  return name;
}

/** `written`: as it stands in the document, for a number's digits. */
function attributeText(name: string, value: unknown, written: string | undefined): string {
  if (typeof value === "string") return checkedText(name, value);
  if (typeof value === "number") return written ?? String(value);
  if (typeof value === "boolean") return String(value);
  throw broken(`attribute ${name} is not text`);
}

/** Section 3.2: control characters are no part of a String. */
function checkedText(name: string, value: string): string {
  if (/[\u0000-\u001f\u007f-\u009f]/.test(value)) throw broken(`attribute ${name} contains a control character`);
  return value;
}

function base64(value: unknown): Uint8Array {
  // Padded, as RFC 4648 has it: a text that was cut short must not pass.
  if (typeof value !== "string" || value.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(value))
    throw broken("data_base64 is not base64");
  return Uint8Array.from(Buffer.from(value, "base64"));
}

function finished(headers: HeadersDraft, contentType: string, body: Uint8Array): ParsedCloudEvent {
  const [version, id, source] = ["ce-specversion", "ce-id", "ce-source"].map((name) => headerText(headers[name]));
  if (!(version ?? "").startsWith("1.")) throw broken(`specversion ${version ?? "is missing and"} is not 1.x`);
  for (const name of ["ce-id", "ce-source", "ce-type"]) if ((headers[name] ?? "") === "") throw broken(`${name.slice(3)} is missing`);
  return {
    headers,
    contentType,
    body,
    id: `${(source ?? "").replace(/[ %]/g, encodeURIComponent)} ${id}`,
    key: headerText(headers["ce-partitionkey"]),
  };
}
