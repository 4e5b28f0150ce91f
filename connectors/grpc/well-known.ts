/** Types of google.protobuf that have a form of their own in JSON. */
import type { Field, Type } from "protobufjs";
import { grpcLimits } from "./limits.ts";
import { JsonFault, scalarFromJson } from "./scalars.ts";

type Fields = Readonly<Record<string, unknown>>;
/** The value of a field as JSON; undefined for one that is not set. */
type ToJson = (field: Field, value: unknown) => unknown;
type FromJson = (field: Field, value: unknown, place: string) => unknown;

interface WellKnown {
  toJson(message: Fields, type: Type, inner: ToJson): unknown;
  fromJson(value: unknown, place: string, type: Type, inner: FromJson): unknown;
}

const digits = (nanos: number): string => {
  if (nanos === 0) return "";
  const all = String(nanos).padStart(9, "0");
  return `.${all.endsWith("000000") ? all.slice(0, 3) : all.endsWith("000") ? all.slice(0, 6) : all}`;
};

const within = (seconds: number, nanos: number, least: number, most: number): boolean =>
  seconds >= least && seconds <= most && Math.abs(nanos) <= 999_999_999;

const timestamp: WellKnown = {
  toJson({ seconds = 0, nanos = 0 }) {
    const [whole, part] = [Number(seconds), Number(nanos)];
    const { least, most } = grpcLimits.timestampSeconds;
    if (!within(whole, part, least, most) || part < 0) throw new Error("a Timestamp is beyond the year 9999, or before the year 1");
    return `${new Date(whole * 1000).toISOString().slice(0, 19)}${digits(part)}Z`;
  },
  fromJson(value, place) {
    const found = typeof value === "string" ? /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(value) : null;
    const milliseconds = found === null ? Number.NaN : Date.parse(`${found[1]}${found[3]}`);
    if (found === null || Number.isNaN(milliseconds)) throw new JsonFault(place, "must be a time such as 2026-01-31T12:00:00Z");
    return { seconds: String(milliseconds / 1000), nanos: Number((found[2] ?? "").padEnd(9, "0")) };
  },
};

const duration: WellKnown = {
  toJson({ seconds = 0, nanos = 0 }) {
    const [whole, part] = [Number(seconds), Number(nanos)];
    const most = grpcLimits.durationSeconds;
    if (!within(whole, part, -most, most) || whole * part < 0) throw new Error("a Duration is beyond 10000 years");
    return `${whole < 0 || part < 0 ? "-" : ""}${Math.abs(whole)}${digits(Math.abs(part))}s`;
  },
  fromJson(value, place) {
    const found = typeof value === "string" ? /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(value) : null;
    if (found === null || Number(found[2]) > grpcLimits.durationSeconds) throw new JsonFault(place, "must be a duration such as 1.5s");
    const sign = found[1] === "-" ? -1 : 1;
    return { seconds: String(sign * Number(found[2])), nanos: sign * Number((found[3] ?? "").padEnd(9, "0")) };
  },
};

const any: WellKnown = {
  toJson: ({ type_url: url = "", value = new Uint8Array() }) => ({
    "@type": url,
    value: Buffer.from(value as Uint8Array).toString("base64"),
  }),
  fromJson(value, place) {
    const { "@type": url, value: bytes } = Object(value) as Fields;
    if (typeof url !== "string") throw new JsonFault(place, "must have @type, and value in base64");
    return { type_url: url, value: scalarFromJson("bytes", bytes ?? "", `${place}.value`) };
  },
};

const fieldOf = ({ name, fields }: Type, field: string): Field => {
  const found = fields[field];
  if (found === undefined) throw new Error(`google.protobuf.${name} has no field ${field}: use the file of protobuf itself`);
  return found;
};

const wrapper: WellKnown = {
  toJson: ({ value }, type, inner) => inner(fieldOf(type, "value"), value),
  fromJson: (value, place, type, inner) => ({ value: inner(fieldOf(type, "value"), value, place) }),
};

const struct: WellKnown = {
  toJson: ({ fields }, type, inner) => inner(fieldOf(type, "fields"), fields),
  fromJson: (value, place, type, inner) => ({ fields: inner(fieldOf(type, "fields"), value, place) }),
};

const list: WellKnown = {
  toJson: ({ values }, type, inner) => inner(fieldOf(type, "values"), values),
  fromJson: (value, place, type, inner) => ({ values: inner(fieldOf(type, "values"), value, place) }),
};

function kindOf(value: unknown): string {
  if (value === null) return "nullValue";
  if (Array.isArray(value)) return "listValue";
  return typeof value === "object" ? "structValue" : typeof value === "boolean" ? "boolValue" : `${typeof value}Value`;
}

const anyValue: WellKnown = {
  toJson(message, type, inner) {
    const kind = type.fieldsArray.find(({ name }) => Object.hasOwn(message, name) && message[name] !== undefined);
    return kind === undefined ? null : inner(kind, message[kind.name]);
  },
  fromJson(value, place, type, inner) {
    const kind = kindOf(value);
    return { [kind]: inner(fieldOf(type, kind), value, place) };
  },
};

const wrappers = ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"];

const forms: ReadonlyMap<string, WellKnown> = new Map([
  ["Timestamp", timestamp],
  ["Duration", duration],
  ["Any", any],
  ["Struct", struct],
  ["ListValue", list],
  ["Value", anyValue],
  ...wrappers.map((name): [string, WellKnown] => [`${name}Value`, wrapper]),
]);

/** The form of a type; undefined for one that is an object of its fields. */
export function wellKnown({ fullName }: Type): WellKnown | undefined {
  return fullName.startsWith(".google.protobuf.") ? forms.get(fullName.slice(17)) : undefined;
}
