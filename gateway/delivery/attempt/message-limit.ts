/** The bound on a message for a machine. */
import { type DeliverEvent, hardLimits } from "#abi";
import type { Failure } from "../../contract/message.ts";
import { callersFault } from "../failures.ts";

/** Bytes that frame a message: record headers, id, source, key. */
const frameMarginBytes = 65_536;

/** MF_MESSAGE_LIMIT for an event that can't be encoded; undefined when it can. */
export function messageTooLong(event: DeliverEvent, flow: string): Failure | undefined {
  if (fitsTheDoor(event)) return undefined;
  const { headersBytes, frameBytes } = hardLimits;
  const text = `the message is too long for a machine (headers at most ${headersBytes} bytes, in all at most ${frameBytes}): send less, or set flows.${flow}.claimCheck`;
  return callersFault("MF_MESSAGE_LIMIT", text, 413);
}

/** Exact only where it is close: a text has at most three bytes for each of its units. */
function fitsTheDoor({ headersJson, stateJson = "", body }: DeliverEvent): boolean {
  const headersBytes = headersJson.length * 3 <= hardLimits.headersBytes ? headersJson.length * 3 : Buffer.byteLength(headersJson);
  return (
    headersBytes <= hardLimits.headersBytes && headersBytes + stateJson.length * 3 + body.length + frameMarginBytes <= hardLimits.frameBytes
  );
}
