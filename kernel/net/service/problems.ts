/** Errors as callers get them: RFC 9457 problem details, with the gateway's codes and sentences (gateway/contract/http/problem.ts). */
import { Bytes, clear, drop, put, putJson, putNumber, putText } from "../bytes";
import { beginAnswer, Connection, endAnswer, putLength, putLine, putLineOf, reasonOf } from "../http/mod";

/** The sentence of the next problem, and header lines of its answer: filled by whoever makes one, empty afterwards. */
// @ts-ignore: decorator
@lazy export const detail: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy export const extra: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy const code: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy const body: Bytes = changetype<Bytes>(memory.data(16, 8));

function titleOf(status: u32): string {
  const reason = reasonOf(status);
  return reason === "unknown" ? "Error" : reason;
}

/** Answers with the sentence in `detail`, and a code and an id in memory. */
export function sendProblemOf(c: Connection, status: u32, codeAt: usize, codeLength: u32, idAt: usize, idLength: u32): void {
  clear(body);
  putText(body, "{\"type\":\"about:blank\",\"title\":\"");
  putText(body, titleOf(status));
  putText(body, "\",\"status\":");
  putNumber(body, status);
  putText(body, ",\"detail\":");
  putJson(body, detail.at, detail.length);
  putText(body, ",\"code\":");
  putJson(body, codeAt, codeLength);
  if (idLength > 0) {
    putText(body, ",\"id\":");
    putJson(body, idAt, idLength);
  }
  putText(body, "}");
  const out = beginAnswer(c, status);
  put(out, extra.at, extra.length);
  drop(detail);
  drop(extra);
  if (body.broken) drop(body); // without memory for it an empty one says as much by its status
  putLine(out, "content-type", "application/problem+json");
  putLength(out, body.length);
  if (idLength > 0) putLineOf(out, "mayfly-message-id", idAt, idLength);
  endAnswer(c, body.at, body.length, body.at);
}

/** The same for a code of ours, without an id. */
export function sendProblem(c: Connection, status: u32, name: string): void {
  clear(code);
  putText(code, name);
  sendProblemOf(c, status, code.at, code.length, 0, 0);
  drop(code);
}

/** A problem whose sentence needs nothing filled in. */
export function refuseWith(c: Connection, status: u32, name: string, sentence: string): void {
  putText(detail, sentence);
  sendProblem(c, status, name);
}

/** 503 with a Retry-After of a second: nothing was kept, and nothing was run. */
export function refuseForNow(c: Connection, name: string, sentence: string): void {
  putLine(extra, "retry-after", "1");
  refuseWith(c, 503, name, sentence);
}
