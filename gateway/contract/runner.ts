/**
 * The port to whatever runs machines. Its shape is that of `Monitor` in monitors/monitor.ts, which the CLI passes in; the
 * gateway itself never imports a monitor. Ownership and failures are as said there: events do not change while their machine
 * lives, what comes out is ours, and nothing rejects for what a machine does.
 */
import type { DeliverEvent, Event, FlowLimits, LogEffect, StepOutcome } from "#abi";
import type { FlowConfig } from "./config.ts";

/** An image the runner has loaded. Opaque here, but for its hash and name. */
export interface ImageHandle {
  /** SHA-256 of the image, 64 hexadecimal digits. */
  readonly sha256: string;
  readonly name: string;
}

export interface RunningMachine {
  /** The outcome of the last event the machine was started with. */
  readonly first: Promise<StepOutcome>;
  /** All it was given, in order; empty once it is over. */
  readonly events: readonly Event[];
  step(event: Exclude<Event, DeliverEvent>): Promise<StepOutcome>;
  /** A waiting machine's memory, for `Life.memory`; undefined where its events are all there is. */
  save(): Promise<Uint8Array | undefined>;
  end(): void;
}

/** The life so far of a machine that was asleep. */
export interface Life {
  /** All it was ever given, `deliver` first. The last one is new. */
  readonly events: readonly Event[];
  /** Its memory after the first `events`, as `save` gave it; without it, or where it can't be read, they are all given again. */
  readonly memory?: { readonly saved: Uint8Array; readonly events: number } | undefined;
}

export interface RunnerStats {
  readonly queued: number;
  readonly running: number;
  readonly waiting: number;
  readonly workers: number;
  readonly replaced: number;
  readonly waitingBytes: number;
}

/** A flow's part of the CPU time, in relation to the other flows'. */
export interface Share {
  readonly name: string;
  readonly weight: number;
}

export interface Runner {
  /** `share`: the same object for all messages of a flow. */
  start(image: ImageHandle, event: DeliverEvent, limits?: FlowLimits, share?: Share): RunningMachine;
  /** Goes on with a machine that was asleep. */
  resume(image: ImageHandle, life: Life, limits?: FlowLimits, share?: Share): RunningMachine;
  stats(): RunnerStats;
}

/** Shows places of a flow's bundle in its sources. */
export interface SourcePlaces {
  log(effect: LogEffect): LogEffect;
  stack(stack: string): string;
}

/** Facts that the CLI passes about a flow whose image is built and loaded. */
export interface FlowImage {
  readonly image: ImageHandle;
  /** Outlets the flow declares; `undefined` when the image does not say. */
  readonly outlets: readonly string[] | undefined;
  /** The image's own limits; the configuration's win. */
  readonly limits: FlowLimits;
  /** It reads its message in pieces: longer ones are stored. */
  readonly reads?: "stream" | "batch" | undefined;
  /** Absent when nothing is known of the flow's sources. */
  readonly places?: SourcePlaces;
  /** The new image beside it, where the configuration has one. */
  readonly canary?: FlowImage | undefined;
}

/** Builds what is stale and loads it. Rejects with a CodedError. Called at start and at reload, for each flow. */
export type LoadFlow = (name: string, config: FlowConfig) => Promise<FlowImage>;

/** A flow that is being served. */
export interface Flow {
  readonly name: string;
  readonly image: ImageHandle;
  readonly limits: FlowLimits;
  readonly share: Share;
  readonly outlets: readonly string[];
  /** True: errors of the flow's program, such as a TypeError, may be tried again. */
  readonly retriesProgramErrors: boolean;
  /** Longest time of one sleep, in milliseconds. */
  readonly sleepMostMs: number;
  readonly config: FlowConfig;
  readonly reads?: FlowImage["reads"];
  readonly places?: SourcePlaces | undefined;
  /** The same flow in a new image, which a share of the messages meets. */
  readonly canary?: { readonly flow: Flow; readonly share: number } | undefined;
}
