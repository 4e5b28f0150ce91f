/** Room in the effects' frame. */
import { free, malloc } from "./engine";
import { outbox, outboxCapacity, outboxLength, setOutbox, setOutboxCapacity } from "./state";

const mostFrameBytes: u32 = 64 << 20; // hardLimits.frameBytes
/** Up to here the outbox doubles. */
const mostDoubledBytes: u32 = 1 << 20;

/** True when the frame may grow by `size` and `more` bytes. */
export function fits(size: u32, more: u32): bool {
  return <u64>outboxLength() + size + more <= mostFrameBytes;
}

/**
 * Room for `more` bytes at the end of the outbox; its address, or 0. What was written there already stays. At every moment there is a whole outbox: a step can be cut off in any
 * loop, the allocator's too.
 */
export function reserve(more: u32): usize {
  if (!fits(more, 0)) return 0;
  const length = outboxLength();
  const before = outboxCapacity();
  if (length + more > before) {
    let capacity = before;
    while (capacity < length + more && capacity < mostDoubledBytes) capacity = capacity << 1;
    // A long body is not worth as much again of what the machine has.
    if (capacity < length + more) capacity = length + more + ((length + more) >> 3);
    const larger = malloc(capacity);
    if (larger === 0) return 0;
    const old = outbox();
    memory.copy(larger, old, before);
    setOutbox(larger);
    setOutboxCapacity(capacity);
    free(old);
  }
  return outbox() + length;
}
