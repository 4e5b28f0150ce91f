/** Room in the effects' frame. */
import { realloc } from "./engine";
import { outbox, outboxCapacity, outboxLength, setOutbox, setOutboxCapacity } from "./state";

const mostFrameBytes: u32 = 64 << 20; // hardLimits.frameBytes

/** Room for `more` bytes at the end of the outbox; its address, or 0. */
export function reserve(more: u32): usize {
  const length = outboxLength();
  if (more > mostFrameBytes || length + more > mostFrameBytes) return 0;
  let capacity = outboxCapacity();
  if (length + more > capacity) {
    while (capacity < length + more) capacity = capacity << 1;
    const moved = realloc(outbox(), capacity);
    if (moved === 0) return 0;
    setOutbox(moved);
    setOutboxCapacity(capacity);
  }
  return outbox() + length;
}
