/** Hashes, signatures, binary formats, archives, documents, streams. */
import { type Job, job } from "../job.ts";

const utf8 = 'const utf8 = new TextEncoder(); const hex = (bytes) => Buffer.from(bytes).toString("hex");';
const collect = 'const text = async (stream) => { let all = ""; for await (const part of stream) all += part; return all; };';

export const byteJobs: readonly Job[] = [
  job(
    "crypto-js",
    'import CryptoJS from "crypto-js";',
    'return [CryptoJS.SHA256("x").toString(), CryptoJS.AES.decrypt(CryptoJS.AES.encrypt("hi", "key").toString(), "key").toString(CryptoJS.enc.Utf8), CryptoJS.HmacSHA1("a", "k").toString(CryptoJS.enc.Base64), CryptoJS.PBKDF2("p", "s", { keySize: 4, iterations: 2 }).toString()];',
  ),
  job(
    "bcryptjs",
    'import bcrypt from "bcryptjs";',
    'return [bcrypt.hashSync("x", "$2a$04$abcdefghijklmnopqrstuu"), await bcrypt.compare("x", await bcrypt.hash("x", 4))];',
  ),
  job(
    "jose",
    'import { SignJWT, jwtVerify, base64url } from "jose";',
    'const key = new TextEncoder().encode("0123456789abcdef0123456789abcdef"); const token = await new SignJWT({ a: 1 }).setProtectedHeader({ alg: "HS256" }).sign(key); return [token, (await jwtVerify(token, key)).payload, base64url.encode("hi")];',
  ),
  job(
    "jsonwebtoken",
    'import jwt from "jsonwebtoken";',
    'const token = jwt.sign({ a: 1, iat: 1 }, "secret"); let wrong; try { jwt.verify(token, "other"); } catch (error) { wrong = [error.name, error.message]; } return [token, jwt.verify(token, "secret"), jwt.decode(token, { complete: true }).header, wrong];',
  ),
  job(
    "jws",
    'import jws from "jws";',
    'const token = jws.sign({ header: { alg: "HS256" }, payload: "hi", secret: "s" }); return [token, jws.verify(token, "HS256", "s"), jws.decode(token).payload];',
  ),
  job(
    "tweetnacl",
    `import nacl from "tweetnacl"; ${utf8}`,
    'const pair = nacl.sign.keyPair.fromSeed(new Uint8Array(32).fill(7)); const signature = nacl.sign.detached(utf8.encode("x"), pair.secretKey); return [hex(signature), nacl.sign.detached.verify(utf8.encode("x"), signature, pair.publicKey), hex(nacl.hash(utf8.encode("x"))), nacl.randomBytes(4).length];',
  ),
  job(
    "@noble/hashes",
    `import { sha256 } from "@noble/hashes/sha2.js"; import { blake3 } from "@noble/hashes/blake3.js"; import { hmac } from "@noble/hashes/hmac.js"; import { pbkdf2 } from "@noble/hashes/pbkdf2.js"; ${utf8}`,
    'return [hex(sha256(utf8.encode("x"))), hex(blake3(utf8.encode("x"))), hex(hmac(sha256, utf8.encode("k"), utf8.encode("v"))), hex(pbkdf2(sha256, utf8.encode("p"), utf8.encode("s"), { c: 2, dkLen: 16 }))];',
  ),
  job(
    "@noble/curves",
    `import { ed25519 } from "@noble/curves/ed25519.js"; ${utf8}`,
    'const key = new Uint8Array(32).fill(1); const signature = ed25519.sign(utf8.encode("x"), key); return [hex(signature), ed25519.verify(signature, utf8.encode("x"), ed25519.getPublicKey(key))];',
  ),
  job("js-sha256", 'import sha from "js-sha256";', 'return [sha.sha256("x"), sha.sha224("x"), sha.sha256.hmac("k", "v")];'),
  job("md5", 'import md5 from "md5";', 'return [md5("é"), md5([1, 2, 3])];'),
  job("sha.js", 'import sha from "sha.js";', 'return sha("sha256").update("x", "utf8").digest("hex");'),
  job(
    "node-forge",
    'import forge from "node-forge";',
    'const md = forge.md.sha256.create(); md.update("x"); const cipher = forge.cipher.createCipher("AES-CBC", "0123456789abcdef"); cipher.start({ iv: "0123456789abcdef" }); cipher.update(forge.util.createBuffer("hi")); cipher.finish(); return [md.digest().toHex(), cipher.output.toHex(), forge.util.encode64("hi")];',
  ),
  job(
    "otplib",
    'import * as otplib from "otplib";',
    'const make = otplib.authenticator; return make ? [make.generate === undefined, otplib.hotp.generate("ABCDEFGHIJKLMNOP", 1)] : [await otplib.generate({ secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", strategy: "hotp", counter: 1 })];',
  ),
  job(
    "hash.js",
    'import hash from "hash.js";',
    'return [hash.sha512().update("x").digest("hex"), hash.hmac(hash.sha256, "k").update("v").digest("hex"), hash.ripemd160().update("x").digest("hex")];',
  ),
  job(
    "elliptic",
    'import elliptic from "elliptic";',
    'const key = new elliptic.ec("secp256k1").keyFromPrivate("01".repeat(32), "hex"); const signature = key.sign("aa".repeat(32)); return [key.getPublic("hex"), signature.toDER("hex"), key.verify("aa".repeat(32), signature)];',
  ),
  job("blakejs", 'import blake from "blakejs";', 'return [blake.blake2bHex("x"), blake.blake2sHex("x")];'),
  job(
    "base-x",
    'import basex from "base-x";',
    'const base58 = (basex.default ?? basex)("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"); return [base58.encode(Buffer.from("hello")), Buffer.from(base58.decode("Cn8eVZg")).toString()];',
  ),
  job("bs58", 'import bs58 from "bs58";', 'return [bs58.encode(Buffer.from("hello")), Buffer.from(bs58.decode("Cn8eVZg")).toString()];'),
  job("js-base64", 'import { Base64 } from "js-base64";', 'return [Base64.encode("é"), Base64.decode("w6k="), Base64.encodeURI("a?b>")];'),
  job("crc", 'import { crc32, crc16 } from "crc";', 'return [crc32("hello").toString(16), crc16("hello")];'),
  job("crc-32", 'import CRC32 from "crc-32";', 'return [CRC32.str("hello"), CRC32.buf([1, 2, 3])];'),
  job("murmurhash", 'import murmur from "murmurhash";', 'return [murmur.v3("hello"), murmur.v2("hello", 5)];'),
  job(
    "asn1js",
    'import * as asn1 from "asn1js";',
    'const sequence = new asn1.Sequence({ value: [new asn1.Integer({ value: 5 }), new asn1.Utf8String({ value: "é" })] }); const der = sequence.toBER(); return [Buffer.from(der).toString("hex"), asn1.fromBER(der).result.valueBlock.value.length];',
  ),
  job(
    "msgpackr",
    'import { pack, unpack } from "msgpackr";',
    'const packed = pack({ a: 1, b: ["é", 1.5, null], d: new Date(0) }); return [Buffer.from(packed).toString("hex"), unpack(packed)];',
  ),
  job(
    "@msgpack/msgpack",
    'import { encode, decode } from "@msgpack/msgpack";',
    'const packed = encode({ a: 1, b: ["é", 1.5] }); return [Buffer.from(packed).toString("hex"), decode(packed)];',
  ),
  job(
    "cbor-x",
    'import { encode, decode } from "cbor-x";',
    'const packed = encode({ a: 1, b: ["é", 1.5] }); return [Buffer.from(packed).toString("hex"), decode(packed)];',
  ),
  job(
    "bson",
    'import { serialize, deserialize, ObjectId, Long } from "bson";',
    'const bytes = serialize({ _id: new ObjectId("507f1f77bcf86cd799439011"), n: Long.fromString("9007199254740993"), d: new Date(0), s: "é" }); return [Buffer.from(bytes).toString("hex"), deserialize(bytes)._id.toHexString()];',
  ),
  job(
    "protobufjs",
    'import protobuf from "protobufjs"; const { root } = protobuf.parse(\'syntax = "proto3"; message Order { int32 id = 1; repeated string skus = 2; map<string, double> m = 3; }\'); const Order = root.lookupType("Order");',
    'const bytes = Order.encode(Order.create({ id: 5, skus: ["a", "é"], m: { x: 1.5 } })).finish(); return [Buffer.from(bytes).toString("hex"), Order.toObject(Order.decode(bytes))];',
  ),
  job(
    "avsc",
    'import avro from "avsc";',
    'const type = avro.Type.forSchema({ type: "record", name: "Order", fields: [{ name: "id", type: "int" }, { name: "name", type: ["null", "string"] }] }); const bytes = type.toBuffer({ id: 5, name: "é" }); return [bytes.toString("hex"), type.fromBuffer(bytes)];',
  ),
  job(
    "pako",
    `import * as pakoModule from "pako"; const pako = pakoModule.gzip ? pakoModule : pakoModule.default; ${utf8}`,
    'const packed = pako.gzip("hello ".repeat(50)); return [pako.ungzip(packed, { to: "string" }).length, hex(pako.deflateRaw(utf8.encode("aaaaaaaa")))];',
  ),
  job(
    "fflate",
    'import { gzipSync, gunzipSync, zipSync, unzipSync, strToU8, strFromU8 } from "fflate";',
    'return [strFromU8(gunzipSync(gzipSync(strToU8("hi")))), Object.keys(unzipSync(zipSync({ "a.txt": strToU8("hi") })))];',
  ),
  job(
    "jszip",
    'import JSZip from "jszip";',
    'const zip = new JSZip(); zip.file("a.txt", "hello"); const bytes = await zip.generateAsync({ type: "uint8array", compression: "DEFLATE" }); return await (await JSZip.loadAsync(bytes)).file("a.txt").async("string");',
  ),
  job(
    "pdf-lib",
    'import { PDFDocument, StandardFonts } from "pdf-lib";',
    'const pdf = await PDFDocument.create(); const page = pdf.addPage([200, 100]); page.drawText("Hi", { font: await pdf.embedFont(StandardFonts.Helvetica) }); const bytes = await pdf.save(); return [(await PDFDocument.load(bytes)).getPageCount(), String.fromCharCode(...bytes.subarray(0, 8))];',
  ),
  job(
    "xlsx",
    'import * as XLSX from "xlsx";',
    'const book = XLSX.utils.book_new(); XLSX.utils.book_append_sheet(book, XLSX.utils.json_to_sheet([{ a: 1, b: "é" }]), "S"); const bytes = XLSX.write(book, { type: "buffer", bookType: "xlsx" }); return XLSX.utils.sheet_to_json(XLSX.read(bytes).Sheets.S);',
  ),
  job(
    "exceljs",
    'import ExcelJS from "exceljs";',
    'const book = new ExcelJS.Workbook(); book.created = book.modified = new Date(0); book.addWorksheet("S").addRow([1, "é", new Date(0)]); const bytes = await book.xlsx.writeBuffer(); const again = new ExcelJS.Workbook(); await again.xlsx.load(bytes); return again.getWorksheet("S").getRow(1).values;',
  ),
  job(
    "docx",
    'import { Document, Packer, Paragraph } from "docx";',
    'const bytes = await Packer.toBuffer(new Document({ sections: [{ children: [new Paragraph("Hi")] }] })); return [bytes.length > 1000, bytes.subarray(0, 2).toString()];',
  ),
  job("qrcode", 'import QRCode from "qrcode";', 'return [await QRCode.toString("hi", { type: "svg" }), QRCode.create("hi").modules.size];'),
  job(
    "jpeg-js",
    'import jpeg from "jpeg-js";',
    'const { data } = jpeg.encode({ data: Buffer.alloc(8 * 8 * 4, 120), width: 8, height: 8 }, 50); return [jpeg.decode(data).width, data.subarray(0, 3).toString("hex")];',
  ),
  job(
    "pngjs",
    'import { PNG } from "pngjs/browser.js";',
    'const png = new PNG({ width: 2, height: 2 }); png.data.fill(9); const bytes = PNG.sync.write(png); return PNG.sync.read(bytes).data.toString("hex");',
  ),
  job(
    "image-size",
    'import { imageSize } from "image-size";',
    'return imageSize(Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64"));',
  ),
  job(
    "buffer",
    'import { Buffer as B } from "buffer/index.js";',
    'return [B.from("é").toString("hex"), B.concat([B.from("a"), B.alloc(1)]).length, B.from([1, 2]).readUInt16BE(0)];',
  ),
  job(
    "events",
    'import EventEmitter from "events/events.js";',
    'const emitter = new EventEmitter(); const seen = []; emitter.on("a", (n) => seen.push(n)); emitter.emit("a", 1); return seen;',
  ),
  job(
    "string_decoder",
    'import { StringDecoder } from "string_decoder/lib/string_decoder.js";',
    'const decoder = new StringDecoder("utf8"); return [decoder.write(Buffer.from([0xe2, 0x82])), decoder.write(Buffer.from([0xac])), decoder.end()];',
  ),
  job(
    "readable-stream",
    `import { Readable, Transform, pipeline } from "readable-stream"; ${collect}`,
    'return await text(Readable.from(["a", "b"]).pipe(new Transform({ transform: (part, _encoding, done) => done(null, String(part).toUpperCase()) })));',
  ),
  job(
    "through2",
    `import through2 from "through2"; import { Readable } from "node:stream"; ${collect}`,
    'return await text(Readable.from(["a", "b"]).pipe(through2((part, _encoding, done) => done(null, String(part) + "!"))));',
  ),
  job(
    "split2",
    'import split2 from "split2"; import { Readable } from "node:stream";',
    'const lines = []; for await (const line of Readable.from(["a\\nb", "c\\n"]).pipe(split2())) lines.push(line); return lines;',
  ),
  job(
    "bl",
    'import { BufferList } from "bl";',
    'const list = new BufferList(); list.append("ab"); list.append(Buffer.from("cd")); return [list.length, list.slice(1, 3).toString(), list.readUInt16BE(0)];',
  ),
  job(
    "concat-stream",
    'import concat from "concat-stream"; import { Readable } from "node:stream";',
    'return await new Promise((done) => Readable.from(["a", "b"]).pipe(concat((all) => done(String(all)))));',
  ),
  job(
    "tar-stream",
    'import tar from "tar-stream";',
    'const pack = tar.pack(); pack.entry({ name: "a.txt", mtime: new Date(0) }, "hello"); pack.finalize(); const parts = []; for await (const part of pack) parts.push(part); const extract = tar.extract(); const names = []; extract.on("entry", (header, stream, next) => { names.push(header.name, header.size); stream.on("end", next); stream.resume(); }); extract.end(Buffer.concat(parts)); await new Promise((done) => extract.on("finish", done)); return names;',
  ),
  job(
    "stream-json",
    'import { parser } from "stream-json"; import { streamArray } from "stream-json/streamers/stream-array.js"; import { Readable } from "node:stream";',
    'const rows = []; const make = streamArray.asStream ?? streamArray; const first = parser.asStream ? parser.asStream() : parser(); for await (const { value } of Readable.from(["[{\\"a\\":1},", "{\\"a\\":2}]"]).pipe(first).pipe(make())) rows.push(value); return rows;',
  ),
];
