/** One flow as a simulated process serves it: its time, its chance and its journal are the simulation's, and end with the process. */
import { type Clock, CodedError, type Prng } from "#base";
import { defaultFlowLimits } from "#abi";
import type { Dispatcher } from "undici";
import { readConfig } from "../config/read.ts";
import type { FlowConfig } from "../contract/config.ts";
import type { OutletDefinition } from "../contract/outlet.ts";
import { untraced } from "../contract/tracing.ts";
import { Persistence } from "../delivery/persistence.ts";
import { MessageIds, SeedPool } from "../delivery/seeds.ts";
import { noWitnesses } from "../delivery/witnesses.ts";
import { OpenSteps } from "../ending.ts";
import type { DeadLetters } from "../journal/dead-letters.ts";
import type { MemoryJournal } from "../journal/memory.ts";
import { silentLogger } from "../logger.ts";
import { gatewayMemory } from "../memory/budget.ts";
import { ServedFlow } from "../served-flow.ts";
import { type Script, ScriptedRunner } from "./scripted.ts";
import { MoodyJournal, Process } from "./simulated-process.ts";

/** The one connector of a simulation. Each process makes its own peer. */
function peerOf(create: OutletDefinition["create"]): OutletDefinition {
  const schema = { type: "object", additionalProperties: false, properties: {} } as const;
  return { name: "peer", summary: "", description: "", example: "", answers: true, schema, create };
}

/** The flow f of a configuration whose outlets are all peers. */
export function simulatedFlow(yaml: string): FlowConfig {
  const outlets = [peerOf(() => ({ send: never, health: () => ({ ready: false, detail: "" }), stop: async () => undefined }))];
  const flow = readConfig(yaml, "/sim/mayfly.yaml", { sources: [], outlets, environment: {} }).flows["f"];
  if (flow === undefined) throw new Error("assertion failed: the flow is configured");
  return flow;
}

function never(): Promise<never> {
  return Promise.reject(new Error("nobody is there"));
}

export interface SimulatedFlowOptions {
  readonly config: FlowConfig;
  readonly script: Script;
  /** The peer of a process. */
  readonly peer: (process: Process) => OutletDefinition["create"];
  /** The simulation's, over all processes. */
  readonly clock: Clock;
  readonly random: Prng;
  readonly store: MemoryJournal;
  readonly letters: DeadLetters;
}

export interface SimulatedFlow {
  readonly process: Process;
  readonly journal: MoodyJournal;
  readonly persistence: Persistence;
  readonly served: ServedFlow;
}

/** A new process that serves the flow; it is not started yet. */
export function beginProcess({ config, script, peer, clock: rightClock, random, store, letters }: SimulatedFlowOptions): SimulatedFlow {
  const process = new Process();
  const clock: Clock = {
    now: () => rightClock.now(),
    monotonicMs: () => rightClock.monotonicMs(),
    after: (delayMs, task) => rightClock.after(delayMs, () => process.alive && task()),
  };
  const journal = new MoodyJournal(store, process, random, clock);
  const persistence = new Persistence(clock, random, silentLogger);
  const entropy = (bytes: Uint8Array): void => void bytes.forEach((_byte, index) => (bytes[index] = random.below(256)));
  const image = { image: { name: "f", sha256: "0".repeat(64) }, outlets: undefined, limits: defaultFlowLimits };
  const served = new ServedFlow("f", config, image, {
    runner: new ScriptedRunner({ f: script }),
    journal,
    letters,
    persistence,
    clock,
    random,
    seeds: new SeedPool(entropy),
    ids: new MessageIds(entropy),
    totals: { pending: 0 },
    memory: gatewayMemory(64 * 2 ** 20, clock),
    logger: silentLogger,
    loadAsleep: () => Promise.reject(new CodedError("MF_SLEEPER_IMAGE", "no other image")),
    questions: { linkTo: () => undefined },
    tracing: untraced,
    agent: undefined as unknown as Dispatcher,
    routes: { add: () => () => undefined, addressOf: () => undefined },
    base: "/",
    connectors: { sources: [], outlets: [peerOf(peer(process))] },
    deliverTo: () => undefined,
    signalTo: () => undefined,
    count: () => undefined,
    unexpected: (error) => {
      throw error;
    },
    steps: new OpenSteps(),
    witnesses: noWitnesses,
  });
  return { process, journal, persistence, served };
}
