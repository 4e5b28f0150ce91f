/** The second argument of a flow's handler. Built at boot. */
import { log } from "./log.ts";
import { messageValues } from "./message.ts";
import { makeOutlets, type Outlets } from "./outlets.ts";
import { continueAs, reply } from "./reply.ts";
import { messageSignal } from "./signal.ts";
import { state } from "./state.ts";
import { at, sleep } from "./timers.ts";
import { approve, wait } from "./waits.ts";

class Context {
  readonly to: Outlets;
  readonly log: typeof log = log;
  readonly state: typeof state = state;
  readonly reply: typeof reply = reply;
  readonly sleep: typeof sleep = sleep;
  readonly at: typeof at = at;
  readonly wait: typeof wait = wait;
  readonly approve: typeof approve = approve;
  readonly continueAs: typeof continueAs = continueAs;

  constructor(outlets: readonly string[] | undefined) {
    this.to = makeOutlets(outlets);
  }

  /** Settings and secrets from `values:` in mayfly.yaml. */
  get values(): Readonly<Record<string, string>> {
    return messageValues();
  }

  /** Aborted when the message is given up. Made on first touch by the part `events`. */
  get signal(): object | undefined {
    return messageSignal();
  }

  /** The global fetch, which is linked only into images that mention it. */
  get fetch(): unknown {
    return (globalThis as { fetch?: unknown }).fetch;
  }
}

let outletsMade: Outlets;

/** The outlets that the handler has. */
export function outletsOfFlow(): Outlets {
  return outletsMade;
}

export function makeContext(outlets: readonly string[] | undefined): object {
  const made = new Context(outlets);
  outletsMade = made.to;
  return made;
}
