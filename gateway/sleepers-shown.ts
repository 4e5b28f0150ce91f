/** Sleepers as the admin endpoints show them: dates as texts, the life so far without secrets. */
import { decodeRecording, type Recording } from "#abi";
import { type Clock, CodedError } from "#base";
import { shownSleeper } from "./asleep.ts";
import type { FlowConfig } from "./contract/config.ts";
import { gatewayLimits } from "./contract/limits.ts";
import type { GatewayMemory } from "./contract/memory.ts";
import type { IncomingSignal, Question } from "./contract/sleep.ts";
import type { ShownSleeper, ShownSleeperDetail, SleepDesk } from "./contract/sleep-desk.ts";
import { Redactor } from "./history/mod.ts";
import { messageOf, shownAttempt } from "./history/show.ts";
import type { SleeperSearch, Sleeping } from "./http/sleepers.ts";

export interface SleepersShownPorts {
  readonly sleepers: SleepDesk;
  readonly memory: GatewayMemory;
  readonly clock: Clock;
  /** As of now: a reload changes them. */
  readonly configOf: (flow: string) => FlowConfig | undefined;
}

/** The last date that JavaScript has. */
const lastMs = 8.64e15;

function dateText(ms: number): string {
  return new Date(Math.min(ms, lastMs)).toISOString();
}

export interface ListedSleeper {
  readonly id: string;
  readonly flow: string;
  readonly key: string | null;
  readonly image: string;
  readonly received: string;
  readonly since: string;
  /** When it wakes by itself. */
  readonly until: string;
  readonly waits: readonly {
    readonly wait: number;
    readonly name: string;
    readonly key: string;
    readonly until: string | null;
    readonly question: Question | null;
  }[];
  /** Ends of open sleeps. */
  readonly sleeps: readonly string[];
  readonly transactions: number;
  readonly state: ShownSleeper["state"];
  readonly problem: string | null;
}

export function listedSleeper(sleeper: ShownSleeper): ListedSleeper {
  const { id, flow, key, image, receivedAt, since, until, waits, sleeps, transactions, state, problem } = sleeper;
  return {
    id,
    flow,
    key,
    image,
    received: dateText(receivedAt),
    since: dateText(since),
    until: dateText(until),
    waits: waits.map((each) => ({ ...each, until: each.until === null ? null : dateText(each.until) })),
    sleeps: sleeps.map(dateText),
    transactions,
    state,
    problem,
  };
}

function fits(sleeper: ShownSleeper, { wait, key, state, sinceMs, untilMs }: SleeperSearch): boolean {
  return (
    (wait === undefined || sleeper.waits.some(({ name }) => name === wait)) &&
    (key === undefined || sleeper.key === key || sleeper.waits.some((each) => each.key === key)) &&
    (state === undefined || sleeper.state === state) &&
    (sinceMs === undefined || sleeper.since >= sinceMs) &&
    (untilMs === undefined || sleeper.until <= untilMs)
  );
}

/** Sleepers of a journal whose gateway does not run; the life of each is the gateway's to show, which knows what to hide. */
export async function sleepersInFolder(dir: string, flow: string | undefined): Promise<readonly ListedSleeper[]> {
  const { sleepersOfJournal } = await import("./journal/log/mod.ts");
  return (await sleepersOfJournal(dir, flow)).map((info) => listedSleeper(shownSleeper(info, null)));
}

export class SleepersShown implements Sleeping {
  readonly #ports: SleepersShownPorts;

  constructor(ports: SleepersShownPorts) {
    this.#ports = ports;
  }

  get memory(): GatewayMemory {
    return this.#ports.memory;
  }

  get sleepers(): SleepDesk {
    return this.#ports.sleepers;
  }

  now(): number {
    return this.#ports.clock.now();
  }

  async list({ after, most }: Parameters<Sleeping["list"]>[0], search: SleeperSearch): Promise<object> {
    const found: ShownSleeper[] = [];
    let next = after;
    let looked = 0;
    do {
      const page = await this.#ports.sleepers.list({ flow: search.flow, after: next, most: most - found.length });
      found.push(...page.sleepers.filter((each) => fits(each, search)));
      looked += page.sleepers.length;
      next = page.next;
    } while (next !== undefined && found.length < most / 2 && looked < gatewayLimits.sleepersLookedAt);
    return { sleepers: found.map(listedSleeper), next: next ?? null };
  }

  async show(id: string, flow: string | undefined): Promise<object> {
    const detail = await this.#ports.sleepers.show(id, flow);
    const { history } = this.#ports.configOf(detail.flow) ?? {};
    return sleeperDetail(detail, history === undefined ? undefined : new Redactor(history));
  }

  async signal(signal: IncomingSignal): ReturnType<Sleeping["signal"]> {
    const { sleepers, clock, configOf } = this.#ports;
    const outcome = await sleepers.signal(signal);
    const early = configOf(signal.flow)?.sleep.early ?? gatewayLimits.earlySignalMs;
    const keptUntil = outcome.status === "kept" && !outcome.waiting ? dateText(clock.now() + early) : null;
    return { outcome, keptUntil };
  }
}

/** `redactor`: of the flow's history; undefined for a flow that is not configured any more, whose life is not shown. */
export function sleeperDetail(detail: ShownSleeperDetail, redactor: Redactor | undefined): object {
  const listed = { ...listedSleeper(detail), source: detail.source };
  if (redactor === undefined) return { ...listed, message: null, timeline: null, logs: [] };
  const decoded = decodeRecording(detail.recording);
  if (!decoded.ok) throw new CodedError("MF_SLEEPER_DAMAGED", `the sleeping machine of ${detail.id} can't be read back: ${decoded.error}`);
  const { recording, omitted } = redactor.recording(decoded.value);
  const life: Recording = {
    ...recording,
    steps: recording.steps.map((step) => ({ failure: undefined, pages: 0, ...step })) as Recording["steps"],
  };
  const facts = { attempt: 1, startedMs: life.deliver.timeMs, endedMs: detail.since, error: null, logs: undefined, omitted };
  return {
    ...listed,
    redacted: recording.redaction ?? null,
    message: messageOf(life.deliver, omitted?.[0]),
    timeline: shownAttempt(facts, life),
    logs: detail.logs,
  };
}
