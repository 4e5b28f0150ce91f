/** Heads of answers. */
import { Bytes, drop, put, putByte, putNumber, putText } from "../bytes";
import { now, wall } from "../host";
import { Connection, outOf } from "./connection";
import { putHttpDate } from "./date";
import { idleText } from "./limits";
import { isClosing, send } from "./server";
import { reasonOf } from "./status";

// @ts-ignore: decorator
@lazy const date: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy const dateText: usize = memory.data(32, 8);
let dateUntil: u64 = 0;

/** Begins the answer to a connection's request; what is put into the result are its header lines. */
export function beginAnswer(c: Connection, status: u32): Bytes {
  const out = outOf(c);
  drop(out);
  putText(out, "HTTP/1.1 ");
  putNumber(out, status);
  putByte(out, 32);
  putText(out, reasonOf(status));
  putText(out, "\r\n");
  return out;
}

/** A header line of ASCII. */
export function putLine(out: Bytes, name: string, value: string): void {
  putText(out, name);
  putText(out, ": ");
  putText(out, value);
  putText(out, "\r\n");
}

export function putLineOf(out: Bytes, name: string, at: usize, length: u32): void {
  putText(out, name);
  putText(out, ": ");
  put(out, at, length);
  putText(out, "\r\n");
}

export function putLength(out: Bytes, length: u32): void {
  putText(out, "content-length: ");
  putNumber(out, length);
  putText(out, "\r\n");
}

/** The date is written once a second. */
function putDate(out: Bytes): void {
  const time = now();
  if (date.length === 0 || time >= dateUntil) {
    const ms = wall();
    date.at = dateText;
    date.room = 32;
    date.length = 0;
    putHttpDate(date, ms);
    dateUntil = time + <u64>(1000 - <u32>(<u64>max(ms, 0) % 1000)) * 1000;
  }
  putText(out, "Date: ");
  put(out, date.at, date.length);
  putText(out, "\r\n");
}

/** Ends the head, and sends the answer with this body. `block` is given back at the end. */
export function endAnswer(c: Connection, bodyAt: usize, bodyLength: u32, block: usize = 0): void {
  const out = outOf(c);
  putDate(out);
  if (c.keepsAlive && !isClosing && !c.hasEnded) {
    putText(out, "Connection: keep-alive\r\nKeep-Alive: timeout=");
    putText(out, idleText);
    putText(out, "\r\n\r\n");
  } else {
    c.keepsAlive = false;
    putText(out, "Connection: close\r\n\r\n");
  }
  send(c, bodyAt, c.isHeadMethod ? 0 : bodyLength, block);
}
