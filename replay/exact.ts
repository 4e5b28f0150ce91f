/** Runs a recording again on its own image: each event is given to a machine, and the effects of each step are compared bit for bit. */
import { type DeliverEvent, type Effect, encodeEffects, type FlowLimits, type RecordedStep, type Recording, type StepOutcome } from "#abi";
import { equalBytes } from "#base";
import type { LoadedImage } from "#monitors";
import type { MachineStarter } from "./drive.ts";
import { bodyValue, Differences, jsonValue } from "./differences.ts";
import { replayLimits } from "./limits.ts";

/** Replaces in an effect what was not recorded of it. */
export type Redact = (effect: Effect) => Effect;

export interface ExactReplay {
  readonly differences: Differences;
  readonly remarks: readonly string[];
}

/** Failures whose effects depend on when the monitor cut the step off. */
const cutOff = new Set<string>(["MF_CPU_LIMIT", "MF_TIME_LIMIT", "MF_MACHINE_LOST", "MF_MACHINE_EVICTED", "MF_MACHINE_ENDED"]);
/** Failures of a gateway without room: nothing ran. */
const notRun = new Set<string>(["MF_MONITOR_BUSY", "MF_MONITOR_CLOSED"]);

/** Limits of the record, but time enough for a slower computer or monitor. What a machine can notice stays as it was. */
export function replayedLimits(
  { limits, steps }: Pick<Recording, "limits" | "steps">,
  slowness: number = replayLimits.slowness,
): FlowLimits {
  const endedByCpu = steps.some(({ failure }) => failure?.code === "MF_CPU_LIMIT");
  return { ...limits, cpuMs: endedByCpu ? limits.cpuMs : limits.cpuMs * slowness, timeMs: replayLimits.replayMs };
}

/** A step as it is shown beside another: bodies and texts of JSON as their values. */
function shownEffect(effect: Effect): object {
  const shown: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(effect as unknown as Readonly<Record<string, unknown>>)) {
    if (value instanceof Uint8Array) shown[name] = bodyValue(value).value;
    else if (name.endsWith("Json") && typeof value === "string") shown[name.slice(0, -"Json".length)] = jsonValue(value) ?? value;
    else if (name === "reply" && typeof value === "object" && value !== null) shown[name] = shownEffect(value as Effect);
    else if (value !== undefined) shown[name] = value;
  }
  return shown;
}

function effectDifferences(to: Differences, recorded: Effect | undefined, replayed: Effect | undefined, path: string): void {
  if (recorded === undefined || replayed === undefined)
    return to.add(path, recorded && shownEffect(recorded), replayed && shownEffect(replayed));
  const [before, after] = [encodeEffects([recorded]), encodeEffects([replayed])];
  if (equalBytes(before, after)) return;
  const count = to.count;
  to.json(shownEffect(recorded), shownEffect(replayed), path);
  // The same value, written differently: bit for bit it is another.
  if (to.count === count) to.add(path, Buffer.from(before).toString("latin1"), Buffer.from(after).toString("latin1"));
}

function stepDifferences(to: Differences, recorded: RecordedStep, replayed: StepOutcome, path: string): void {
  if (recorded.status !== replayed.status) to.add(`${path}.status`, recorded.status, replayed.status);
  const [before, after] = [recorded.failure?.code, replayed.failure?.code];
  if (before !== after) to.add(`${path}.failure.code`, before, after);
  if (before !== undefined && before === after && cutOff.has(before)) return;
  for (let index = 0; index < Math.max(recorded.effects.length, replayed.effects.length); index++)
    effectDifferences(to, recorded.effects[index], replayed.effects[index], `${path}.effects[${index}]`);
}

/** True if both have the same effects, as fast as can be told. */
export function sameStep(recorded: RecordedStep, replayed: StepOutcome): boolean {
  const { effects } = recorded;
  if (recorded.status !== replayed.status || effects.length !== replayed.effects.length) return false;
  return recorded.failure?.code === replayed.failure?.code && effects.every((effect, index) => sameEffect(effect, replayed.effects[index]));
}

function sameEffect(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return Object.is(a, b);
  if (a instanceof Uint8Array) return b instanceof Uint8Array && equalBytes(a, b);
  const [left, right] = [a as Readonly<Record<string, unknown>>, b as Readonly<Record<string, unknown>>];
  for (const name in left) if (!sameEffect(left[name], right[name])) return false;
  for (const name in right) if (!(name in left) && right[name] !== undefined) return false;
  return true;
}

/** `deliver`: the record's, with what the recording left out. The image is the record's. */
export async function replayExactly(
  monitor: MachineStarter,
  image: LoadedImage,
  recording: Recording,
  { deliver, redact }: { readonly deliver: DeliverEvent; readonly redact: Redact | undefined },
): Promise<ExactReplay> {
  const { events, steps } = recording;
  const differences = new Differences();
  const remarks: string[] = [];
  const machine = monitor.start(image, deliver, replayedLimits(recording));
  try {
    for (const [index, recorded] of steps.entries()) {
      const event = events[index - 1];
      const given = index === 0 ? machine.first : event === undefined ? undefined : machine.step(event);
      if (given === undefined) break;
      const code = recorded.failure?.code;
      if (code !== undefined && notRun.has(code)) {
        remarks.push(`step ${index} was not run then (${code}): there is nothing to compare`);
        break;
      }
      if (code !== undefined && cutOff.has(code))
        remarks.push(`step ${index} ended with ${code}, wherever the monitor stopped it: its effects are not compared`);
      const outcome = await given;
      stepDifferences(differences, recorded, redacted(outcome, redact), `steps[${index}]`);
      if (outcome.status !== "waiting") break;
    }
  } finally {
    machine.end();
  }
  return { differences, remarks };
}

function redacted(outcome: StepOutcome, redact: Redact | undefined): StepOutcome {
  return redact === undefined ? outcome : { ...outcome, effects: outcome.effects.map(redact) };
}
