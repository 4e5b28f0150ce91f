/** Results of many messages, in their order: some are under way at once, and no more are taken than somebody wants results of. */
import type { Message, RunAllOptions, RunOptions, RunResult } from "./embed.d.ts";
import { optionError } from "./errors.ts";
import { embedLimits } from "./limits.ts";
import { checkNames, checkSignal } from "./options.ts";

type Run = (message: Message, options: RunOptions) => Promise<RunResult>;
type Messages = AsyncIterable<Message> | Iterable<Message>;

function atOnceFrom(given: number | undefined): number {
  if (given === undefined) return embedLimits.runAllAtOnce;
  if (Number.isSafeInteger(given) && given >= 1 && given <= embedLimits.calls) return given;
  throw optionError(`atOnce must be a whole number from 1 to ${embedLimits.calls}`);
}

function iteratorOf(messages: Messages): AsyncIterator<Message> | Iterator<Message> {
  const { [Symbol.asyncIterator]: async, [Symbol.iterator]: sync } = Object(messages) as Partial<
    AsyncIterable<Message> & Iterable<Message>
  >;
  if (typeof messages !== "string" && typeof async === "function") return async.call(messages);
  if (typeof messages !== "string" && typeof sync === "function") return sync.call(messages);
  throw optionError("the messages must be an iterable of messages, or an async one");
}

/** Throws for wrong options at once. What the iterable throws comes after the results of the messages before it. */
export function runAll(run: Run, messages: Messages, options: RunAllOptions): AsyncIterableIterator<RunResult> {
  checkNames(options, "the options of runAll", ["outlets", "signal", "atOnce"]);
  checkSignal(options.signal);
  return results(run, iteratorOf(messages), options, atOnceFrom(options.atOnce));
}

/** Messages that are taken one after the other, and their runs in the same order. */
class Runs {
  readonly #run: (message: Message) => Promise<RunResult>;
  readonly #messages: AsyncIterator<Message> | Iterator<Message>;
  readonly #underWay: Promise<RunResult>[] = [];
  #taking: Promise<void> | undefined;
  #isOver = false;
  #fault: { readonly error: unknown } | undefined;

  constructor(messages: AsyncIterator<Message> | Iterator<Message>, run: (message: Message) => Promise<RunResult>) {
    this.#messages = messages;
    this.#run = run;
  }

  /** The result that is next; undefined after the last. Throws what the messages' iterator threw, in its turn. */
  async next(atOnce: number): Promise<RunResult | undefined> {
    for (;;) {
      if (!this.#isOver && this.#underWay.length < atOnce) this.#taking ??= this.#take().finally(() => (this.#taking = undefined));
      const [first] = this.#underWay;
      if (first === undefined && this.#taking === undefined) break;
      const isReady = first?.then(
        () => true,
        () => true,
      );
      const taken = this.#taking?.then(() => false);
      if (await Promise.race([isReady, taken].filter((each) => each !== undefined))) return await this.#underWay.shift();
    }
    if (this.#fault !== undefined) throw this.#fault.error;
    return undefined;
  }

  /** Takes no more messages, and waits for what is under way. */
  async end(): Promise<void> {
    if (!this.#isOver) {
      this.#isOver = true;
      const ended = Promise.resolve(this.#messages.return?.()).catch(() => undefined);
      if (this.#taking === undefined) await ended; // an iterator that waits for its next message may wait for ever
    }
    await Promise.allSettled(this.#underWay);
  }

  /** Never rejects. */
  async #take(): Promise<void> {
    try {
      const next = await this.#messages.next();
      if (next.done === true) this.#isOver = true;
      else if (!this.#isOver) {
        const result = this.#run(next.value);
        result.catch(() => undefined); // told in its turn
        this.#underWay.push(result);
      }
    } catch (error) {
      this.#isOver = true;
      this.#fault = { error };
    }
  }
}

async function* results(
  run: Run,
  messages: AsyncIterator<Message> | Iterator<Message>,
  { outlets, signal }: RunAllOptions,
  atOnce: number,
): AsyncGenerator<RunResult, undefined> {
  const left = new AbortController();
  const options = {
    ...(outlets === undefined ? {} : { outlets }),
    signal: signal === undefined ? left.signal : AbortSignal.any([signal, left.signal]),
  };
  const runs = new Runs(messages, (message) => run(message, options));
  try {
    for (let result = await runs.next(atOnce); result !== undefined; result = await runs.next(atOnce)) yield result;
  } finally {
    left.abort();
    await runs.end();
  }
  return undefined;
}
