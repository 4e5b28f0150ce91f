/** Node's own modules and globals, as far as a machine has them. */
import { type Job, job } from "../job.ts";

export const nodeJobs: readonly Job[] = [
  job(
    "node:buffer",
    'import { Buffer as Imported, isUtf8 } from "node:buffer";',
    'const b = Buffer.from("héllo wörld €"); return [Imported === Buffer, b.toString("base64"), b.toString("base64url"), b.toString("hex"), b.toString("latin1"), b.toString("utf8", 1, 4), b.slice(1, 3).toString("hex"), Buffer.from("aGk_-w", "base64url").toString("hex"), Buffer.from("zz1", "hex").length, Buffer.from("a b=c", "base64").toString("hex"), Buffer.byteLength("€"), Buffer.byteLength("aGk=", "base64"), b.indexOf("w"), b.equals(Buffer.from(b)), JSON.stringify(Buffer.from([1])), isUtf8(Buffer.from([0xff])), Buffer.concat([b, Buffer.alloc(2, "x")]).length, Buffer.from([0xff, 0x41, 0xc3]).toString(), b.write("ab", 1), b.readUInt32LE(0), Buffer.from("\\ud800").toString("hex"), Buffer.isEncoding("base64url"), b.utf8Slice(0, 2), Buffer.alloc(3).fill("YQ", "base64url").toString()];',
  ),
  job(
    "node:buffer (damaged text)",
    "let state = 7; const draw = (most) => (state = (state * 48271) % 2147483647) % most; const text = (letters) => Array.from({ length: draw(14) }, () => letters[draw(letters.length)]).join('');",
    `state = 7; const told = [];
for (let round = 0; round < 400; round++) {
  const base64 = text("AZaz09+/=-_ \\n!Q"); const hex = text("09afAFg "); const any = text("aé€\\ud83d\\ude00\\u0000ÿ");
  told.push(Buffer.from(base64, "base64").toString("hex"), Buffer.from(base64, "base64url").toString("base64"), Buffer.from(hex, "hex").toString("latin1"), Buffer.byteLength(any));
  for (const encoding of ["utf8", "latin1", "ascii", "utf16le", "binary"]) { const bytes = Buffer.from(any, encoding); told.push(bytes.toString("hex"), bytes.toString(encoding), bytes.toString("base64url"), bytes.toString("utf8", 1, 5), Buffer.alloc(6).fill(any || "x", encoding).toString("hex"), Buffer.alloc(8, 1).write(any, 2, encoding)); }
}
return told;`,
  ),
  job(
    "node:string_decoder",
    'import { StringDecoder } from "node:string_decoder";',
    'const decoder = new StringDecoder("utf8"); return [decoder.write(Buffer.from([0xe2, 0x82])), decoder.write(Buffer.from([0xac, 0x41])), decoder.end(Buffer.from([0xe2])), new StringDecoder("base64").write(Buffer.from("abcd"))];',
  ),
  job(
    "node:events",
    'import EventEmitter, { once, EventEmitter as Named } from "node:events";',
    'const emitter = new EventEmitter(); setImmediate(() => emitter.emit("a", 1, 2)); const seen = await once(emitter, "a"); emitter.prependListener("b", () => seen.push("first")); emitter.on("b", () => seen.push("second")); emitter.emit("b"); let thrown; try { emitter.emit("error", new Error("x")); } catch (error) { thrown = error.message; } return [seen, thrown, Named === EventEmitter, emitter.listenerCount("b"), emitter.eventNames()];',
  ),
  job(
    "node:util",
    'import util, { promisify, inherits, format, inspect, isDeepStrictEqual, types } from "node:util";',
    'function Base() {} Base.prototype.hi = () => "hi"; function Derived() {} inherits(Derived, Base); return [await promisify((a, done) => done(null, a + 1))(1), new Derived().hi(), format("%s %d %i %f %j %O %% %s", "a", 1.5, 1.5, "2.5", { a: 1 }, [1], { b: { c: 1 } }, "rest", { x: 1 }), isDeepStrictEqual({ a: [new Map([[1, { b: 2 }]])] }, { a: [new Map([[1, { b: 2 }]])] }), isDeepStrictEqual([1], ["1"]), types.isDate(new Date()), types.isRegExp(1), util.types.isUint8Array(Buffer.alloc(1)), await promisify(setTimeout)(1, "late"), util.stripVTControlCharacters("\\u001b[31mred\\u001b[0m"), await new Promise((done) => util.callbackify(async () => 7)((error, value) => done([error, value])))];',
  ),
  job(
    "node:util (inspect)",
    'import { inspect } from "node:util";',
    'class Point { constructor() { this.x = 1; this.self = this; } } const deep = { a: { b: { c: { d: 1 } } }, list: [1, "two", null, undefined, , true], s: new Set([1, "x"]), m: new Map([["k", { v: 1 }]]), d: new Date(0), r: /x/gi, f() {}, arrow: () => 1, k: class A {}, sym: Symbol("q"), big: 5n, neg: -0, "a-b": "it\'s", get g() { return 1; } }; return [inspect(deep), inspect(new Point()), inspect("x"), inspect([["a", "b"], { c: 1 }]), inspect(Object.create(null)), inspect(new Uint8Array([1, 2])), inspect({ a: { b: { c: {} } } }, { depth: 0 }), inspect([1, 2, 3].concat("x".repeat(80))), inspect({}), inspect([]), inspect(null), inspect(() => 1), inspect(Object.assign(() => 1, { a: 1 })), inspect(new Map()), inspect([,]), inspect(new Number(3)), inspect("it\'s"), inspect(Promise.resolve(1)).slice(0, 7), inspect({ a: 1n, b: Symbol.iterator }), inspect(Array.from({ length: 30 }, (_, i) => i * 100)), inspect("a\\nb"), inspect({ long: "y".repeat(60), other: "z".repeat(30) })];',
  ),
  job(
    "node:url",
    'import url, { URL as NodeURL, fileURLToPath, pathToFileURL } from "node:url";',
    'const parsed = url.parse("http://u:p@a.example:8080/b/c?d=e&f=g%20h#i", true); return [{ ...parsed, query: { ...parsed.query } }, url.resolve("http://a/b/c", "../d?x"), url.format({ protocol: "https", host: "a.example", pathname: "/x", query: { a: [1, 2] } }), NodeURL === URL, fileURLToPath("file:///a%20b"), pathToFileURL("/a b#c").href, url.format(new URL("https://u:p@a.example/x#y"), { fragment: false, auth: false }), url.parse("mailto:a@b.example").href];',
  ),
  job(
    "node:querystring",
    'import qs from "node:querystring";',
    'return [{ ...qs.parse("a=1&b=x+y&b=%20z&c&=d&e=%zz&f=%ff") }, qs.stringify({ a: [1, "x y"], b: true, c: null, d: "é&=", e: 1n, f: Infinity }), qs.escape("a b&é"), qs.unescape("a%20b%"), { ...qs.parse("a:1;b:2", ";", ":") }];',
  ),
  job(
    "node:path",
    'import path, { join } from "node:path"; import posix from "node:path/posix";',
    'return [join("/a", "../b", "c.txt"), path.resolve("/a", "b", "../c"), path.relative("/a/b/c", "/a/d"), path.parse("/a/b.tar.gz"), path.extname("x.y"), path.normalize("/a//b/./c/.."), path.isAbsolute("a"), posix.dirname("/a/b"), path.format({ dir: "/a", base: "b" }), path.basename("/a/b.js", ".js"), path.posix.sep];',
  ),
  job(
    "node:assert",
    'import assert, { AssertionError, deepStrictEqual, throws, rejects } from "node:assert"; import strict from "node:assert/strict";',
    'const codes = []; const attempt = (action) => { try { action(); codes.push("fine"); } catch (error) { codes.push(error instanceof AssertionError ? error.code : error.name); } }; attempt(() => assert(1)); attempt(() => assert(0, "no")); attempt(() => deepStrictEqual({ a: [1, new Set([1])] }, { a: [1, new Set([1])] })); attempt(() => deepStrictEqual({ a: 1 }, { a: "1" })); attempt(() => assert.deepEqual({ a: 1 }, { a: "1" })); attempt(() => strict.equal(1, "1")); attempt(() => assert.equal(1, "1")); attempt(() => throws(() => { throw new TypeError("x"); }, TypeError)); attempt(() => throws(() => { throw new TypeError("x"); }, RangeError)); attempt(() => throws(() => {})); attempt(() => throws(() => { throw new Error("abc"); }, /b/)); attempt(() => throws(() => { throw new Error("abc"); }, { message: "abc" })); attempt(() => assert.match("abc", /b/)); attempt(() => assert.ifError(null)); attempt(() => assert.fail("x")); attempt(() => assert.notDeepStrictEqual([1], [2])); attempt(() => deepStrictEqual(new Date(0), new Date(1))); attempt(() => deepStrictEqual([1, , 3], [1, undefined, 3])); attempt(() => deepStrictEqual(NaN, NaN)); await rejects(async () => { throw new Error("x"); }, /x/); await rejects(Promise.resolve(1)).catch((error) => codes.push(error.code)); return codes;',
  ),
  job(
    "node:stream",
    'import stream, { Readable, Writable, Transform, PassThrough, pipeline, finished, Duplex } from "node:stream"; import { pipeline as piped } from "node:stream/promises";',
    'const parts = []; await piped(Readable.from(["a", "b", "c"]), new Transform({ transform(part, encoding, done) { done(null, part.toString().toUpperCase()); } }), new Writable({ write(part, encoding, done) { parts.push(part.toString()); done(); } })); const through = new PassThrough(); through.end("x"); const failed = await new Promise((done) => pipeline(new Readable({ read() { this.destroy(new Error("broken")); } }), new PassThrough(), (error) => done(error.message))); return [parts, String(await new Promise((done) => through.once("data", done))), failed, typeof stream, new Readable() instanceof stream, typeof Duplex, await Readable.from([1, 2, 3]).map((n) => n * 2).toArray()];',
  ),
  job(
    "node:timers",
    'import { setTimeout as after } from "node:timers/promises"; import timers from "node:timers";',
    'const order = []; setImmediate((a) => order.push(a), "immediate"); process.nextTick((a) => order.push(a), "tick"); order.push("now"); await after(5); clearImmediate(setImmediate(() => order.push("never"))); order.push(await after(1, "value"), typeof timers.setInterval); return order;',
  ),
  job(
    "node:process",
    'import process from "node:process"; const early = typeof process.env;',
    'return [early, process.env.NODE_ENV === "production" || true, process.env.MAYFLY_COMPAT_NONE ?? "unset", typeof process.nextTick, typeof process.hrtime.bigint(), typeof globalThis.process];',
  ),
  job(
    "node:crypto",
    'import crypto, { createHash, createHmac, randomBytes, randomUUID, timingSafeEqual } from "node:crypto";',
    'const digests = ["md5", "sha1", "sha256", "SHA384", "RSA-SHA512"].flatMap((name) => ["", "abc", "é".repeat(100)].map((text) => createHash(name).update(text).digest("hex"))); const twice = createHash("sha256").update("a"); const copy = twice.copy(); let ended; try { twice.digest(); twice.update("b"); } catch (error) { ended = error.code; } let unequal; try { timingSafeEqual(Buffer.from("a"), Buffer.from("ab")); } catch (error) { unequal = error.code; } let unknown; try { createHash("none"); } catch (error) { unknown = error instanceof Error; } return [digests, createHmac("sha256", "k").update("a").update(Buffer.from("b")).digest("base64"), createHmac("md5", "k".repeat(100)).update("é").digest("base64url"), copy.update("b").digest().toString("hex"), ended, unequal, unknown, randomBytes(8).length, /^[0-9a-f-]{36}$/.test(randomUUID()), timingSafeEqual(Buffer.from("a"), Buffer.from("a")), createHash("md5").update("aGk=", "base64").digest("latin1").length, await new Promise((done) => randomBytes(4, (error, bytes) => done(bytes.length))), crypto.createSecretKey(Buffer.from("abc")).symmetricKeySize, crypto.getHashes().length > 3, crypto.randomInt(5) < 5, crypto.webcrypto !== undefined];',
  ),
  job(
    "node:os, node:perf_hooks",
    'import os, { EOL } from "node:os"; import { performance } from "node:perf_hooks";',
    "return [os.EOL, EOL, typeof performance.now()];",
  ),
  job(
    "streams",
    'import { ReadableStream as Imported } from "node:stream/web"; const text = async (stream) => { let all = ""; for await (const piece of stream) all += piece; return all; };',
    `const letters = () => ReadableStream.from(["a", "b", "c"]);
const upper = new TransformStream({ transform: (piece, controller) => controller.enqueue(piece.toUpperCase()), flush: (controller) => controller.enqueue("!") });
const [one, two] = letters().tee();
const written = []; await letters().pipeTo(new WritableStream({ write: (piece) => void written.push(piece) }));
const failed = await new Response(new ReadableStream({ start: (controller) => controller.error(new Error("broken")) })).text().catch((error) => error.message);
const response = new Response("héllo"); const reader = response.body.getReader(); const first = await reader.read(); const second = await reader.read();
return [Imported === ReadableStream, await text(letters().pipeThrough(upper)), await text(one), await text(two), written, failed, [...first.value], first.done, second.done, response.bodyUsed,
  await new Response(letters().pipeThrough(new TextEncoderStream())).text(), await text(new Blob(["x", "y"]).stream().pipeThrough(new TextDecoderStream())),
  await text(ReadableStream.from([new Uint8Array([0xe2, 0x82]), new Uint8Array([0xac])]).pipeThrough(new TextDecoderStream())),
  await new Response(ReadableStream.from(["\ud83d", "\ude00"]).pipeThrough(new TextEncoderStream())).text(), new Response().body, await new Response(letters().pipeThrough(new TextEncoderStream())).clone().text()];`,
  ),
  job(
    "compression",
    "",
    `const plain = new TextEncoder().encode("hello ".repeat(500)); const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const zlibs = { gzip: "H4sIAAAAAAACA8tIzcnJV8gYJUfJUXKUHCVHyVFylBwlR8lRchCTAJPeVty4CwAA", "deflate-raw": "y0jNyclXyBglR8lRcpQcJUfJUXKUHCVHyVFyEJMA" }; const through = async (bytes, stream) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
const told = [];
for (const format of ["gzip", "deflate", "deflate-raw"]) {
  const packedHere = await through(plain, new CompressionStream(format)); told.push(format, packedHere.length < 100, (await through(packedHere, new DecompressionStream(format))).length);
  if (format in zlibs) told.push((await through(bytesOf(zlibs[format]), new DecompressionStream(format))).length);
  for (const damage of [(bytes) => bytes.subarray(0, bytes.length - 3), (bytes) => Uint8Array.from(bytes, (byte, index) => (index === 0 ? byte ^ 0xff : byte)), (bytes) => (format === "deflate-raw" ? bytes.subarray(0, 1) : Uint8Array.from(bytes, (byte, index) => (index === bytes.length - 5 + (format === "gzip" ? 0 : 2) ? byte ^ 1 : byte)))])
    told.push(await through(damage(packedHere), new DecompressionStream(format)).then(() => "fine", () => "refused"));
}
let unknown; try { new CompressionStream("none"); } catch (error) { unknown = error instanceof TypeError; }
return [told, unknown];`,
  ),
  job(
    "globals",
    "",
    'return [typeof global, global === globalThis, typeof Buffer.from, typeof setImmediate, typeof require === "undefined" || true, [typeof Blob, typeof File, typeof FormData, typeof queueMicrotask]];',
  ),
];
