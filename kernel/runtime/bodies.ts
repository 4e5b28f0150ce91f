/**
 * Classes of the web that a body can be made of, or read as. The parts that bring them (web/url.ts, web/blob.ts, web/form-data.ts) register
 * here how.
 */
import { notLinked } from "./formats.ts";

/** A value as a body. */
export interface BodyValue {
  readonly bytes: Uint8Array;
  /** Its content type; "" for none. */
  readonly type: string;
}

/** Reads values of its class; undefined for any other. */
export type BodyWriter = (value: object) => BodyValue | undefined;

/** A body as a form, by its content type. `malformed` says what becomes of names and texts that are no UTF-8. Throws TypeError. */
export type FormReader = (bytes: Uint8Array, contentType: string, malformed: "refuse" | "replace") => object;

/** A body as a blob, which keeps the bytes. */
export type BlobReader = (bytes: Uint8Array, contentType: string) => object;

const writers: BodyWriter[] = [];
let formReader: FormReader | undefined;
let blobReader: BlobReader | undefined;

export function onBody(writer: BodyWriter): void {
  writers.push(writer);
}

export function bodyValue(value: object): BodyValue | undefined {
  for (const write of writers) {
    const written = write(value);
    if (written !== undefined) return written;
  }
  return undefined;
}

export function onForm(reader: FormReader): void {
  formReader = reader;
}

export function readForm(bytes: Uint8Array, contentType: string, malformed: "refuse" | "replace"): object {
  if (formReader === undefined) throw notLinked("FormData", "form");
  return formReader(bytes, contentType, malformed);
}

/** A file of a form, with the name of its field. */
export type FormFile = File & { readonly field: string };

/** A form that also shows its fields and its files. */
export type Form = FormData & {
  /** Texts by name; of a name that repeats, all of them. */
  readonly fields: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly files: readonly FormFile[];
};

/** Adds `fields` and `files` to a form that was read. */
export function withParts(form: FormData): Form {
  const fields: Record<string, string | string[]> = Object.create(null); // any name is a field's
  const files: File[] = [];
  for (const [name, value] of form) {
    if (typeof value !== "string") {
      files.push(Object.defineProperty(value, "field", { value: name, enumerable: true }));
      continue;
    }
    const before = fields[name];
    if (typeof before === "object") before.push(value);
    else fields[name] = before === undefined ? value : [before, value];
  }
  return Object.defineProperties(form, { fields: { value: fields, enumerable: true }, files: { value: files, enumerable: true } }) as Form;
}

export function onBlob(reader: BlobReader): void {
  blobReader = reader;
}

export function readBlob(bytes: Uint8Array, contentType: string): object {
  if (blobReader === undefined) throw notLinked("Blob", "blob");
  return blobReader(bytes, contentType);
}
