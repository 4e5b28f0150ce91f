/** multipart/form-data, strict: tables of bodies, and round trips with Node's own reader and writer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { mimeTypeText, parseMimeType } from "./mime-type.ts";
import { parseMultipart } from "./multipart.ts";

const decode = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function read(text: string, boundary = "b"): unknown {
  return parseMultipart(bytes(text), boundary, decode).map(({ name, filename, type, bytes: content }) => [
    name,
    decode(content),
    filename,
    type,
  ]);
}

const field = 'Content-Disposition: form-data; name="a"';

test("parts, as different senders write them", () => {
  const table: readonly (readonly [body: string, parts: readonly (readonly (string | undefined)[])[]])[] = [
    ["--b--", []],
    ["--b--\r\n", []],
    [`--b\r\n${field}\r\n\r\n1\r\n--b--`, [["a", "1", undefined, undefined]]],
    [`--b \t\r\n${field}\r\n\r\n\r\n--b--  \r\n`, [["a", "", undefined, undefined]]],
    [`--b\r\n${field}\r\n\r\n1\r\n2\r-\n--b\r\n--\r\n--b--`, [["a", "1\r\n2\r-\n--b\r\n--", undefined, undefined]]],
    ['--b\r\nCONTENT-disposition:form-data;name=a;filename="x"\r\ncontent-TYPE:  a/b  \r\n\r\n1\r\n--b--', [["a", "1", "x", "a/b"]]],
    [
      '--b\r\nContent-Disposition: form-data; name="ü%22%0D%0A%zz"; filename="C:\\x\\y"\r\n\r\n1\r\n--b--',
      [['ü"\r\n%zz', "1", "C:\\x\\y", undefined]],
    ],
    [
      "--b\r\nContent-Disposition: form-data; name=a; filename=f.txt; filename*=utf-8''%C3%BC.txt\r\n\r\n1\r\n--b--",
      [["a", "1", "ü.txt", undefined]],
    ],
    [
      '--b\r\nX-More: 1\r\nContent-Transfer-Encoding: binary\r\nContent-Disposition: form-data; name=""\r\n\r\n1\r\n--b--',
      [["", "1", undefined, undefined]],
    ],
    [
      `--b\r\n${field}\r\n\r\n1\r\n--b\r\n${field}; filename=""\r\n\r\n2\r\n--b--`,
      [
        ["a", "1", undefined, undefined],
        ["a", "2", "", undefined],
      ],
    ],
  ];
  for (const [body, parts] of table) assert.deepEqual(read(body), parts, body);
});

test("what is malformed, or could be read in two ways, is refused with its place", () => {
  const part = (headers: string): string => `--b\r\n${headers}\r\n\r\n1\r\n--b--`;
  const table: readonly (readonly [body: string, why: RegExp])[] = [
    ["", /no boundary at byte 0/],
    [`\r\n--b\r\n${field}\r\n\r\n1\r\n--b--`, /no boundary/],
    [`preamble\r\n--b\r\n${field}\r\n\r\n1\r\n--b--`, /no boundary/],
    ["--bb--", /goes on at byte 3/],
    ["--b-", /goes on/],
    ["--b\n", /goes on/],
    ["--b--x", /goes on/],
    ["--b--\r\nepilogue", /follows the last boundary at byte 5/],
    ["--b\r\n", /don't end/],
    [`--b\r\n${field}\r\n\r\n1`, /no end at byte 49/],
    [`--b\r\n${field}\r\n\r\n1\n--b--`, /no end/],
    [`--b\r\n${field}\r\n\r\n1\r\n--b`, /goes on/],
    [`--b\r\n${field}\r\n\r\n1\r\n--bx\r\n--b--`, /goes on/],
    [part(`${field}\r\n${"x: y\r\n".repeat(3000)}z: 1`), /don't end within 16384 bytes/],
    [part("X-More: 1"), /not form-data/],
    ["--b\r\n\r\n\r\n1\r\n--b--", /malformed|not form-data/],
    [part('Content-Disposition: attachment; name="a"'), /not form-data/],
    [part('Content-Disposition: form-datax; name="a"'), /not form-data/],
    [part("Content-Disposition: form-data"), /no name/],
    [part('Content-Disposition: form-data; filename="a"'), /no name/],
    [part('Content-Disposition: form-data; name="a"; name="b"'), /two parameters name/],
    [part('Content-Disposition: form-data; name="a\\"b"'), /parameters .* malformed/],
    [part('Content-Disposition: form-data; name="a'), /parameters .* malformed/],
    [part('Content-Disposition: form-data; name="a";'), /parameters .* malformed/],
    [part("Content-Disposition: form-data; name=ü"), /parameters .* malformed/],
    [part(`${field}\r\n${field}`), /two headers content-disposition/],
    [part(`${field}\r\nContent-Type: a/b\r\ncontent-type: c/d`), /two headers content-type/],
    [part(`${field}\r\n folded`), /headers of a part are malformed/],
    [part(`${field}\r\nno colon`), /headers of a part are malformed/],
    [part(`${field}\r\nx: a\nb`), /headers of a part are malformed/],
    [part(`${field}\r\nContent-Transfer-Encoding: base64`), /encoded as base64/],
    [part(`${field}; filename*=latin1''x`), /not in UTF-8/],
    [part(`${field}; filename*=utf-8''%FF`), /filename\* is malformed/],
  ];
  for (const [body, why] of table) assert.throws(() => read(body), why, body);
  for (const boundary of ["", " ", "a ", "a".repeat(71), "ä", 'a"b']) assert.throws(() => read("--b--", boundary), /no valid boundary/);
  const many = (count: number): string => `${`--b\r\n${field}\r\n\r\n\r\n`.repeat(count)}--b--`;
  assert.equal((read(many(10_000)) as unknown[]).length, 10_000);
  assert.throws(() => read(many(10_001)), /more than 10000 parts/);
});

/** Node leaves an empty file name out. */
const fileName = fc.string({ unit: "binary", minLength: 1 });
const formEntries = fc.array(
  fc.tuple(fc.string({ unit: "binary" }), fc.oneof(fc.string({ unit: "binary" }), fc.tuple(fc.uint8Array(), fileName))),
  { maxLength: 5 },
);

test("what Node writes is read as it was meant, whatever is in it", async () => {
  const property = fc.asyncProperty(formEntries, async (entries) => {
    const form = new FormData();
    for (const [name, value] of entries) {
      if (typeof value === "string") form.append(name, value);
      else form.append(name, new File([new Uint8Array(value[0])], value[1]));
    }
    const response = new Response(form);
    const boundary = parseMimeType(response.headers.get("content-type") ?? "")?.parameters.get("boundary") ?? "";
    const body = new Uint8Array(await response.arrayBuffer());
    const lines = (text: string): string => text.replace(/\r\n?|\n/g, "\r\n");
    assert.deepEqual(
      parseMultipart(body, boundary, decode).map(({ name, filename, bytes: content }) => [
        name,
        filename,
        Buffer.from(content).toString("hex"),
      ]),
      entries.map(([name, value]) =>
        typeof value === "string"
          ? [lines(name), undefined, Buffer.from(lines(value)).toString("hex")]
          : [lines(name), value[1], Buffer.from(value[0]).toString("hex")],
      ),
    );
  });
  await fc.assert(property, { numRuns: 200 });
});

test("any bytes are read or refused with a TypeError, and what is read lies between boundaries", () => {
  const pieces = fc.constantFrom(
    "--b",
    "--b--",
    "\r\n",
    "\r\n\r\n",
    field,
    '; filename="x"',
    "Content-Type: a/b",
    "x",
    "-",
    "\r",
    "\n",
    '"',
    ";",
  );
  const property = fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => {
    const body = bytes(parts.join(""));
    try {
      for (const { bytes: content } of parseMultipart(body, "b", decode)) assert.equal(decode(content).includes("\r\n--b"), false);
    } catch (error) {
      assert.ok(error instanceof TypeError, String(error));
    }
  });
  fc.assert(property, { numRuns: 2000 });
});

test("MIME types: parsed and written as the standard says", () => {
  const table: readonly (readonly [text: string, written: string | undefined])[] = [
    ["text/html", "text/html"],
    [" TEXT/Html ; Charset = x", "text/html"],
    ["text/html;charset=gbk ; a=b", "text/html;charset=gbk;a=b"],
    ['text/html;charset="gb\\"k\\\\";x', 'text/html;charset="gb\\"k\\\\"'],
    ['text/html;charset="a;b"junk;c=d', 'text/html;charset="a;b";c=d'],
    ['text/html;charset="open', "text/html;charset=open"],
    ['text/html;charset="open\\', 'text/html;charset="open\\\\"'],
    ['text/html;a=1;A=2;;b=;c=""', 'text/html;a=1;c=""'],
    ["text/html;charset=ü€", "text/html"],
    ["multipart/form-data; boundary=----x", "multipart/form-data;boundary=----x"],
    ["text", undefined],
    ["", undefined],
    ["/", undefined],
    ["text/html, a/b", undefined],
    ["te xt/html", undefined],
  ];
  for (const [text, written] of table) {
    const type = parseMimeType(text);
    assert.equal(type === undefined ? undefined : mimeTypeText(type), written, text);
  }
});
