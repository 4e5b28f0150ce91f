/** Pieces out of order, and the window offered to the peer. */
import { before } from "../../big-endian";
import { ranges } from "../limits";
import { share } from "./blocks";
import { Flag, rangeAt, Tcb } from "./tcb";

/** Bytes that were received in order, the FIN left out, end before this. */
// @ts-ignore: decorator
@inline export function dataEnd(c: Tcb): u32 { return (c.flags & Flag.finTaken) !== 0 ? c.rcvNxt - 1 : c.rcvNxt; }

/** The right edge of the window to be offered; it never moves back. */
export function edgeToOffer(c: Tcb): u32 {
  const edge = c.user + share();
  return before(edge, c.edge) ? c.edge : edge;
}

function set(c: Tcb, index: u32, first: u32, end: u32): void {
  store<u32>(rangeAt(c, index), first);
  store<u32>(rangeAt(c, index), end, 4);
}

function remove(c: Tcb, index: u32): void {
  c.rangeCount--;
  for (let each = index; each < c.rangeCount; each++) set(c, each, load<u32>(rangeAt(c, each + 1)), load<u32>(rangeAt(c, each + 1), 4));
}

/** Notes bytes out of order. The latest piece comes first, as SACK wants it (RFC 2018). False: too many pieces. */
export function addRange(c: Tcb, first: u32, end: u32): bool {
  let index: u32 = 0;
  while (index < c.rangeCount) {
    const otherFirst = load<u32>(rangeAt(c, index)), otherEnd = load<u32>(rangeAt(c, index), 4);
    if (before(end, otherFirst) || before(otherEnd, first)) {
      index++;
      continue;
    }
    if (before(otherFirst, first)) first = otherFirst;
    if (before(end, otherEnd)) end = otherEnd;
    remove(c, index);
  }
  if (c.rangeCount >= ranges) return false;
  for (let each = c.rangeCount; each > 0; each--) set(c, each, load<u32>(rangeAt(c, each - 1)), load<u32>(rangeAt(c, each - 1), 4));
  set(c, 0, first, end);
  c.rangeCount++;
  return true;
}

/** True where bytes from `first` on would make one piece too many. */
export function isFull(c: Tcb, first: u32, end: u32): bool {
  if (c.rangeCount < ranges) return false;
  for (let index: u32 = 0; index < c.rangeCount; index++)
    if (!before(end, load<u32>(rangeAt(c, index))) && !before(load<u32>(rangeAt(c, index), 4), first)) return false;
  return true;
}

/** Moves `rcvNxt` over pieces that are in order now. */
export function joinRanges(c: Tcb): void {
  let index: u32 = 0;
  while (index < c.rangeCount) {
    const first = load<u32>(rangeAt(c, index)), end = load<u32>(rangeAt(c, index), 4);
    if (before(c.rcvNxt, first)) {
      index++;
      continue;
    }
    if (before(c.rcvNxt, end)) c.rcvNxt = end;
    remove(c, index);
    index = 0;
  }
}
