/** Headers as they cross the door: JSON text on that side, a record on this one. */
import { appendHeader, type Headers, type HeadersDraft, isHeaderText } from "#abi";
import { checkedStoredBody, type CheckedHeaders, refusedHeaders } from "../../contract/stored-body.ts";
import { isHeaderName } from "../../contract/http/headers.ts";
import type { Incoming } from "../../contract/message.ts";

export const noHeaders: Headers = Object.freeze({});
const noValues: Readonly<Record<string, string>> = Object.freeze({});

/** A request's path below its outlet's url: the one name that is no header, for sends and requests only. */
const pathHeader = ":path";

/**
 * Headers a machine gave, lower-cased; a sentence when they are not headers. Values that are neither text nor lists of texts are refused: a
 * machine may be compromised. `fits`: the values the protocol can carry. `pseudo`: the one name that is allowed without being a header's.
 */
export function parseHeaders(json: string, fits: (value: string) => boolean = isHeaderText, pseudo?: typeof pathHeader): Headers | string {
  if (json === "{}" || json === "") return noHeaders;
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    return "headers are not JSON";
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return "headers are not an object";
  const headers: HeadersDraft = {};
  for (const [name, value] of Object.entries(parsed)) {
    if (name === "__proto__" || !(isHeaderName(name) || name === pseudo))
      return `${JSON.stringify(name.slice(0, 64))} is not a header name`;
    for (const each of Array.isArray(value) ? value : [value]) {
      if (typeof each !== "string") return `header ${JSON.stringify(name.slice(0, 64))} is not text`;
      if (!fits(each))
        return `header ${JSON.stringify(name.slice(0, 64))} contains characters that the protocol can't carry in a header: encode them`;
      appendHeader(headers, name.toLowerCase(), each);
    }
  }
  return headers;
}

/** Headers of what a machine sends or asks with; `own` are those of its message. */
export function sentHeaders(json: string, body: Uint8Array, own: Headers): CheckedHeaders {
  const headers = parseHeaders(json, isHeaderText, pathHeader);
  return typeof headers === "string" ? refusedHeaders("MF_HEADER_INVALID", headers) : checkedStoredBody(headers, body, own);
}

/** Headers for the machine: the message's, with its content type and correlation id among them, and the flow's values. */
export function deliverHeadersJson(
  message: Pick<Incoming, "headers" | "contentType" | "correlationId">,
  values: Readonly<Record<string, string>> = noValues,
): string {
  const { headers, contentType, correlationId } = message;
  let json = JSON.stringify(headers);
  if (json.includes('"mayfly-value-')) json = JSON.stringify(withoutValues(headers)); // only the configuration gives values
  if (contentType !== "" && headers["content-type"] === undefined) json = addMember(json, "content-type", contentType);
  if (correlationId !== undefined && headers["mayfly-correlation-id"] === undefined)
    json = addMember(json, "mayfly-correlation-id", correlationId);
  for (const name in values) json = addMember(json, name, values[name] ?? "");
  return json;
}

function withoutValues(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith("mayfly-value-")));
}

function addMember(json: string, name: string, value: string): string {
  const member = `"${name}":${JSON.stringify(value)}}`;
  return json === "{}" ? `{${member}` : `${json.slice(0, -1)},${member}`;
}
