/** Everyone told what happens to messages. A witness that throws is reported once, and counted from then on: delivery goes on. */
import type { ReportUnexpected } from "../contract/unexpected.ts";
import type { Witness, WitnessedAttempt, WitnessedDelivery, WitnessedEnd, WitnessedMessage } from "../contract/witness.ts";

export class Witnesses implements Witness {
  /** False: nobody is told, and nothing is collected. */
  readonly any: boolean;
  /** Calls of witnesses that threw. */
  failures = 0;
  readonly #witnesses: readonly Witness[];
  readonly #report: ReportUnexpected;
  readonly #reported = new Set<Witness>();

  constructor(witnesses: readonly Witness[], report: ReportUnexpected) {
    this.#witnesses = witnesses;
    this.#report = report;
    this.any = witnesses.length > 0;
  }

  /** True where somebody has a use for the message. */
  wants(message: WitnessedMessage): boolean {
    for (const witness of this.#witnesses) {
      try {
        if (witness.wants(message)) return true;
      } catch (error) {
        this.#threw(witness, error);
      }
    }
    return false;
  }

  attempted(message: WitnessedMessage, attempt: WitnessedAttempt): void {
    for (const witness of this.#witnesses) {
      try {
        witness.attempted(message, attempt);
      } catch (error) {
        this.#threw(witness, error);
      }
    }
  }

  ended(message: WitnessedMessage, end: WitnessedEnd): void {
    for (const witness of this.#witnesses) {
      try {
        witness.ended(message, end);
      } catch (error) {
        this.#threw(witness, error);
      }
    }
  }

  delivered(delivery: WitnessedDelivery): void {
    for (const witness of this.#witnesses) {
      try {
        witness.delivered(delivery);
      } catch (error) {
        this.#threw(witness, error);
      }
    }
  }

  #threw(witness: Witness, error: unknown): void {
    this.failures += 1;
    if (this.#reported.has(witness)) return;
    this.#reported.add(witness);
    this.#report(error, "a witness of messages (history or telemetry); its later errors are only counted");
  }
}

/** Nobody is told. */
export const noWitnesses: Witnesses = new Witnesses([], () => undefined);
