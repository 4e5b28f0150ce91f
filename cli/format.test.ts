import { deepEqual, equal, match } from "node:assert/strict";
import { test } from "node:test";
import { bodyJson, bodyText, contentTypeOf, guessContentType, safeText, table, textOf } from "./format.ts";
import { paintWith } from "./terminal.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

test("a body is text when it is UTF-8, and base64 otherwise", () => {
  deepEqual(bodyJson(Buffer.from("Größe")), { body: "Größe" });
  deepEqual(bodyJson(bytes(0xff, 0xfe)), { body: "//4=", encoding: "base64" });
  deepEqual(bodyJson(bytes(0)), { body: "AA==", encoding: "base64" });
  equal(textOf(Buffer.from("a replacement character \ufffd of its own")), "a replacement character \ufffd of its own");
  equal(textOf(bytes(0x61, 0xff)), undefined);
});

test("content types come from names, and from the first character where there is no name", () => {
  equal(contentTypeOf("a/b.JSON"), "application/json");
  equal(contentTypeOf("a"), "application/octet-stream");
  equal(guessContentType(Buffer.from("  [1]")), "application/json");
  equal(guessContentType(Buffer.from("<a/>")), "application/xml");
  equal(guessContentType(Buffer.from("a,b")), "text/plain; charset=utf-8");
  equal(guessContentType(bytes(0xff)), "application/octet-stream");
});

test("what a message holds cannot paint, ring or move about the terminal", () => {
  equal(safeText("\x1b[31mred\x07\x9b2J"), "\\x1b[31mred\\x07\\x9b2J");
  equal(safeText("tab\tand\nline"), "tab\tand\nline");
  match(safeText("x".repeat(3000)), /^x{2000}… \(3000 characters\)$/);
  equal(bodyText(Buffer.from("a\r\nb\x1b[2J"), "text/plain"), "a\nb\\x1b[2J");
});

test("JSON is laid out, long texts are cut, and binary is counted", () => {
  equal(bodyText(Buffer.from('{ "a" : 1 }'), "application/json"), '{"a":1}');
  match(bodyText(Buffer.from(JSON.stringify({ text: "x".repeat(200) })), "application/problem+json"), /^\{\n {2}"text"/);
  equal(bodyText(Buffer.from("not json"), "application/json"), "not json");
  match(bodyText(Buffer.from("line\n".repeat(100)), "text/plain"), /… 60 more lines$/);
  equal(bodyText(bytes(0, 1, 2), "image/png"), "3 bytes of image/png");
});

test("columns line up, numbers flush right", () => {
  equal(
    table(
      [
        ["a", "1"],
        ["long", "200"],
      ],
      [1],
    ),
    "a       1\nlong  200\n",
  );
});

test("paint that is off leaves no trace", () => {
  const { red, bold } = paintWith(false);
  equal(red(bold("x")), "x");
  equal(paintWith(true).red("x"), "\x1b[31mx\x1b[39m");
});
