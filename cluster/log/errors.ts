/** Failures of a partition's log, as errors with stable codes. */
import { CodedError } from "#base";

/** Of the stream's messages: nothing else may be in it. */
export function damagedStream(stream: string, sequence: number, why: string): CodedError {
  return new CodedError(
    "MF_JOURNAL_CORRUPT",
    `stream ${stream} is damaged at message ${sequence}: ${why}; let nobody else publish to its subjects, and restore the stream from a backup`,
  );
}

/** Another node has the partition. */
export function partitionLost(stream: string, why: string): CodedError {
  return new CodedError(
    "MF_PARTITION_LOST",
    `this node no longer owns the partition of stream ${stream}: ${why}; another node has it, or takes it`,
  );
}

/** An error as a disk has it. */
export function diskFailure(code: string, message: string, cause?: unknown): Error {
  return Object.assign(new Error(`${code}: ${message}`, { cause }), { code });
}
