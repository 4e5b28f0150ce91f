/** Differences between V8 and a machine's engine, QuickJS, that no flow is to blame for. */
import type { Effect } from "#abi";
import { valueWithoutFrames, withoutFrames } from "../frames.ts";

/** Codes of failures whose message quotes the engine's own error. */
const quoting = new Set(["MF_MESSAGE_INVALID", "MF_RESPONSE_INVALID", "MF_UNHANDLED_REJECTION", "MF_STACK_OVERFLOW"]);

/** V8 puts the error's name and message in front. */
const stacks = /"stack":"(?:[^"\\]|\\.)*"/g;

/** The effect without what each engine words in its own way: texts of its errors, and stacks. */
export function alike(effect: Effect): Effect {
  if (effect.kind === "fail") {
    const message = effect.flaw === true || quoting.has(effect.code) ? "" : effect.message;
    return { ...effect, message, stack: undefined };
  }
  if (effect.kind !== "log") return effect;
  const { text, fieldsJson } = effect;
  return {
    ...effect,
    text: withoutFrames(text),
    fieldsJson: fieldsJson === undefined ? undefined : JSON.stringify(valueWithoutFrames(fieldsJson)).replace(stacks, '"stack":""'),
  };
}

export const engineRemark =
  "Run by V8; machines run QuickJS. Stacks and the engine's own error texts are not compared, since the two word them differently. Numbers, dates, JSON, the order of promises and random values are the same. CPU and memory limits do not count here, and a regular expression that backtracks far, a recursion near the limit or a sort with an inconsistent comparison may end otherwise.";
