/** One attempt at a send or a request, from its start to its answer, its timeout or its abandonment. */
import type { Attempt, OutletError } from "../../contract/outlet.ts";
import type { Linked } from "../chain.ts";
import type { Deadline } from "../deadlines.ts";

/** An attempt under way. Its signal is made when somebody asks for it: the outlets that write to a log or a file do not. */
export class OpenAttempt implements Attempt, Deadline, Linked<OpenAttempt> {
  readonly idempotencyKey: string;
  readonly attempt: number;
  readonly deadlineMs: number;
  before: Deadline | undefined = undefined;
  after: Deadline | undefined = undefined;
  older: OpenAttempt | undefined = undefined;
  newer: OpenAttempt | undefined = undefined;
  readonly #late: () => OutletError;
  #controller: AbortController | undefined;
  #abandoned: OutletError | undefined;
  #reject: ((error: unknown) => void) | undefined;

  constructor(idempotencyKey: string, attempt: number, deadlineMs: number, late: () => OutletError) {
    this.idempotencyKey = idempotencyKey;
    this.attempt = attempt;
    this.deadlineMs = deadlineMs;
    this.#late = late;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abandoned !== undefined) this.#controller.abort(this.#abandoned);
    }
    return this.#controller.signal;
  }

  /** The result of `make`, unless the attempt is abandoned before. */
  outcome<T>(make: (how: Attempt) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (this.#abandoned !== undefined) reject(this.#abandoned);
      else make(this).then(resolve, reject);
    });
  }

  abandon(error: OutletError): void {
    this.#abandoned ??= error;
    this.#reject?.(error);
    this.#controller?.abort(error);
  }

  expired(): void {
    this.abandon(this.#late());
  }
}

/** Abandons an attempt that has no caller. In the place of an AbortController, which costs a send more than all else of it. */
export class Abandonment {
  #isAbandoned = false;
  #listener: (() => void) | undefined;

  get isAbandoned(): boolean {
    return this.#isAbandoned;
  }

  /** `listener`: of the attempt under way; undefined once it has ended. */
  listen(listener: (() => void) | undefined): void {
    this.#listener = listener;
  }

  abandon(): void {
    this.#isAbandoned = true;
    this.#listener?.();
  }
}
