/**
 * One virtual machine: a QEMU process, the channel on a socket nobody else has, the console on its standard output.
 *
 *     booting ──ready──▶ idle ⇄ running ──▶ ending ──▶ ended          it may end in any state, by itself or by our hand
 *
 * It takes one step at a time. Whatever it sends that is no answer to a step ends it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { assert } from "#base";
import { type Qemu, qemuCommand } from "./command.ts";
import { elfPath } from "./elf-file.ts";
import { describeExit, type GuestEnd } from "./exit-codes.ts";
import { qemuLimits } from "./limits.ts";
import { frameHeadBytes, FrameReader, fromGuest, type GuestFrame, guestHead, toGuest } from "./wire.ts";

export type AnswerStatus = "complete" | "interrupted" | "escaped" | "no-memory" | "compromised" | "trapped" | "hung" | "lost";

/** Outcome of a step. */
export interface VmAnswer {
  readonly status: AnswerStatus;
  /** The effects' frame, the caller's own; empty without effects. */
  readonly effects: Uint8Array;
  readonly detail: string;
  /** Pages of 4 KiB a waiting machine holds in the virtual machine. */
  readonly pages: number;
  /** Wall time between event and answer, in milliseconds: the guest does nothing else meanwhile. */
  readonly cpuMs: number;
}

export interface Step {
  readonly kind: "start" | "step";
  readonly slot: number;
  readonly frame: Uint8Array;
  /** Memory limit in pages of 64 KiB. */
  readonly limitPages: number;
}

/** Why we end one. */
export type KillReason = "cpu" | "lied" | "hung" | "stopped";

/** Its ready frame. */
export interface GuestFigures {
  /** Microseconds from its first instruction to ready. */
  readonly bootMicros: number;
  readonly restPages: number;
  readonly mostPages: number;
  readonly freeFrames: number;
}

export interface VmOptions {
  /** Descriptor of the ELF. */
  readonly elf: number;
  readonly memoryBytes: number;
  /** The guest's command line. */
  readonly append?: string;
  /** Gives it an entropy device. */
  readonly entropy?: boolean;
}

const nothing = new Uint8Array(0);
const stepAnswers: Readonly<Record<number, AnswerStatus>> = {
  [fromGuest.complete]: "complete",
  [fromGuest.interrupted]: "interrupted",
  [fromGuest.escaped]: "escaped",
  [fromGuest.noMemory]: "no-memory",
  [fromGuest.lied]: "compromised",
};
const endAnswers: Readonly<Record<GuestEnd, AnswerStatus>> = {
  clean: "lost",
  trapped: "trapped",
  "no-memory": "no-memory",
  broken: "lost",
  lost: "lost",
};
const killAnswers: Readonly<Record<KillReason, AnswerStatus>> = { cpu: "interrupted", lied: "compromised", hung: "hung", stopped: "lost" };

interface Open {
  readonly answer: (answer: VmAnswer) => void;
  readonly sinceMs: number;
}

/** Starts QEMU; the error, when there is no process to be had: Node gives some of them as an event and throws others. */
function execute(qemu: Qemu, guest: VmOptions): ChildProcess | Error {
  const { program, arguments: values } = qemuCommand(qemu, { ...guest, elf: elfPath, channel: true });
  try {
    // In a session of its own: Ctrl-C is meant for the gateway, which finishes what is under way.
    return spawn(program, values, { stdio: ["ignore", "pipe", "pipe", "pipe", guest.elf], cwd: "/", env: {}, detached: true });
  } catch (error) {
    return error as Error;
  }
}

/** When memory runs out a virtual machine goes, whose messages can be run again, and not the gateway. */
function offerToOomKiller(pid: number | undefined): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, "1000");
  } catch {
    // the system has no such thing, or it is gone already
  }
}

export class Vm {
  readonly ended: Promise<void>;
  state: "booting" | "idle" | "running" | "ending" | "ended" = "booting";
  figures: GuestFigures | undefined;
  /** Why it ended, for the log. */
  epitaph = "";
  readonly #child: ChildProcess | undefined;
  readonly #channel: Socket | undefined;
  /** Slots to be dropped once the step that runs is over: whatever comes in during a step ends it. */
  #drops: number[] = [];
  readonly #reader = new FrameReader();
  /** Pages of 4 KiB it has: it can't hold more, whatever it says. */
  readonly #mostPages: number;
  #console = "";
  #open: Open | undefined;
  #checking: ((frame: GuestFrame) => void) | undefined;
  #killed: KillReason | undefined;
  #why = "";
  #booted = false;
  readonly #onReady: () => void;
  readonly #bootTimer: NodeJS.Timeout;

  constructor(qemu: Qemu, guest: VmOptions, onReady: () => void) {
    this.#onReady = onReady;
    this.#mostPages = guest.memoryBytes / 4096;
    const child = execute(qemu, guest);
    this.#child = child instanceof Error ? undefined : child;
    offerToOomKiller(this.pid);
    // Without streams too when there was no descriptor left for them; the error comes as an event then.
    const [, output, errors, channel] = this.#child?.stdio ?? [];
    this.#channel = channel as Socket | undefined;
    this.#channel?.on("data", (bytes: Buffer) => this.#receive(bytes)).on("error", () => undefined);
    for (const stream of [output, errors] as readonly (Readable | null | undefined)[])
      stream?.setEncoding("latin1").on("data", (text: string) => (this.#console = (this.#console + text).slice(-qemuLimits.consoleBytes)));
    this.#bootTimer = setTimeout(() => this.kill("hung", "it did not become ready"), qemuLimits.bootMs);
    this.ended = new Promise((done) => {
      let over = false;
      const end = (status: number | null, signal: string | null, fault = ""): void => {
        if (over) return;
        over = true;
        this.#finish(status, signal, fault);
        done();
      };
      if (child instanceof Error) return void setImmediate(() => end(null, null, child.message)); // never before the constructor returns
      child.on("error", (error) => end(null, null, error.message));
      child.on("close", (status, signal) => end(status, signal));
    });
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Last output of guest and QEMU; printable, bounded. */
  get console(): string {
    return this.#console.replace(/[^\n\x20-\x7e]/g, "");
  }

  /** Runs a step; it must be idle. */
  run(step: Step): Promise<VmAnswer> {
    assert(this.state === "idle", "a virtual machine takes one step at a time");
    this.state = "running";
    return new Promise((answer) => {
      this.#open = { answer, sinceMs: performance.now() };
      this.#send(toGuest[step.kind], step.slot, step.frame, step.limitPages);
    });
  }

  interrupt(): void {
    if (this.state === "running") this.#send(toGuest.interrupt, 0, nothing, 0);
  }

  /** Has the guest forget the machine of a slot, before its next step. */
  drop(slot: number): void {
    if (this.state === "running") this.#drops.push(slot);
    else if (this.state === "idle") this.#send(toGuest.drop, slot, nothing, 0);
  }

  #becomeIdle(): void {
    this.state = "idle";
    for (const slot of this.#drops.splice(0)) this.drop(slot);
  }

  /** Compares all of the guest's memory with the image; it must be idle. Undefined when it ended instead. */
  async check(): Promise<GuestFrame | undefined> {
    assert(this.state === "idle", "a virtual machine that runs can't be checked");
    this.state = "running";
    const checked = new Promise<GuestFrame>((done) => (this.#checking = done));
    this.#send(toGuest.check, 0, nothing, 0);
    const frame = await Promise.race([checked, this.ended]);
    return frame === undefined ? undefined : frame;
  }

  /** Asks it to end when it is idle, and kills it when it does not. In a step, which nobody waits for then, it is killed at once. */
  stop(): Promise<void> {
    if (this.state === "booting" || this.state === "running") this.kill("stopped", "");
    else if (this.state === "idle") {
      this.#killed = "stopped";
      this.state = "ending";
      this.#send(toGuest.stop, 0, nothing, 0);
      const timer = setTimeout(() => this.kill("stopped", ""), qemuLimits.stopMs);
      void this.ended.then(() => clearTimeout(timer));
    }
    return this.ended;
  }

  kill(reason: KillReason, why: string): void {
    if (this.state === "ended") return;
    this.#killed ??= reason;
    this.#booted ||= this.state !== "booting";
    this.state = "ending";
    if (this.#why === "") this.#why = why;
    this.#child?.kill("SIGKILL");
  }

  /** CPU time of all of QEMU's threads since it began, in milliseconds; undefined where the system does not tell. */
  cpuMs(): number | undefined {
    try {
      const stat = readFileSync(`/proc/${this.pid}/stat`, "latin1");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // from field 3 on; utime and stime are 14 and 15, in 10 ms
      return (Number(fields[11]) + Number(fields[12])) * 10;
    } catch {
      return undefined;
    }
  }

  #send(kind: number, slot: number, body: Uint8Array, argument: number): void {
    const head = guestHead(kind, slot, body.length, argument);
    if (body.length === 0) this.#channel?.write(head);
    else if (body.length <= 64 * 1024) {
      const whole = new Uint8Array(frameHeadBytes + body.length);
      whole.set(head);
      whole.set(body, frameHeadBytes);
      this.#channel?.write(whole);
    } else {
      this.#channel?.write(head);
      this.#channel?.write(body);
    }
  }

  #receive(bytes: Uint8Array): void {
    if (this.#killed !== undefined) return; // nothing of it is wanted any more
    this.#reader.push(bytes);
    for (;;) {
      if (this.state === "idle" && this.#reader.held > 0) return this.kill("lied", "the guest sent a frame without a request");
      const frame = this.#reader.take();
      if (frame === undefined) return;
      const fault = typeof frame === "string" ? frame : this.#accept(frame);
      if (fault !== undefined) return this.kill("lied", fault);
    }
  }

  /** Takes a frame; a sentence when it makes no sense now. */
  #accept(frame: GuestFrame): string | undefined {
    if (this.state === "booting") return this.#acceptReady(frame);
    if (frame.kind === fromGuest.checked && this.#checking !== undefined) {
      const done = this.#checking;
      this.#checking = undefined;
      this.#becomeIdle();
      done(frame);
      return undefined;
    }
    const status = stepAnswers[frame.kind];
    if (status === undefined || this.#open === undefined) return `the guest answers with a frame of kind ${frame.kind}`;
    this.#becomeIdle();
    this.#answer(status, frame.body, "", Math.min(frame.argument, this.#mostPages));
    return undefined;
  }

  #acceptReady({ kind, argument, body }: GuestFrame): string | undefined {
    if (kind !== fromGuest.ready || body.length !== 24) return "the guest did not report that it is ready";
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    this.figures = {
      bootMicros: argument,
      restPages: view.getUint32(0, true) * 16,
      mostPages: view.getUint32(4, true) * 16,
      freeFrames: view.getUint32(8, true),
    };
    clearTimeout(this.#bootTimer);
    this.state = "idle";
    this.#onReady();
    return undefined;
  }

  #answer(status: AnswerStatus, effects: Uint8Array, detail: string, pages: number): void {
    const open = this.#open;
    this.#open = undefined;
    open?.answer({ status, effects, detail, pages, cpuMs: performance.now() - open.sinceMs });
  }

  #finish(status: number | null, signal: string | null, fault: string): void {
    clearTimeout(this.#bootTimer);
    const booted = this.#booted || this.state !== "booting";
    this.state = "ended";
    this.#channel?.destroy();
    const { end, text } = describeExit(status, signal);
    const said =
      this.console
        .trim()
        .split("\n")
        .find((line) => line.includes("mayfly:")) ?? "";
    this.epitaph = [fault, this.#why, text, said].filter((part) => part !== "").join("; ");
    const answer = this.#killed !== undefined ? killAnswers[this.#killed] : booted ? endAnswers[end] : "lost";
    this.#answer(answer, nothing, this.#why !== "" ? this.#why : said !== "" ? said : text, 0);
  }
}
