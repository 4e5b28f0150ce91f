/** A flow's messages that were asleep, from their wake to the end of their transaction; and what operators do with those that sleep. */
import { decodeRecording, type StepOutcome } from "#abi";
import { ByteWindow } from "../../contract/byte-window.ts";
import { gatewayLimits } from "../../contract/limits.ts";
import { accountOf, type GatewayMemory } from "../../contract/memory.ts";
import type { Outcome } from "../../contract/message.ts";
import type { Flow } from "../../contract/runner.ts";
import type { Sleeper } from "../../contract/sleep.ts";
import type { WitnessedAttempt } from "../../contract/witness.ts";
import type { Journal, Lease, Sequence } from "../../journal/journal.ts";
import type { Clock } from "#base";
import { recovered } from "../admission/message.ts";
import { type AttemptPorts, MessageAttempt } from "../attempt/attempt.ts";
import { cancelledCode, failureOf } from "../failures.ts";
import type { FlowMetrics } from "../metrics.ts";
import type { OpenMessages } from "../open-messages.ts";
import type { Persistence } from "../persistence.ts";
import type { Settlement, Verdict } from "../settlement.ts";
import { Work } from "../work.ts";
import type { WorkQueue } from "../work-queue.ts";
import type { FlowSleepers } from "./flow-sleepers.ts";

export interface AwakePorts {
  /** As of now: a reload replaces it. */
  readonly flow: () => Flow;
  readonly journal: Journal;
  readonly persistence: Persistence;
  readonly clock: Clock;
  readonly memory: GatewayMemory;
  readonly metrics: FlowMetrics;
  readonly loadAsleep: (sha256: string, flow: Flow) => Promise<Flow>;
  readonly attempts: AttemptPorts;
  readonly settlement: Settlement;
  readonly queue: WorkQueue;
  readonly open: OpenMessages;
  readonly sleepers: FlowSleepers;
  /** Into the flow's queue, in its key's turn. */
  readonly enter: (work: Work, lease: Lease) => void;
  readonly carryOut: (work: Work, settled: Promise<Verdict>, told: WitnessedAttempt | undefined) => Promise<void>;
  readonly giveBack: (work: Work) => void;
}

export class AwakeMessages {
  /** Messages in hand that were asleep. */
  size = 0;
  readonly #ports: AwakePorts;
  readonly #window: ByteWindow;
  /** True once a machine was woken. */
  #isMeasured = false;

  constructor(ports: AwakePorts) {
    this.#ports = ports;
    this.#window = new ByteWindow(ports.memory.messages);
  }

  /** Bytes to expect of a machine that is being woken. */
  get expectedBytes(): number {
    return Math.floor(this.#window.expectedBytes);
  }

  /**
   * Number of machines that may wake besides those being woken: as many as memory has room for. One may always, or a flow whose machines
   * are large would starve; and the first one tells how large they are.
   */
  room(places: number, waking: number): number {
    const inHand = this.size + waking;
    const free = places - inHand;
    if (free <= 0) return 0;
    if (!this.#isMeasured) return inHand === 0 ? 1 : 0;
    return Math.max(this.#window.fits(free, waking), inHand === 0 ? 1 : 0);
  }

  /** Keys of sleepers that hold them (`sleep.order: strict`), after a start. */
  async holdKeys(): Promise<void> {
    const { journal, flow, queue } = this.#ports;
    const { config, name } = flow();
    if (config.sleep.order !== "strict") return;
    const most = gatewayLimits.sleepersListed;
    for (let after: Sequence | undefined; ; ) {
      const sleepers = await journal.listSleepers(name, after, most);
      for (const { sequence, key } of sleepers) if (key !== undefined) queue.holdAsleep(String(sequence), key);
      after = sleepers.at(-1)?.sequence;
      if (sleepers.length < most) return;
    }
  }

  /** Takes memory without a look: `room` had one, but for what an operator wakes. `wakeMs`: what ends by then counts as due. */
  enter(lease: Lease, wakeMs: number): void {
    const work = this.#work(lease);
    work.wakeMs = wakeMs;
    work.holdsKey = lease.message.key !== undefined && this.#ports.queue.sleepers.has(String(lease.sequence));
    this.#ports.enter(work, lease);
  }

  #work(lease: Lease): Work {
    const { memory, clock } = this.#ports;
    const work = new Work(recovered(lease), lease.message, undefined, clock.monotonicMs(), lease.sleeper);
    accountOf(memory, work.heldBytes).force(work.heldBytes);
    this.#window.saw(work.heldBytes);
    this.#isMeasured = true;
    this.size += 1;
    return work;
  }

  /** Begins the next transaction of a machine that was asleep. */
  async begin(work: Work, sleeper: Sleeper): Promise<void> {
    const { journal, persistence, clock, loadAsleep, sleepers, attempts } = this.#ports;
    const now = this.#ports.flow();
    const { key } = work.message;
    let flow: Flow;
    try {
      flow = await loadAsleep(sleeper.imageSha256, now);
    } catch {
      return this.#backToSleep(work); // the image went in this very moment: it is tried again, and says why
    }
    const state = key === undefined ? undefined : await persistence.keepTrying(() => journal.readState(now.name, key));
    const signals = await sleepers.claim(sleeper.waits);
    if (work.state !== "running" || (key !== undefined && state === undefined)) {
      sleepers.returned(signals.map(({ signal }) => signal));
      if (work.state === "running") this.#backToSleep(work);
      return;
    }
    const nowMs = Math.max(clock.now(), work.wakeMs);
    const isDue = [...sleeper.waits, ...sleeper.timers].some(({ dueMs }) => dueMs !== undefined && dueMs <= nowMs);
    if (signals.length === 0 && !isDue && sleeper.dueMs > nowMs) {
      if (work.lease !== undefined) journal.postpone(work.lease.sequence, sleeper.dueMs); // it may have been stuck, and due earlier for that
      return this.#backToSleep(work);
    }
    const attempt = new MessageAttempt(attempts, flow, work);
    work.running = attempt;
    if (work.attempt === 1) this.#count(signals.length > 0);
    sleepers.leaves(sleeper.waits);
    if (signals.length > 0 || isDue) return attempt.resume(sleeper, state, signals, work.wakeMs);
    const text = `the flow ${flow.name} has slept for the longest time allowed, and nothing came that it waits for: give the wait a timeout, or raise flows.${flow.name}.sleep.max`;
    attempt.fail(failureOf("MF_SLEEP_LIMIT", text, false));
  }

  #count(bySignal: boolean): void {
    if (bySignal) this.#ports.metrics.wokenBySignal += 1;
    else this.#ports.metrics.wokenByTime += 1;
  }

  /** There is nothing for it to do: it sleeps on as it was. */
  #backToSleep(work: Work): void {
    const { queue, giveBack } = this.#ports;
    queue.running -= 1;
    giveBack(work);
    queue.pump();
  }

  /** Its transaction is committed and it sleeps on: whoever comes behind its key goes on, unless the flow is strict. */
  fallsAsleep({ lease, message }: Work): void {
    const { flow, queue } = this.#ports;
    if (flow().config.sleep.order === "strict" && message.key !== undefined && lease !== undefined)
      queue.holdAsleep(String(lease.sequence), message.key);
  }

  /** Of any message: where it was asleep there is room for the next, and its key is free if it does not sleep on. */
  ended({ lease }: Work, { status }: Outcome, sleepsOn: boolean): void {
    if (lease?.sleeper === undefined) return;
    this.size -= 1;
    if (status !== "refused" && !sleepsOn) this.#ports.queue.sleepers.delete(String(lease.sequence));
    this.#ports.sleepers.pump();
  }

  /** Ends a sleeper as a dead letter, from where it can be retried. Its lease is held. */
  async cancel(lease: Lease): Promise<void> {
    const { settlement, clock } = this.#ports;
    const failure = failureOf(cancelledCode, "an operator cancelled the sleeping message (`mayfly sleepers cancel`)", false, 503);
    const work = this.#inHand(lease);
    const told = lifeSoFar(lease, this.#ports.flow(), clock.now());
    await this.#ports.carryOut(work, settlement.bury(work, failure, settlement.record(work, failure, undefined)), told);
  }

  /** Makes a sleeper begin again from its message, in the newest image. Its lease is held. */
  async migrate(lease: Lease): Promise<void> {
    const work = this.#inHand(lease);
    await this.#ports.carryOut(work, this.#ports.settlement.restart(work), undefined);
  }

  /** A message that ends at once, whoever has the turn of its key. */
  #inHand(lease: Lease): Work {
    const work = this.#work(lease);
    this.#ports.open.add(work, lease);
    work.holdsKey = true;
    for (const state of ["queued", "settling"] as const) work.to(state);
    return work;
  }

  /** Sleepers that nobody has after this process: its journal is in memory. */
  async buryAll(): Promise<void> {
    const { journal, settlement, flow } = this.#ports;
    const text = "the gateway stopped while the machine slept, and its journal is in memory";
    for (const { sequence } of await journal.listSleepers(flow().name, undefined, gatewayLimits.sleepers)) {
      const lease = await journal.wake(sequence);
      if (lease === undefined) continue;
      const work = new Work(recovered(lease), lease.message, undefined, 0);
      await settlement.buryLost(work, lease, settlement.record(work, failureOf("MF_STOPPED", text, true, 503), undefined));
    }
  }
}

/** A sleeper's life as witnesses are told it; undefined where its recording can't be read. */
function lifeSoFar({ sleeper, attempt }: Lease, flow: Flow, endedMs: number): WitnessedAttempt | undefined {
  const life = sleeper === undefined ? undefined : decodeRecording(sleeper.recording);
  if (sleeper === undefined || life?.ok !== true) return undefined;
  const { deliver, events, steps } = life.value;
  const logs = steps.flatMap(({ effects }) => effects.filter((effect) => effect.kind === "log"));
  return {
    attempt,
    flow: { ...flow, image: { ...flow.image, sha256: sleeper.imageSha256 } },
    startedMs: deliver.timeMs,
    endedMs,
    deliver,
    events,
    steps: steps as readonly StepOutcome[],
    calls: [],
    logs,
    failure: undefined,
    reply: undefined,
  };
}
