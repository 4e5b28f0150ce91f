/** Answers to a machine's calls: by the host's functions, and by nothing else. */
import type { CallEffect, Headers } from "#abi";
import { headerText } from "#abi";
import { CodedError, toUtf8 } from "#base";
import { answered, type CallAnswer, checkedRequest, failedCall, flowsFault, peersFault } from "#gateway/attempt";
import type { Perform } from "./attempt.ts";
import { GuestContent } from "./content.ts";
import type { OutletAnswer, OutletFunction, OutletRequest } from "./embed.d.ts";
import { optionError } from "./errors.ts";
import { bodyFrom, type BodyGiven, checkNames, headersFrom, typed } from "./options.ts";

export type Outlets = Readonly<Record<string, OutletFunction>>;

/** Own functions only: a guest that asks for "constructor" finds none. */
export function checkOutlets(outlets: Outlets | undefined): void {
  if (outlets === undefined) return;
  if (typeof outlets !== "object" || outlets === null) throw optionError("outlets must be an object: name → function");
  for (const [name, answer] of Object.entries(outlets))
    if (typeof answer !== "function") throw optionError(`outlets.${name.slice(0, 64)} must be a function`);
}

class Asked extends GuestContent implements OutletRequest {
  readonly outlet: string;
  readonly method: string;
  readonly path: string;
  readonly signal: AbortSignal;

  constructor({ target, method, contentType, body }: CallEffect, given: Headers, signal: AbortSignal) {
    const { ":path": path, ...headers } = given;
    super({ contentType, headers, body });
    this.outlet = target;
    this.method = method;
    this.path = headerText(path) ?? "";
    this.signal = signal;
  }
}

const answerNames = ["json", "text", "body", "status", "headers", "contentType"];

function bodyOf({ json, text, body }: OutletAnswer): BodyGiven {
  if (json !== undefined) {
    const written = JSON.stringify(json);
    if (written === undefined) throw optionError("json can't be written as JSON");
    return { body: toUtf8(written), contentType: "application/json" };
  }
  return bodyFrom(text ?? body, "the answer");
}

/** Throws MF_EMBED_OPTION for a malformed answer. */
function answerOf(given: OutletAnswer | undefined | void, outlet: string): CallAnswer {
  const answer = given ?? {};
  checkNames(answer, `the answer of ${outlet}`, answerNames);
  const { status = 200, headers, contentType } = answer;
  if (!Number.isSafeInteger(status) || status < 100 || status > 599) throw optionError(`the answer of ${outlet} has no HTTP status`);
  const body = bodyOf(answer);
  const named = typed(headersFrom(headers, `the headers of the answer of ${outlet}`), contentType ?? body.contentType);
  return answered({ status, contentType: "", headers: named, body: body.body });
}

/** An error as the guest sees it: its text only if the error allows that. */
export function shown(error: unknown, outlet: string): CallAnswer {
  const { expose, code, message } = (typeof error === "object" && error !== null ? error : {}) as Partial<Record<string, unknown>>;
  if (expose !== true || typeof message !== "string") return failedCall("MF_OUTLET_FAILED", `the outlet ${outlet} failed`, peersFault);
  return failedCall(typeof code === "string" && /^[\w.-]{1,64}$/.test(code) ? code : "MF_OUTLET_FAILED", message, peersFault);
}

export interface OutletTerms {
  readonly outlets: Outlets;
  readonly flow: string;
  /** Headers of the message. */
  readonly headers: Headers;
  readonly threw: (error: unknown) => void;
}

export function outletPerformer({ outlets, flow, headers, threw }: OutletTerms): Perform {
  return async (call, signal) => {
    const { operation, target } = call;
    if (operation === "state") return answered({ status: 200, contentType: "application/json", headers: {}, body: toUtf8("{}") });
    if (operation === "fetch")
      return failedCall("MF_HOST_NOT_DECLARED", "a guest reaches no host: give it an outlet that does what it needs", flowsFault);
    if (!Object.hasOwn(outlets, target)) {
      const text = `the host has no outlet ${JSON.stringify(target.slice(0, 64))}: pass a function under this name in outlets`;
      return failedCall("MF_OUTLET_UNKNOWN", text, flowsFault);
    }
    const checked = checkedRequest(call, { name: flow, outlets: undefined }, headers);
    if ("refused" in checked) return checked.refused;
    try {
      return answerOf(
        await timed(call, signal, (until) => (outlets[target] as OutletFunction)(new Asked(call, checked.headers, until))),
        target,
      );
    } catch (error) {
      threw(error);
      return error instanceof CodedError && error.code === "MF_OUTLET_TIMEOUT"
        ? failedCall(error.code, error.message, peersFault)
        : shown(error, target);
    }
  };
}

/** Gives the function the time that the guest's request allows, if it says one. */
async function timed<T>({ target, timeoutMs }: CallEffect, signal: AbortSignal, ask: (signal: AbortSignal) => T): Promise<Awaited<T>> {
  if (timeoutMs <= 0) return await ask(signal);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), Math.min(timeoutMs, 2 ** 31 - 1));
  const expired = new Promise<never>((_, reject) => {
    const text = `${target} did not answer within ${timeoutMs} ms: allow it more time in the request, or answer sooner`;
    late.signal.addEventListener("abort", () => reject(new CodedError("MF_OUTLET_TIMEOUT", text)), { once: true });
  });
  try {
    return await Promise.race([ask(AbortSignal.any([signal, late.signal])), expired]);
  } finally {
    clearTimeout(timer);
  }
}
