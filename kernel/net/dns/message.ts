/** Messages of DNS (RFC 1035): the query for the IPv4 address of a name, and its answer. Names are lower-case text without a dot at the end. */
import { be16, be32, put16, put32 } from "../big-endian";
import { aliases, leastTtl, mostName, mostTtl, nameJumps } from "./limits";

const headerBytes: u32 = 12;
/** Room for two names. */
// @ts-ignore: decorator
@lazy const wanted: usize = memory.data(256, 8);
// @ts-ignore: decorator
@lazy const owner: usize = memory.data(256, 8);

let ownerLength: u32 = 0, wantedLength: u32 = 0;
/** Of the answer that was read: its address, 0 when it has none, and the seconds for which it holds. */
export let answerAddress: u32 = 0, answerTtl: u32 = 0;

/** Copies a name in lower case; its length, or 0 when it is no name of a host. */
export function copyName(to: usize, from: usize, length: u32): u32 {
  if (length !== 0 && load<u8>(from + length - 1) === 46) length--;
  if (length === 0 || length > mostName) return 0;
  let label: u32 = 0;
  for (let index: u32 = 0; index < length; index++) {
    let byte = <u32>load<u8>(from + index);
    if (byte >= 65 && byte <= 90) byte |= 32;
    if (byte === 46) {
      if (label === 0) return 0;
      label = 0;
    } else {
      const letter = (byte >= 97 && byte <= 122) || (byte >= 48 && byte <= 57) || byte === 45 || byte === 95;
      if (!letter || ++label > 63) return 0;
    }
    store<u8>(to + index, byte);
  }
  return label === 0 ? 0 : length;
}

/** The address that a dotted quad names, or 0. */
export function readQuad(at: usize, length: u32): u32 {
  let value: u32 = 0, part: u32 = 0, digits: u32 = 0, dots: u32 = 0;
  for (let index: u32 = 0; index < length; index++) {
    const byte = <u32>load<u8>(at + index);
    if (byte === 46) {
      if (digits === 0 || ++dots > 3) return 0;
      value = value << 8 | part;
      part = digits = 0;
    } else {
      if (byte < 48 || byte > 57 || ++digits > 3) return 0;
      part = part * 10 + byte - 48;
      if (part > 255) return 0;
    }
  }
  return digits === 0 || dots !== 3 ? 0 : value << 8 | part;
}

/** Writes a query; returns its bytes. */
export function writeQuery(at: usize, id: u32, name: usize, length: u32): u32 {
  put16(at, id);
  put16(at + 2, 0x0100); // recursion desired
  put32(at + 4, 0x00010000);
  put32(at + 8, 0);
  let label = at + headerBytes;
  for (let index: u32 = 0; index < length; index++) {
    const byte = load<u8>(name + index), next = at + headerBytes + 1 + index;
    if (byte !== 46) {
      store<u8>(next, byte);
      continue;
    }
    store<u8>(label, <u32>(next - label) - 1);
    label = next;
  }
  const end = at + headerBytes + 1 + length;
  store<u8>(label, <u32>(end - label) - 1);
  store<u8>(end, 0);
  put32(end + 1, 0x00010001); // A, Internet
  return <u32>(end + 5 - at);
}

/** Reads a name at `from` into `owner`; the address behind it, or 0 when it is malformed. */
function readName(message: usize, end: usize, from: usize): usize {
  let at = from, behind: usize = 0, jumps: u32 = 0;
  ownerLength = 0;
  while (at < end) {
    const size = <u32>load<u8>(at);
    if (size === 0) return behind !== 0 ? behind : at + 1;
    if (size >= 192) {
      if (at + 2 > end || ++jumps > nameJumps) return 0;
      if (behind === 0) behind = at + 2;
      at = message + (be16(at) & 0x3fff);
      continue;
    }
    if (size > 63 || at + 1 + size > end || ownerLength + size + 1 > mostName + 1) return 0;
    if (ownerLength !== 0) store<u8>(owner + ownerLength++, 46);
    for (let index: u32 = 0; index < size; index++) {
      const byte = <u32>load<u8>(at + 1 + index);
      store<u8>(owner + ownerLength++, byte >= 65 && byte <= 90 ? byte | 32 : byte);
    }
    at += 1 + size;
  }
  return 0;
}

function isWanted(): bool {
  return ownerLength === wantedLength && memory.compare(owner, wanted, ownerLength) === 0;
}

/** Follows the records from `at` on once; true when an alias or the address was found. */
function follow(message: usize, end: usize, at: usize, records: u32): bool {
  for (let each: u32 = 0; each < records; each++) {
    at = readName(message, end, at);
    if (at === 0 || at + 10 > end) return false;
    const type = be32(at), size = be16(at + 8), data = at + 10;
    if (data + size > end) return false;
    const ttl = be32(at + 4);
    at = data + size;
    if (!isWanted()) continue;
    if (type === 0x00010001 && size === 4) {
      answerAddress = be32(data);
      answerTtl = min(answerTtl, ttl >> 31 !== 0 ? 0 : ttl);
      return true;
    }
    if (type !== 0x00050001) continue;
    if (readName(message, end, data) === 0) return false;
    memory.copy(wanted, owner, ownerLength);
    wantedLength = ownerLength;
    answerTtl = min(answerTtl, ttl >> 31 !== 0 ? 0 : ttl);
    return true;
  }
  return false;
}

/** Outcomes of `readAnswer`. */
export const notOurs: u32 = 0, found: u32 = 1, noAddress: u32 = 2, serverFailed: u32 = 3;

/** Reads the answer to the query with this id and name. */
export function readAnswer(message: usize, length: u32, id: u32, name: usize, nameLength: u32): u32 {
  if (length < headerBytes || be16(message) !== id) return notOurs;
  const flags = be16(message + 2), end = message + length;
  if ((flags & 0xf800) !== 0x8000 || be16(message + 4) !== 1) return notOurs;
  memory.copy(wanted, name, nameLength);
  wantedLength = nameLength;
  const behind = readName(message, end, message + headerBytes);
  if (behind === 0 || behind + 4 > end || be32(behind) !== 0x00010001 || !isWanted()) return notOurs;
  const code = flags & 15;
  if (code === 3) return noAddress;
  if (code !== 0) return serverFailed;
  answerAddress = 0;
  answerTtl = mostTtl;
  for (let step: u32 = 0; step < aliases && answerAddress === 0; step++)
    if (!follow(message, end, behind + 4, be16(message + 6))) break;
  answerTtl = max(answerTtl, leastTtl);
  return answerAddress !== 0 ? found : noAddress;
}
