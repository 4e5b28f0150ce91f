/** The small helpers `json`, `text` and `timingSafeEqual` of "mayfly". */
import { FlowError, isEngineFailure } from "./errors.ts";
import { native } from "./machine.ts";
import { decodeText, knownCharsets, type Malformed } from "./charset.ts";
import type { TextOptions } from "./content.ts";

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

export const text = {
  parse(bytes: Uint8Array, charset = "utf-8", options?: TextOptions): string {
    const decoded = decoding(bytes, charset, options?.malformed);
    if (decoded === undefined)
      throw new FlowError("MF_CHARSET_UNKNOWN", `the charset ${charset} is not supported: ${knownCharsets}`, false);
    return decoded;
  },
  stringify(value: string): Uint8Array {
    return native.encodeUtf8(value);
  },
};

export function timingSafeEqual(a: string | Uint8Array, b: string | Uint8Array): boolean {
  return native.equal(typeof a === "string" ? native.encodeUtf8(a) : a, typeof b === "string" ? native.encodeUtf8(b) : b);
}
