/**
 * The stream of replication: the server's messages, each one CopyData, and our positions. (PostgreSQL's documentation, "Streaming
 * Replication Protocol".)
 *
 *     server → "w" start of change, end of the log, time (8 bytes each), then a message of pgoutput
 *              "k" end of the log, time (8 bytes each), 1 if an answer is wanted at once
 *     we     → "r" written, flushed, applied, time (8 bytes each), 1 to ask for an answer
 */
import { epochMicros, type Lsn, malformed } from "./pgoutput.ts";

export type Streamed =
  | { readonly kind: "data"; readonly payload: Buffer }
  | { readonly kind: "keepalive"; readonly end: Lsn; readonly wantsAnswer: boolean };

const dataBytes = 25;
const keepaliveBytes = 18;

/** Throws MF_POSTGRES_STREAM. */
export function streamed(content: Buffer): Streamed {
  const kind = content[0];
  if (kind === 0x77) {
    if (content.length <= dataBytes) throw malformed("it is cut off");
    return { kind: "data", payload: content.subarray(dataBytes) };
  }
  if (kind !== 0x6b || content.length !== keepaliveBytes) throw malformed("it is neither a change nor a sign of life");
  return { kind: "keepalive", end: content.readBigUInt64BE(1), wantsAnswer: content[17] === 1 };
}

/** `nowMs`: milliseconds since 1970. */
export function positionMessage(position: Lsn, nowMs: number): Buffer {
  const message = Buffer.alloc(34);
  message.write("r", "latin1");
  for (const at of [1, 9, 17]) message.writeBigUInt64BE(position, at);
  message.writeBigInt64BE(BigInt(Math.trunc(nowMs)) * 1000n - epochMicros, 25);
  return message;
}

/** `0/16B3748`, as the server writes it. */
export function lsnText(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase();
}

/** Undefined for a text that is not a place. */
export function lsnOf(text: string | null | undefined): Lsn | undefined {
  const [, high, low] = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i.exec(text ?? "") ?? [];
  return high === undefined || low === undefined ? undefined : (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}
