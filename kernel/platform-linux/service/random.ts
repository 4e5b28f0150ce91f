/** Random numbers of the kernel's, drawn ahead and forgotten as they are given out. */
import { address, call, Call, copy } from "../cpu";
import { fault, faultEntropy } from "./faults";
import { inNet } from "./memory";
import { netBase } from "./net";

const drawnBytes: u32 = 256;
// @ts-ignore: decorator
@lazy const drawn: usize = memory.data(256, 8);
let left: u32 = 0;

/** Up to 256 bytes come whole, whatever signals arrive (getrandom(2)). */
function drawMore(): void {
  if (call(Call.getrandom, address(drawn), drawnBytes, 0) !== drawnBytes) fault(faultEntropy);
  left = drawnBytes;
}

/** Ends the process where there is no randomness. */
export function startRandom(): void {
  drawMore();
}

export function random(at: u32, length: u32): void {
  if (!inNet(at, length)) return;
  for (let filled: u32 = 0; filled < length; ) {
    if (left === 0) drawMore();
    const part = min<u32>(length - filled, left);
    left -= part;
    copy(netBase() + at + filled, address(drawn + left), part);
    memory.fill(drawn + left, 0, part);
    filled += part;
  }
}
