/** Errors of the disk that functions are kept on. */
import { CodedError } from "#base";

/** `what` was being done: "the function hello". */
export function diskFailure(cause: unknown, what: string): CodedError {
  const code = (cause as NodeJS.ErrnoException).code ?? "";
  const why = cause instanceof Error ? cause.message : String(cause);
  if (code === "ENOSPC" || code === "EDQUOT")
    return new CodedError(
      "MF_FUNCTIONS_FULL",
      `the disk of functions is full: ${what} was not kept, and nothing has changed; free space and try again`,
      {
        cause,
      },
    );
  return new CodedError("MF_FUNCTIONS_DISK", `the disk of functions refused (${why}): ${what} was not kept; mend the disk and try again`, {
    cause,
  });
}
