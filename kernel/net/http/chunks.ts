/**
 * Bodies in chunks (RFC 9112, 7.1). A decoder's whole state is 16 bytes, so that bytes may come in any pieces:
 *
 *     size ──";"──▶ extension ─┐
 *      │ ▲                     │
 *      │ └── data end ◀─ data ◀┴─ LF        of size 0: trailers, up to an empty line
 */
import { chunkExtrasBytes } from "./limits";

@unmanaged
export class Chunks {
  state: u32 = 0;
  /** Bytes of extensions and trailers so far. */
  extras: u32 = 0;
  /** Of the chunk under way. */
  left: u64 = 0;
}

const firstDigit: u32 = 0, size: u32 = 1, extension: u32 = 2, sizeFeed: u32 = 3, data: u32 = 4, dataReturn: u32 = 5, dataFeed: u32 = 6;
const lineStart: u32 = 7, trailer: u32 = 8, trailerFeed: u32 = 9, lastFeed: u32 = 10, over: u32 = 11, broken: u32 = 12;

export function beginChunks(chunks: Chunks): void {
  chunks.state = firstDigit;
  chunks.extras = 0;
  chunks.left = 0;
}

export function chunksOver(chunks: Chunks): bool { return chunks.state === over; }
export function chunksBroken(chunks: Chunks): bool { return chunks.state === broken; }
/** True if the next bytes are the body's. */
export function inData(chunks: Chunks): bool { return chunks.state === data; }

/** Bytes of the body that lie at the beginning of what comes next. */
export function dataOf(chunks: Chunks, length: u32): u32 {
  return chunks.left < <u64>length ? <u32>chunks.left : length;
}

export function tookData(chunks: Chunks, length: u32): void {
  chunks.left -= length;
  if (chunks.left === 0) chunks.state = dataReturn;
}

function hexValue(byte: u32): u32 {
  if (byte - 48 < 10) return byte - 48;
  return (byte | 32) - 97 < 6 ? (byte | 32) - 87 : 16;
}

/** Takes bytes between data up to the next data, the end, or what is malformed; returns how many. */
export function takeFraming(chunks: Chunks, at: usize, length: u32): u32 {
  let taken: u32 = 0;
  while (taken < length && chunks.state !== data && chunks.state < over) {
    step(chunks, load<u8>(at + taken));
    taken++;
  }
  return taken;
}

function step(chunks: Chunks, byte: u32): void {
  const state = chunks.state;
  if (state >= extension && state <= trailer && state !== sizeFeed && ++chunks.extras > chunkExtrasBytes) {
    chunks.state = broken;
    return;
  }
  switch (state) {
    case firstDigit:
    case size: return takeDigit(chunks, byte, state === firstDigit);
    case extension: // RFC 9112, 7.1.1: read over
      chunks.state = byte === 13 ? sizeFeed : byte < 32 && byte !== 9 ? broken : extension;
      return;
    case sizeFeed:
      chunks.state = byte !== 10 ? broken : chunks.left > 0 ? data : lineStart;
      return;
    case dataReturn:
      chunks.state = byte === 13 ? dataFeed : broken;
      return;
    case dataFeed:
      chunks.state = byte === 10 ? firstDigit : broken;
      return;
    case lineStart:
      chunks.state = byte === 13 ? lastFeed : isNameByte(byte) ? trailer : broken;
      return;
    case trailer:
      chunks.state = byte === 13 ? trailerFeed : (byte < 32 && byte !== 9) || byte === 127 ? broken : trailer;
      return;
    case trailerFeed:
      chunks.state = byte === 10 ? lineStart : broken;
      return;
    default:
      chunks.state = byte === 10 ? over : broken;
  }
}

function isNameByte(byte: u32): bool {
  return byte > 32 && byte < 127 && byte !== 58;
}

function takeDigit(chunks: Chunks, byte: u32, isFirst: bool): void {
  const digit = hexValue(byte);
  if (digit < 16) {
    if (chunks.left >> 56 !== 0) chunks.state = broken;
    else {
      chunks.left = (chunks.left << 4) | digit;
      chunks.state = size;
    }
  } else if (isFirst) chunks.state = broken;
  else chunks.state = byte === 13 ? sizeFeed : byte === 59 ? extension : broken;
}
