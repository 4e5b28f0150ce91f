/**
 * The memory budget of the process, and who has an account in it.
 *
 *   all ─┬─ intake ─┬─ requests        bodies on their way in: short ones, and what brokers' sources have in hand
 *        │          ├─ uploads (half)  long ones
 *        │          └─ messages        accepted, until their end
 *        ├─ answers                    of outlets and fetch, as they come in and while their machine lives
 *        ├─ outgoing ─┬─ sends           what flows send and ask
 *        │            ├─ replies         written to slow readers
 *        │            └─ journal         bodies of sends that a journal in memory has
 *        ├─ waiting                    machines that wait, set aside by the monitor
 *        └─ workers                    memory of the machines that run, and events on their way to them
 *
 * The five are reserves: what was let in can be finished, and what flows do with it does not keep others out. Long uploads have half of
 * the intake: they don't keep short requests out.
 */
import { availableMemory } from "./memory-limit.ts";
import { type Clock, collectGarbage, type MemoryAccount, memoryBudget } from "#base";
import { gatewayLimits } from "./limits.ts";
import type { Problem } from "./http/problem.ts";

export interface GatewayMemory {
  readonly all: MemoryAccount;
  readonly intake: MemoryAccount;
  readonly requests: MemoryAccount;
  readonly uploads: MemoryAccount;
  readonly messages: MemoryAccount;
  readonly waiting: MemoryAccount;
  readonly workers: MemoryAccount;
  readonly journal: MemoryAccount;
  readonly sends: MemoryAccount;
  readonly answers: MemoryAccount;
  readonly replies: MemoryAccount;
}

/** The budget for so many bytes; by default as the computer or its container allows. */
export function gatewayMemory(bytes: number = defaultMemoryBytes(availableMemory()), clock?: Clock): GatewayMemory {
  const all = memoryBudget(bytes, clock, collectingEvery(bytes * collectedShare));
  const intake = all.reserve("intake", 0.3);
  const outgoing = all.reserve("outgoing", 0.2);
  return {
    all,
    intake,
    requests: intake.part("requests"),
    uploads: intake.part("uploads", 0.5),
    messages: intake.part("messages"),
    waiting: all.reserve("waiting", 0.15),
    workers: all.reserve("workers", 0.1),
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

export const memoryBusy = "MF_MEMORY_BUSY";

export function memoryBusyProblem(detail = "the gateway's memory is taken: try again later"): Problem {
  return {
    status: 503,
    code: memoryBusy,
    detail,
    headers: { "retry-after": String(Math.ceil(gatewayLimits.retryAfterMs / 1000)), connection: "close" },
  };
}
