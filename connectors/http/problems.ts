/** Errors of HTTP callers that a source makes itself. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Outcome, type Problem, sendProblem, told } from "#gateway/contract";

export const unusablePath: Problem = {
  status: 400,
  code: "MF_PATH_INVALID",
  detail: "the path contains a control character: remove it",
};

export const addressDenied: Problem = {
  status: 403,
  code: "MF_ADDRESS_DENIED",
  detail: "this path is not open to your address: ask whoever runs the gateway to allow it",
};

export function isProblem(value: object): value is Problem {
  return "detail" in value && typeof value.detail === "string" && "status" in value;
}

export function refuse(request: IncomingMessage, response: ServerResponse, problem: Problem): void {
  request.resume();
  sendProblem(response, problem);
}

export function problemOf({ failure, id }: Outcome & { status: "dead" }, errors: "brief" | "full"): Problem {
  const { status, code, message } = told(failure, errors);
  return { status, code, detail: message, id };
}
