/** `flow(…)`: what a flow's module exports. */
import { FlowError } from "./errors.ts";

export interface FlowOptions {
  readonly outlets?: readonly string[];
  readonly limits?: Readonly<Record<string, number | string>>;
  /** Items of a batch. */
  readonly batch?: unknown;
  /** Tags of locales, linked by the build. */
  readonly locales?: unknown;
  /** Runs at build, once the module has. */
  readonly warm?: unknown;
  readonly [name: string]: unknown;
}

export type Handler = (message: unknown, context: unknown) => unknown;

export class FlowDefinition {
  readonly options: FlowOptions;
  readonly handler: Handler;

  constructor(options: FlowOptions, handler: Handler) {
    this.options = options;
    this.handler = handler;
  }
}

export function isFlow(value: unknown): value is FlowDefinition {
  return value instanceof FlowDefinition;
}

export function flow(first: FlowOptions | Handler, second?: Handler): FlowDefinition {
  const handler = typeof first === "function" ? first : second;
  if (typeof handler !== "function") throw new FlowError("MF_FLOW_INVALID", "flow() needs a function that handles a message", false);
  return new FlowDefinition(typeof first === "function" ? {} : first, handler);
}
