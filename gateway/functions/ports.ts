/** Ports of deployed functions: to the gateway that serves them, and to the reader of images. */
import type { FlowLimits } from "#abi";
import type { FlowConfig } from "../contract/config.ts";
import type { Logger } from "../contract/connector.ts";
import type { KeptBytes } from "../journal/journal.ts";
import type { FlowImage, ImageHandle } from "../contract/runner.ts";

/** Facts of an image that has been read. */
export interface ImageFacts {
  /** 64 hexadecimal digits. */
  readonly sha256: string;
  /** Undefined when the image does not say. */
  readonly outlets: readonly string[] | undefined;
  /** The image's own limits. */
  readonly limits: FlowLimits;
  /** Says what to do where so much memory leaves its machines no room; undefined where it does. */
  readonly shortage: (memoryBytes: number) => string | undefined;
}

/** The port to whoever reads and loads images: the command line. */
export interface FunctionImages {
  /** Throws MF_IMAGE_CORRUPT or MF_IMAGE_VERSION. */
  check(bytes: Uint8Array): ImageFacts;
  /** Makes sure that a monitor can be used; undefined: the gateway's own. Rejects with a CodedError. */
  open(monitor: string | undefined): Promise<void>;
  /** Loads the image at `file` for a monitor. Rejects with a CodedError. */
  load(file: string, monitor: string | undefined): Promise<FlowImage>;
  /** Undoes one load. */
  unload(image: ImageHandle): void;
}

/** Figures of one served flow, since it was started. */
export interface FunctionFigures {
  readonly received: number;
  readonly done: number;
  readonly dead: number;
  readonly cpuMs: number;
}

/** A function that is being served. */
export interface ServedFunction {
  /** Messages queued, running or waiting for a retry. */
  readonly pending: number;
  /** True where nothing is under way, asleep, held back or waiting in an outbox. */
  readonly isIdle: boolean;
  readonly figures: FunctionFigures;
}

export interface FunctionLogger extends Logger {
  child(fields: object): FunctionLogger;
}

/** The port to the gateway that serves flows. */
export interface FlowHost {
  /** Names of flows in mayfly.yaml. */
  hasFlow(flow: string): boolean;
  /** Paths of HTTP sources in mayfly.yaml, each with its flow. */
  paths(): Iterable<readonly [flow: string, path: string]>;
  /** Starts serving a flow. Rejects with a CodedError; then it is not served. */
  start(flow: string, config: FlowConfig, image: FlowImage, logger: FunctionLogger): Promise<ServedFunction>;
  /** Swaps the flow between two messages. Rejects with a CodedError; then nothing has changed. */
  replace(flow: string, config: FlowConfig, image: FlowImage): Promise<void>;
  /** Ends a flow in order: sources, messages under way, outlets. Never rejects. */
  end(flow: string): Promise<void>;
  /** Bytes that the functions of a tenant keep. Cheap. */
  keptBy(tenant: string): KeptBytes;
  /** SHA-256 of images that machines sleep in. */
  asleepIn(): Iterable<string>;
}
