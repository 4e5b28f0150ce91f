/**
 * The parts that records of several kinds have: bodies, headers, attempts, replies, ids.
 *
 * A body is `0, bytes` in the record itself or `1, name, length, crc` of a file beside the log.
 */
import { appendHeader, headerList, type Headers, type HeadersDraft, type HeaderValue } from "#abi";
import type { AttemptRecord, NewMessage } from "../journal.ts";
import type { SleepingLease } from "../slot.ts";
import type { Reply } from "../../contract/message.ts";
import type { ByteReader, ByteWriter } from "./bytes.ts";

/** Where a body is: in the record, at this offset of its payload, or in a file of its own. */
export type RecordedBody =
  | { readonly form: "inline"; readonly bytes: Uint8Array; readonly offset: number }
  | { readonly form: "blob"; readonly file: string; readonly length: number; readonly crc: number };

/** Bodies of a sleeping message: what it came with, its events so far, its pages. */
export interface SleepingBodies<Body = RecordedBody> {
  readonly body: Body;
  readonly recording: Body;
  readonly pages: Body | undefined;
}

/** A sleeping message as it is read; its arrays are empty, their bytes are in `bodies`. */
export interface RecordedSleeping {
  readonly lease: SleepingLease;
  readonly bodies: SleepingBodies;
}

/** A whole record in a file: of a sleeper, or the commit it fell asleep in. */
export interface RecordPlace {
  readonly file: string;
  /** Of its payload. */
  readonly offset: number;
  /** Bytes of the payload. */
  readonly length: number;
}

/** A body to be written: a view of it, or where it is already. Returns the offset of inline bytes in `writer`, or -1. */
export type BodyToWrite = Uint8Array | Extract<RecordedBody, { form: "blob" }>;

export function writeBody(writer: ByteWriter, body: BodyToWrite): number {
  if (body instanceof Uint8Array) {
    writer.u8(0);
    writer.bytes(body);
    return writer.length - body.length;
  }
  writer.u8(1);
  writer.text(body.file);
  writer.number(body.length);
  writer.u32(body.crc);
  return -1;
}

export function readBody(reader: ByteReader): RecordedBody {
  const form = reader.u8();
  if (form === 0) {
    const bytes = reader.bytes();
    return { form: "inline", bytes, offset: reader.at - bytes.length };
  }
  if (form !== 1) reader.valid = false;
  return { form: "blob", file: reader.text(), length: reader.count(), crc: reader.u32() };
}

function headerCount(value: HeaderValue | undefined): number {
  return typeof value === "string" ? 1 : headerList(value).length;
}

/** Names and values in turn: a header with several values stands there several times. */
export function writeHeaders(writer: ByteWriter, headers: Headers): void {
  let count = 0;
  for (const name in headers) count += headerCount(headers[name]);
  writer.u32(count);
  for (const name in headers) {
    const value = headers[name];
    if (typeof value === "string") {
      writer.text(name);
      writer.text(value);
    } else
      for (const each of headerList(value)) {
        writer.text(name);
        writer.text(each);
      }
  }
}

export function readHeaders(reader: ByteReader): Headers {
  const headers: HeadersDraft = {};
  for (let left = reader.items(8); left > 0; left--) {
    const name = reader.text();
    const value = reader.text();
    // defineProperty: a header named __proto__ is a header
    if (name === "__proto__") Object.defineProperty(headers, name, { value, enumerable: true, configurable: true, writable: true });
    else appendHeader(headers, name, value);
  }
  return headers;
}

export function writeAttempts(writer: ByteWriter, attempts: readonly AttemptRecord[]): void {
  writer.text(attempts.length === 0 ? undefined : JSON.stringify(attempts));
}

export function readJson(reader: ByteReader): unknown {
  const text = reader.optionalText();
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    reader.valid = false;
    return undefined;
  }
}

export function readAttempts(reader: ByteReader): readonly AttemptRecord[] {
  const attempts = readJson(reader) ?? [];
  if (Array.isArray(attempts)) return attempts as AttemptRecord[];
  reader.valid = false;
  return [];
}

export function readOptionalAttempt(reader: ByteReader): AttemptRecord | undefined {
  const record = readJson(reader);
  if (record === undefined) return undefined;
  if (typeof record === "object" && record !== null) return record as AttemptRecord;
  reader.valid = false;
  return undefined;
}

export function readAttempt(reader: ByteReader): AttemptRecord {
  const record = readOptionalAttempt(reader);
  if (record === undefined) reader.valid = false;
  return record as AttemptRecord;
}

export function writeReply(writer: ByteWriter, reply: Reply | undefined): void {
  writer.u8(reply === undefined ? 0 : 1);
  if (reply === undefined) return;
  writer.number(reply.status);
  writer.text(reply.contentType);
  writeHeaders(writer, reply.headers);
  writer.bytes(reply.body);
}

export function readReply(reader: ByteReader): Reply | undefined {
  if (reader.u8() === 0) return undefined;
  const status = reader.number();
  const contentType = reader.text();
  const headers = readHeaders(reader);
  return { status, contentType, headers, body: Buffer.from(reader.bytes()) };
}

export function writeDedup(writer: ByteWriter, dedup: NewMessage["dedup"]): void {
  writer.text(dedup?.id);
  if (dedup === undefined) return;
  writer.number(dedup.windowMs);
  writer.number(dedup.count);
}

export function readDedup(reader: ByteReader): NewMessage["dedup"] {
  const id = reader.optionalText();
  return id === undefined ? undefined : { id, windowMs: reader.number(), count: reader.number() };
}
