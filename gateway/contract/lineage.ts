/**
 * The message that caused another, in a header of the gateway's own: it is kept wherever headers are, through the journal and dead letters.
 * Admission takes out what a caller, a peer or a flow put there.
 */
import type { Headers } from "#abi";
import type { ParentMessage } from "./message.ts";

/** `HOW FLOW ID`; flows have no spaces in their names, and ids that came in have none either. */
export const parentHeader = "mayfly-parent";

const hows: readonly ParentMessage["how"][] = ["send", "resubmit", "retry", "continue"];

export function withParent(headers: Headers, parent: ParentMessage | undefined): Headers {
  if (parent !== undefined) return { ...headers, [parentHeader]: `${parent.how} ${parent.flow} ${parent.id}` };
  if (headers[parentHeader] === undefined) return headers;
  const { [parentHeader]: _forged, ...others } = headers;
  return others;
}

export function parentOf(headers: Headers): ParentMessage | undefined {
  const text = headers[parentHeader];
  const [, how, flow, id] = typeof text === "string" ? (/^(\S+) (\S+) (.+)$/s.exec(text) ?? []) : [];
  const known = hows.find((each) => each === how);
  return known === undefined || flow === undefined || id === undefined ? undefined : { how: known, flow, id };
}
