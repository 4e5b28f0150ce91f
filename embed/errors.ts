/** Errors that callers of the library get. */
import { CodedError } from "#base";
import type { Failure } from "#gateway/attempt";
import type { Frame } from "#image";
import type { Place, RunError } from "./embed.d.ts";

export function optionError(message: string): CodedError {
  return new CodedError("MF_EMBED_OPTION", message);
}

/** Places of a guest's bundle in its source. */
export interface Places {
  frames(stack: string | undefined): readonly Frame[];
  stack(stack: string): string;
}

/** A guest's failure as an error that may be thrown. Its text is the guest's. */
export class GuestError extends CodedError implements RunError {
  readonly at: Place | undefined;
  readonly status: number;
  readonly retry: boolean;

  constructor({ code, message, stack, status, retry }: Failure, places: Places, cause: unknown) {
    super(code, message, cause === undefined ? undefined : { cause });
    this.name = code === "MF_CANCELLED" ? "AbortError" : "GuestError";
    this.status = status;
    this.retry = retry;
    const frame = places.frames(stack)[0];
    this.at = frame === undefined ? undefined : { file: frame.file, line: frame.line, column: frame.column };
    const shown = stack === undefined ? "" : places.stack(stack);
    this.stack = `${this.name}: ${message}${shown === "" ? "" : `\n${shown.replace(/^(?=at )/gm, "    ")}`}`;
  }
}
