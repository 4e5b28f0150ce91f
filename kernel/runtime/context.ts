/** The second argument of a flow's handler. Built at boot. */
import { log } from "./log.ts";
import { makeOutlets } from "./outlets.ts";
import { reply } from "./reply.ts";
import { state } from "./state.ts";
import { sleep } from "./timers.ts";

export function makeContext(outlets: readonly string[] | undefined): object {
  return { to: makeOutlets(outlets), log, state, reply, sleep };
}
