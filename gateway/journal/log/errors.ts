/** Disk failures of the journal, as errors with stable codes. */
import { CodedError } from "#base";

const fullCodes: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

export function diskCode(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : "";
}

export function isFull(error: unknown): boolean {
  return fullCodes.has(diskCode(error));
}

/** MF_JOURNAL_FULL or MF_JOURNAL_IO for an error of the disk; what is coded already stays as it is. */
export function journalError(cause: unknown, what: string): CodedError {
  if (cause instanceof CodedError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  if (isFull(cause)) {
    return new CodedError(
      "MF_JOURNAL_FULL",
      `the journal's disk is full: cannot ${what} (${why}); free space, and the gateway resumes by itself`,
      {
        cause,
      },
    );
  }
  return new CodedError(
    "MF_JOURNAL_IO",
    `the journal's disk reports an error: cannot ${what} (${why}); repair or remount it, and the gateway resumes by itself`,
    {
      cause,
    },
  );
}

export function corruptError(file: string, offset: number, why: string): CodedError {
  return new CodedError(
    "MF_JOURNAL_CORRUPT",
    `${file} is damaged at byte ${offset}: ${why}; see what survives with "mayfly journal check", keep it with "mayfly journal compact --salvage"`,
  );
}

export function versionError(file: string, version: number, known: number): CodedError {
  return new CodedError(
    "MF_JOURNAL_VERSION",
    `${file} has format version ${version}, and this Mayfly supports versions up to ${known}: use the newer Mayfly that wrote it`,
  );
}

/** Files that were deleted while they were in use. */
export function goneError(what: string): CodedError {
  return new CodedError(
    "MF_JOURNAL_GONE",
    `the journal was deleted while it was open (${what}): stop the gateway, put the folder back if you have it, and start again`,
  );
}
