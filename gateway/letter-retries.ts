/** Retries of dead letters one at a time, edited or as they are, and how each ended. */
import type { Readable } from "node:stream";
import { type Clock, CodedError } from "#base";
import { hint } from "./config/suggest.ts";
import type { Logger } from "./contract/connector.ts";
import { gatewayLimits } from "./contract/limits.ts";
import type { Outcome } from "./contract/message.ts";
import { storedBodyOf } from "./contract/stored-body.ts";
import type { FoundLetter } from "./held.ts";
import type { Shares } from "./delivery/shares.ts";
import { retryLetters } from "./journal/dead-letter-operations.ts";
import type { DeadLetter, DeadLetters } from "./journal/dead-letters.ts";
import type { Journal } from "./journal/journal.ts";
import type { ServedFlow } from "./served-flow.ts";
import { type LetterRetry, ownerOfLetter, retryThere } from "./letters-elsewhere.ts";
import { letterBody } from "./stored-bodies/letter-body.ts";
import type { BodyStore } from "./stored-bodies/store.ts";

export interface LetterRetryPorts {
  readonly journal: Journal;
  readonly deadLetters: DeadLetters;
  readonly bodyStore?: BodyStore | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** As of now: a reload changes them. */
  readonly flows: ReadonlyMap<string, ServedFlow>;
  /** Absent: everything is this process's own. */
  readonly shares: () => Shares | undefined;
}

export class LetterRetries {
  readonly #ports: LetterRetryPorts;

  constructor(ports: LetterRetryPorts) {
    this.#ports = ports;
  }

  /** The body of a letter, also of one in the body store; undefined if there is no such letter. */
  async body(id: string): Promise<{ readonly bytes: number; readonly stream: Readable } | undefined> {
    const { deadLetters, bodyStore } = this.#ports;
    const found = await deadLetters.read(id);
    return found === undefined ? undefined : letterBody(found, bodyStore);
  }

  /** Waits a moment for the end of the message, if it is edited, holds others, or `wait` says so. Undefined if there is no such letter. Rejects with MF_FLOW_UNKNOWN, and what refused the letter. */
  async retry(id: string, body?: Uint8Array, wait = false): Promise<Outcome | undefined> {
    const found = await this.#ports.deadLetters.read(id);
    if (found === undefined) return undefined;
    const shares = this.#ports.shares();
    const away = ownerOfLetter(found.letter, shares);
    return shares !== undefined && away !== undefined ? retryThere(shares, away, { id, body, wait }) : this.#retryHere(found, body, wait);
  }

  /** For another node, which knows this one as the owner of the letter's partition. */
  async retryHere({ id, body, wait }: LetterRetry): Promise<Outcome | undefined> {
    const found = await this.#ports.deadLetters.read(id);
    return found && this.#retryHere(found, body, wait);
  }

  async #retryHere(found: FoundLetter, body: Uint8Array | undefined, wait: boolean): Promise<Outcome> {
    const { flows } = this.#ports;
    const { flow } = found.letter;
    const served = flows.get(flow);
    if (served === undefined) throw unknownFlow(flow, flows.keys());
    return served.held.takesUp(found.letter) && found.letter.asleep === undefined
      ? this.#retryHeld(served, found, body)
      : this.#putIn(found.letter, body, wait);
  }

  async #putIn(letter: DeadLetter, body: Uint8Array | undefined, wait: boolean): Promise<Outcome> {
    const { journal, deadLetters, clock, flows, logger } = this.#ports;
    const { id, flow, messageId } = letter;
    const edited = body !== undefined;
    const release = edited ? undefined : await this.#holdBody(letter);
    let ended: Promise<Outcome> | undefined;
    const report = await retryLetters(
      journal,
      deadLetters,
      { ids: [id] },
      {
        nowMs: clock.now(),
        edit: edited ? { body } : undefined,
        keepLetter: edited && letter.kind !== "signal",
        slept: (_flow, sleeper) => flows.get(flow)?.delivery.sleepers.slept(sleeper),
        signalled: (signal) => flows.get(flow)?.delivery.sleepers.kept(signal),
        started: (lease) => {
          ended = new Promise((tell) => flows.get(flow)?.delivery.takeOver(lease, tell));
        },
        resent: (_flow, outlet) => flows.get(flow)?.outbox(outlet)?.pump(),
      },
    ).finally(release);
    const [failure] = report.failed;
    if (failure !== undefined) throw new CodedError(failure.code, failure.message);
    if (letter.asleep !== undefined) await flows.get(flow)?.held.look(); // the letter held what comes behind it; the sleeper does not
    if (report.repeated.length > 0) return { status: "duplicate", id: messageId, reply: undefined };
    logger.info({ flow, message: messageId, deadLetter: id, edited }, "a dead letter is retried");
    const accepted: Outcome = { status: "accepted", id: messageId };
    if (ended === undefined || !(edited || wait)) return accepted;
    const outcome = await this.#soon(edited ? this.#endOfEdited(id, ended) : ended);
    return outcome === undefined || outcome.status === "refused" ? accepted : outcome;
  }

  /** Tells how it ended, if that is soon. */
  async #retryHeld(served: ServedFlow, found: FoundLetter, body: Uint8Array | undefined): Promise<Outcome> {
    const { logger } = this.#ports;
    const { id, messageId } = found.letter;
    const release = await this.#holdBody(found.letter);
    const ended = served.held.retry(found, body === undefined ? undefined : { body }).finally(release);
    const told = ended.then((outcome) => {
      logger.info({ deadLetter: id, message: messageId, outcome: outcome.status }, "a dead letter that holds back others is retried");
      return outcome;
    });
    told.catch((error: unknown) => logger.error({ deadLetter: id }, `the dead letter could not be retried: ${String(error)}`));
    return (await this.#soon(told)) ?? { status: "accepted", id: messageId };
  }

  /** The original letter goes once what was put in for it has ended well; otherwise there is the letter of that as well. */
  async #endOfEdited(id: string, ended: Promise<Outcome>): Promise<Outcome> {
    const { deadLetters, logger } = this.#ports;
    const outcome = await ended;
    const kept = outcome.status !== "done" || !(await deadLetters.remove(id).catch(() => false));
    logger.info({ deadLetter: id, message: outcome.id, outcome: outcome.status, kept }, "an edited dead letter has ended");
    return outcome;
  }

  /** Holds a stored body on its way from the letter into the journal; rejects when it is missing. */
  async #holdBody({ headers }: DeadLetter): Promise<(() => void) | undefined> {
    const storedBody = storedBodyOf(headers);
    const { bodyStore } = this.#ports;
    if (storedBody === undefined || bodyStore === undefined) return undefined;
    const release = bodyStore.hold(storedBody.id);
    await bodyStore.check(storedBody).catch((error: unknown) => {
      release();
      throw error;
    });
    return release;
  }

  #soon(ended: Promise<Outcome>): Promise<Outcome | undefined> {
    return Promise.race([
      ended,
      new Promise<undefined>((resolve) => this.#ports.clock.after(gatewayLimits.retryTellMs, () => resolve(undefined))),
    ]);
  }
}

export function unknownFlow(flow: string, known: Iterable<string>): CodedError {
  return new CodedError("MF_FLOW_UNKNOWN", `unknown flow "${flow}"${hint(flow, [...known])}`);
}
