/** Sources of a flow's signals: what they give is kept for the machine that waits for it, and is no message of the flow. */
import type { Clock } from "#base";
import type { SignalConfig } from "./contract/config.ts";
import type { Failure, Incoming, Outcome, Reply } from "./contract/message.ts";
import type { IncomingSignal, SignalOutcome } from "./contract/sleep.ts";
import type { Accept } from "./contract/source.ts";
import { type KeyExpression, parseKey } from "./delivery/admission/keys.ts";
import { refusedWith } from "./delivery/admission/message.ts";
import { callersFault } from "./delivery/failures.ts";
import type { Persistence } from "./delivery/persistence.ts";
import type { MessageIds } from "./delivery/seeds.ts";
import type { DeadLetters } from "./journal/dead-letters.ts";

/** The signal that a source is for. */
export interface SourcedSignal extends Pick<SignalConfig, "key"> {
  readonly name: string;
}

export interface SignalSourcePorts {
  readonly flow: string;
  readonly signal: (signal: IncomingSignal) => Promise<SignalOutcome>;
  /** Why none is taken now, such as MF_FLOW_PAUSED. */
  readonly refusal: () => string | undefined;
  readonly letters: Pick<DeadLetters, "put">;
  readonly persistence: Persistence;
  readonly ids: MessageIds;
  readonly clock: Clock;
}

/** Where signals come from. */
export interface SignalOrigin {
  readonly source: string;
  readonly place: string;
}

/** HTTP statuses of signals that are refused for good. */
const statuses: ReadonlyMap<string, number> = new Map([
  ["MF_SIGNAL_NO_KEY", 400],
  ["MF_SIGNAL_TOO_LARGE", 413],
]);

/** A key as it is: it must equal that of a wait, and one that is too long is refused. */
function whole(key: string | undefined): string | undefined {
  return key === "" ? undefined : key;
}

function expressionsOf({ key }: SourcedSignal): KeyExpression[] {
  return key.flatMap((text) => {
    const parsed = parseKey(text, whole); // checked with the configuration
    return parsed.ok ? [parsed.value] : [];
  });
}

/** For brokers' requests: the same as HTTP's answer. */
function replyOf(id: string, waiting: boolean): Reply {
  return { status: 202, contentType: "application/json", headers: {}, body: Buffer.from(JSON.stringify({ id, waiting })) };
}

/** Takes what a source of signals has. As for messages: acknowledged once it is durable. */
export function signalAccept(signal: SourcedSignal, origin: SignalOrigin, ports: SignalSourcePorts): Accept {
  const expressions = expressionsOf(signal);
  const keyOf = (incoming: Incoming): string | undefined => {
    for (const expression of expressions) {
      const key = expression(incoming);
      if (key !== undefined) return key;
    }
    return whole(incoming.key);
  };
  return async (incoming) => {
    if (incoming.setAside !== undefined) return await bury(signal.name, incoming, undefined, incoming.setAside, origin, ports);
    const refusal = ports.refusal();
    if (refusal !== undefined) return refusedWith(refusal, incoming.id);
    const key = keyOf(incoming);
    if (key === undefined) {
      const tried = signal.key.length === 0 ? "it sets no `key`, and the source gives none" : `it has nothing at ${signal.key.join(", ")}`;
      const text = `the signal ${signal.name} has no key to find its machine by: ${tried} (flows.${ports.flow}.signals.${signal.name}.key)`;
      return await final("MF_SIGNAL_NO_KEY", text, incoming, undefined);
    }
    const { id, idScope = "", headers, contentType, body } = incoming;
    const { name } = signal;
    const scope = `${origin.place} ${idScope}`;
    const outcome = await ports.signal({
      flow: ports.flow,
      name,
      key,
      id,
      idScope: scope,
      source: origin.source,
      headers,
      contentType,
      body,
    });
    switch (outcome.status) {
      case "kept":
        return kept(incoming, outcome.id, outcome.waiting);
      case "duplicate":
        return { status: "duplicate", id: outcome.id, reply: undefined };
      case "refused": {
        if (outcome.final) return await final(outcome.code, outcome.message, incoming, key);
        const { code, message, retryAfterMs } = outcome;
        return { status: "refused", id, code, message, retryAfterMs };
      }
    }
  };

  function kept({ keeper, replyWanted }: Incoming, id: string, waiting: boolean): Outcome {
    if (keeper === "journal") return { status: "accepted", id, waiting };
    return { status: "done", id, reply: replyWanted ? replyOf(id, waiting) : undefined };
  }

  /** Giving it again would not help: an HTTP caller is told, others' signals are kept as dead letters. */
  async function final(code: string, message: string, incoming: Incoming, key: string | undefined): Promise<Outcome> {
    const failure = callersFault(code, message, statuses.get(code) ?? 409);
    if (origin.source === "http") return { status: "dead", id: incoming.id ?? ports.ids.next(), failure, kept: false };
    return await bury(signal.name, incoming, key, failure, origin, ports);
  }
}

async function bury(
  name: string,
  incoming: Incoming,
  key: string | undefined,
  failure: Failure,
  { source }: SignalOrigin,
  { flow, letters, persistence, ids, clock }: SignalSourcePorts,
): Promise<Outcome> {
  const nowMs = clock.now();
  const { headers, contentType, body, correlationId, id = ids.next() } = incoming;
  const record = { attempt: 1, startedMs: nowMs, endedMs: nowMs, imageSha256: "", failure, logs: [] };
  const letter = {
    kind: "signal",
    flow,
    signal: name,
    messageId: id,
    source,
    headers,
    contentType,
    key,
    correlationId,
    receivedMs: nowMs,
    buriedMs: nowMs,
    failure,
    attempts: [record],
  } as const;
  const written = await persistence.keepTrying(() => letters.put(letter, body, `signal ${name} ${id}`));
  return written === undefined ? refusedWith("MF_STOPPING", id) : { status: "dead", id, failure, kept: true };
}
