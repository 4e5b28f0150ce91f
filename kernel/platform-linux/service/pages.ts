/**
 * The engine's memory between messages. It is read-only until it is written: the first write to a page faults, is noted by the handler of
 * faults (compiler/runtime/linux.ts, emitTracking), and goes on. So nothing is asked of the kernel between two messages:
 *
 *     read-only page of the file ──first write: noted──▶ writable, private ──after each message: copied back from the image──▶ the same
 *              ▲                                                                                    │
 *              └── more than `mostWritten`: all dropped; each `relearnAfter` messages: read-only again, as few messages write what one wrote
 */
import { address, call, Call, copy, engineBase, frozenBase, read64, stackLimit, stackTop, write64 } from "../cpu";
import { enginePages, imageBytes, keep, listPage, pageBytes, shrink, wasmPageBytes } from "../pristine";
import { machinePages, mostWritten, relearnAfter, stackKeptBytes } from "./limits";

// @ts-ignore: decorator
@external("symbol", "runtime.track")
declare function trackAt(): u64;

const baseAt: u64 = 0, bytesAt: u64 = 8, countAt: u64 = 16, mostAt: u64 = 24, listAt: u64 = 32, stackAt: u64 = 40, stackBytesAt: u64 = 48, deepAt: u64 = 56;
const noAccess: u64 = 0, readOnly: u64 = 1, dropPages: u64 = 4; // MADV_DONTNEED

/** Numbers of the pages that were written. */
// @ts-ignore: decorator
@lazy const written: usize = memory.data(1536, 8);

let messages: u32 = 0;

function writtenPages(): u32 { return <u32>read64(trackAt() + countAt); }
function lowerStackBytes(): u64 { return stackTop() - stackLimit() - stackKeptBytes; }

/** From here on pages are noted as they are written. False where the kernel refuses it. */
export function startPages(): bool {
  write64(trackAt() + bytesAt, imageBytes());
  write64(trackAt() + mostAt, mostWritten);
  write64(trackAt() + listAt, address(written));
  write64(trackAt() + stackAt, stackLimit());
  write64(trackAt() + stackBytesAt, lowerStackBytes());
  write64(trackAt() + baseAt, engineBase());
  return protect() && protectStack();
}

function protect(): bool {
  write64(trackAt() + countAt, 0);
  messages = 0;
  return call(Call.mprotect, engineBase(), imageBytes(), readOnly) >= 0;
}

function protectStack(): bool {
  write64(trackAt() + deepAt, 0);
  return call(Call.mprotect, stackLimit(), lowerStackBytes(), noAccess) >= 0;
}

/** Makes memory, its size, the stack pointer and the stack the image's, after any run. `isTorn`: the run was ended from outside, perhaps while memory grew. */
export function putBack(isTorn: bool): void {
  shrink();
  if (isTorn) call(Call.munmap, engineBase() + imageBytes(), <u64>machinePages * wasmPageBytes);
  if (read64(trackAt() + deepAt) !== 0) {
    call(Call.madvise, stackLimit(), lowerStackBytes(), dropPages);
    protectStack();
  }
  const count = writtenPages();
  if (count > mostWritten) {
    call(Call.madvise, engineBase(), imageBytes(), dropPages);
    protect();
    return;
  }
  for (let index: u32 = 0; index < count; index++) {
    const at = <u64>load<u32>(written + (<usize>index << 2)) << 12;
    copy(engineBase() + at, frozenBase() + at, pageBytes);
  }
  if (++messages >= relearnAfter) protect();
}

function isAs(at: u64, other: u64): bool {
  for (let offset: u64 = 0; offset < pageBytes; offset += 8) if (read64(at + offset) !== read64(other + offset)) return false;
  return true;
}

function isZero(at: u64): bool {
  for (let offset: u64 = 0; offset < pageBytes; offset += 8) if (read64(at + offset) !== 0) return false;
  return true;
}

/** Keeps the machine that is in the memory in a berth; false when there is no room. */
export function keepMachine(berth: u32): bool {
  const count = writtenPages();
  const isListed = count <= mostWritten;
  const rest = <u32>(imageBytes() >> 12), last = enginePages() * (wasmPageBytes / pageBytes);
  const candidates = isListed ? count : rest;
  let kept: u32 = 0;
  for (let index: u32 = 0; index < candidates; index++) {
    const page = isListed ? load<u32>(written + (<usize>index << 2)) : index;
    if (!isListed && isAs(engineBase() + (<u64>page << 12), frozenBase() + (<u64>page << 12))) continue;
    if (!listPage(kept++, page)) return false;
  }
  for (let page = rest; page < last; page++) if (!isZero(engineBase() + (<u64>page << 12)) && !listPage(kept++, page)) return false;
  return keep(berth, kept);
}
