/** Rules for headers that HTTP has and other protocols need not have. */

/** Headers of one connection (RFC 9110, 7.6.1), and those that say how long a body is or who is to act on the request. */
export const connectionHeaders: readonly string[] = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "te",
  "trailer",
  "expect",
];

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/; // RFC 9110, 5.6.2
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/; // RFC 9110, 5.5

export function isHeaderName(name: string): boolean {
  return token.test(name);
}

/** False for a value that HTTP can't carry: line breaks, other control characters, characters beyond Latin-1. */
export function isHeaderValue(value: string): boolean {
  return fieldValue.test(value);
}

/** The text where it is printable ASCII; otherwise as percent-encoded UTF-8. */
export function headerSafe(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(Buffer.from(text).toString());
}
