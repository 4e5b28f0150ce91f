/** Lines for the console, and for a syslog server: JSON, as the gateway's log has them (gateway/logger.ts). */
import { Bytes, drop, putByte, putJson, putNumber, putText } from "../bytes";
import { print, wall } from "../host";
import { putIsoDate } from "../http/mod";
import { datagram } from "../names";
import { logLevel, nameAt, nameLength, syslogAt, syslogLength } from "./config";
import { putCompact } from "./json";
import { logFieldBytes } from "./limits";
import { flowOfMessage, idOf, Message } from "./message";
import { readAddress, readNumber } from "./settings";

export const debug: u32 = 0, info: u32 = 1, warn: u32 = 2, error: u32 = 3;

// @ts-ignore: decorator
@lazy const line: Bytes = changetype<Bytes>(memory.data(16, 8));
/** The text of the next line, filled by whoever writes one. */
// @ts-ignore: decorator
@lazy export const said: Bytes = changetype<Bytes>(memory.data(16, 8));

let syslogAddress: u32 = 0, syslogPort: u32 = 0;

/** Reads the syslog server's address, `10.0.0.1:514`. False if it is malformed. */
export function startLog(): bool {
  if (syslogLength === 0) return true;
  let colon = syslogLength;
  while (colon > 0 && load<u8>(syslogAt + colon - 1) !== 58) colon--;
  syslogAddress = readAddress(syslogAt, colon > 0 ? colon - 1 : syslogLength);
  syslogPort = colon > 0 ? readNumber(syslogAt + colon, syslogLength - colon, 65535) : 514;
  return syslogAddress !== 0 && syslogPort > 0 && syslogPort < 65536;
}

/** Begins a line; false for a level that is not wanted. */
export function beginLine(level: u32, m: Message | null): bool {
  if (level < logLevel) return false;
  line.length = 0;
  putText(line, "{\"level\":\"");
  putText(line, level === 0 ? "debug" : level === 1 ? "info" : level === 2 ? "warn" : "error");
  putText(line, "\",\"time\":\"");
  putIsoDate(line, wall());
  putText(line, "\"");
  if (m === null) putMember("service", nameAt, nameLength);
  else {
    putMember("flow", flowOfMessage(m).name, flowOfMessage(m).nameLength);
    putMember("message", idOf(m), m.idLength);
  }
  return true;
}

export function putMember(name: string, at: usize, length: u32): void {
  putText(line, ",\"");
  putText(line, name);
  putText(line, "\":");
  putJson(line, at, min<u32>(length, logFieldBytes));
}

/** A text of ours, which needs no escapes. */
export function putTextMember(name: string, text: string): void {
  putText(line, ",\"");
  putText(line, name);
  putText(line, "\":\"");
  putText(line, text);
  putText(line, "\"");
}

export function putCount(name: string, value: u32): void {
  putText(line, ",\"");
  putText(line, name);
  putText(line, "\":");
  putNumber(line, value);
}

/** The fields of a flow's line: an object as it is, or as a text what is no JSON, or too long. */
export function putFields(at: usize, length: u32): void {
  putText(line, ",\"fields\":");
  const before = line.length;
  if (length <= logFieldBytes && putCompact(line, at, length)) return;
  line.length = before;
  putJson(line, at, min<u32>(length, logFieldBytes));
}

/** Ends the line with its text, and writes it. */
export function endLine(level: u32, at: usize, length: u32): void {
  putMember("msg", at, length);
  putText(line, "}\n");
  if (!line.broken) {
    print(<u32>line.at, line.length);
    if (syslogAddress !== 0) toSyslog(level);
  }
  drop(line);
}

/** Writes a line of ours, whose text is in `said`. */
export function sayLine(level: u32, m: Message | null): void {
  if (beginLine(level, m)) endLine(level, said.at, said.length);
  drop(said);
}

// @ts-ignore: decorator
@lazy const packet: Bytes = changetype<Bytes>(memory.data(16, 8));
const mostDatagram: u32 = 1024;

/** RFC 5424: <priority>1 time - mayfly - - - text; facility `user`. */
function toSyslog(level: u32): void {
  packet.length = 0;
  putText(packet, level === 0 ? "<15>1 " : level === 1 ? "<14>1 " : level === 2 ? "<12>1 " : "<11>1 ");
  putIsoDate(packet, wall());
  putText(packet, " - mayfly - - - ");
  for (let index: u32 = 0; index + 1 < line.length && packet.length < mostDatagram; index++) putByte(packet, load<u8>(line.at + index));
  if (!packet.broken) datagram(syslogAddress, syslogPort, 514, packet.at, packet.length);
  drop(packet);
}
