/**
 * Takes mails apart in a process, one after the other. A mail is a stranger's: the parser's time and memory grow with the square of some.
 * The process is ended that takes too long, and ends by itself where its memory is used up. A thread would not do: V8 ends the whole
 * process when the heap of a thread is full at the wrong moment.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { ConnectorContext } from "#gateway/contract";
import { imapLimits } from "./limits.ts";
import type { Parsed } from "./parse-process.ts";

const script = fileURLToPath(new URL("./parse-process.js", import.meta.url));

/** `hasEnded`: the process did, and not by us. */
type Taken = Parsed & { readonly hasEnded: boolean };

export class MailParser {
  readonly #context: Pick<ConnectorContext, "clock">;
  #child: ChildProcess | undefined;

  constructor(context: Pick<ConnectorContext, "clock">) {
    this.#context = context;
  }

  /** Never rejects. Called when the one before has resolved. A process that took mails before may have ended for another reason than this one. */
  async parse(raw: Uint8Array): Promise<Parsed> {
    const isNew = this.#child === undefined;
    const parsed = await this.#parse(raw);
    return "problem" in parsed && parsed.hasEnded && !isNew ? await this.#parse(raw) : parsed;
  }

  #parse(raw: Uint8Array): Promise<Taken> {
    const child = this.#running();
    return new Promise((resolve) => {
      const over = (taken: Taken): void => {
        cancel();
        child.off("message", answered).off("exit", ended).off("error", failed);
        hold(child, false);
        resolve(taken);
      };
      const give = (problem: string, hasEnded: boolean): void => {
        this.#child = undefined;
        child.on("error", () => undefined); // it may fail once more on its way out
        child.kill("SIGKILL");
        over({ problem, hasEnded });
      };
      const answered = (parsed: unknown): void => over({ hasEnded: false, ...(parsed as Parsed) });
      const ended = (): void => give("it takes more memory than the parser has", true);
      const failed = (error: Error): void => give(`the parser failed: ${error.message}`, true);
      const late = (): void => give(`it takes longer than ${imapLimits.parseMs / 1000} s`, false);
      const cancel = this.#context.clock.after(imapLimits.parseMs, late);
      child.once("message", answered).once("exit", ended).once("error", failed);
      hold(child, true);
      child.send(raw);
    });
  }

  close(): void {
    this.#child?.kill("SIGKILL");
    this.#child = undefined;
  }

  /** Without the gateway's environment, which has secrets. */
  #running(): ChildProcess {
    this.#child ??= fork(script, {
      env: {},
      execArgv: [`--max-old-space-size=${imapLimits.parseMib}`],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    return this.#child;
  }
}

/** Keeps this process running for the child's answer, or lets it end without the child. */
function hold(child: ChildProcess, held: boolean): void {
  if (held) {
    child.ref();
    child.channel?.ref();
  } else {
    child.unref();
    child.channel?.unref();
  }
}
