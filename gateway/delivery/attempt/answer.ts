/** Answers to a machine's calls in the form the machine gets them, with their limits. */
import { type CallEffect, hardLimits, type Headers, type ResolveEvent } from "#abi";
import { isCoded } from "#base";
import { isUnreached } from "../../contract/http/unreached.ts";
import { isHeaderValue } from "../../contract/http/headers.ts";
import { gatewayLimits } from "../../contract/limits.ts";
import type { Answer } from "../../contract/message.ts";
import { OutletError } from "../../contract/outlet.ts";
import { type Blame, unknownOutlet } from "./effects.ts";
import { type HostPattern } from "../../contract/hosts.ts";
import { checkFetch } from "./fetch-rules.ts";
import { parseHeaders, sentHeaders } from "./headers.ts";

/** `blame` stays in the gateway. */
export type CallAnswer = Omit<ResolveEvent, "kind" | "timeMs" | "call"> & { readonly blame?: Blame };

export const noBody: Uint8Array = new Uint8Array(0);

export const flowsFault: Blame = { origin: "flow", status: 0 };
export const peersFault: Blame = { origin: "peer", status: 0 };
export const gatewaysFault: Blame = { origin: "gateway", status: 0 };

export function failedCall(code: string, message: string, blame: Blame): CallAnswer {
  return { error: { code: code.slice(0, 64), message: message.slice(0, 4096) }, status: 0, headersJson: "{}", body: noBody, blame };
}

/** The answer for an error. `otherwise`: the blame where the error names nobody. */
export function failedWith(error: unknown, otherwise: Blame): CallAnswer {
  const blame =
    error instanceof OutletError
      ? { origin: error.origin, status: error.callerStatus, unreached: error.unreached }
      : { ...otherwise, unreached: isUnreached(error) };
  if (isCoded(error)) return failedCall(error.code, error.message, blame);
  const code = (error as { code?: unknown } | undefined)?.code;
  const text = error instanceof Error ? error.message : String(error);
  return failedCall("MF_FETCH_FAILED", typeof code === "string" ? `${code}: ${text}` : text, blame);
}

/** MF_ANSWER_LIMIT for one that is longer than a machine takes. */
export function answered(answer: Answer): CallAnswer {
  const { answerBytes } = gatewayLimits;
  if (answer.body.length > answerBytes)
    return failedCall("MF_ANSWER_LIMIT", `the answer has ${answer.body.length} bytes, more than ${answerBytes}: request less`, peersFault);
  const headers = answer.contentType === "" ? answer.headers : { ...answer.headers, "content-type": answer.contentType };
  const headersJson = JSON.stringify(headers);
  if (headersJson.length * 3 > hardLimits.headersBytes && Buffer.byteLength(headersJson) > hardLimits.headersBytes)
    return failedCall("MF_ANSWER_LIMIT", `the answer's headers have more than ${hardLimits.headersBytes} bytes`, peersFault);
  return { error: undefined, status: answer.status, headersJson, body: answer.body };
}

export function fetchTimedOut(target: string, timeoutMs: number): CallAnswer {
  return failedCall("MF_FETCH_TIMEOUT", `no answer within ${timeoutMs} ms from ${target.slice(0, 200)}`, { origin: "peer", status: 504 });
}

/** The flow's part of the rules for calls. Undefined: every outlet and every host is allowed. */
export interface CallRules {
  readonly name: string;
  readonly outlets: readonly string[] | undefined;
  readonly hosts: readonly HostPattern[] | undefined;
}

/** Headers of a call that may be made, or the answer to one that may not. */
export type CheckedCall = { readonly headers: Headers } | { readonly refused: CallAnswer };

/** `own`: headers of the message the call is made for. */
export function checkedRequest(call: CallEffect, { name, outlets }: Pick<CallRules, "name" | "outlets">, own: Headers): CheckedCall {
  if (outlets?.includes(call.target) === false)
    return { refused: failedCall("MF_OUTLET_UNKNOWN", unknownOutlet(name, call.target, outlets), flowsFault) };
  const sent = sentHeaders(call.headersJson, call.body, own);
  return "code" in sent ? { refused: failedCall(sent.code, `request to ${call.target}: ${sent.problem}`, flowsFault) } : sent;
}

export function checkedFetch(call: CallEffect, { name, hosts }: Pick<CallRules, "name" | "hosts">): CheckedCall {
  const headers = parseHeaders(call.headersJson, isHeaderValue);
  if (typeof headers === "string") return { refused: failedCall("MF_HEADER_INVALID", `fetch: ${headers}`, flowsFault) };
  try {
    checkFetch({ url: call.target, method: call.method, flow: name }, hosts);
  } catch (error) {
    return { refused: failedWith(error, flowsFault) };
  }
  return { headers };
}

/** The answer to a call that may not be made; undefined for one that may, and for a read of the state or the body. */
export function refusedCall(call: CallEffect, rules: CallRules, own: Headers): CallAnswer | undefined {
  if (call.operation === "state" || call.operation === "window") return undefined;
  const checked = call.operation === "fetch" ? checkedFetch(call, rules) : checkedRequest(call, rules, own);
  return "refused" in checked ? checked.refused : undefined;
}
