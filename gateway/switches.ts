/**
 * Switches of one flow: an operator has stopped it, or some of its outlets. Kept in the journal's state, so that it survives a reload and,
 * with a journal on disk, a restart: a supervisor that starts the gateway again at night starts nothing that somebody stopped.
 *
 *   running ──pause──▶ paused     takes nothing, begins nothing; what runs ends
 *      │  ▲               │
 *      │  └────resume─────┤
 *      └─────drain─────▶ draining   takes nothing; what it has is finished
 */
import type { Clock } from "#base";
import type { Logger } from "./contract/connector.ts";
import { controlLimits } from "./contract/limits.ts";
import type { Recall } from "./contract/source.ts";
import type { FlowState } from "./delivery/flow-state.ts";
import { settles } from "./ending.ts";

export interface SwitchPorts {
  readonly recall: Recall;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Name of the fact in the journal's state. No source is called so: theirs begin with `from[`, or are their connector's. */
const factName = "operator";

interface Fact {
  readonly flow: FlowState;
  readonly outlets: readonly string[];
}

/** A fact of a later version, or a damaged one, stops nothing. */
function readFact(text: string | undefined): Fact {
  try {
    const { flow, outlets } = JSON.parse(text ?? "{}") as { flow?: unknown; outlets?: unknown };
    const names = Array.isArray(outlets) ? outlets.filter((each) => typeof each === "string") : [];
    return { flow: flow === "paused" || flow === "draining" ? flow : "running", outlets: names };
  } catch {
    return { flow: "running", outlets: [] };
  }
}

/** The stopped parts of a flow: the flow itself, and outlets. */
export interface Stopped {
  readonly state: FlowState;
  readonly outlets: readonly string[];
}

/** Reads what another node says; undefined for anything else. */
export function stoppedOf(value: unknown): Stopped | undefined {
  const { state, outlets } = (typeof value === "object" && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  const isState = state === "running" || state === "paused" || state === "draining";
  if (!isState || !Array.isArray(outlets) || !outlets.every((each) => typeof each === "string")) return undefined;
  return { state, outlets: outlets as readonly string[] };
}

export class Switches {
  state: FlowState = "running";
  /** Paused outlets; one that the configuration no longer has stays in here until it is resumed or comes back. */
  readonly outlets = new Set<string>();
  readonly #ports: SwitchPorts;
  #written: Promise<void> = Promise.resolve();

  constructor(ports: SwitchPorts) {
    this.#ports = ports;
  }

  /** Before sources and outlets start, and when the journal of a cluster's node has the flow's partition. True if the journal has all that is stopped. */
  async read(): Promise<boolean> {
    const { flow, outlets } = readFact(await this.#ports.recall.read(factName));
    this.stop({ state: flow, outlets });
    return this.state === flow && this.outlets.size === outlets.length;
  }

  get stopped(): Stopped {
    return { state: this.state, outlets: [...this.outlets] };
  }

  /** Stops what is stopped elsewhere, and starts nothing. True if that is new here. */
  stop({ state, outlets }: Stopped): boolean {
    const added = outlets.filter((name) => !this.outlets.has(name));
    const isNew = this.state === "running" && state !== "running";
    if (isNew) this.state = state;
    for (const name of added) this.outlets.add(name);
    if (isNew) this.#ports.logger.warn({ state }, "the flow was stopped by an operator and stays so: `mayfly flows resume` starts it");
    if (added.length > 0)
      this.#ports.logger.warn({ outlets: added }, "outlets were paused by an operator and stay so: `mayfly outlets resume` starts them");
    return isNew || added.length > 0;
  }

  /** False where it is not kept yet: the journal's disk refuses, and is tried again. */
  async write(): Promise<boolean> {
    const { recall, clock, logger } = this.#ports;
    const fact: Fact = { flow: this.state, outlets: [...this.outlets] };
    const kept = this.#written.then(() => recall.write(factName, JSON.stringify(fact)));
    this.#written = kept.catch((error: unknown) => logger.error({}, `the operator's wish could not be kept: ${String(error)}`));
    return (await settles(clock, controlLimits.keepMs, kept)) && (await kept.then(() => true).catch(() => false));
  }
}
