/** Signals of `--signal`, for the waits of a flow that runs without a gateway. */
import { readDuration } from "#base";
import type { StimulusSignal } from "#replay";
import { usageError } from "../failure.ts";
import { contentTypeOf } from "../format.ts";
import { readInputOf } from "./stubs.ts";

/** `NAME:KEY=FILE@AFTER`; all but the name may be left out. A key may hold "=": the file's name is what comes after the last one. */
export async function readSignals(given: readonly string[], folder: string): Promise<readonly StimulusSignal[]> {
  const signals: StimulusSignal[] = [];
  for (const text of given) {
    const after = /@(\d+(?:\.\d+)?(?:ms|s|m|h|d))$/.exec(text);
    const timeless = after === null ? text : text.slice(0, after.index);
    const at = timeless.lastIndexOf("=");
    const file = at < 0 ? "" : timeless.slice(at + 1);
    const [, name, key] = /^([^:]+)(?::(.*))?$/s.exec(at < 0 ? timeless : timeless.slice(0, at)) ?? [];
    if (name === undefined)
      throw usageError(`--signal ${text}: give it as --signal NAME:KEY=FILE@AFTER, such as payment:4711=paid.json@1h`);
    const body = file === "" ? new Uint8Array(0) : await readInputOf(folder, file, "signal");
    const headers = file === "" ? {} : { "content-type": contentTypeOf(file) };
    signals.push({ name, key, headers, body, afterMs: readDuration(after?.[1] ?? 0) ?? 0 });
  }
  return signals;
}
