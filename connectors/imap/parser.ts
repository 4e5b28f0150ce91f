/**
 * Takes mails apart in a thread, one after the other. A mail is a stranger's: the parser's time grows with the square of some, and the
 * thread is ended that takes too long or too much memory. The gateway's own thread goes on meanwhile.
 */
import { Worker } from "node:worker_threads";
import type { ConnectorContext } from "#gateway/contract";
import { imapLimits } from "./limits.ts";
import type { Parsed } from "./parse-thread.ts";

export class MailParser {
  readonly #context: Pick<ConnectorContext, "clock">;
  #worker: Worker | undefined;

  constructor(context: Pick<ConnectorContext, "clock">) {
    this.#context = context;
  }

  /** Gives up `raw`, which belongs to the thread afterwards. Never rejects. Called when the one before has resolved. */
  parse(raw: Uint8Array): Promise<Parsed> {
    const worker = this.#running();
    return new Promise((resolve) => {
      const over = (parsed: Parsed): void => {
        cancel();
        worker.off("message", over).off("error", failed).off("exit", ended);
        worker.unref();
        resolve(parsed);
      };
      const give = (problem: string): void => {
        this.#worker = undefined;
        worker.on("error", () => undefined); // it may fail once more on its way out
        over({ problem });
        void worker.terminate();
      };
      const failed = (error: Error): void => give(`the parser failed: ${error.message}`);
      const ended = (): void => give("the parser ended");
      const cancel = this.#context.clock.after(imapLimits.parseMs, () => give(`it takes longer than ${imapLimits.parseMs / 1000} s`));
      worker.once("message", over).once("error", failed).once("exit", ended);
      worker.ref();
      worker.postMessage(raw, [raw.buffer as ArrayBuffer]);
    });
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
    this.#worker = undefined;
  }

  #running(): Worker {
    this.#worker ??= new Worker(new URL("./parse-thread.js", import.meta.url), {
      name: "mayfly-mail",
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: imapLimits.parseMib },
    });
    return this.#worker;
  }
}
