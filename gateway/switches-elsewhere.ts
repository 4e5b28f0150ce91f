/**
 * Switches of flows over the nodes of a cluster. The owner of a flow's own partition has what operators wanted (switches.ts): a node that starts
 * asks it, and a new owner tells the others. What is stopped at one is stopped at all; nothing is started so: only an operator does that.
 *
 *     a node starts ──"owner"──▶ owner          an owner begins ──"stop"──▶ all other nodes
 */
import type { Clock } from "#base";
import { controlLimits } from "./contract/limits.ts";
import type { Shares } from "./delivery/shares.ts";
import type { ServedFlow } from "./served-flow.ts";
import { stoppedOf } from "./switches.ts";

export interface SwitchLookPorts {
  readonly flows: ReadonlyMap<string, ServedFlow>;
  readonly shares: Pick<Shares, "cluster" | "journal">;
  readonly clock: Clock;
}

/** Asks for the switches of each flow until its owner answers, a minute at most. Returns what ends it. */
export function lookForSwitches({ flows, shares, clock }: SwitchLookPorts): () => void {
  let isOver = false;
  const cancels = new Map<string, () => void>();
  const look = async (served: ServedFlow, attempt: number): Promise<void> => {
    const partition = shares.journal.partitionOfFlow(served.name);
    const stopped = stoppedOf(await shares.cluster.ask(partition, { kind: "switches", ask: "owner", flow: served.name }));
    if (isOver || flows.get(served.name) !== served) return;
    if (stopped !== undefined) served.stopAs(stopped);
    else if (attempt < controlLimits.switchLooks)
      cancels.set(
        served.name,
        clock.after(controlLimits.switchLookMs, () => void look(served, attempt + 1)),
      );
  };
  for (const served of flows.values()) void look(served, 1); // `ask` never rejects
  return () => {
    isOver = true;
    for (const cancel of cancels.values()) cancel();
  };
}

/** Does here what another node asks for; undefined for another question, and where this node does not own the flow's partition. */
export function switchesAnswer(question: unknown, flows: ReadonlyMap<string, ServedFlow>): Promise<unknown> {
  const { kind, ask, flow } = (typeof question === "object" && question !== null ? question : {}) as Readonly<Record<string, unknown>>;
  const served = kind === "switches" && typeof flow === "string" ? flows.get(flow) : undefined;
  if (ask === "owner") return Promise.resolve(served?.switchesAsOwner);
  const stopped = ask === "stop" ? stoppedOf(question) : undefined;
  if (served === undefined || stopped === undefined) return Promise.resolve(undefined);
  served.stopAs(stopped);
  return Promise.resolve(true);
}
