/**
 * The memory budget of the process, and who has an account in it.
 *
 *   all ─┬─ intake ─┬─ requests        bodies on their way in: short ones, and what brokers' sources have in hand
 *        │          ├─ uploads (half)  long ones
 *        │          └─ messages        accepted, until their end
 *        ├─ answers                    of outlets and fetch, as they come in and while their machine lives
 *        ├─ outgoing ─┬─ sends           what flows send and ask
 *        │            ├─ replies         written to slow readers
 *        │            └─ journal         of sends, sleepers and signals in a journal in memory
 *        ├─ waiting                    machines that wait, set aside by the monitor
 *        └─ workers                    memory of the machines that run, and events on their way to them
 *
 * The five are reserves: what was let in can be finished, and what flows do with it does not keep others out. Long uploads have half of
 * the intake: they don't keep short requests out.
 */
import type { MemoryAccount } from "#base";
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

export const memoryBusy = "MF_MEMORY_BUSY";

export function memoryBusyProblem(detail = "the gateway is out of memory for messages: try again later"): Problem {
  return {
    status: 503,
    code: memoryBusy,
    detail,
    headers: { "retry-after": String(Math.ceil(gatewayLimits.retryAfterMs / 1000)), connection: "close" },
  };
}
