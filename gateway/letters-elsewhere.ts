/** Retries of dead letters at the node of a cluster that owns their partition: all nodes see all letters, and any may be asked. */
import { CodedError } from "#base";
import type { Partition } from "./contract/cluster.ts";
import type { Outcome } from "./contract/message.ts";
import type { Shares } from "./delivery/shares.ts";
import { messageAgain } from "./journal/dead-letter-operations.ts";
import type { DeadLetter } from "./journal/dead-letters.ts";

const nothing = new Uint8Array(0);

export interface LetterRetry {
  readonly id: string;
  readonly body: Uint8Array | undefined;
  readonly wait: boolean;
}

/** The partition whose owner retries a letter; undefined where it is this node. */
export function ownerOfLetter(letter: DeadLetter, shares: Shares | undefined): Partition | undefined {
  if (shares === undefined) return undefined;
  if (letter.kind !== "signal") return shares.awayOf(messageAgain(letter, nothing, { nowMs: 0 }));
  const { flow, signal = "", key = "" } = letter;
  const partition = shares.journal.partitionOfSignal({ flow, name: signal, key });
  return shares.owns(partition) ? undefined : partition;
}

/** Rejects with MF_PARTITION_AWAY when the owner does not answer, and as the retry there does. */
export async function retryThere(shares: Shares, partition: Partition, { id, body, wait }: LetterRetry): Promise<Outcome | undefined> {
  const question = { kind: "retry", id, wait, ...(body === undefined ? {} : { body: Buffer.from(body).toString("base64") }) };
  const answer = (await shares.cluster.ask(partition, question)) as Answer | undefined;
  if (answer === undefined)
    throw new CodedError(
      "MF_PARTITION_AWAY",
      "the node that owns the dead letter's partition does not answer: look whether it was retried, then try again",
    );
  if (answer.error !== undefined) throw new CodedError(answer.error.code, answer.error.message);
  const { outcome } = answer;
  if (outcome === undefined || !("reply" in outcome) || outcome.reply === undefined) return outcome;
  const { reply } = outcome;
  return { ...outcome, reply: { ...reply, body: new Uint8Array(Buffer.from(String(reply.body), "base64")) } };
}

interface Answer {
  readonly outcome?: Outcome;
  readonly error?: { readonly code: string; readonly message: string };
}

/** The retry that another node asks for; undefined for another question. */
export function retryAsked(question: unknown): LetterRetry | undefined {
  if (typeof question !== "object" || question === null) return undefined;
  const { kind, id, body, wait } = question as Readonly<Record<string, unknown>>;
  if (kind !== "retry" || typeof id !== "string" || typeof wait !== "boolean") return undefined;
  if (body !== undefined && typeof body !== "string") return undefined;
  return { id, wait, body: body === undefined ? undefined : new Uint8Array(Buffer.from(body, "base64")) };
}

/** The answer to such a question, as JSON has it. */
export async function answerOf(retried: Promise<Outcome | undefined>): Promise<object> {
  try {
    const outcome = await retried;
    if (outcome === undefined || !("reply" in outcome) || outcome.reply === undefined) return { outcome };
    return { outcome: { ...outcome, reply: { ...outcome.reply, body: Buffer.from(outcome.reply.body).toString("base64") } } };
  } catch (error) {
    if (error instanceof CodedError) return { error: { code: error.code, message: error.message } };
    throw error;
  }
}
