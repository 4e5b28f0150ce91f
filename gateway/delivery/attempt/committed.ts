/** State under a message's key over its transactions: as the journal commits it, and refuses to. */
import { table } from "#base";
import type { Failure } from "../../contract/message.ts";
import type { StateChange } from "../../journal/journal.ts";
import { stateRefusal } from "../../journal/state-limit.ts";

export type StateValues = Readonly<Record<string, unknown>>;

/** The journal refuses a commit whose state is too long. */
export function overState(key: string | undefined, state: unknown, changes: readonly StateChange[]): Failure | undefined {
  if (changes.length === 0) return undefined;
  const values = new Map(Object.entries(state ?? {}).map(([name, value]) => [name, JSON.stringify(value)]));
  let bytes = 0;
  for (const [name, json] of values) bytes += name.length + json.length;
  const refusal = stateRefusal(key ?? "", { values, bytes }, changes);
  return refusal === undefined ? undefined : { origin: "gateway", ...refusal, status: 0, retry: false };
}

export function stateAfter(state: StateValues | undefined, changes: readonly StateChange[]): StateValues | undefined {
  if (changes.length === 0) return state;
  const changed = table<unknown>(state);
  for (const { name, valueJson } of changes) {
    if (valueJson === undefined) delete changed[name];
    else changed[name] = JSON.parse(valueJson) as unknown;
  }
  return { ...changed };
}
