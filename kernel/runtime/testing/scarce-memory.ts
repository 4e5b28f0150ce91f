/** A native whose memory runs out at any moment, for its tests. */
import { deepEqual, equal } from "node:assert/strict";
import type { NativeMachine } from "./native-machine.ts";

export interface Scarcity {
  /** Script of what the call works on, which is there before. */
  readonly given: string;
  /** An expression of a text. */
  readonly call: string;
  /** Bytes beyond those in use: from none up to `most`, in steps. */
  readonly most: number;
  readonly step: number;
}

/** Makes the call with ever more memory: it fails or gives all, and leaves nothing behind. Gives the text and the number of calls that failed. */
export function runOut(machine: NativeMachine, { given, call, most, step }: Scarcity): { readonly whole: string; readonly failed: number } {
  machine.free(machine.run(given));
  const attempt = machine.run(`() => { try { return ${call}; } catch (error) { return error === null ? "null" : error.message; } }`);
  const said = (): string => {
    const result = machine.apply(attempt);
    if (machine.isException(result)) {
      machine.free(result, machine.call("qjs_get_exception"));
      return "exception";
    }
    const text = machine.string(result);
    machine.free(result);
    return text;
  };
  const whole = said();
  machine.call("qjs_run_gc");
  const before = machine.usage();
  let failed = 0;
  for (let more = 0; more < most; more += step) {
    machine.limit(before.bytes + more);
    const result = said();
    machine.limit(0);
    if (result !== whole) failed++;
    machine.call("qjs_run_gc");
    const { objects, shapes, atoms } = machine.usage();
    deepEqual([objects, shapes, atoms], [before.objects, before.shapes, before.atoms], `${more} bytes: ${result.slice(0, 80)}`);
  }
  equal(said(), whole);
  return { whole, failed };
}
