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

export function onBlob(reader: BlobReader): void {
  blobReader = reader;
}

export function readBlob(bytes: Uint8Array, contentType: string): object {
  if (blobReader === undefined) throw notLinked("Blob", "blob");
  return blobReader(bytes, contentType);
}
