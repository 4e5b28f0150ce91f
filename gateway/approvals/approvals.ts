/** Questions that flows ask people: which are open, what each answer would do, and their answers, which are signals like any other. */
import { type Clock, CodedError, toUtf8 } from "#base";
import type { Flow, Runner } from "../contract/runner.ts";
import { type IncomingSignal, type OpenWait, type Question, questionOf, type SignalOutcome } from "../contract/sleep.ts";
import type { Journal, Lease, Sequence } from "../journal/journal.ts";
import { approvalLimits } from "./limits.ts";
import { type Forked, type Preview, Previews } from "./preview.ts";

export interface ApprovalPorts {
  readonly journal: Pick<Journal, "findSleeper" | "readSleeper" | "readState" | "hasSignal" | "waiterFor">;
  readonly runner: Runner;
  readonly clock: Clock;
  /** The flow in the image that a machine sleeps in. Rejects with a CodedError when that image is missing or can't run. */
  readonly flowAsleep: (flow: string, imageSha256: string) => Promise<Flow>;
  readonly signal: (signal: IncomingSignal) => Promise<SignalOutcome>;
}

/** A wait that is open. */
export interface FoundWait {
  readonly lease: Lease;
  readonly wait: OpenWait;
  /** Null where no person is asked. */
  readonly question: Question | null;
  /** False: a signal with its name and key would end another wait first. */
  readonly isNext: boolean;
}

/** An answer as somebody gave it. */
export interface GivenAnswer {
  readonly option: string;
  readonly by: string | undefined;
  readonly comment: string | undefined;
}

export type Answered =
  /** `waiting`: the machine goes on now. */
  | { readonly status: "kept"; readonly waiting: boolean }
  /** It was answered before, or its time is over. */
  | { readonly status: "closed" }
  | { readonly status: "refused"; readonly code: string; readonly message: string; readonly final: boolean };

export interface PreviewedOption {
  readonly option: string;
  readonly preview: Preview;
}

export class Approvals {
  readonly #ports: ApprovalPorts;
  readonly #previews: Previews;
  /** Answers that are being kept, by what they answer: a second one waits for the first, and finds the question closed. */
  readonly #answering = new Map<string, Promise<void>>();

  constructor(ports: ApprovalPorts) {
    this.#ports = ports;
    this.#previews = new Previews({ ...ports, readState: (flow, key) => ports.journal.readState(flow, key) });
  }

  /** Undefined when the machine is gone, or does not wait for it any more, or has its answer and is about to go on. */
  async find(flow: string | undefined, id: string, number: number): Promise<FoundWait | undefined> {
    const { journal, clock } = this.#ports;
    const sequence = await journal.findSleeper(id, flow);
    const lease = sequence === undefined ? undefined : await journal.readSleeper(sequence);
    const wait = lease?.sleeper?.waits.find((each) => each.wait === number);
    if (lease === undefined || wait === undefined || sequence === undefined) return undefined;
    if (wait.dueMs !== undefined && clock.now() >= wait.dueMs) return undefined;
    if (journal.hasSignal(lease.message.flow, wait.name, wait.key, () => true)) return undefined;
    return { lease, wait, question: questionOf(wait.questionJson), isNext: this.#isNext(lease, sequence, wait) };
  }

  #isNext({ message, sleeper }: Lease, sequence: Sequence, wait: OpenWait): boolean {
    const first = sleeper?.waits.find(({ name, key }) => name === wait.name && key === wait.key);
    const waiter = this.#ports.journal.waiterFor(message.flow, wait.name, wait.key);
    return first === wait && (waiter === undefined || waiter === sequence);
  }

  /** A preview for each of the first options, in their order. Never rejects. */
  async options({ lease, wait, question }: FoundWait): Promise<readonly PreviewedOption[]> {
    const shown: PreviewedOption[] = [];
    for (const option of question?.options.slice(0, approvalLimits.previewedOptions) ?? []) {
      const body = toUtf8(JSON.stringify({ option }));
      shown.push({ option, preview: await this.preview({ lease, wait }, { contentType: "application/json", body }) });
    }
    return shown;
  }

  /** A preview with this signal, or, without one, of the end of the wait's time. Never rejects. */
  async preview(
    { lease, wait }: Pick<FoundWait, "lease" | "wait">,
    signal: { readonly contentType: string; readonly body: Uint8Array } | undefined,
  ): Promise<Preview> {
    return this.#previews.preview(() => this.#forked(lease), { wait: wait.wait, signal });
  }

  async #forked({ message, sleeper }: Lease): Promise<Forked> {
    const { journal, flowAsleep } = this.#ports;
    if (sleeper === undefined) throw new CodedError("MF_WAIT_UNKNOWN", "the machine does not sleep any more");
    const flow = await flowAsleep(message.flow, sleeper.imageSha256);
    const state = message.key === undefined ? undefined : await journal.readState(message.flow, message.key);
    return { flow, message, sleeper, state };
  }

  /**
   * `use`: an id of this way to answer: the second answer with it is refused as a duplicate. Of two answers in different ways one is kept:
   * the other would be taken for the answer to a later question of the same name and key.
   */
  async answer(found: FoundWait, given: GivenAnswer, use: string | undefined): Promise<Answered> {
    const { flow, id } = found.lease.message;
    const { name, key, wait } = found.wait;
    const asked = JSON.stringify([flow, name, key]);
    let current: FoundWait | undefined = found;
    for (let other = this.#answering.get(asked); other !== undefined; other = this.#answering.get(asked)) {
      await other;
      current = await this.find(flow, id, wait);
    }
    if (current === undefined || this.#ports.journal.hasSignal(flow, name, key, () => true)) return { status: "closed" };
    let end = (): void => undefined;
    this.#answering.set(asked, new Promise((resolve) => (end = resolve)));
    try {
      return await this.#keep(current, given, use);
    } finally {
      this.#answering.delete(asked);
      end();
    }
  }

  async #keep({ lease, wait, question, isNext }: FoundWait, given: GivenAnswer, use: string | undefined): Promise<Answered> {
    if (question?.options.includes(given.option) !== true)
      return refused("MF_APPROVAL_OPTION", `the answer is not one of the options of the question: choose one of ${list(question)}`);
    if (!isNext)
      return refused(
        "MF_APPROVAL_AMBIGUOUS",
        "another machine waits for an answer with the same key, and is first: answer that one before, or give `approve` a key of its own",
      );
    const { option, by, comment } = given;
    const body = toUtf8(JSON.stringify({ option, ...(by === undefined ? {} : { by }), ...(comment === undefined ? {} : { comment }) }));
    const outcome = await this.#ports.signal({
      flow: lease.message.flow,
      name: wait.name,
      key: wait.key,
      id: use,
      source: "approval",
      headers: {},
      contentType: "application/json",
      body,
    });
    if (outcome.status === "kept") return { status: "kept", waiting: outcome.waiting };
    return outcome.status === "duplicate" ? { status: "closed" } : outcome;
  }
}

function refused(code: string, message: string): Answered {
  return { status: "refused", code, message, final: true };
}

function list(question: Question | null): string {
  return question?.options.map((option) => JSON.stringify(option)).join(", ") ?? "none";
}
