/** A flow's reply as HTTP: headers, compression, and the statuses that have no content. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { brotliCompress, gzip } from "node:zlib";
import { appendHeader, type HeadersDraft, type HeaderValue } from "#abi";
import type { MemoryAccount } from "#base";
import { connectionHeaders, type Reply, type ReportUnexpected } from "#gateway/contract";
import { httpLimits } from "./limits.ts";
import { sendBody } from "./reply-body.ts";

/** Headers a flow's reply can't have. */
const notReplied = new Set(["mayfly-message-id", "mayfly-duplicate", "content-type", "content-length", ...connectionHeaders]);
/** RFC 9110, 15.3.5, 15.3.6 and 15.4.5. */
const withoutContent = new Set([204, 205, 304]);
const compressible = /^(text\/|application\/(json|xml|javascript|problem\+json|.*\+(json|xml)))/;
const printable = /^[\t\x20-\x7e]*$/;

export interface AnsweredReply {
  readonly id: string;
  readonly reply: Reply | undefined;
  readonly duplicate: boolean;
  readonly compress: boolean;
  /** Where what a slow reader has not read yet counts. */
  readonly memory: MemoryAccount;
}

/** May throw for a reply HTTP can't carry, as an old journal may have recorded one; `unexpected` is told of what fails later. */
export function sendReply(request: IncomingMessage, response: ServerResponse, answer: AnsweredReply, unexpected: ReportUnexpected): void {
  const { reply } = answer;
  const headers: string[] = reply === undefined ? [] : replyHeaders(reply);
  headers.push("mayfly-message-id", answer.id);
  if (answer.duplicate) headers.push("mayfly-duplicate", "true");
  if (reply === undefined || withoutContent.has(reply.status)) {
    if (reply?.status === 205) headers.push("content-length", "0");
    putHead(response, reply?.status ?? 204, headers);
    response.end();
    return;
  }
  const { body } = reply;
  const end = (bytes: Uint8Array): void => {
    writeHead(response, reply.status, headers, bytes.length);
    sendBody(response, bytes, answer.memory);
  };
  const encoding = answer.compress && isCompressible(reply) ? chosenEncoding(request.headers["accept-encoding"]) : undefined;
  if (encoding === undefined) return end(body);
  (encoding === "br" ? brotliCompress : gzip)(body, (error, compressed) => {
    if (response.destroyed) return;
    try {
      if (error !== null) return end(body);
      headers.push("content-encoding", encoding, "vary", "accept-encoding");
      end(compressed);
    } catch (cause) {
      unexpected(cause, "a compressed reply");
      response.destroy();
    }
  });
}

/** `headers`: names and values in turn. */
export function writeHead(response: ServerResponse, status: number, headers: string[], bodyBytes: number): void {
  headers.push("content-length", String(bodyBytes));
  putHead(response, status, headers);
}

/** Adds `headers` to those that are set already (CORS, rate limits): Node's writeHead would keep one value of each name then. */
function putHead(response: ServerResponse, status: number, headers: string[]): void {
  if (response.getHeaderNames().length === 0) return void response.writeHead(status, headers);
  const { vary } = response.getHeaders();
  const all: HeadersDraft = Object.create(null); // any name is a header's
  if (typeof vary === "string") all["vary"] = vary;
  for (let at = 0; at + 1 < headers.length; at += 2) appendHeader(all, (headers[at] as string).toLowerCase(), headers[at + 1] as string);
  try {
    for (const name in all) response.setHeader(name, all[name] as HeaderValue);
  } catch (error) {
    for (const name in all) response.removeHeader(name); // a problem is answered instead
    throw error;
  }
  response.writeHead(status);
}

/** Names and values in turn: an object made anew for every reply costs the server more. */
function replyHeaders({ headers, contentType }: Reply): string[] {
  const list: string[] = [];
  for (const name in headers) {
    if (notReplied.has(name)) continue;
    const value = headers[name] as HeaderValue;
    if (typeof value === "string") list.push(name, value);
    else for (const each of value) list.push(name, each);
  }
  if (contentType !== "") list.push("content-type", printable.test(contentType) ? contentType : contentType.replace(/[^\t\x20-\x7e]/g, ""));
  return list;
}

function isCompressible({ body, contentType, headers }: Reply): boolean {
  return body.length >= httpLimits.leastCompressedBytes && compressible.test(contentType) && headers["content-encoding"] === undefined;
}

export function chosenEncoding(accepted: string | undefined): "br" | "gzip" | undefined {
  if (accepted === undefined) return undefined;
  const offers = new Map(
    accepted.split(",").map((each): [string, number] => {
      const [name = "", ...parameters] = each.trim().toLowerCase().split(";");
      const quality = parameters.map((parameter) => /^\s*q=([0-9.]+)\s*$/.exec(parameter)?.[1]).find((found) => found !== undefined);
      return [name.trim(), quality === undefined ? 1 : Number(quality)];
    }),
  );
  const weight = (name: string): number => offers.get(name) ?? offers.get("*") ?? 0;
  if (weight("gzip") > 0 && weight("gzip") >= weight("br")) return "gzip";
  return weight("br") > 0 ? "br" : undefined;
}

/** `waiting`: of a signal. */
export function answerAccepted(
  response: ServerResponse,
  id: string,
  answer: { readonly status: "accepted" | "duplicate"; readonly waiting?: boolean },
): void {
  const body = Buffer.from(JSON.stringify({ id, ...answer }));
  const headers = ["content-type", "application/json", "mayfly-message-id", id];
  if (answer.status === "duplicate") headers.push("mayfly-duplicate", "true");
  writeHead(response, 202, headers, body.length);
  response.end(body.toString("latin1"), "latin1"); // in one buffer with the headers
}
