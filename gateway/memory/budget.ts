/** Makes the memory budget of the process: contract/memory.ts says who has an account in it. */
import { type Clock, collectGarbage, memoryBudget } from "#base";
import { gatewayLimits } from "../contract/limits.ts";
import type { GatewayMemory } from "../contract/memory.ts";
import { availableMemory } from "./available.ts";

/** The budget for so many bytes; by default as the computer or its container allows. */
export function gatewayMemory(bytes: number = defaultMemoryBytes(availableMemory()), clock?: Clock): GatewayMemory {
  const all = memoryBudget(bytes, clock, collectingEvery(bytes * collectedShare));
  const intake = all.reserve("intake", 0.3);
  const long = intake.part("long", 0.75);
  const outgoing = all.reserve("outgoing", 0.2);
  return {
    all,
    intake,
    requests: intake.part("requests"),
    uploads: long.part("uploads", 2 / 3),
    messages: intake.part("messages"),
    longMessages: long.part("long messages"),
    waiting: all.reserveElsewhere("waiting", 0.15),
    workers: all.reserveElsewhere("workers", 0.1),
    journal: outgoing.part("journal"),
    sends: outgoing.part("sends"),
    answers: all.reserve("answers", 0.25),
    replies: outgoing.part("replies"),
  };
}

/** Garbage of so much of the budget is collected at once: V8 alone would let it grow to as much as the budget, or more. */
const collectedShare = 0.15;

function collectingEvery(limitBytes: number): (bytes: number) => void {
  let garbageBytes = 0;
  return (bytes) => {
    garbageBytes += bytes;
    if (garbageBytes < limitBytes) return;
    garbageBytes = 0;
    setImmediate(collectGarbage); // what gave them back may still hold them
  };
}

/**
 * A third of what the process may use, without what Node itself needs; the rest is for copies on their way and for what the
 * garbage collector has not found yet.
 */
export function defaultMemoryBytes(availableBytes: number): number {
  const { nodeBytes, leastBytes, mostBytes } = gatewayLimits.memory;
  return Math.min(Math.max(Math.floor((availableBytes - nodeBytes) / 3), leastBytes), mostBytes);
}
