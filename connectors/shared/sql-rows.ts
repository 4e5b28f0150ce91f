/** Bounds of the rows that SQL servers send. */
import { CodedError } from "#base";
import { gatewayLimits } from "#gateway/contract";
import { inboxLimits, queryLimits } from "./limits.ts";

export interface RowBound {
  /** Longest row as the server sends it, in bytes. */
  readonly rowBytes: number;
  /** A longer row is left out and counted; otherwise it ends the connection with MF_SQL_ROW. */
  readonly leaveOut: boolean;
}

/** Sources ask only for rows that are short enough: a longer one has grown meanwhile, or is a server's lie. Bytes may come as two digits each. */
export const inboxRows: RowBound = { rowBytes: 2 * inboxLimits.rowBytes + inboxLimits.frameBytes, leaveOut: false };
export const queryRows: RowBound = { rowBytes: queryLimits.rowBytes + inboxLimits.frameBytes, leaveOut: false };
/** An answer with a longer row is too long, even if its JSON is half spaces. */
export const answerRows: RowBound = { rowBytes: 2 * gatewayLimits.answerBytes, leaveOut: true };

/** JSON of a value; undefined for one that is nested too deeply: it is parsed without recursion, and written with it. */
export function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

export function longRow(rowBytes: number): CodedError {
  return new CodedError("MF_SQL_ROW", `the server sent a row of more than ${rowBytes} bytes: shorten it, or select fewer columns`);
}
