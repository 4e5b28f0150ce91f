/** The reply: what a flow returns, or gives to `reply`. */
import { hardLimits } from "../../abi/limits.ts";
import type { ContinueOptions, ReplyOptions } from "./api.d.ts";
import { Answer } from "./calls.ts";
import { headersJson, headersType, inCharset, isPlain, jsonType, serialise, serialisedType, toJson } from "./content.ts";
import { checkLength, FlowError } from "./errors.ts";
import { native } from "./machine.ts";
import { requireHandler } from "./effects.ts";
import { reading } from "./readers.ts";
import { continueEffect, doneEffect } from "./wire.ts";

let replied = false;
let replyStatus = 200;
let replyType = "";
let replyHeaders = "{}";
let replyBody: string | Uint8Array = "";

/** A web `Response`, as far as a reply needs it; the fetch classes say here how they are read. */
export interface ReplyReader {
  status: number;
  headers: string;
  contentType: string;
  body: string | Uint8Array;
}

let readResponse: ((value: object) => ReplyReader | undefined) | undefined;

export function onResponse(reader: (value: object) => ReplyReader | undefined): void {
  readResponse = reader;
}

const unserialisable = "MF_REPLY_UNSERIALISABLE";

function hold(status: number, contentType: string, headers: string, body: string | Uint8Array): void {
  replyStatus = status;
  replyType = contentType;
  replyHeaders = headers;
  replyBody = body;
}

function holdBody(body: unknown): void {
  if (isPlain(body)) return hold(200, jsonType, "{}", toJson(body, unserialisable));
  if (body === undefined) return hold(200, "", "{}", "");
  const response = typeof body === "object" && body !== null ? readResponse?.(body) : undefined;
  if (response !== undefined) return hold(response.status, response.contentType, response.headers, response.body);
  const data = serialise(body, unserialisable);
  hold(body instanceof Answer && body.status !== 0 ? body.status : 200, serialisedType, "{}", data);
}

export function reply(body?: unknown, options?: ReplyOptions): void {
  holdBody(body);
  if (options !== undefined) {
    const { status, headers, contentType } = options;
    if (status !== undefined) {
      if (!Number.isInteger(status) || status < 200 || status > 599)
        throw new FlowError("MF_ARGUMENT", `reply: the status ${String(status)} must be from 200 to 599`, false);
      replyStatus = status;
    }
    let type = contentType;
    if (headers !== undefined) {
      replyHeaders = checkLength(headersJson(headers), hardLimits.headersBytes, "the headers of the reply");
      type ??= headersType;
    }
    if (type !== undefined) {
      replyType = checkLength(type, hardLimits.nameBytes, "the content type of the reply");
      replyBody = inCharset(replyBody, type);
    }
  }
  replied = true;
}

interface Continued {
  readonly contentType: string;
  readonly headers: string;
  readonly body: string | Uint8Array;
}

let continued: Continued | undefined;

/** When the flow completes, this message takes the place of its own, in a fresh machine. */
export function continueAs(body?: unknown, options?: ContinueOptions): void {
  requireHandler("continueAs");
  const data = body === undefined ? "" : serialise(body, "MF_BODY_UNSERIALISABLE");
  const type = body === undefined ? "" : serialisedType;
  const headers = options?.headers === undefined ? "{}" : headersJson(options.headers);
  const named = options?.contentType ?? (options?.headers === undefined ? undefined : headersType);
  continued = {
    contentType: checkLength(named ?? type, hardLimits.nameBytes, "the content type of a message"),
    headers: checkLength(headers, hardLimits.headersBytes, "the headers of a message"),
    body: named === undefined ? data : inCharset(data, named),
  };
}

/** Emits `done`, or `continue` where the flow goes on as another message or has read a batch of its own. What the flow returned counts more than what it gave to `reply`. */
export function emitDone(returned: unknown): void {
  if (continued !== undefined) {
    native.emit(continueEffect, continued.contentType, continued.headers, continued.body);
    return;
  }
  const position = reading?.nextPosition();
  if (position !== undefined) {
    native.emit(continueEffect, "", "{}", "", position);
    return;
  }
  if (returned !== undefined) reply(returned);
  if (replied) native.emit(doneEffect, replyStatus, replyType, replyHeaders, replyBody);
  else native.emit(doneEffect, undefined, undefined, undefined, undefined);
}
