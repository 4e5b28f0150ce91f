/** Bodies of forms as objects for their schemas: fields as texts and numbers, files as texts of their bytes. The flow reads the body itself. */
import type { JsonSchema } from "#gateway/contract";
import { coerced, type SchemasByName, schemaOf, typesOf } from "./coerce.ts";
import { contractLimits } from "./limits.ts";
import { formText, pairsOf } from "./parameters.ts";
import type { Breach } from "./validators.ts";

export interface FormPart {
  readonly name: string;
  /** Undefined for a plain field. */
  readonly file: string | undefined;
  readonly type: string;
  readonly text: string;
}

export interface FormRules {
  readonly schema: JsonSchema;
  readonly schemas: SchemasByName;
  /** Media types of parts, by name: `image/png, image/*`. */
  readonly parts: Readonly<Record<string, string>>;
}

type FormResult = { readonly value: unknown } | { readonly breach: Breach };

function breach(pointer: string, rule: string, message: string): FormResult {
  return { breach: { pointer, rule, message } };
}

export function urlencodedForm(body: Uint8Array, rules: FormRules): FormResult {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
  return objectOf(
    pairsOf(text, contractLimits.formParts + 1).map(([name, raw]) => ({ name, file: undefined, type: "", text: formText(raw) })),
    rules,
  );
}

export function multipartForm(body: Uint8Array, contentType: string, rules: FormRules): FormResult {
  const boundary = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType);
  if (boundary === null) return breach("", "multipart", "must name its boundary in the content type");
  const parts = partsOf(Buffer.from(body.buffer, body.byteOffset, body.byteLength), boundary[1] ?? boundary[2] ?? "");
  return typeof parts === "string" ? breach("", "multipart", parts) : objectOf(parts, rules);
}

/** RFC 7578 and RFC 2046, 5.1: a sentence's end where it is malformed. */
function partsOf(body: Buffer, boundary: string): readonly FormPart[] | string {
  const mark = Buffer.from(`\r\n--${boundary}`);
  const parts: FormPart[] = [];
  const opening = mark.subarray(2);
  const first = body.subarray(0, opening.length).equals(opening) ? -2 : body.indexOf(mark);
  if (first === -1) return "must have its boundary";
  let at = first + mark.length;
  for (;;) {
    if (body.toString("latin1", at, at + 2) === "--") return parts;
    const line = body.indexOf("\r\n", at);
    const end = line < 0 ? -1 : body.indexOf(mark, line);
    if (end < 0) return "must end with its boundary";
    if (parts.length >= contractLimits.formParts) return `must not have more than ${contractLimits.formParts} parts`;
    const part = partOf(body.subarray(line, end));
    if (part === undefined) return "has a part without a name";
    parts.push(part);
    at = end + mark.length;
  }
}

/** From the line's end before the headers. */
function partOf(bytes: Buffer): FormPart | undefined {
  const blank = bytes.indexOf("\r\n\r\n");
  if (blank < 0 || blank > contractLimits.partHeadBytes) return undefined;
  const head = bytes.toString("utf8", 0, blank);
  const disposition = /\r\ncontent-disposition:\s*form-data\s*;([^\r\n]*)/i.exec(head)?.[1];
  const name = disposition === undefined ? undefined : parameterOf(disposition, "name");
  if (disposition === undefined || name === undefined) return undefined;
  const type = /\r\ncontent-type:\s*([^\r\n;]*)/i.exec(head)?.[1]?.trim().toLowerCase() ?? "";
  const file = parameterOf(disposition, "filename");
  return { name, file, type, text: bytes.toString(file === undefined ? "utf8" : "latin1", blank + 4) };
}

/** Browsers write quotes and line ends in names as %22, %0D and %0A. */
function parameterOf(disposition: string, name: string): string | undefined {
  const found = new RegExp(`(?:^|[;\\s])${name}=(?:"([^"]*)"|([^\\s;"]+))`, "i").exec(disposition);
  return found === null ? undefined : (found[1] ?? found[2] ?? "").replace(/%22/g, '"').replace(/%0D/gi, "\r").replace(/%0A/gi, "\n");
}

function objectOf(parts: readonly FormPart[], { schema, schemas, parts: types }: FormRules): FormResult {
  if (parts.length > contractLimits.formParts) return breach("", "fields", `must not have more than ${contractLimits.formParts} fields`);
  const found = new Map<string, unknown>();
  for (const part of parts) {
    const own = schemaOf(schema, { property: part.name }, schemas);
    const isList = typesOf(own, schemas).has("array");
    const allowed = Object.hasOwn(types, part.name) ? types[part.name] : undefined;
    if (allowed !== undefined && part.type !== "" && !allows(allowed, part.type))
      return breach(`/${part.name}`, "contentType", `must be ${allowed}`);
    const value = valueOf(part, isList ? schemaOf(own, "items", schemas) : own, schemas);
    if (isList) found.set(part.name, [...((found.get(part.name) as unknown[] | undefined) ?? []), value]);
    else if (found.has(part.name)) return breach(`/${part.name}`, "single", "must be there once");
    else found.set(part.name, value);
  }
  return { value: Object.fromEntries(found) };
}

function allows(allowed: string, type: string): boolean {
  return allowed.split(",").some((each) => {
    const range = each.trim();
    return range === type || range === "*/*" || (range.endsWith("/*") && type.startsWith(range.slice(0, -1)));
  });
}

function valueOf(part: FormPart, schema: JsonSchema, schemas: SchemasByName): unknown {
  if (part.file !== undefined) return part.text;
  if (part.type.endsWith("json") || typesOf(schema, schemas).has("object"))
    try {
      return JSON.parse(part.text) as unknown;
    } catch {
      return part.text; // which the schema refuses
    }
  return coerced(part.text, schema, schemas);
}
