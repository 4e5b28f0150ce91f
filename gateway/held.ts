/**
 * Dead letters of one flow that hold what comes behind them (`onDead: hold`): read back at a start, retried before all that is held, and let
 * go of once they are gone. The letter is the record: while it lies there its key is held, also after a crash.
 */
import { type Clock, CodedError } from "#base";
import type { FlowDelivery } from "./delivery/flow-delivery.ts";
import type { Holds } from "./delivery/holds.ts";
import type { Outbox } from "./delivery/outbox/outbox.ts";
import { classified } from "./delivery/outbox/outlet-channel.ts";
import { keepSignalsAgain, type LetterEdit, messageAgain, sendAgain } from "./journal/dead-letter-operations.ts";
import type { DeadLetter, DeadLetters } from "./journal/dead-letters.ts";
import type { Journal } from "./journal/journal.ts";
import { gatewayLimits } from "./contract/limits.ts";
import type { Logger } from "./contract/connector.ts";
import type { Outcome } from "./contract/message.ts";

export interface HeldPorts {
  readonly flow: string;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly letters: Pick<DeadLetters, "list" | "idsOf" | "remove" | "asleep">;
  readonly logger: Logger;
  readonly delivery: () => FlowDelivery;
  readonly outboxes: () => Iterable<Outbox>;
}

export interface FoundLetter {
  readonly letter: DeadLetter;
  readonly body: Uint8Array;
}

export class Held {
  readonly #ports: HeldPorts;
  /** Letters of sends that are being sent. */
  readonly #sending = new Set<string>();
  #cancelLook: (() => void) | undefined;
  #ended = false;

  constructor(ports: HeldPorts) {
    this.#ports = ports;
  }

  /** Holds what the configuration says and letters ask for; lets go of the rest. Before messages are taken up. */
  async read(): Promise<void> {
    const { letters, flow } = this.#ports;
    const delivery = this.#ports.delivery();
    if (delivery.flow.config.onDead !== "hold") for (const letter of [...delivery.holds.letters]) delivery.unhold(letter);
    if (!this.#wanted) return;
    for await (const { id, kind, outlet, key, holds } of letters.list(flow)) {
      if (holds !== true) continue;
      if (kind === "send") this.#outbox(outlet)?.hold(id, key);
      else if (delivery.flow.config.onDead === "hold") delivery.hold(id, key);
    }
    this.#lookLater();
  }

  end(): void {
    this.#ended = true;
    this.#cancelLook?.();
  }

  /**
   * True for a letter that something waits behind. One that was written a moment ago holds from now on: whoever wrote it may not have got
   * that far.
   */
  takesUp({ id, kind, outlet: name, key, holds }: DeadLetter): boolean {
    const outbox = kind === "send" ? this.#outbox(name) : undefined;
    const delivery = this.#ports.delivery();
    if (holds === true && kind === "send") outbox?.hold(id, key);
    else if (holds === true && delivery.flow.config.onDead === "hold") delivery.hold(id, key);
    return (kind === "send" ? outbox?.holds : delivery.holds)?.has(id) === true;
  }

  /** Puts a letter that holds in again, before all that it holds. It goes once it has ended well, or another has taken its place. */
  async retry(found: FoundLetter, edit: LetterEdit | undefined): Promise<Outcome> {
    const { letters } = this.#ports;
    const outcome = found.letter.kind === "send" ? await this.#send(found, edit) : await this.#run(found, edit);
    const replaced = found.letter.kind === "message" && outcome.status === "dead" && outcome.kept && edit === undefined;
    if (outcome.status === "done" || outcome.status === "duplicate" || replaced) await letters.remove(found.letter.id);
    await this.look();
    return outcome;
  }

  /** Lets go of what was held by letters that are not there any more. */
  async look(): Promise<void> {
    const { letters, flow } = this.#ports;
    const delivery = this.#ports.delivery();
    const outboxes = [...this.#ports.outboxes()];
    if (delivery.holds.size === 0 && outboxes.every(({ holds }) => holds.size === 0)) return;
    const there = await letters.idsOf(flow);
    const gone = ({ letters: held }: Holds): string[] => [...held].filter((id) => id.startsWith(`${flow}/`) && !there.has(id));
    for (const id of gone(delivery.holds)) delivery.unhold(id);
    for (const outbox of outboxes) for (const id of gone(outbox.holds)) outbox.unhold(id);
  }

  get #wanted(): boolean {
    const { onDead, to } = this.#ports.delivery().flow.config;
    return onDead === "hold" || Object.values(to).some((outlet) => outlet.onDead === "hold");
  }

  #outbox(name: string | undefined): Outbox | undefined {
    for (const outbox of this.#ports.outboxes()) if (outbox.channel.name === name && outbox.channel.config.onDead === "hold") return outbox;
    return undefined;
  }

  /** Somebody may drop a letter from its folder. */
  #lookLater(): void {
    this.#cancelLook?.();
    if (this.#ended || !this.#wanted) return;
    const { clock, logger } = this.#ports;
    this.#cancelLook = clock.after(gatewayLimits.holdLookMs, () => {
      this.look()
        .catch((error: unknown) =>
          logger.warn({}, `the dead letters can't be read: ${error instanceof Error ? error.message : String(error)}`),
        )
        .finally(() => this.#lookLater());
    });
  }

  async #run({ letter, body }: FoundLetter, edit: LetterEdit | undefined): Promise<Outcome> {
    const { journal, letters, clock, delivery } = this.#ports;
    const nowMs = clock.now();
    await keepSignalsAgain(journal, letters, letter, { nowMs, signalled: (signal) => delivery().sleepers.kept(signal) });
    const adopted = journal.adopt(messageAgain(letter, body, { edit, nowMs }));
    if (adopted.status === "running") throw running(letter.id);
    if (adopted.status !== "leased") return { status: "duplicate", id: letter.messageId, reply: undefined };
    return new Promise((tell) => this.#ports.delivery().takeOverLetter(adopted.lease, tell));
  }

  async #send({ letter, body }: FoundLetter, edit: LetterEdit | undefined): Promise<Outcome> {
    const outbox = this.#outbox(letter.outlet);
    if (outbox === undefined || this.#sending.has(letter.id)) throw running(letter.id);
    this.#sending.add(letter.id);
    const { flow, messageId, correlationId, receivedMs } = letter;
    const { idempotencyKey = letter.id, ...send } = sendAgain(letter, body, edit);
    try {
      const message = { ...send, flow, messageId, correlationId, timeMs: receivedMs };
      await outbox.channel.sendNow(message, idempotencyKey, letter.attempts.length + 1, new AbortController().signal);
      return { status: "done", id: messageId, reply: undefined };
    } catch (error) {
      const { origin, code, message, status, retryable } = classified(error);
      return { status: "dead", id: messageId, failure: { origin, code, message, status, retry: retryable }, kept: true };
    } finally {
      this.#sending.delete(letter.id);
    }
  }
}

function running(id: string): CodedError {
  return new CodedError("MF_DEAD_LETTER_RUNNING", `${id} is already being retried: wait for the result`);
}
