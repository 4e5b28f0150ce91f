/**
 * Requests that servers disagree about, as bytes: the cases of Http11Probe and http-garden in our words, and some of our own. What is
 * `stricter` is refused by the guest and accepted by Node; the reason is why that is right.
 */
export interface RequestCase {
  readonly name: string;
  readonly bytes: string;
  readonly stricter?: string;
  /** Node answers by itself, without saying how long its empty body is: only the status is the same. */
  readonly byNode?: true;
}

const head = "POST /in HTTP/1.1\r\nHost: x\r\n";
const get = "GET /items/1 HTTP/1.1\r\nHost: x\r\n";
const next = "GET /items/2 HTTP/1.1\r\nHost: x\r\n\r\n";

const framing: readonly RequestCase[] = [
  { name: "a body by its length", bytes: `${head}Content-Length: 3\r\n\r\nabc` },
  { name: "a body in chunks", bytes: `${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n` },
  { name: "chunks with an extension and trailers", bytes: `${head}Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n` },
  { name: "chunks of sizes in capitals", bytes: `${head}Transfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n` },
  { name: "a length of 0", bytes: `${head}Content-Length: 0\r\n\r\n` },
  { name: "no body", bytes: `${head}\r\n` },
  { name: "length and chunks", bytes: `${head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n` },
  { name: "chunks and length", bytes: `${head}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n` },
  { name: "two lengths that differ", bytes: `${head}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd` },
  { name: "two equal lengths", bytes: `${head}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc` },
  { name: "a list of lengths", bytes: `${head}Content-Length: 3, 3\r\n\r\nabc` },
  { name: "a length with a sign", bytes: `${head}Content-Length: +3\r\n\r\nabc` },
  { name: "a negative length", bytes: `${head}Content-Length: -3\r\n\r\nabc` },
  { name: "a length in hexadecimal", bytes: `${head}Content-Length: 0x3\r\n\r\nabc` },
  { name: "a length with a space in it", bytes: `${head}Content-Length: 3 3\r\n\r\nabc` },
  { name: "an empty length", bytes: `${head}Content-Length:\r\n\r\n` },
  { name: "a length beyond 64 bits", bytes: `${head}Content-Length: 99999999999999999999\r\n\r\n` },
  { name: "an unknown transfer coding", bytes: `${head}Transfer-Encoding: foo\r\n\r\nabc` },
  { name: "chunked is not the last coding", bytes: `${head}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n` },
  {
    name: "a coding before chunked",
    bytes: `${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    stricter: "nobody here decodes it, and the body would be taken for plain",
  },
  {
    name: "chunked twice",
    bytes: `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    stricter: "RFC 9112, 6.1: chunked must not be applied twice; readers disagree on where the body ends",
  },
  {
    name: "chunks in HTTP/1.0",
    bytes: "POST /in HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    stricter: "RFC 9112, 6.1: its framing is faulty, and a reader of 1.0 before us knows no chunks",
  },
  { name: "a vertical tab before chunked", bytes: `${head}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n` },
  { name: "chunked in quotes", bytes: `${head}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n` },
  { name: "a chunk's size is empty", bytes: `${head}Transfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n` },
  { name: "a chunk's size has a sign", bytes: `${head}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n0\r\n\r\n` },
  { name: "a chunk's size begins with 0x", bytes: `${head}Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n` },
  { name: "a chunk's size is beyond 64 bits", bytes: `${head}Transfer-Encoding: chunked\r\n\r\n11111111111111111\r\nabc\r\n0\r\n\r\n` },
  { name: "a space behind a chunk's size", bytes: `${head}Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n` },
  { name: "a bare LF behind a chunk's size", bytes: `${head}Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n` },
  { name: "a bare LF behind a chunk's data", bytes: `${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n` },
  { name: "a bare LF in a chunk's extension", bytes: `${head}Transfer-Encoding: chunked\r\n\r\n3;a\nabc\r\n0\r\n\r\n` },
  { name: "more data than the chunk's size", bytes: `${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n` },
];

const lines: readonly RequestCase[] = [
  { name: "a bare LF behind the request line", bytes: "GET /items/1 HTTP/1.1\nHost: x\r\n\r\n" },
  { name: "a bare LF behind a header", bytes: "GET /items/1 HTTP/1.1\r\nHost: x\n\r\n" },
  { name: "bare LFs only", bytes: "GET /items/1 HTTP/1.1\nHost: x\n\n" },
  { name: "a bare CR in a value", bytes: `${get}X: a\rb\r\n\r\n` },
  { name: "a folded line", bytes: `${get}X: a\r\n b\r\n\r\n` },
  { name: "a folded first line", bytes: "GET /items/1 HTTP/1.1\r\n Host: x\r\n\r\n" },
  { name: "a space before the colon", bytes: `${get}X : a\r\n\r\n` },
  { name: "a tab before the colon", bytes: `${get}X\t: a\r\n\r\n` },
  { name: "a space in a name", bytes: `${get}X Y: a\r\n\r\n` },
  { name: "an empty name", bytes: `${get}: a\r\n\r\n` },
  { name: "a line without a colon", bytes: `${get}X\r\n\r\n` },
  { name: "a name in brackets", bytes: `${get}X(): a\r\n\r\n` },
  { name: "a NUL in a value", bytes: `${get}X: a\0b\r\n\r\n` },
  { name: "a control character in a value", bytes: `${get}X: a\x01b\r\n\r\n` },
  { name: "DEL in a value", bytes: `${get}X: a\x7fb\r\n\r\n` },
  { name: "bytes beyond ASCII in a value", bytes: `${get}X: \xe9\xff\r\n\r\n` },
  { name: "bytes beyond ASCII in a name", bytes: `${get}X\xe9: a\r\n\r\n` },
  { name: "an empty value", bytes: `${get}X:\r\n\r\n` },
  { name: "white space around a value", bytes: `${get}X: \t a b \t \r\n\r\n` },
  { name: "no host", bytes: "GET /items/1 HTTP/1.1\r\n\r\n", byNode: true },
  { name: "two hosts", bytes: `${get}Host: y\r\n\r\n` },
  { name: "two content types", bytes: `${get}Content-Type: a/b\r\nContent-Type: a/c\r\n\r\n` },
  { name: "two authorizations", bytes: `${get}Authorization: a\r\nAuthorization: b\r\n\r\n` },
  { name: "an empty host", bytes: "GET /items/1 HTTP/1.1\r\nHost:\r\n\r\n" },
  { name: "1,000 lines", bytes: `${get}${"a:b\r\n".repeat(999)}\r\n` },
  { name: "1,001 lines", bytes: `${get}${"a:b\r\n".repeat(1000)}\r\n` },
  { name: "a head of 17 KiB", bytes: `${get}X: ${"a".repeat(17_000)}\r\n\r\n` },
  { name: "a head of 15 KiB", bytes: `${get}X: ${"a".repeat(15_000)}\r\n\r\n` },
];

const targets: readonly RequestCase[] = [
  { name: "empty lines before the request", bytes: `\r\n\r\n${next}` },
  { name: "a method in lower case", bytes: "get /items/1 HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "an unknown method", bytes: "FOO /items/1 HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "a known method that the path has not", bytes: "DELETE /items/1 HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "a method of others", bytes: "PROPFIND /items/1 HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "a space before the method", bytes: ` ${next}` },
  {
    name: "two spaces behind the method",
    bytes: "GET  /items/1 HTTP/1.1\r\nHost: x\r\n\r\n",
    stricter: "RFC 9112, 3: one space; other readers take the target for an empty one",
  },
  { name: "a tab behind the method", bytes: "GET\t/items/1 HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "a space in the target", bytes: "GET /items/1 2 HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "a control character in the target", bytes: "GET /items/\x01 HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "a byte beyond ASCII in the target", bytes: "GET /items/\xe9 HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "a target without a slash", bytes: "GET items/1 HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "an absolute target", bytes: "GET http://y/items/1?q HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "an absolute target without a path", bytes: "GET http://y HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "an asterisk", bytes: "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "a fragment", bytes: "GET /items/1#a HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "HTTP/1.0", bytes: "GET /items/1 HTTP/1.0\r\n\r\n" },
  { name: "HTTP/1.0 that keeps alive", bytes: "GET /items/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" },
  { name: "HTTP/1.2", bytes: "GET /items/1 HTTP/1.2\r\nHost: x\r\n\r\n" },
  { name: "HTTP/3.1", bytes: "GET /items/1 HTTP/3.1\r\nHost: x\r\n\r\n" },
  { name: "http in lower case", bytes: "GET /items/1 http/1.1\r\nHost: x\r\n\r\n" },
  { name: "no version", bytes: "GET /items/1\r\nHost: x\r\n\r\n", stricter: "HTTP/0.9 has no headers" },
  { name: "HTTP/2.0", bytes: "GET /items/1 HTTP/2.0\r\nHost: x\r\n\r\n", stricter: "HTTP/2 has no such request line" },
  { name: "HTTP/0.9", bytes: "GET /items/1 HTTP/0.9\r\nHost: x\r\n\r\n", stricter: "HTTP/0.9 has no headers" },
  { name: "the preface of HTTP/2", bytes: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
  { name: "garbage", bytes: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" },
];

const connection: readonly RequestCase[] = [
  { name: "two requests at once", bytes: get + "\r\n" + next },
  { name: "a body and the next request", bytes: `${head}Content-Length: 3\r\n\r\nabc${next}` },
  { name: "chunks and the next request", bytes: `${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n${next}` },
  {
    name: "an unknown path with a body, and the next request",
    bytes: `POST /no HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc${next}`,
  },
  { name: "close", bytes: `${get}Connection: close\r\n\r\n` },
  { name: "close among others", bytes: `${get}Connection: foo, Close\r\n\r\n` },
  { name: "an upgrade to HTTP/2", bytes: `${get}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n` },
  { name: "continue", bytes: `${head}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc` },
  { name: "an unknown expectation", bytes: `${head}Expect: foo\r\nContent-Length: 0\r\n\r\n`, byNode: true },
  { name: "a body that is too long", bytes: `${head}Content-Length: 2000000\r\n\r\n` },
  { name: "HEAD", bytes: "HEAD /items/1 HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "OPTIONS", bytes: "OPTIONS /items/1 HTTP/1.1\r\nHost: x\r\n\r\n" },
  { name: "a body with GET", bytes: `${get}Content-Length: 3\r\n\r\nabc` },
];

export const requestCases: readonly RequestCase[] = [...framing, ...lines, ...targets, ...connection];
