/** Expressions over what an outlet sends: the same as those over messages that come in. */
import { CodedError } from "#base";
import type { Outgoing } from "../../contract/message.ts";
import { parseKey } from "./keys.ts";

/** Throws MF_EXPRESSION. */
export function expression(text: string): (message: Outgoing) => string | undefined {
  const parsed = parseKey(text, (found) => found);
  if (!parsed.ok) throw new CodedError("MF_EXPRESSION", `${JSON.stringify(text)} ${parsed.error}`);
  return ({ messageId, key, headers, contentType, body }) => parsed.value({ id: messageId, key, headers, contentType, body });
}
