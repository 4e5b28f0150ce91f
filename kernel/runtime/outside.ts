/**
 * The module "mayfly" in Node: the same functions, so that a flow's helpers can be unit-tested there, and a flow's module
 * can be imported for its types. Nothing here runs a flow: `mayfly run` and `mayfly test` do, in a machine.
 */
import { createHash, createHmac, randomFillSync, timingSafeEqual as equalInNode } from "node:crypto";
import { addCharset, addCodec, decodeText, encodingOf } from "./charset.ts";
import * as csvFormat from "./formats/csv-format.ts";
import * as xmlFormat from "./formats/xml-format.ts";
import { canonical } from "./formats/xml-canonical.ts";
import { select } from "./formats/xml-select.ts";
import { csv, xml } from "./formats.ts";
import { FlowError } from "./errors.ts";
import { makeZone } from "./intl/wall-time.ts";
import { setNative } from "./machine.ts";
import type { Native } from "./native.ts";
import { nativeInNode } from "./node-natives.ts";
import { linkZone, zone } from "./zone.ts";
import { eachSingleByte } from "./web/charset-tables.ts";
import { addMultibyte } from "./web/multibyte/decoder.ts";
import { japaneseTables, koreanTables, simplifiedChineseTables, traditionalChineseTables } from "./web/multibyte/tables.ts";

function notInNode(): never {
  throw new Error("this part of mayfly works only inside a machine: use `mayfly run` or `mayfly test`");
}

const hashNames: Readonly<Record<number, string>> = { 1: "sha1", 256: "sha256", 384: "sha384", 512: "sha512" };

const native: Native = {
  kind: notInNode,
  text: notInNode,
  bytes: notInNode,
  json: notInNode,
  number: notInNode,
  emit: notInNode,
  encodeUtf8: (text) => new TextEncoder().encode(text),
  decodeUtf8: (bytes, fatal) => new TextDecoder("utf-8", { fatal, ignoreBOM: true }).decode(bytes),
  random: (bytes) => void randomFillSync(bytes),
  randomFloat: Math.random,
  digest: (algorithm, bytes) => createHash(hashNames[algorithm]!).update(bytes).digest(),
  hmac: (algorithm, key, bytes) => createHmac(hashNames[algorithm]!, key).update(bytes).digest(),
  // crypto.subtle is Node's there
  aes: notInNode,
  repeatHmac: notInNode,
  modularPower: notInNode,
  rsaPrivate: notInNode,
  curve: notInNode,
  edwards: notInNode,
  // and so are the streams of compression
  inflate: notInNode,
  deflate: notInNode,
  clone: notInNode,
  csvText: () => undefined,
  unlikeRows: () => undefined,
  xmlText: () => undefined,
  equal: (a, b) => a.length === b.length && equalInNode(a, b),
  stringify: (value) => JSON.stringify(value),
  exhausted: () => false,
  mentionsCharset: notInNode,
  xml: (input, options, arrays) => nativeInNode("xml", input, options, arrays),
  decodeBytes: (bytes, high) => nativeInNode("decodeBytes", bytes, high) as string,
  decodeMultibyte: (...values) => nativeInNode("decodeMultibyte", ...values) as string,
  encodeBytes: (...values) => nativeInNode("encodeBytes", ...values) as Uint8Array | number,
  encodeUtf16: (...values) => nativeInNode("encodeUtf16", ...values) as Uint8Array | number,
  encodeMultibyte: (...values) => nativeInNode("encodeMultibyte", ...values) as Uint8Array | number,
  csv: (text, delimiter, options, most, names) => nativeInNode("csv", text, delimiter, options, most, names) as unknown[],
};

setNative(native);
eachSingleByte(addCharset);
addMultibyte(addCodec, () => native, "simplified-chinese", simplifiedChineseTables);
addMultibyte(addCodec, () => native, "traditional-chinese", traditionalChineseTables);
addMultibyte(addCodec, () => native, "japanese", japaneseTables);
addMultibyte(addCodec, () => native, "korean", koreanTables);
const utf8 = { encode: native.encodeUtf8, decode: (bytes: Uint8Array): string => native.decodeUtf8(bytes, false) };
const xmlMachine: xmlFormat.XmlMachine = { native, decodeText, encodingOf, utf8 };
xml.link({
  parse: (input, options) => xmlFormat.parse(input, xmlMachine, options),
  stringify: (value, options) => xmlFormat.stringify(value, native, options),
});
xml.linkSelect(select);
xml.linkCanonical(canonical);
csv.link({
  parse: (input, options) => csvFormat.parse(input, { native, decodeText }, options),
  stringify: (value, options) => csvFormat.stringify(value, native, options),
});

linkZone((name) => makeZone(name, FlowError));

export { FlowError };
export { flow } from "./definition.ts";
export { fail } from "./errors.ts";
export { json, text, timingSafeEqual } from "./values.ts";
export { csv, xml, zone };
