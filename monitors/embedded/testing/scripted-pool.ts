/** A pool whose workers are scripted: a test takes their turns. */
import { defaultFlowLimits, type FlowLimits, type StepOutcome } from "#abi";
import { assert, memoryBudget } from "#base";
import type { Share } from "../../fair-queue.ts";
import { OwnedMachine } from "../../machine.ts";
import { deliver } from "../../monitor.case.ts";
import { PageStore } from "../page-store.ts";
import { Pool } from "../pool.ts";
import type { EmbeddedMachine } from "../worker.ts";
import { type Answer, ScriptedThread } from "./scripted-thread.ts";

const setup = { engine: {} as WebAssembly.Module, native: {} as WebAssembly.Module, spin: 0, keptPages: 1, waitingBytes: 0 };
const limits: FlowLimits = { ...defaultFlowLimits, cpuMs: 3_600_000, timeMs: 3_600_000 };
const image = { slot: 1, table: { entries: new Uint32Array(), stackPointer: 0, memoryPages: 1 } };

/** The answer of a machine that waits for a timer. */
export const waits: Answer = { effects: [{ kind: "timer", timer: 1, dueMs: 1 }], keptBytes: 1 };

export interface ScriptedPoolOptions {
  readonly size: number;
  /** Memory for machines that wait, and for workers: the least lets one worker be added. */
  readonly bytes?: number;
}

export class ScriptedPool {
  readonly pool: Pool;
  readonly threads: ScriptedThread[] = [];
  /** Machines started, which count from 1. */
  machines = 0;

  /** Its usual workers are ready. */
  constructor({ size, bytes = 2 ** 22 }: ScriptedPoolOptions) {
    const all = memoryBudget(bytes);
    const start = (data: ConstructorParameters<typeof ScriptedThread>[0]): ScriptedThread["worker"] => {
      const thread = new ScriptedThread(data);
      this.threads.push(thread);
      return thread.worker;
    };
    const memory = { waiting: all.part("waiting"), workers: all.part("workers") };
    this.pool = new Pool({ size, setup, store: new PageStore(), memory, start });
    for (const thread of this.threads) thread.ready();
  }

  thread(index: number): ScriptedThread {
    const thread = this.threads[index];
    assert(thread !== undefined, "the pool started as many threads");
    return thread;
  }

  start(share: Share, more: Partial<FlowLimits> = {}): EmbeddedMachine {
    const seat = { number: ++this.machines, image, line: this.pool.line(share), home: undefined, replayMs: 0 };
    return new OwnedMachine(this.pool, [deliver()], { seat, limits: { ...limits, ...more } });
  }

  /** Waiting machines that no worker keeps. */
  get putOff(): number {
    return this.pool.waiting - this.pool.workers.reduce((sum, { machines }) => sum + machines.size, 0);
  }

  /** Steps in each worker's slots. */
  get outstanding(): readonly number[] {
    return this.pool.workers.map(({ outstanding }) => outstanding.length);
  }
}

export async function statuses(outcomes: readonly Promise<StepOutcome>[]): Promise<readonly string[]> {
  return (await Promise.all(outcomes)).map(({ status, failure }) => failure?.code ?? status);
}
