/** Bodies that come from a machine: bounded, and read only when somebody asks. */
import { CodedError } from "#base";
import type { Headers } from "#abi";
import type { Content } from "./embed.d.ts";
import { embedLimits } from "./limits.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

function invalid(what: string, cause?: unknown): CodedError {
  return new CodedError("MF_VALUE_INVALID", what, cause === undefined ? undefined : { cause });
}

/** True for JSON text that nests deeper than callers can walk. Brackets in texts do not count. */
export function isDeep(text: string): boolean {
  if (text.length <= 2 * embedLimits.depth) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22) {
      do at = text.indexOf('"', at + 1);
      while (at >= 0 && isEscaped(text, at));
      if (at < 0) return false;
    } else if (unit === 0x5b || unit === 0x7b) {
      if (++depth > embedLimits.depth) return true;
    } else if (unit === 0x5d || unit === 0x7d) depth--;
  }
  return false;
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === 0x5c) before--;
  return (at - before) % 2 === 0;
}

/** Throws MF_VALUE_INVALID. */
export function parseJson(text: string, what: string): unknown {
  if (isDeep(text)) throw invalid(`${what} nests deeper than ${embedLimits.depth} levels: the guest should send less of it`);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw invalid(`${what} is not JSON: read its body, or correct the guest`, cause);
  }
}

/** Throws MF_VALUE_INVALID. */
export function decodeUtf8(bytes: Uint8Array, what: string): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw invalid(`${what} is not UTF-8 text: read its body`, cause);
  }
}

export class GuestContent implements Content {
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Uint8Array;

  constructor({ contentType, headers, body }: Pick<Content, "contentType" | "headers" | "body">) {
    this.contentType = contentType;
    this.headers = headers;
    this.body = new Uint8Array(body.buffer, body.byteOffset, body.byteLength); // not Node's own kind, whose methods differ
  }

  text(): string {
    return decodeUtf8(this.body, "what the guest sent");
  }

  json<T = unknown>(): T {
    return parseJson(this.text(), "what the guest sent") as T;
  }
}
