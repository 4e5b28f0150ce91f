/** The small helpers `json`, `text` and `timingSafeEqual` of "mayfly". */
import { FlowError, isEngineFailure } from "./errors.ts";
import { native } from "./machine.ts";
import { decodeText, encodeText, knownCharsets, type Malformed, type TextOptions, type Unmappable } from "./charset.ts";

export const json = {
  /** Throws MF_JSON_INVALID. */
  parse<T = unknown>(input: string | Uint8Array): T {
    try {
      return JSON.parse(typeof input === "string" ? input : decodeText(input, "utf-8")!) as T;
    } catch (error) {
      throw new FlowError("MF_JSON_INVALID", `the text is not valid JSON: ${(error as Error).message}`, false, 0, error);
    }
  },
  stringify(value: unknown, options?: { readonly indent?: number }): string {
    const written = JSON.stringify(value, undefined, options?.indent);
    if (written === undefined) throw new FlowError("MF_BODY_UNSERIALISABLE", "the value can't be written as JSON", false);
    return written;
  },
};

function decoding(bytes: Uint8Array, charset: string, malformed: Malformed | undefined): string | undefined {
  try {
    return decodeText(bytes, charset, malformed);
  } catch (error) {
    if (isEngineFailure(error)) throw error;
    throw new FlowError("MF_TEXT_INVALID", error instanceof Error ? error.message : String(error), false, 0, error);
  }
}

/** The bytes of a text in a charset. Throws MF_CHARSET_UNKNOWN, and MF_TEXT_UNMAPPABLE for a character that it lacks. */
export function bytesIn(value: string, charset: string, unmappable?: Unmappable): Uint8Array {
  let bytes: Uint8Array | undefined;
  try {
    bytes = encodeText(value, charset, unmappable);
  } catch (error) {
    if (isEngineFailure(error)) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new FlowError(
      "MF_TEXT_UNMAPPABLE",
      `${why}: use another charset, or text.stringify(…, { unmappable: "replace" })`,
      false,
      0,
      error,
    );
  }
  if (bytes === undefined) throw new FlowError("MF_CHARSET_UNKNOWN", `the charset ${charset} is not supported: ${knownCharsets}`, false);
  return bytes;
}

export const text = {
  parse(bytes: Uint8Array, charset = "utf-8", options?: TextOptions): string {
    const decoded = decoding(bytes, charset, options?.malformed);
    if (decoded === undefined)
      throw new FlowError("MF_CHARSET_UNKNOWN", `the charset ${charset} is not supported: ${knownCharsets}`, false);
    return decoded;
  },
  stringify(value: string, charset = "utf-8", options?: { readonly unmappable?: Unmappable | undefined }): Uint8Array {
    return bytesIn(String(value), charset, options?.unmappable);
  },
};

export function timingSafeEqual(a: string | Uint8Array, b: string | Uint8Array): boolean {
  return native.equal(typeof a === "string" ? native.encodeUtf8(a) : a, typeof b === "string" ? native.encodeUtf8(b) : b);
}
