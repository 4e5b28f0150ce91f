/**
 * The memory budget of the process, and who has an account in it.
 *
 *   all ─┬─ intake ─┬─ requests        short bodies on their way in, and what brokers' sources have in hand
 *        │          ├─ messages        short ones that were accepted, until their end
 *        │          └─ long (¾) ─┬─ uploads (⅔)     long bodies on their way in, and what short ones unfold to
 *        │                       └─ long messages   accepted, until their end
 *        ├─ answers                    of outlets and fetch, as they come in and while their machine lives
 *        ├─ outgoing ─┬─ sends           what flows send and ask
 *        │            ├─ replies         written to slow readers
 *        │            └─ journal         of sends, sleepers and signals in a journal in memory
 *        ├─ waiting                    machines that wait, set aside by the monitor
 *        └─ workers                    memory of the machines that run, and events on their way to them
 *
 * The five are reserves: what was let in can be finished, and what flows do with it does not keep others out. Long bodies have three
 * quarters of the intake, half of it before they are accepted: they don't keep short ones out.
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
  readonly longMessages: MemoryAccount;
  readonly waiting: MemoryAccount;
  readonly workers: MemoryAccount;
  readonly journal: MemoryAccount;
  readonly sends: MemoryAccount;
  readonly answers: MemoryAccount;
  readonly replies: MemoryAccount;
}

/** The account of an accepted message that holds so many bytes. */
export function accountOf({ messages, longMessages }: Pick<GatewayMemory, "messages" | "longMessages">, heldBytes: number): MemoryAccount {
  return heldBytes > gatewayLimits.shortBodyBytes + gatewayLimits.messageBytes ? longMessages : messages;
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
