/** Errors as HTTP callers get them: RFC 9457 problem details, with a stable code and the message's id. */
import { STATUS_CODES, type ServerResponse } from "node:http";
import { toUtf8 } from "#base";

export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  /** Id of the message, when there is one already. */
  readonly id?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the body. */
  readonly more?: Readonly<Record<string, string>>;
}

export function problemBody({ status, code, detail, id, more }: Problem): Uint8Array {
  return toUtf8(
    JSON.stringify({
      type: "about:blank",
      title: STATUS_CODES[status] ?? "Error",
      status,
      detail,
      code,
      ...more,
      ...(id === undefined ? {} : { id }),
    }),
  );
}

/** Answers and ends; does nothing when the answer has begun. */
export function sendProblem(response: ServerResponse, problem: Problem): void {
  if (response.headersSent || response.destroyed) return;
  const body = problemBody(problem);
  response.writeHead(problem.status, {
    ...problem.headers,
    "content-type": "application/problem+json",
    "content-length": body.length,
    ...(problem.id === undefined ? {} : { "mayfly-message-id": problem.id }),
  });
  response.end(body);
}

/** 500 for a request whose handler threw; cuts an answer that has begun. */
export function failWith(response: ServerResponse): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  sendProblem(response, {
    status: 500,
    code: "MF_INTERNAL",
    detail: "the gateway failed on this request; its log has the reason",
    headers: { connection: "close" },
  });
}
