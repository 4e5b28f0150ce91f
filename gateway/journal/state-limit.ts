/** The bound on the state under one key. */
import { gatewayLimits } from "../contract/limits.ts";
import type { StateChange } from "./journal.ts";

/** State under one key: values as JSON by name, and their size with their names, in UTF-16 units. */
export interface KeptState {
  readonly values: ReadonlyMap<string, string>;
  readonly bytes: number;
}

/** Bytes that the state grows by, negative where it shrinks. */
export function stateGrowth(state: KeptState | undefined, changes: readonly StateChange[]): number {
  let bytes = 0;
  for (const [name, valueJson] of new Map(changes.map((change) => [change.name, change.valueJson]))) {
    const before = state?.values.get(name);
    if (before !== undefined) bytes -= name.length + before.length;
    if (valueJson !== undefined) bytes += name.length + valueJson.length;
  }
  return bytes;
}

/** MF_STATE_LIMIT when the state would be over limits.stateBytes after the changes. */
export function stateRefusal(
  key: string,
  state: KeptState | undefined,
  changes: readonly StateChange[],
): { readonly code: string; readonly message: string } | undefined {
  const bytes = (state?.bytes ?? 0) + stateGrowth(state, changes);
  if (bytes <= gatewayLimits.stateBytes) return undefined;
  const message = `the state under key "${key}" would exceed ${gatewayLimits.stateBytes} bytes: keep less in it, or delete unused names`;
  return { code: "MF_STATE_LIMIT", message };
}
