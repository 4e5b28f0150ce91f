/**
 * Copies between memories. `rep movsb` is what processors do best, and what an emulated one does byte after byte: there, eight bytes a move.
 */
import { copy, read64Far, read8Far, write64Far, write8Far } from "./cpu";
import { isEmulated } from "./processor";

/** Addresses of the machine; the two places must not overlap. */
export function copyBytes(to: u64, from: u64, length: u32): void {
  if (!isEmulated()) return copy(to, from, <u64>length);
  let done: u64 = 0;
  for (; done + 8 <= <u64>length; done += 8) write64Far(to + done, read64Far(from + done));
  for (; done < <u64>length; done++) write8Far(to + done, read8Far(from + done));
}
