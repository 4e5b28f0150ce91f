/**
 * The virtual machines of all flows, and the steps that wait for them.
 *
 *     start ─▶ the flow's backlog (bounded over all flows) ─▶ a virtual machine of the flow that is idle, or a new one
 *     step  ─▶ the virtual machine its machine waits in
 *
 * `flow`     a virtual machine takes message after message, its memory made the image again before each; machines wait in slots of it
 * `message`  a virtual machine takes one message and is ended; booted ones stand by
 *
 * A watchdog looks at what runs: beyond its CPU limit a step is interrupted, and when that does not help its virtual machine is killed.
 */
import { decodeEffects, encodeEvent, type Event, isLastKind, lastEffectKind } from "#abi";
import type { MemoryAccount } from "#base";
import { type MachineHost, noResult } from "../machine.ts";
import { stepToStop } from "../make-way.ts";
import { prioritise, priorityOf } from "../priority.ts";
import { qemuLimits } from "./limits.ts";
import type { Probed } from "./probe.ts";
import { watchIdle, type WatchOptions, watchStep } from "./step-watch.ts";
import { Vm, type VmAnswer } from "./vm.ts";
import { FlowPool, FlowVm, type Job, pageBytes, type QemuMachine, type Seat } from "./worker.ts";

export interface FleetOptions extends WatchOptions {
  readonly isolation: "flow" | "message";
  /** Virtual machines of one flow at most. */
  readonly perFlow: number;
  /** Virtual machines at most, over all flows. */
  readonly most: number;
  /** Booted virtual machines of a flow that stand by, with isolation per message. */
  readonly standby: number;
  /** Memory of one virtual machine for machines that wait in it, in bytes. */
  readonly parkedBytes: number;
  /** The memory that machines which wait may hold, over all flows; undefined: no bound. */
  readonly waiting?: MemoryAccount | undefined;
  readonly log: (line: string) => void;
}

/** Memory limits are rounded up to a power of two from here on, so that few kinds of virtual machines serve all. */
const leastLimitBytes = 16 * 1024 ** 2;

export class Fleet implements MachineHost<Seat> {
  readonly #qemu: Probed;
  readonly #options: FleetOptions;
  readonly #pools = new Map<string, FlowPool>();
  readonly #vms = new Set<FlowVm>();
  readonly #ending = new Set<Promise<void>>();
  #queued = 0;
  #watchdog: NodeJS.Timeout | undefined;
  #idleWatchdog: NodeJS.Timeout | undefined;
  #closed = false;
  replaced = 0;
  waiting = 0;

  constructor(qemu: Probed, options: FleetOptions) {
    this.#qemu = qemu;
    this.#options = options;
  }

  get figures(): { queued: number; running: number; waiting: number; workers: number; waitingBytes: number } {
    const vms = [...this.#vms];
    const sum = (of: (vm: FlowVm) => number): number => vms.reduce((total, vm) => total + of(vm), 0);
    return {
      queued: this.#queued,
      running: sum(({ current }) => (current === undefined ? 0 : 1)),
      waiting: this.waiting,
      workers: vms.length,
      waitingBytes: sum(({ heldPages }) => heldPages) * pageBytes,
    };
  }

  /** The virtual machines, for tests and measurements. */
  get vms(): readonly Vm[] {
    return [...this.#vms].map(({ vm }) => vm);
  }

  #pool(elf: number, memoryBytes: number): FlowPool {
    let limitBytes = leastLimitBytes;
    while (limitBytes < memoryBytes) limitBytes *= 2;
    const key = `${limitBytes} ${elf}`;
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = new FlowPool(key, elf, limitBytes);
      this.#pools.set(key, pool);
    }
    return pool;
  }

  run(machine: QemuMachine): void {
    if (this.#closed) return machine.answered(noResult("lost", "MF_MONITOR_CLOSED"));
    if (this.#queued >= qemuLimits.backlog) return machine.answered(noResult("lost", "MF_MONITOR_BUSY"));
    this.#queued++;
    const { home, image, weight } = machine.seat;
    if (home !== undefined) {
      home.pending.push({ machine, kind: "step", at: machine.events.length - 1 });
      return this.#next(home);
    }
    const pool = this.#pool(image.elf.fd, machine.limits.memoryBytes);
    pool.weight = weight;
    (machine.stopped ? pool.stopped : pool.backlog).push({ machine, kind: "start", at: 0 });
    this.#feed(pool);
    this.#watchSoon();
  }

  interrupt(machine: QemuMachine): void {
    for (const own of this.#vms) if (own.current?.machine === machine) own.vm.interrupt();
  }

  /** One that is in a step stays for now: its answer frees it. */
  release(machine: QemuMachine): void {
    const { home } = machine.seat;
    if (home === undefined || home.current?.machine === machine) return;
    home.release(machine, true);
    if (this.#options.isolation === "message") this.#retire(home);
  }

  ended({ seat }: QemuMachine): void {
    seat.image.release();
  }

  /** Gives waiting starts to idle virtual machines, and boots more when none is idle. */
  #feed(pool: FlowPool): void {
    if (this.#closed || this.#pools.get(pool.key) !== pool) return;
    for (const vm of pool.vms) if (this.#starts(pool) > 0) this.#next(vm);
    if (performance.now() < pool.restUntilMs) return;
    let booting = [...pool.vms].filter(({ vm }) => vm.state === "booting").length;
    const standby = this.#wantsStandby(pool) ? this.#options.standby : 0;
    const idle = [...pool.vms].filter(({ vm, used }) => vm.state === "idle" && !used).length;
    while (booting < this.#starts(pool) + Math.max(0, standby - idle) && this.#mayBoot(pool)) {
      this.#boot(pool);
      booting++;
    }
  }

  /** How many starts could be handed out now. */
  #starts(pool: FlowPool): number {
    return pool.backlog.length + (this.#roomForStopped(pool) ? pool.stopped.length : 0);
  }

  /** False while steps that were stopped once keep all virtual machines but one: that one is for the others. */
  #roomForStopped(pool: FlowPool): boolean {
    if (pool.stopped.length === 0) return false;
    const taken = [...this.#vms].filter(({ current }) => current?.machine.stopped === true).length;
    return taken < Math.max(1, this.#options.most - 1);
  }

  /** With isolation per message, once there were messages and while none runs: booting takes the CPU that it needs. */
  #wantsStandby(pool: FlowPool): boolean {
    return this.#options.isolation === "message" && pool.served && ![...pool.vms].some(({ current }) => current !== undefined);
  }

  #mayBoot(pool: FlowPool): boolean {
    if (pool.vms.size >= this.#options.perFlow && !this.#evict((vm) => vm.pool === pool, pool)) return false;
    return this.#vms.size < this.#options.most || this.#evict((vm) => vm.pool !== pool, pool);
  }

  /** Evicts the virtual machine that was idle longest; machines that wait in it are run again when they continue. */
  #evict(eligible: (vm: FlowVm) => boolean, forPool: FlowPool): boolean {
    if (this.#starts(forPool) === 0) return false;
    let oldest: FlowVm | undefined;
    for (const vm of this.#vms) {
      if (!eligible(vm) || vm.vm.state !== "idle" || vm.current !== undefined || vm.pending.length > 0) continue;
      if (this.#options.isolation === "flow" && vm.pool === forPool) continue; // it would take the work itself
      if (vm.machines.size > 0 && performance.now() - vm.lastUsedMs < qemuLimits.holdMs) continue; // most answers come soon
      if (oldest === undefined || vm.lastUsedMs < oldest.lastUsedMs) oldest = vm;
    }
    if (oldest === undefined) return false;
    this.#retire(oldest);
    return true;
  }

  #boot(pool: FlowPool): void {
    const memoryBytes = pool.limitBytes + qemuLimits.overheadBytes + (this.#options.isolation === "flow" ? this.#options.parkedBytes : 0);
    const vm = new Vm(this.#qemu, { elf: pool.elf, memoryBytes }, () => {
      this.#next(own);
      this.#feed(pool);
    });
    const own = new FlowVm(pool, vm, this.#options.waiting);
    pool.vms.add(own);
    this.#vms.add(own);
    this.#idleWatchdog ??= setInterval(() => this.#watchIdle(), qemuLimits.idleWatchMs).unref();
    void vm.ended.then(() => this.#lost(own));
  }

  /** Gives an idle virtual machine its next step. */
  #next(own: FlowVm): void {
    if (!this.#vms.has(own)) return;
    while (own.vm.state === "idle" && own.current === undefined && !this.#closed) {
      const job = own.pending.shift() ?? (this.#takesStarts(own) ? this.#nextStart(own.pool) : undefined);
      if (job === undefined) return;
      this.#queued--;
      const { machine, kind } = job;
      if (machine.over) machine.answered(noResult("lost", "MF_MACHINE_ENDED"));
      else if (kind === "step" && machine.seat.home !== own) machine.answered(noResult("displaced"));
      else this.#run(own, job);
    }
  }

  #nextStart(pool: FlowPool): Job | undefined {
    return (this.#roomForStopped(pool) ? pool.stopped : pool.backlog).shift();
  }

  #takesStarts(own: FlowVm): boolean {
    return this.#options.isolation === "message" ? !own.used : own.hasSlot;
  }

  #run(own: FlowVm, job: Job): void {
    const { machine, kind, at } = job;
    if (kind === "start") {
      machine.seat.slot = own.takeSlot();
      own.keep(machine, 0);
      own.used = true;
    }
    own.pool.served = true;
    own.pool.failures = 0;
    own.current = job;
    own.watchedLooks = 0;
    own.interruptedAtMs = undefined;
    const limitPages = Math.floor(machine.limits.memoryBytes / 65_536);
    const frame = encodeEvent(machine.events[at] as Event);
    void own.vm.run({ kind, slot: machine.seat.slot, frame, limitPages }).then((answer) => this.#answered(own, job, answer));
    this.#watchSoon();
  }

  #watchSoon(): void {
    this.#watchdog ??= setInterval(() => this.#watch(), qemuLimits.watchMs);
  }

  #answered(own: FlowVm, { machine, at }: Job, answer: VmAnswer): void {
    own.current = undefined;
    own.lastUsedMs = performance.now();
    const kind = answer.status === "complete" ? lastEffectKind(answer.effects) : undefined;
    const decoded = answer.effects.length === 0 ? undefined : decodeEffects(answer.effects);
    if (answer.status === "complete" && decoded?.ok !== true) own.vm.kill("lied", "its effects can't be decoded");
    const over = answer.status !== "complete" || (kind !== undefined && isLastKind(kind)) || decoded?.ok !== true;
    if (over) own.release(machine, false);
    else own.keep(machine, answer.pages);
    const isIdle = own.vm.state === "idle";
    // The effects of earlier events are known already.
    if (!over && isIdle && at < machine.events.length - 1) return this.#run(own, { machine, kind: "step", at: at + 1 });
    const status = answer.status === "lost" && own.makesWay ? "displaced" : answer.status;
    machine.answered({ ...answer, status, decoded, endedWorker: !isIdle && !own.makesWay });
    this.#goOn(own, over);
  }

  /** After a step: bounds what waits, and gives the virtual machine its next. */
  #goOn(own: FlowVm, over: boolean): void {
    this.#boundWaiting();
    if (own.vm.state !== "idle") return;
    if (this.#options.isolation === "message") {
      if (over) this.#retire(own);
    } else this.#boundParked(own);
    this.#next(own);
    this.#feed(own.pool);
  }

  /** Sends away those that wait longest when the virtual machine's memory for waiting machines is used up. */
  #boundParked(own: FlowVm): void {
    const most = this.#options.parkedBytes / pageBytes;
    for (const machine of own.machines.keys()) {
      if (own.heldPages <= most && own.hasSlot) return;
      if (machine !== own.current?.machine) own.release(machine, true);
    }
  }

  /** Sends away those that wait longest, one virtual machine after the other, while all hold more than they may. */
  #boundWaiting(): void {
    const { waiting } = this.#options;
    if (waiting === undefined || waiting.roomBytes >= 0) return;
    for (const own of [...this.#vms])
      for (const machine of [...own.machines.keys()]) {
        if (waiting.roomBytes >= 0) return;
        this.release(machine);
      }
  }

  /** A virtual machine is gone: ended by us, by itself, or by an unexpected fault. */
  #lost(own: FlowVm): void {
    const { pool, vm } = own;
    if (!this.#vms.delete(own)) return;
    pool.vms.delete(own);
    this.replaced++;
    this.#options.log(`qemu: a virtual machine ended: ${vm.epitaph}`);
    this.#letGo(own);
    if (!own.used) this.#rest(pool);
    if (vm.figures === undefined && pool.failures >= qemuLimits.failedBoots) {
      for (const { machine } of pool.clear()) {
        this.#queued--;
        machine.answered(noResult("lost", "MF_MACHINE_LOST", `the flow's virtual machines do not start: ${vm.epitaph}`));
      }
    }
    for (const other of this.#pools.values()) this.#feed(other);
  }

  /** One that ended by itself before anything was asked of it will do so again: the next comes later, each time twice as late. */
  #rest(pool: FlowPool): void {
    const { restLeastMs, restMostMs } = qemuLimits;
    const restMs = Math.min(restMostMs, restLeastMs * 2 ** pool.failures++);
    pool.restUntilMs = performance.now() + restMs;
    clearTimeout(pool.restTimer);
    pool.restTimer = setTimeout(() => this.#feed(pool), restMs + 1);
    pool.restTimer.unref();
  }

  #letGo(own: FlowVm): void {
    for (const machine of [...own.machines.keys()]) own.release(machine, false);
    for (let job = own.pending.shift(); job !== undefined; job = own.pending.shift()) {
      const { machine } = job;
      this.#queued--;
      queueMicrotask(() => machine.answered(noResult("displaced"))); // the place is for whoever needed it first
    }
  }

  /** Ends a virtual machine that nobody holds responsible for anything. */
  #retire(own: FlowVm): void {
    if (!this.#vms.delete(own)) return;
    own.pool.vms.delete(own);
    this.#letGo(own);
    const ended = own.vm.stop();
    this.#ending.add(ended);
    void ended.then(() => this.#ending.delete(ended));
  }

  #watch(): void {
    this.#prioritise();
    for (const own of this.#vms) watchStep(own, this.#options);
    if (this.#queued > 0) {
      for (const pool of this.#pools.values()) this.#feed(pool);
      this.#makeWay();
    }
    // Looked at after feeding: what has just been handed out must be watched as well.
    if (this.#queued > 0 || [...this.#vms].some(({ current }) => current !== undefined)) return;
    clearInterval(this.#watchdog);
    this.#watchdog = undefined;
  }

  /** True when a flow could use another virtual machine, for something that was never stopped. */
  #starves(pool: FlowPool): boolean {
    const booting = [...pool.vms].filter(({ vm }) => vm.state === "booting").length;
    return pool.backlog.length > booting && pool.vms.size < this.#options.perFlow && performance.now() >= pool.restUntilMs;
  }

  /** While a flow starves, a long step of another makes way. */
  #makeWay(): void {
    if (this.#vms.size < this.#options.most) return;
    const [neediest] = [...this.#pools.values()].filter((pool) => this.#starves(pool)).sort((a, b) => a.vms.size - b.vms.size);
    if (neediest === undefined) return;
    const long = [...this.#vms]
      .filter(({ current, watchedLooks }) => current?.machine.stopped === false && watchedLooks > 1)
      .map((own) => ({ own, places: own.pool.vms.size, ranMs: own.watchedLooks * qemuLimits.watchMs }));
    const own = stepToStop(long, neediest.vms.size)?.own;
    if (own?.current === undefined) return;
    own.current.machine.stopped = true;
    own.makesWay = true;
    this.#retire(own);
    this.#feed(neediest);
  }

  #watchIdle(): void {
    for (const own of this.#vms) watchIdle(own);
    if (this.#vms.size > 0) return;
    clearInterval(this.#idleWatchdog);
    this.#idleWatchdog = undefined;
  }

  /** Tells the system what the flows weigh. */
  #prioritise(): void {
    const heaviest = Math.max(...[...this.#pools.values()].map(({ weight }) => weight));
    for (const own of this.#vms) {
      const priority = priorityOf(own.pool.weight, heaviest);
      if (own.priority !== priority && prioritise(own.vm.pid, priority)) own.priority = priority;
    }
  }

  /** Ends the idle virtual machines of an image; those that run end when they are idle and nothing starts in them any more. */
  async dispose(elf: number): Promise<void> {
    const ended: Promise<void>[] = [];
    for (const [key, pool] of this.#pools) {
      if (pool.elf !== elf) continue;
      for (const own of [...pool.vms]) {
        ended.push(own.vm.ended);
        this.#retire(own);
      }
      clearTimeout(pool.restTimer);
      this.#pools.delete(key);
    }
    await Promise.all(ended);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watchdog);
    clearInterval(this.#idleWatchdog);
    for (const pool of this.#pools.values()) {
      clearTimeout(pool.restTimer);
      for (const { machine } of pool.clear()) machine.answered(noResult("lost", "MF_MONITOR_CLOSED"));
    }
    const vms = [...this.#vms];
    for (const own of vms) {
      this.#vms.delete(own);
      own.pool.vms.delete(own);
      for (let job = own.pending.shift(); job !== undefined; job = own.pending.shift())
        job.machine.answered(noResult("lost", "MF_MONITOR_CLOSED"));
      for (const machine of [...own.machines.keys()]) own.release(machine, false);
      own.vm.kill("stopped", "");
    }
    await Promise.all([...this.#ending, ...vms.map(({ vm }) => vm.ended)]);
    this.#queued = 0;
  }
}
