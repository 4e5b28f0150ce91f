/** One process that runs machines of one image: what was given to it, what it keeps, and how it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { encodeEvent, type Event, type FlowLimits, type MachineErrorCode } from "#abi";
import { functionAt, parseTrapRecord, type Program } from "#compiler";
import { layout } from "#kernel";
import { noResult, type OwnedMachine, type StepResult } from "../machine.ts";
import { prioritise } from "../priority.ts";
import { processLimits } from "./limits.ts";
import { type Answer, AnswerReader, berthsPerProcess, greeting, noBerth, operation, requestHeader } from "./wire.ts";

export interface Seat {
  /** Keeps the waiting machine. */
  home: Child | undefined;
  berth: number;
  /** Pages it takes there, about. */
  heldPages: number;
}

export type ProcessMachine = OwnedMachine<Seat>;

/** A step. */
export interface Job {
  readonly machine: ProcessMachine;
  /** `step`: the newest event of a machine that is kept. `start`: all events so far; the result of the last one is wanted. */
  readonly operation: typeof operation.start | typeof operation.step;
  /** Taken back once already: under load everything looks slow, and giving it from one to the next would only add to that. */
  recalled?: boolean;
}

interface Submission {
  readonly number: number;
  readonly berth: number;
  readonly limits: FlowLimits;
  /** Of the events of its job. */
  readonly last: boolean;
  /** Undefined when it was taken back: the machine runs elsewhere, and being a pure function of its events it may run twice. */
  job: Job | undefined;
}

/** How to start a process. */
export interface Launch {
  readonly command: string;
  readonly values: readonly string[];
  readonly uid?: number;
  readonly gid?: number;
}

export interface ChildOwner {
  readonly program: Program | undefined;
  /** So many more bytes are held for waiting machines, or fewer. */
  held(bytes: number): void;
  /** An answer was taken in: there is room for more. */
  drained(child: Child): void;
  /** The process is gone and everything it said was read. */
  lost(child: Child): void;
}

export class Child {
  readonly outstanding: Submission[] = [];
  readonly machines = new Set<ProcessMachine>();
  /** Undefined when the system could not even try, for want of memory. */
  readonly process: ChildProcess | undefined;
  /** Resolves to true with the greeting, to false when the process ended before it. */
  readonly ready: Promise<boolean>;
  /** Resolves when the process is gone and reaped. */
  readonly gone: Promise<void>;
  greeted = false;
  answered = 0;
  waitingPages = 0;
  readonly startedMs = performance.now();
  lastUsedMs = performance.now();
  /** Why the pool ends it, and during which request. */
  ending: MachineErrorCode | undefined;
  endingNumber = -1;
  /** Its violation of the protocol, if any. */
  lie: string | undefined;
  /** It takes no more starts, and is ended when it idles. */
  leaving = false;
  /** It was ended in a step for another flow, and nothing is held against that step. */
  makesWay = false;
  /** Nothing is given to it: it was killed, or is gone. */
  closed = false;
  exitCode: number | null = null;
  exitSignal: NodeJS.Signals | null = null;
  failure: Error | undefined;
  // Last observation of the watchdog.
  watchedNumber = -1;
  /** The step it works on takes long. */
  slow = false;
  watchedCpuMs = 0;
  watchedSinceMs = 0;
  readonly #owner: ChildOwner;
  readonly #reader = new AnswerReader();
  readonly #berths: number[] = [];
  #nextBerth = 0;
  #nextNumber = 0;
  #unwritten: Uint8Array[] = [];
  #complaint = Buffer.alloc(0);
  #greet: (ready: boolean) => void = () => undefined;
  #leave: () => void = () => undefined;

  constructor(owner: ChildOwner, launch: Launch) {
    this.#owner = owner;
    this.ready = new Promise((resolve) => {
      this.#greet = resolve;
    });
    this.gone = new Promise((resolve) => {
      this.#leave = resolve;
    });
    const identity = launch.uid === undefined ? {} : { uid: launch.uid, gid: launch.gid ?? launch.uid };
    try {
      // Detached: Ctrl-C in a terminal goes to the gateway alone, which finishes what is under way.
      this.process = spawn(launch.command, launch.values, {
        stdio: ["pipe", "pipe", "pipe"],
        env: {},
        cwd: "/",
        detached: true,
        ...identity,
      });
    } catch (error) {
      this.failure = error as Error;
      queueMicrotask(() => this.#ended()); // its owner does not know it yet
      return;
    }
    this.#listen(this.process);
  }

  #listen(child: ChildProcess): void {
    child.stdin?.on("error", () => undefined); // "close" follows and deals with it
    child.stdout?.on("error", () => undefined).on("data", (piece: Buffer) => this.#read(piece));
    child.stderr
      ?.on("error", () => undefined)
      .on("data", (piece: Buffer) => {
        if (this.#complaint.length < processLimits.complaintBytes) this.#complaint = Buffer.concat([this.#complaint, piece]);
      });
    child.on("error", (error) => {
      this.failure = error;
      if (child.pid === undefined) this.#ended(); // it was never there: no "close" follows
    });
    child.on("close", (code, signal) => {
      this.exitCode = code;
      this.exitSignal = signal;
      this.#ended();
    });
  }

  #over = false;
  #ended(): void {
    if (this.#over) return;
    this.#over = true;
    this.closed = true;
    this.#holds(0);
    this.#greet(false);
    this.#owner.lost(this);
    this.#leave();
  }

  #read(piece: Buffer): void {
    this.#reader.push(piece, (answer) => this.#take(answer));
    if (this.#reader.fault !== undefined && this.lie === undefined) {
      this.lie = this.#reader.fault;
      this.kill();
    }
    this.#owner.drained(this);
  }

  /** False when it answers what nobody asked. */
  #take(answer: Answer): boolean {
    if (!this.greeted) {
      if (answer.number !== greeting || answer.frame.length > 0) return false;
      this.greeted = true;
      this.#greet(true);
      return true;
    }
    const submission = this.outstanding[0];
    if (submission === undefined || submission.number !== answer.number) return false;
    if (answer.kept && submission.berth === noBerth) return false;
    this.outstanding.shift();
    this.answered++;
    this.slow = false;
    this.watchedNumber = -1;
    const { job, berth, last } = submission;
    if (job !== undefined) {
      const { seat } = job.machine;
      seat.heldPages = answer.kept ? Math.max(0, seat.heldPages + answer.waitingPages - this.waitingPages) : 0;
    }
    this.#holds(answer.waitingPages);
    if (!last) {
      if (answer.status !== "complete") this.#cutShort(submission, answer);
      return !answer.kept;
    }
    if (job === undefined && answer.kept) this.#dropBerth(berth);
    else if (!answer.kept) this.#freeBerth(berth);
    if (job === undefined) return true;
    this.#keeps(job.machine, answer.kept ? berth : noBerth);
    job.machine.answered(resultOf(answer));
    return true;
  }

  #keeps(machine: ProcessMachine, berth: number): void {
    const { seat } = machine;
    seat.berth = berth;
    seat.home = berth === noBerth ? undefined : this;
    if (berth === noBerth) this.machines.delete(machine);
    else this.machines.add(machine);
  }

  /** A replay that got no further: its last event gets this result. */
  #cutShort({ job }: Submission, answer: Answer): void {
    for (const submission of this.outstanding) if (submission.job === job) submission.job = undefined;
    if (job === undefined) return;
    this.#keeps(job.machine, noBerth);
    job.machine.answered(resultOf(answer));
  }

  #holds(pages: number): void {
    const before = this.waitingPages;
    this.waitingPages = pages;
    if (pages !== before) this.#owner.held((pages - before) * layout.pageBytes);
  }

  #takeBerth(): number {
    return this.#berths.pop() ?? (this.#nextBerth < berthsPerProcess ? this.#nextBerth++ : noBerth);
  }

  #freeBerth(berth: number): void {
    if (berth !== noBerth) this.#berths.push(berth);
  }

  #dropBerth(berth: number): void {
    this.#write(requestHeader({ operation: operation.drop, number: 0, limitPages: 0, cpuMs: 0, berth }, 0));
    this.#freeBerth(berth); // requests are worked on in their order
  }

  /** Requests that come together go out together. */
  #write(...parts: readonly Uint8Array[]): void {
    if (this.closed) return;
    if (this.#unwritten.length === 0) queueMicrotask(() => this.#flush());
    this.#unwritten.push(...parts);
  }

  #flush(): void {
    const parts = this.#unwritten;
    this.#unwritten = [];
    if (!this.closed) this.process?.stdin?.write(parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts));
  }

  get idle(): boolean {
    return this.outstanding.length === 0;
  }

  get free(): boolean {
    return !this.closed && !this.leaving && this.outstanding.length < processLimits.requests;
  }

  submit(job: Job): void {
    const { limits, events, seat } = job.machine;
    const limitPages = Math.floor(limits.memoryBytes / layout.wasmPageBytes);
    this.lastUsedMs = performance.now();
    const first = job.operation === operation.start ? 0 : events.length - 1;
    for (let index = first; index < events.length; index++) {
      const last = index === events.length - 1;
      const berth = !last ? noBerth : job.operation === operation.start ? this.#takeBerth() : seat.berth;
      const number = this.#nextNumber;
      this.#nextNumber = (number + 1) & 0x3fff_ffff;
      this.outstanding.push({ number, berth, limits, last, job });
      const what = index === first ? job.operation : operation.next;
      const frame = encodeEvent(events[index] as Event);
      this.#write(requestHeader({ operation: what, number, limitPages, cpuMs: limits.cpuMs, berth, stay: !last }, frame.length), frame);
    }
  }

  /**
   * Forgets a machine that waits here. One that is in a step stays for now: the answer says whether it waits again, and only then is its
   * berth another's to have.
   */
  drop(machine: ProcessMachine): void {
    if (!this.machines.has(machine) || this.outstanding.some(({ job }) => job?.machine === machine)) return;
    const { berth, heldPages } = machine.seat;
    this.#keeps(machine, noBerth);
    this.#dropBerth(berth);
    this.#holds(Math.max(0, this.waitingPages - heldPages)); // the next answer says exactly
    machine.seat.heldPages = 0;
    this.#owner.drained(this);
  }

  /** Takes back the starts it has not begun. They run twice, here for nothing. */
  recall(): Job[] {
    const running = this.outstanding[0]?.job;
    const jobs = new Set<Job>();
    for (const submission of this.outstanding) {
      const { job } = submission;
      if (job === undefined || job === running || job.operation !== operation.start || (job.recalled === true && !jobs.has(job))) continue;
      job.recalled = true;
      jobs.add(job);
      submission.job = undefined;
    }
    return [...jobs];
  }

  kill(): void {
    this.closed = true;
    this.process?.kill("SIGKILL");
  }

  /** Ends it in a step, which will be run again. */
  makeWay(): void {
    const job = this.outstanding[0]?.job;
    if (job !== undefined) job.machine.stopped = true;
    this.makesWay = true;
    this.kill();
  }

  prioritise(priority: number): void {
    if (this.#priority !== priority && prioritise(this.process?.pid, priority)) this.#priority = priority;
  }
  #priority = 0;

  /** CPU time since it began, in milliseconds; the time since it began where /proc does not tell. */
  cpuMs(): number {
    try {
      const text = readFileSync(`/proc/${this.process?.pid}/schedstat`, "latin1");
      this.#tellsCpu = true;
      return Number(text.split(" ")[0]) / 1e6;
    } catch {
      return this.#tellsCpu ? 0 : performance.now() - this.startedMs; // it told before: the process is gone
    }
  }
  #tellsCpu = false;

  /** The result of the step that was the first when the process was lost. */
  epitaph(number: number): StepResult {
    if (this.makesWay) return noResult("displaced");
    if (this.ending !== undefined && this.endingNumber !== number) return noResult("displaced"); // the one it was ended for has answered meanwhile
    return { ...this.#cause(), endedWorker: true };
  }

  #cause(): StepResult {
    if (this.ending !== undefined) return noResult(this.ending === "MF_CPU_LIMIT" ? "interrupted" : "lost", this.ending);
    if (this.lie !== undefined) return noResult("compromised", undefined, this.lie);
    if (this.exitSignal === "SIGSYS") return noResult("compromised", undefined, "a system call that no machine makes");
    const trap = parseTrapRecord(new Uint8Array(this.#complaint));
    if (trap !== undefined && this.exitCode !== null && this.exitCode >= 128) {
      const where = this.#owner.program === undefined ? "" : ` in ${functionAt(this.#owner.program, trap.rip)}`;
      return noResult("trapped", undefined, `${trap.kind}${where}`);
    }
    return noResult("lost");
  }
}

function resultOf({ status, frame, cpuMs }: Answer): StepResult {
  return { status, effects: frame, detail: "", cpuMs };
}
