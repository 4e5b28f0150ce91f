/**
 * Lost updates: a flow reads its state, sleeps, and writes what it made of the old value, over what another message has written meanwhile. The
 * journal can't know: the state was given anew after the sleep. A machine can be asked what it would have done.
 */
import type { Event, StepOutcome } from "#abi";
import type { StateChange } from "#gateway";
import { eventsOf, type Step, type Steps } from "./steps.ts";
import type { Job, StateEntry } from "./world.ts";

/** A sentence about a write that overwrites another job's; undefined when no write does. */
export function staleWrite(
  steps: Steps,
  { base, lastSeen, flow, number }: Job,
  step: Step,
  { values }: StateEntry,
  changes: readonly StateChange[],
): string | undefined {
  if (base === undefined || lastSeen === undefined) return undefined;
  for (const { name, valueJson } of changes) {
    const now = values.get(name);
    if (now === undefined || now.writer === number || now.json === lastSeen.values.get(name)?.json) continue;
    const events = eventsOf(step);
    const last = events.findLastIndex(({ kind }) => kind === "resume");
    const written = (changed: readonly Event[]): string | undefined => lastWrite(steps.outcomesOf(flow, changed).slice(last), name);
    const old = lastSeen.values.get(name)?.json;
    const withOld = events.map((event, index) => (index === last ? withState(event, name, old) : event));
    if (written(withOld) !== valueJson) continue; // it has looked at the new value
    const withNew = events.map((event, index) => (index < last ? withState(event, name, now.json) : event));
    const other = written(withNew);
    if (other === undefined || other === valueJson) continue; // it has looked at neither: it means to replace whatever is there
    return `job ${number} of ${flow.name} sets ${JSON.stringify(name)} to ${valueJson ?? "nothing"}, made of the value ${old ?? "nothing"} that it read before it slept; meanwhile job ${now.writer} had ${now.json === undefined ? "deleted it" : `set it to ${now.json}`}: read the state again after the wait`;
  }
  return undefined;
}

function withState(event: Event, name: string, json: string | undefined): Event {
  if (event.kind !== "deliver" && event.kind !== "resume") return event;
  const state = (event.stateJson === undefined ? {} : JSON.parse(event.stateJson)) as Record<string, unknown>;
  if (json === undefined) delete state[name];
  else state[name] = JSON.parse(json);
  return { ...event, stateJson: Object.keys(state).length === 0 ? undefined : JSON.stringify(state) };
}

function lastWrite(outcomes: readonly StepOutcome[], name: string): string | undefined {
  let written: string | undefined;
  for (const { effects } of outcomes)
    for (const effect of effects) if (effect.kind === "state" && effect.name === name) written = effect.valueJson ?? "nothing";
  return written;
}
