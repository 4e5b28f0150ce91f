/**
 * A gateway and its machines at one moment, as a value: what has come, what waits, what is committed. Every event leads to another world, and
 * the same events to the same one. What a commit is, whose a signal is and who wins a race is as in the gateway.
 */
import type { GivenSignal, KnownWait } from "#replay";
import type { Bounds } from "./limits.ts";
import type { Deed, MessageStimulus, Served, SignalStimulus, Stimulus } from "./matter.ts";
import type { End, Step } from "./steps.ts";

/** A signal that is kept for its wait. */
export interface Kept extends GivenSignal {
  readonly flow: string;
  readonly stimulus: SignalStimulus;
  /** Number of the description of its stimulus. */
  readonly content: number;
}

/** One message and its machine. */
export interface Job {
  /** From 1, in the order in which they began. */
  readonly number: number;
  readonly flow: Served;
  readonly message: MessageStimulus;
  /** Number of the message's description: ids alone don't tell messages of different schedules apart. */
  readonly content: number;
  /** `resting`: its transaction runs again. */
  readonly status: "awake" | "asleep" | "resting" | "done" | "dead";
  /** Undefined before its first step. */
  readonly at: Step | undefined;
  /** The step that its last commit was made after. */
  readonly base: Step | undefined;
  readonly transaction: number;
  readonly attempt: number;
  /** State that the transaction was given; `noState` outside of one. */
  readonly given: StateEntry;
  /** State as the machine knew it when it fell asleep: as it was given, with its own changes. */
  readonly lastSeen: StateEntry | undefined;
  /** Signals that the transaction was given. */
  readonly taken: readonly Kept[];
  readonly failure: { readonly code: string; readonly message: string } | undefined;
  /** Messages that it may still continue as. */
  readonly turns: number;
  /** Number of its description, for its world's identity. */
  name: number;
}

/** State under one key of one flow. */
export interface StateEntry {
  readonly version: number;
  /** Values by name. Deleted ones stay, to tell who deleted them. */
  readonly values: ReadonlyMap<string, StateValue>;
  /** Number of its description. */
  readonly name: number;
}

export interface StateValue {
  /** Undefined: it was deleted. */
  readonly json: string | undefined;
  /** Number of the job that wrote it, 0 for nobody's. */
  readonly writer: number;
}

/** Deeds in their order; equal histories are one. */
export interface DeedLog {
  readonly id: number;
  readonly before: DeedLog | undefined;
  readonly deed: Deed | undefined;
  /** Logs that go on from this one. */
  readonly next: DeedLog[];
  /** As the author's rules see them; made when they are asked for. */
  views?: DeedViews;
}

/** The deeds of a log, as view.ts makes them. */
export interface DeedViews {
  readonly sends: unknown;
  readonly requests: unknown;
  readonly attempts: unknown;
}

/** A stimulus that can come, by its token. */
export interface Pending {
  readonly token: string;
  readonly stimulus: Stimulus;
  /** Number of the stimulus's description. */
  readonly content: number;
  /** Of a delayed send: it comes no earlier. */
  readonly notBeforeMs?: number | undefined;
  /** Of those with one group only the first comes. */
  readonly group?: string;
}

export type Left = Pick<Bounds, "crashes" | "errors" | "duplicates" | "delays">;

export interface World {
  readonly nowMs: number;
  readonly jobs: readonly Job[];
  readonly pending: readonly Pending[];
  /** Number of the description of what can come and what is kept. */
  readonly outside: number;
  /** Stimuli that have come and may come once more. */
  readonly repeatable: readonly Pending[];
  readonly kept: readonly Kept[];
  readonly states: ReadonlyMap<string, StateEntry>;
  /** Number of its description. */
  readonly stored: number;
  readonly log: DeedLog;
  readonly left: Left;
  /** The event that led here, and the world before it. */
  readonly token: string;
  readonly parent: World | undefined;
  readonly depth: number;
  /** Events since the last that came from outside. */
  readonly quiet: number;
  /** Crashes, errors, duplicates and delays so far. */
  readonly disturbances: number;
  /** A rule that always holds, broken by the last event. */
  readonly broken: { readonly rule: string; readonly why: string } | undefined;
}

export function stateKey(flow: string, key: string): string {
  return `${flow}\0${key}`;
}

export const noState: StateEntry = { version: 0, values: new Map(), name: 0 };

export function stateJson({ values }: StateEntry): string | undefined {
  const members: string[] = [];
  for (const [name, { json }] of values) if (json !== undefined) members.push(`${JSON.stringify(name)}:${json}`);
  return members.length === 0 ? undefined : `{${members.join(",")}}`;
}

/** Worlds with the same identity have the same future. */
export function identity({ nowMs, jobs, outside, stored, log, left }: World): string {
  let text = `${nowMs} ${log.id} ${outside} ${stored} ${left.crashes}${left.errors}${left.duplicates}${left.delays}`;
  for (const { name } of jobs) text += ` ${name}`;
  return text;
}

export function describeJob({ status, at, base, attempt, given, lastSeen, taken, failure, turns, content }: Job): string {
  let text = `${status} ${at?.id ?? 0} ${base?.id ?? 0} ${attempt} ${turns} ${content} ${given.name} ${lastSeen?.name ?? ""}`;
  for (const { id, content: its, atMs } of taken) text += `,${id}=${its}@${atMs}`;
  if (failure !== undefined) text += ` ${failure.code} ${failure.message}`;
  return text;
}

export function describeStimulus(stimulus: Stimulus): string {
  const { kind, flow, key, headers, body } = stimulus;
  const own = stimulus.kind === "message" ? [stimulus.id, stimulus.source] : [stimulus.name];
  return `${JSON.stringify([kind, flow, key ?? null, headers, own])}${Buffer.from(body).toString("latin1")}`;
}

export function describeOutside({ pending, repeatable, kept }: Pick<World, "pending" | "repeatable" | "kept">): string {
  let text = "";
  for (const { token, content, notBeforeMs = "" } of pending) text += `${token}=${content}@${notBeforeMs} `;
  text += "|";
  for (const { token, content } of repeatable) text += `${token}=${content} `;
  for (const { id, content, atMs } of kept) text += `|${id}=${content}@${atMs}`;
  return text;
}

export function describeStates(states: World["states"]): string {
  let text = "";
  for (const [key, entry] of states) text += `|${key}=${entry.name}`;
  return text;
}

export function describeState({ version, values }: Omit<StateEntry, "name">): string {
  let text = String(version);
  for (const [name, { json = "", writer }] of values) text += `${name}=${json}~${writer}`;
  return text;
}

/** The events from the first world to this one. */
export function scheduleOf(world: World): string[] {
  const tokens: string[] = [];
  for (let at: World = world; at.parent !== undefined; at = at.parent) tokens.unshift(at.token);
  return tokens;
}

/** A world in the making. */
export type Draft = { -readonly [Name in keyof World]: World[Name] };

/** Waits that a signal may end. */
export function waitsOf({ status, at }: Job): readonly KnownWait[] {
  return (status === "asleep" || status === "awake" || status === "resting") && at !== undefined ? at.reading.waits : [];
}

/** Ends of timers and waits that come by themselves, in order. */
export function endsOf({ status, at }: Pick<Job, "status" | "at">): readonly End[] {
  return at !== undefined && (status === "asleep" || status === "awake" || status === "resting") ? at.reading.ends : [];
}

/** Time at which the transaction of an awake job runs into its limit. */
export function deadlineOf({ at, flow }: Pick<Job, "at" | "flow">): number {
  let first = at;
  while (first?.begins === false) first = first.parent;
  return (first?.events[0]?.timeMs ?? 0) + flow.limits.timeMs;
}

export function dueOf(job: Pick<Job, "status" | "at">, nowMs: number): End[] {
  return endsOf(job).filter(({ dueMs }) => dueMs <= nowMs);
}
