/**
 * Relief from steps that take long: others need not wait for them.
 *
 *   - Those queued behind it are recalled. A machine that waits there is run again elsewhere, once that costs less than it has waited.
 *   - When no worker is free one is added. A flow holds only so many workers that one is left for others.
 *   - When none can be added, or it takes long, the step that has run for the shortest time is stopped, for one that is likely to take
 *     less than that. It runs again later, beside others of its kind on all workers but one, and is not stopped again.
 *
 * Stopping and running again is safe since a machine is a function of its events.
 */
import type { FairQueue } from "../fair-queue.ts";
import { noResult } from "../machine.ts";
import { embeddedLimits } from "./limits.ts";
import type { Job, Line, PoolWorker } from "./worker.ts";
import { operation } from "./wire.ts";
import type { Workforce } from "./workforce.ts";

export class Relief {
  readonly #workforce: Workforce;
  readonly #backlog: FairQueue<Job, PoolWorker>;

  constructor(workforce: Workforce, backlog: FairQueue<Job, PoolWorker>) {
    this.#workforce = workforce;
    this.#backlog = backlog;
  }

  /** A flow that holds as many workers as it may gets no others of those that were added. */
  crowds(line: Line): boolean {
    let held = 0;
    for (const { slow, outstanding } of this.#workforce.workers) {
      const job = outstanding[0]?.job; // the step it is in
      if (job?.line === line && (slow || job.chargedMs >= embeddedLimits.heldMs)) held++;
    }
    return held >= this.#workforce.mostHeld;
  }

  /** Workers beyond the usual number take the CPU from the others, unless those have long steps. */
  get isWanted(): boolean {
    for (const { isExtra, slow, ready, aheadMs } of this.#workforce.workers)
      if (!isExtra && ready && !slow && aheadMs < embeddedLimits.helpedMs) return false;
    return true;
  }

  /** Steps that can't be stopped again leave one worker to others. */
  get mayRunStopped(): boolean {
    const { workers } = this.#workforce;
    const ready = workers.filter((worker) => worker.ready);
    const most = ready.length === 1 && workers.length === 1 ? 1 : ready.length - 1;
    return ready.filter(({ runsStopped }) => runsStopped).length < most;
  }

  /** Takes from a slow worker what it has not begun, and machines that had better not wait for it. */
  relieve(worker: PoolWorker): void {
    this.#workforce.prolong();
    const { elapsedMs } = worker.watch;
    const moves = ({ line, machine }: Job): boolean => machine.seat.replayMs < elapsedMs && line.mayRun && !this.crowds(line);
    const recalled = worker.outstanding.length > 1 ? worker.recall((job) => job.operation === operation.start || moves(job)) : [];
    this.#backlog.putBack(recalled.filter((job) => job.operation === operation.start));
    const moved = recalled.filter((job) => job.operation !== operation.start);
    for (const job of moved) this.#backlog.settle(job, 0);
    for (const { machine } of [...moved, ...this.#backlog.displace(worker, moves)]) {
      if (worker.machines.has(machine)) worker.drop(machine);
      machine.answered(noResult("displaced"));
    }
  }

  /** When no worker is free: adds one, or stops the step that is cheapest to run again for one that is likely to be shorter. */
  makeWay(): void {
    const { workers, isUsual, mayGrow } = this.#workforce;
    const able = workers.filter(({ ready, ending }) => ready && ending === undefined);
    if (able.length === 0 || able.some(({ slow }) => !slow)) return;
    const coming = workers.find(({ ready }) => !ready);
    if ((this.#backlog.length > 0 || isUsual) && coming === undefined && mayGrow) this.#workforce.add();
    if (this.#backlog.length === 0 || able.some(({ stopping }) => stopping === "asked")) return;
    const [youngest] = able
      .filter((worker) => worker.stopping === undefined && worker.running()?.job?.stopped === false)
      .sort((a, b) => a.watch.elapsedMs - b.watch.elapsedMs);
    const victim = youngest?.running()?.job?.line;
    if (youngest === undefined || victim === undefined) return;
    const { elapsedMs } = youngest.watch;
    const isBetter = (line: Line): boolean => line !== victim && line.stepMs < elapsedMs && line.mayRun && !this.crowds(line);
    if (!this.#backlog.some(isBetter)) return;
    if (coming === undefined || elapsedMs < embeddedLimits.wasteMs || performance.now() - coming.startedMs > embeddedLimits.startMs)
      youngest.stop();
  }
}
