/** Calls of other nodes, answered: the gateway's answers as the content of calls. */
import type { Outcome, PartitionHost } from "#gateway";
import type { Handle } from "./answerer.ts";
import { decodeDelivery, decodeSignal, encodeOutcome, encodeSignalOutcome } from "./messages.ts";
import { TurnedBack } from "./turned-back.ts";

/** Of a refusal: this node does not own the partition. */
export const away = "MF_PARTITION_AWAY";

/** Kinds of calls, each a byte. */
export const verbs = { message: 1, signal: 2, question: 3 } as const;

/** The node's own side. Nothing here rejects, and calls come in the order in which they were made. */
export interface ForwardingHost extends Pick<PartitionHost, "message" | "signal"> {
  /** Another node's question, as JSON. Undefined: it is not understood. */
  ask(question: unknown): Promise<unknown>;
}

export function answersOf(host: ForwardingHost): Handle {
  const turnedBack = new TurnedBack();
  return async (verb, content, life) => {
    if (verb === verbs.question) return await answerTo(host, content);
    if (verb === verbs.message) return await messageTo(host, content, life, turnedBack);
    const delivery = verb === verbs.signal ? decodeSignal(content) : undefined;
    return delivery === undefined ? undefined : encodeSignalOutcome(await host.signal(delivery.signal));
  };
}

async function messageTo(host: ForwardingHost, content: Uint8Array, life: string, turnedBack: TurnedBack): Promise<Uint8Array | undefined> {
  const delivery = decodeDelivery(content);
  if (delivery === undefined) return undefined;
  const { partition, round, flow, message, origin } = delivery;
  if (turnedBack.has(life, partition, round)) return encodeOutcome(behind(message.id));
  const outcome = await host.message(flow, message, origin);
  if (outcome.status === "refused" && outcome.code === away) turnedBack.note(life, partition, round);
  return encodeOutcome(outcome);
}

function behind(id: string | undefined): Outcome {
  return { status: "refused", id, code: away, message: "a message before it was turned back", retryAfterMs: 0 };
}

async function answerTo(host: ForwardingHost, content: Uint8Array): Promise<Uint8Array | undefined> {
  const question = parsed(content);
  const answer = question === undefined ? undefined : await host.ask(question.value);
  return answer === undefined ? undefined : Buffer.from(JSON.stringify(answer));
}

/** Undefined for what is no JSON. */
export function parsed(content: Uint8Array): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(Buffer.from(content).toString()) };
  } catch {
    return undefined;
  }
}
