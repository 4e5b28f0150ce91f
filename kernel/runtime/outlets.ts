/** `to`: the flow's outlets. */
import { hardLimits } from "../../abi/limits.ts";
import type { Outlet as PublicOutlet, RequestOptions, SendOptions } from "./api.d.ts";
import { type Answer, call } from "./calls.ts";
import { headersJson, headersType, inCharset, serialise, serialisedType } from "./content.ts";
import { requireEffect } from "./effects.ts";
import { checkLength, FlowError } from "./errors.ts";
import { mostSends, native } from "./machine.ts";
import { message } from "./message.ts";
import { milliseconds, timeOf } from "./timers.ts";
import { requestOperation, sendEffect } from "./wire.ts";

let sends = 0;

/** Each transaction may send as much as the first. */
export function resetSends(): void {
  sends = 0;
}
const noOptions: SendOptions & RequestOptions = Object.freeze({});

export class Outlet implements PublicOutlet {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  /** Sends a message: it leaves when the flow has completed, and not at all when it fails. */
  send(body: unknown, options: SendOptions = noOptions): void {
    if (sends >= mostSends)
      throw new FlowError(
        "MF_EFFECT_LIMIT",
        `the flow sent more than ${mostSends} messages: split the message before it arrives, or raise limits.sends`,
        false,
      );
    const storedBody = body === message ? message.storedBody : undefined;
    let data = storedBody === undefined ? serialise(body, "MF_BODY_UNSERIALISABLE") : "";
    const key = options.key;
    const ownType = storedBody === undefined ? serialisedType : storedBodyType();
    let type = ownType;
    let headers = "{}";
    if (options.headers !== undefined) {
      headers = headersJson(options.headers);
      if (headersType !== undefined) type = headersType;
    }
    if (storedBody !== undefined) headers = withHeader(headers, "mayfly-claim", storedBody);
    if (options.contentType !== undefined) type = options.contentType;
    if (key !== undefined) checkLength(String(key), hardLimits.keyBytes, "the key of a message");
    checkLength(type, hardLimits.nameBytes, "the content type of a message");
    checkLength(headers, hardLimits.headersBytes, "the headers of a message");
    if (type !== ownType) data = inCharset(data, type);
    const dueMs = options.after === undefined && options.at === undefined ? undefined : dueOf(options);
    requireEffect();
    if (dueMs === undefined) native.emit(sendEffect, this.name, key === undefined ? undefined : String(key), type, headers, data);
    else native.emit(sendEffect, this.name, key === undefined ? undefined : String(key), type, headers, data, dueMs);
    sends++;
  }

  /** Asks the outlet, and waits for its answer. */
  request(body?: unknown, options: RequestOptions = noOptions): Promise<Answer> {
    try {
      const empty = body === undefined;
      const storedBody = body === message ? message.storedBody : undefined;
      let data = empty || storedBody !== undefined ? "" : serialise(body, "MF_BODY_UNSERIALISABLE");
      const ownType = empty ? "" : storedBody === undefined ? serialisedType : storedBodyType();
      let type = ownType;
      let headers = "{}";
      if (options.headers !== undefined || options.path !== undefined) {
        headers = requestHeaders(options);
        if (headersType !== undefined) type = headersType;
      }
      if (storedBody !== undefined) headers = withHeader(headers, "mayfly-claim", storedBody);
      if (options.contentType !== undefined) type = options.contentType;
      if (type !== ownType) data = inCharset(data, type);
      const timeout = options.timeout === undefined ? 0 : milliseconds(options.timeout, "timeout");
      return call(requestOperation, this.name, options.method ?? "", type, headers, timeout, data);
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

/** The time before which a send must not leave. */
function dueOf({ after, at }: SendOptions): number {
  if (after === undefined) return timeOf(at!, "at");
  if (at !== undefined) throw new FlowError("MF_ARGUMENT", "send: give `after` or `at`, not both", false);
  return Date.now() + milliseconds(after, "after", hardLimits.sleepMs);
}

function storedBodyType(): string {
  return message.contentType === "" ? "application/octet-stream" : message.contentType;
}

/** A path travels as the pseudo header `:path`, as HTTP/2 has it. */
function requestHeaders(options: RequestOptions): string {
  const headers = headersJson(options.headers);
  return options.path === undefined ? headers : withHeader(headers, ":path", String(options.path));
}

/** The JSON object `headers` with one more member. */
function withHeader(headers: string, name: string, value: string): string {
  const member = JSON.stringify({ [name]: value });
  return headers === "{}" ? member : `${member.slice(0, -1)},${headers.slice(1)}`;
}

export type Outlets = Record<string, Outlet>;

/** Names that are looked up on any object by the language and by libraries; never taken for an outlet that was forgotten. */
const foreignNames = new Set(["then", "toJSON", "constructor", "toString", "valueOf", "inspect", "$$typeof", "nodeType"]);

/**
 * The outlets as an object. A declared one is a plain property; every other name is asked of the prototype, a proxy that says what is
 * declared. A flow that declares nothing may use any name: the gateway knows which there are.
 */
export function makeOutlets(declared: readonly string[] | undefined): Outlets {
  const unknown = new Proxy(Object.create(null), {
    get(_target, name, receiver): Outlet | undefined {
      if (typeof name === "symbol" || foreignNames.has(name)) return undefined;
      if (declared !== undefined) {
        throw new FlowError(
          "MF_OUTLET_UNKNOWN",
          `unknown outlet ${JSON.stringify(name)}: the flow declares ${declared.length === 0 ? "none" : declared.join(", ")}`,
          false,
        );
      }
      const outlet = new Outlet(checkLength(name, hardLimits.nameBytes, "the name of an outlet"));
      Object.defineProperty(receiver, name, { value: outlet, enumerable: true });
      return outlet;
    },
    set(): boolean {
      return false;
    },
  });
  const outlets = Object.create(unknown);
  for (const name of declared ?? []) {
    Object.defineProperty(outlets, checkLength(name, hardLimits.nameBytes, "the name of an outlet"), {
      value: new Outlet(name),
      enumerable: true,
    });
  }
  return outlets;
}
