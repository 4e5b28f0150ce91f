/** A message of AMQP 1.0 (part 3.2): its sections from bytes, in our terms. */
import { BadEncoding, Described, Reader } from "./values.ts";

export interface Amqp1Message {
  /** Deliveries before this one that failed, as the broker counts them. */
  readonly deliveryCount: number;
  /** By their names in the specification: message-id, user-id, … */
  readonly properties: ReadonlyMap<string, unknown>;
  readonly annotations: ReadonlyMap<string, unknown>;
  readonly application: ReadonlyMap<string, unknown>;
  readonly body: Uint8Array;
  /** Of a body that is a value and not bytes: text, or JSON. */
  readonly bodyType: string | undefined;
}

/** In the order of the list `properties`. */
const propertyNames = [
  "message-id",
  "user-id",
  "to",
  "subject",
  "reply-to",
  "correlation-id",
  "content-type",
  "content-encoding",
  "absolute-expiry-time",
  "creation-time",
  "group-id",
  "group-sequence",
  "reply-to-group-id",
] as const;

type Section =
  | "header"
  | "delivery-annotations"
  | "message-annotations"
  | "properties"
  | "application-properties"
  | "data"
  | "amqp-sequence"
  | "amqp-value"
  | "footer";

const sections: ReadonlyMap<unknown, Section> = new Map<unknown, Section>([
  [0x70, "header"],
  ["amqp:header:list", "header"],
  [0x71, "delivery-annotations"],
  ["amqp:delivery-annotations:map", "delivery-annotations"],
  [0x72, "message-annotations"],
  ["amqp:message-annotations:map", "message-annotations"],
  [0x73, "properties"],
  ["amqp:properties:list", "properties"],
  [0x74, "application-properties"],
  ["amqp:application-properties:map", "application-properties"],
  [0x75, "data"],
  ["amqp:data:binary", "data"],
  [0x76, "amqp-sequence"],
  ["amqp:amqp-sequence:list", "amqp-sequence"],
  [0x77, "amqp-value"],
  ["amqp:amqp-value:*", "amqp-value"],
  [0x78, "footer"],
  ["amqp:footer:map", "footer"],
]);

/** Throws BadEncoding. */
export function decodeMessage(bytes: Uint8Array): Amqp1Message {
  const reader = new Reader(bytes);
  const message = { deliveryCount: 0, properties: new Map(), annotations: new Map(), application: new Map() };
  const data: Uint8Array[] = [];
  const sequence: unknown[] = [];
  let value: { readonly value: unknown } | undefined;
  while (reader.left > 0) {
    const read = reader.value();
    const section = read instanceof Described ? sections.get(read.descriptor) : undefined;
    if (!(read instanceof Described) || section === undefined) throw new BadEncoding("there is something else where a section should be");
    const { value: content } = read;
    if (section === "header") message.deliveryCount = Number(listOf(content)[4] ?? 0);
    else if (section === "message-annotations") message.annotations = mapOf(content);
    else if (section === "application-properties") message.application = mapOf(content);
    else if (section === "properties")
      message.properties = new Map(propertyNames.map((name, at): [string, unknown] => [name, listOf(content)[at] ?? undefined]));
    else if (section === "data") data.push(bytesOf(content));
    else if (section === "amqp-sequence") for (const each of listOf(content)) sequence.push(each);
    else if (section === "amqp-value") value = { value: content };
  }
  return { ...message, ...bodyOf(data, sequence, value) };
}

function bodyOf(
  data: readonly Uint8Array[],
  sequence: readonly unknown[],
  value: { readonly value: unknown } | undefined,
): Pick<Amqp1Message, "body" | "bodyType"> {
  const [only] = data;
  if (only !== undefined) return { body: data.length === 1 ? only : Buffer.concat(data), bodyType: undefined };
  const content = value === undefined ? sequence : value.value;
  if (value === undefined && sequence.length === 0) return { body: new Uint8Array(), bodyType: undefined };
  if (content === null) return { body: new Uint8Array(), bodyType: undefined };
  if (content instanceof Uint8Array) return { body: content, bodyType: undefined };
  if (typeof content === "string") return { body: Buffer.from(content), bodyType: "text/plain; charset=utf-8" };
  return { body: Buffer.from(JSON.stringify(plain(content))), bodyType: "application/json" };
}

/** As JSON has it: bytes in base64, dates as ISO 8601, integers that a number does not hold as text, a map's keys as text. */
export function plain(value: unknown): unknown {
  if (value instanceof Described) return plain(value.value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, each]) => [textOf(name) ?? "", plain(each)]));
  return typeof value === "bigint" ? String(value) : value;
}

/** Text of a simple value; undefined for none. */
export function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("utf8");
  const simple = plain(value);
  return typeof simple === "string" ? simple : JSON.stringify(simple);
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new BadEncoding("a section is no list");
  return value;
}

function mapOf(value: unknown): Map<string, unknown> {
  if (!(value instanceof Map)) throw new BadEncoding("a section is no map");
  return new Map([...value].map(([name, each]) => [textOf(name) ?? "", each]));
}

function bytesOf(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new BadEncoding("a data section has no bytes");
  return value;
}
