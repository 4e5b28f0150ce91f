/** The pool's records of each virtual machine, and of those of one flow. */
import { type MemoryAccount, Queue } from "#base";
import type { OwnedMachine } from "../machine.ts";
import type { QemuImage } from "./image.ts";
import { qemuLimits } from "./limits.ts";
import type { Step, Vm } from "./vm.ts";

export const pageBytes = 4096;

export interface Seat {
  readonly image: QemuImage;
  /** CPU time of its flow in relation to the others'. */
  readonly weight: number;
  /** Keeps the machine while it waits, and runs it while it is in a step. */
  home: FlowVm | undefined;
  slot: number;
}

export type QemuMachine = OwnedMachine<Seat>;

/** A step that waits for a virtual machine, or runs. */
export interface Job {
  readonly machine: QemuMachine;
  /** `step`: on the machine that is kept. `start`: on a fresh one, which is taken to the newest event then. */
  readonly kind: Step["kind"];
  /** Which of the machine's events. */
  readonly at: number;
}

export class FlowVm {
  readonly vm: Vm;
  readonly pool: FlowPool;
  /** Steps of machines that wait here. */
  readonly pending = new Queue<Job>();
  /** Machines that wait here, the one that waits longest first, and the pages each holds. */
  readonly machines = new Map<QemuMachine, number>();
  heldPages = 0;
  current: Job | undefined;
  /** It was ended in a step for another flow, and nothing is held against that step. */
  makesWay = false;
  /** As the system was told. */
  priority = 0;
  used = false;
  lastUsedMs = performance.now();
  watchedLooks = 0;
  watchedCpuMs = 0;
  /** CPU time when it changed last, and when that was. */
  progressCpuMs = 0;
  progressMs = 0;
  interruptedAtMs: number | undefined;
  /** When it had last been used at the last look while it was idle, and its CPU time then. */
  idleSinceMs = -1;
  idleCpuMs = 0;
  readonly #slots: number[] = [];
  #nextSlot = 0;
  readonly #memory: MemoryAccount | undefined;

  constructor(pool: FlowPool, vm: Vm, memory: MemoryAccount | undefined) {
    this.pool = pool;
    this.vm = vm;
    this.#memory = memory;
  }

  #holds(pages: number): void {
    this.heldPages += pages;
    if (pages > 0) this.#memory?.force(pages * pageBytes);
    else if (pages < 0) this.#memory?.give(-pages * pageBytes);
  }

  takeSlot(): number {
    return this.#slots.pop() ?? this.#nextSlot++;
  }

  /** True when a machine more could wait here. */
  get hasSlot(): boolean {
    return this.#slots.length > 0 || this.#nextSlot < qemuLimits.slots;
  }

  keep(machine: QemuMachine, pages: number): void {
    this.#holds(pages - (this.machines.get(machine) ?? 0));
    this.machines.delete(machine);
    this.machines.set(machine, pages);
    machine.seat.home = this;
  }

  /** Forgets a machine; the guest has done so already unless `tell`. */
  release(machine: QemuMachine, tell: boolean): void {
    const { seat } = machine;
    if (seat.home !== this) return;
    if (tell) this.vm.drop(seat.slot);
    this.#holds(-(this.machines.get(machine) ?? 0));
    this.machines.delete(machine);
    this.#slots.push(seat.slot);
    seat.home = undefined;
    seat.slot = -1;
  }
}

/** The virtual machines of one image with one amount of memory. */
export class FlowPool {
  readonly key: string;
  readonly elf: number;
  readonly limitBytes: number;
  readonly vms = new Set<FlowVm>();
  readonly backlog = new Queue<Job>();
  /** Starts that were stopped once to let another flow have a virtual machine. */
  readonly stopped = new Queue<Job>();
  /** CPU time in relation to other flows', while all want more than there is. */
  weight = 1;
  /** Virtual machines in a row that ended before they were given anything. */
  failures = 0;
  /** None is booted before. */
  restUntilMs = 0;
  restTimer: NodeJS.Timeout | undefined;
  /** True if it has run a message. */
  served = false;
  constructor(key: string, elf: number, limitBytes: number) {
    this.key = key;
    this.elf = elf;
    this.limitBytes = limitBytes;
  }

  /** Takes out all that waits to be started. */
  *clear(): Generator<Job> {
    for (const queue of [this.stopped, this.backlog]) for (let job = queue.shift(); job !== undefined; job = queue.shift()) yield job;
  }
}
