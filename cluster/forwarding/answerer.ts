/** Answers what other nodes ask: one answer for each call, to where it came from. */
import type { Clock } from "#base";
import { answerVerbs, type CallsOptions, partBytes } from "./asker.ts";
import { Assemblies } from "./assembly.ts";
import { type CallsFrame, decodeFrame, encodeFrame, type PartFrame, partsOf } from "./frame.ts";
import { forwardingLimits, type ForwardingLimits } from "./limits.ts";
import { subjectsOf } from "./subjects.ts";
import type { Arrived, Wire } from "./wire.ts";

/** The answer's content; undefined for a verb or content that is not understood. `life`: of the asking process. Called in the order in which calls came. */
export type Handle = (verb: number, content: Uint8Array, life: string) => Promise<Uint8Array | undefined>;

export class Answerer {
  readonly #wire: Wire;
  readonly #clock: Clock;
  readonly #limits: ForwardingLimits;
  readonly #handle: Handle;
  readonly #assemblies: Assemblies;
  /** `LIFE CALL` of what is worked on. */
  readonly #working = new Set<string>();
  readonly #unsubscribe: () => void;
  #cancelSweep: (() => void) | undefined;
  #taking = true;

  constructor({ wire, clock, cluster, node, limits = forwardingLimits }: CallsOptions, handle: Handle) {
    this.#wire = wire;
    this.#clock = clock;
    this.#limits = limits;
    this.#handle = handle;
    this.#assemblies = new Assemblies(limits.assembledBytes);
    this.#unsubscribe = wire.subscribe(subjectsOf(cluster).asked(node), (message) => this.#take(message));
  }

  /** Calls being worked on. */
  get working(): number {
    return this.#working.size;
  }

  /** Refuses calls from now on; those that are worked on are answered still, and probes too. */
  stopTaking(): void {
    this.#taking = false;
  }

  close(): void {
    this.#taking = false;
    this.#cancelSweep?.();
    this.#unsubscribe();
  }

  #take({ data, reply }: Arrived): void {
    const frame = decodeFrame(data);
    if (frame === undefined || reply === undefined) return;
    if (frame.kind === "probe") this.#probed(frame, reply);
    else if (frame.kind === "ask") this.#asked(frame, reply);
  }

  #probed({ life, calls }: CallsFrame, reply: string): void {
    const isKnown = (call: number): boolean => this.#working.has(`${life} ${call}`) || this.#assemblies.has(`${life} ${call}`);
    this.#wire.publish(reply, encodeFrame({ kind: "unknown", life, calls: calls.filter((call) => !isKnown(call)) }));
  }

  #asked(frame: PartFrame, reply: string): void {
    const { life, call, verb, index } = frame;
    const name = `${life} ${call}`;
    const answer = (answerVerb: number, content: Uint8Array = new Uint8Array(0)): void => {
      for (const part of partsOf({ kind: "answer", life, call, verb: answerVerb }, content, partBytes(this.#wire, this.#limits)))
        this.#wire.publish(reply, part);
    };
    if (!this.#taking || this.#working.size >= this.#limits.answeredCalls) {
      this.#assemblies.drop(name);
      if (index === 0) answer(this.#taking ? answerVerbs.busy : answerVerbs.stopping);
      return;
    }
    const assembled = this.#assemblies.take(name, frame, this.#clock.monotonicMs());
    if (assembled.status === "full") answer(answerVerbs.busy);
    if (this.#assemblies.size > 0) this.#cancelSweep ??= this.#clock.after(this.#limits.partMs, () => this.#sweep());
    if (assembled.status !== "whole") return;
    this.#working.add(name);
    this.#handle(verb, assembled.content, life).then(
      (content) => {
        this.#working.delete(name);
        if (content === undefined) answer(answerVerbs.misfit);
        else if (content.length <= this.#limits.callBytes) answer(answerVerbs.answered, content);
      },
      () => void this.#working.delete(name), // the next probe says so
    );
  }

  #sweep(): void {
    this.#cancelSweep = undefined;
    this.#assemblies.sweep(this.#clock.monotonicMs() - this.#limits.partMs);
    if (this.#assemblies.size > 0) this.#cancelSweep = this.#clock.after(this.#limits.partMs, () => this.#sweep());
  }
}
