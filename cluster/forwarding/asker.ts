/**
 * Calls to other nodes: at most once, each with one end.
 *
 *   ask ──▶ open ──┬── an answer came ───────────────────────────▶ answered
 *                  ├── nobody listens to that node's subject ─────▶ unreached: nothing was done
 *                  ├── the node says that it does not work on it ─▶ lost: it may have been done
 *                  └── the node is silent ────────────────────────▶ lost
 *
 * A call may take as long as the flow does, so it has no deadline of its own. Instead its node is asked at intervals whether it still works
 * on it: that finds a node that ended, stopped, restarted or can't be reached, and an answer that was lost.
 */
import { assert, type Clock } from "#base";
import { Assemblies } from "./assembly.ts";
import { decodeFrame, encodeFrame, type PartFrame, partsOf } from "./frame.ts";
import { forwardingLimits, type ForwardingLimits } from "./limits.ts";
import { subjectsOf, type Subjects } from "./subjects.ts";
import type { Arrived, Wire } from "./wire.ts";

/** First byte of an answer: it has a content, or the reason why it has not. */
export const answerVerbs = { answered: 0, busy: 1, misfit: 2, stopping: 3 } as const;

export type CallEnd =
  | { readonly status: "answered"; readonly content: Uint8Array }
  /** Nothing was done: the node is not there, takes no more, or does not understand. */
  | { readonly status: "unreached" | "busy" | "misfit" | "too-long" }
  | { readonly status: "lost" };

const refusals: Readonly<Partial<Record<number, "busy" | "unreached">>> = {
  [answerVerbs.busy]: "busy",
  [answerVerbs.stopping]: "unreached",
};

interface Call {
  readonly node: string;
  readonly bytes: number;
  readonly startedMs: number;
  readonly end: (end: CallEnd) => void;
}

interface Peer {
  /** Calls to it that are open. */
  readonly calls: Set<number>;
  /** It answered a probe, or had no call before. */
  heardMs: number;
}

export interface CallsOptions {
  readonly wire: Wire;
  readonly clock: Clock;
  /** Name of the cluster. */
  readonly cluster: string;
  /** Name of this node. */
  readonly node: string;
  /** Of this process, unique. */
  readonly life: string;
  readonly limits?: ForwardingLimits;
}

export class Asker {
  readonly #wire: Wire;
  readonly #clock: Clock;
  readonly #life: string;
  readonly #subjects: Subjects;
  readonly #limits: ForwardingLimits;
  readonly #calls = new Map<number, Call>();
  readonly #peers = new Map<string, Peer>();
  readonly #assemblies: Assemblies;
  readonly #unsubscribe: () => void;
  #next = 1;
  #bytes = 0;
  #cancelProbe: (() => void) | undefined;
  /** Of the last probe, or its setting. */
  #probedMs = 0;
  #closed = false;

  constructor({ wire, clock, cluster, life, limits = forwardingLimits }: CallsOptions) {
    this.#wire = wire;
    this.#clock = clock;
    this.#life = life;
    this.#limits = limits;
    this.#subjects = subjectsOf(cluster);
    this.#assemblies = new Assemblies(limits.assembledBytes);
    this.#unsubscribe = wire.subscribe(this.#subjects.answers(life), (message) => this.#take(message));
  }

  get open(): number {
    return this.#calls.size;
  }

  /** Calls of one turn of the event loop reach a node in their order. Never rejects. */
  ask(node: string, verb: number, content: Uint8Array): Promise<CallEnd> {
    const { callBytes, openCalls, openBytes } = this.#limits;
    if (this.#closed) return Promise.resolve({ status: "unreached" });
    if (content.length > callBytes) return Promise.resolve({ status: "too-long" });
    if (this.#calls.size >= openCalls || this.#bytes + content.length > openBytes) return Promise.resolve({ status: "busy" });
    const number = this.#next++;
    return new Promise((end) => {
      this.#begin(number, { node, bytes: content.length, startedMs: this.#clock.monotonicMs(), end });
      const head = { kind: "ask", life: this.#life, call: number, verb } as const;
      const reply = this.#subjects.answer(this.#life, number);
      for (const part of partsOf(head, content, partBytes(this.#wire, this.#limits)))
        if (!this.#wire.publish(this.#subjects.asked(node), part, reply)) return this.#end(number, { status: "lost" });
    });
  }

  /** Ends every call that is open as lost. */
  close(): void {
    this.#closed = true;
    this.#cancelProbe?.();
    this.#unsubscribe();
    for (const number of [...this.#calls.keys()]) this.#end(number, { status: "lost" });
  }

  #begin(number: number, call: Call): void {
    this.#calls.set(number, call);
    this.#bytes += call.bytes;
    const peer = this.#peers.get(call.node) ?? { calls: new Set(), heardMs: call.startedMs };
    if (peer.calls.size === 0) peer.heardMs = call.startedMs;
    peer.calls.add(number);
    this.#peers.set(call.node, peer);
    if (this.#cancelProbe === undefined) this.#probeLater(call.startedMs);
  }

  #probeLater(nowMs: number): void {
    this.#probedMs = nowMs;
    this.#cancelProbe = this.#clock.after(this.#limits.probeMs, () => this.#probe());
  }

  #end(number: number, end: CallEnd): void {
    const call = this.#calls.get(number);
    if (call === undefined) return;
    this.#calls.delete(number);
    this.#bytes -= call.bytes;
    this.#assemblies.drop(String(number));
    const peer = this.#peers.get(call.node);
    assert(peer !== undefined, "a call's node has a peer");
    peer.calls.delete(number);
    if (peer.calls.size === 0) this.#peers.delete(call.node);
    call.end(end);
  }

  #take({ data, nobody, subject }: Arrived): void {
    if (nobody) {
      const number = this.#subjects.callOf(subject);
      if (number !== undefined) this.#end(number, { status: "unreached" });
      return;
    }
    const frame = decodeFrame(data);
    if (frame === undefined || frame.life !== this.#life) return;
    if (frame.kind === "answer") this.#answered(frame);
    else if (frame.kind === "unknown") this.#heard(frame.calls, this.#subjects.nodeOf(subject));
  }

  #answered(frame: PartFrame): void {
    const { call, verb } = frame;
    if (!this.#calls.has(call)) return;
    if (verb !== answerVerbs.answered) return this.#end(call, { status: refusals[verb] ?? "misfit" });
    const assembled = this.#assemblies.take(String(call), frame, this.#clock.monotonicMs());
    if (assembled.status === "whole") this.#end(call, { status: "answered", content: assembled.content });
    else if (assembled.status !== "more") this.#end(call, { status: "lost" });
  }

  /** A node answered a probe. What it does not know of it has answered, which would have come before, or never got. */
  #heard(unknown: readonly number[], node: string | undefined): void {
    const peer = node === undefined ? undefined : this.#peers.get(node);
    if (peer === undefined) return;
    peer.heardMs = this.#clock.monotonicMs();
    for (const number of unknown) if (peer.calls.has(number)) this.#end(number, { status: "lost" });
  }

  #probe(): void {
    this.#cancelProbe = undefined;
    const { silentMs, probedCalls, probeMs } = this.#limits;
    const nowMs = this.#clock.monotonicMs();
    const stoppedMs = Math.max(0, nowMs - this.#probedMs - 2 * probeMs); // this process was: what it was sent meanwhile is still to be read
    for (const [node, peer] of [...this.#peers]) {
      const { calls } = peer;
      peer.heardMs += stoppedMs;
      if (nowMs - peer.heardMs > silentMs) for (const number of [...calls]) this.#end(number, { status: "lost" });
      else {
        const probe = encodeFrame({ kind: "probe", life: this.#life, calls: [...calls].slice(0, probedCalls) });
        this.#wire.publish(this.#subjects.asked(node), probe, this.#subjects.probed(this.#life, node));
      }
    }
    if (this.#peers.size > 0) this.#probeLater(nowMs);
  }
}

export function partBytes(wire: Wire, limits: ForwardingLimits): number {
  return Math.max(1, Math.min(limits.partBytes, wire.mostBytes - limits.partHeadBytes));
}
