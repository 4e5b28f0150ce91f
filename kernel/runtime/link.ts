/**
 * How a part that is linked into the flow's bundle reaches the kernel that is already in the machine. A part imports this module and
 * nothing else of the runtime but types: anything else would come along a second time, without the state of the first.
 */
import type { Kernel } from "./exports.ts";

export const kernel: Kernel = (globalThis as unknown as Record<symbol, Kernel>)[Symbol.for("mayfly.kernel")]!;
