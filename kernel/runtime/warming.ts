/**
 * `flow({ warm })`: a function that runs once more at image build, after the module's top level, so that what libraries build lazily is
 * frozen with it. The part `warm` runs it; this module lets the part in and holds it until the image is frozen.
 *
 *   start() ─▶ jobs ─▶ advance() ─▶ jobs … until false ─▶ end() ─▶ drop() ─▶ garbage collection ─▶ check()
 */
import type { Handler } from "./definition.ts";
import { setHeldBack } from "./effects.ts";
import { FlowError } from "./errors.ts";

/** The part, once it is linked. */
export interface Warmer {
  start(warm: (context: unknown) => unknown, handler: Handler): void;
  /** Ends a sample's run that awaits an answer; false if none does. */
  advance(): boolean;
  /** Throws what `warm` threw, and MF_WARM_PENDING if it has not completed. */
  end(): void;
  /** Promises of the samples' runs that nothing settled. */
  readonly open: readonly WeakRef<object>[];
}

let warmer: Warmer | undefined;
let open: readonly WeakRef<object>[] = [];

export function onWarm(part: Warmer): void {
  warmer = part;
}

/** The part of a flow with `warm`. Throws MF_FLOW_INVALID where it was not linked. */
export function startWarm(warm: unknown, handler: Handler): void {
  if (typeof warm !== "function") throw new FlowError("MF_FLOW_INVALID", "flow(): warm must be a function", false);
  if (warmer === undefined)
    throw new FlowError(
      "MF_FLOW_INVALID",
      "flow(): write the name `warm` in the flow's options as it is, so that the build finds it",
      false,
    );
  warmer.start(warm as (context: unknown) => unknown, handler);
}

export function advanceWarm(): boolean {
  return warmer?.advance() ?? false;
}

export function endWarm(): void {
  warmer?.end();
}

/** Lets go of the part. */
export function dropWarm(): void {
  open = warmer?.open ?? [];
  warmer = undefined;
  setHeldBack(undefined);
}

/** After garbage collection. Throws MF_WARM_PENDING if the flow's variables hold on to a promise of a sample's run. */
export function checkWarm(): void {
  const kept = open.some((promise) => promise.deref() !== undefined);
  open = [];
  if (kept)
    throw new FlowError(
      "MF_WARM_PENDING",
      "a variable of the module, or of a package, keeps a promise of a sample's run, which no machine could settle: leave that sample out of warm, or keep the answer instead of the promise",
      false,
    );
}
