/**
 * One flow's sleepers: who is woken when, and by which signal.
 *
 *   due time ──────────────┐
 *   signal ──▶ journal ──▶ wake ──▶ the flow's queue ──▶ attempt.resume ──▶ commit: asleep again, or ended
 *                          ▲                                                   │
 *                          └──── a signal that was there before its wait ◀─────┘
 *
 * Only the number of a sleeper is in memory here, while it has a signal, is being woken or is stuck. A signal is in the journal before anybody
 * is told of it, and leaves with the commit of the attempt that was given it: after a crash both are found in the journal.
 */
import { hardLimits } from "#abi";
import { type Clock, isCoded } from "#base";
import type { Logger } from "../../contract/connector.ts";
import { gatewayLimits } from "../../contract/limits.ts";
import { accountOf, type GatewayMemory, memoryBusy } from "../../contract/memory.ts";
import type { Partition } from "../../contract/cluster.ts";
import type { Flow } from "../../contract/runner.ts";
import type { IncomingSignal, OpenWait, SignalOutcome, Sleeper } from "../../contract/sleep.ts";
import { dedupIdOf } from "../../journal/dedup-id.ts";
import type { Journal, KeptSignal, Lease, Sequence, SignalHead, SignalNumber } from "../../journal/journal.ts";
import type { Cancel } from "../attempt/effects.ts";
import { failureOf } from "../failures.ts";
import type { FlowMetrics } from "../metrics.ts";
import { isNotDamage, isRecordFault, type Persistence } from "../persistence.ts";
import { isPartitionAway } from "../../journal/partitions/partitioned-journal.ts";
import { cleanId, type MessageIds } from "../seeds.ts";
import type { Shares } from "../shares.ts";
import { heldBytesOf } from "../work.ts";
import { inTime, type SignalDesk } from "./signals.ts";

export interface FlowSleeperPorts {
  /** As of now: a reload replaces it. */
  readonly flow: () => Flow;
  readonly journal: Journal;
  readonly persistence: Persistence;
  readonly clock: Clock;
  readonly memory: Pick<GatewayMemory, "messages" | "longMessages">;
  readonly ids: MessageIds;
  readonly logger: Logger;
  readonly metrics: FlowMetrics;
  /** The flow in the image that a machine sleeps in. Rejects with a CodedError when that image is missing or can't run. */
  readonly loadAsleep: (sha256: string, flow: Flow) => Promise<Flow>;
  /** Absent: everything is this process's own. */
  readonly shares?: Shares | undefined;
  /** Places for more messages in the flow's queue, besides those being woken. */
  readonly room: (waking: number) => number;
  /** Bytes to expect of a sleeper. */
  readonly expectedBytes: () => number;
  /** Takes over a woken message. `wakeMs`: what ends by then counts as due. */
  readonly enter: (lease: Lease, wakeMs: number) => void;
}

type SweptSignal = Pick<KeptSignal, "number" | "flow" | "name" | "key" | "keptUntilMs">;

interface Asker {
  readonly wait: OpenWait;
  readonly give: (signal: KeptSignal) => void;
}

function placeOf({ name, key }: { readonly name: string; readonly key: string }): string {
  return `${name}\0${key}`;
}

export class FlowSleepers implements SignalDesk {
  /** Sleepers that can't be woken, and why. */
  readonly stuck = new Map<Sequence, string>();
  /** Reasons that were logged: thousands may have one. */
  readonly #told = new Set<string>();
  readonly #ports: FlowSleeperPorts;
  /** Waits of machines that are awake. */
  readonly #askers = new Map<string, Set<Asker>>();
  /** Signals in the hands of attempts. */
  readonly #taken = new Set<SignalNumber>();
  /** Signals that can't be read: no machine gets them, and they are no dead letters. */
  readonly #damaged = new Set<SignalNumber>();
  /** Sleepers that have a signal, for when there is room. */
  readonly #signalled = new Set<Sequence>();
  readonly #waking = new Set<Sequence>();
  #cancelTimer: Cancel | undefined;
  #timerMs = Number.POSITIVE_INFINITY;
  #sweptMs = Number.NEGATIVE_INFINITY;
  #sweeping = false;
  #stopped = true;

  constructor(ports: FlowSleeperPorts) {
    this.#ports = ports;
  }

  get #name(): string {
    return this.#ports.flow().name;
  }

  /** Wakes whoever is due or has a signal; from now on others follow. */
  start(): void {
    this.#stopped = false;
    this.look();
  }

  /** Finds who has a signal, and wakes whoever there is room for. */
  look(): void {
    if (this.#stopped) return;
    for (const { flow, name, key } of this.#ports.journal.keptSignals()) {
      if (flow !== this.#name) continue;
      const sequence = this.#ports.journal.waiterFor(flow, name, key);
      if (sequence !== undefined) this.#signalled.add(sequence);
      else void this.#ports.shares?.exchange.seek({ flow, name, key });
    }
    this.pump();
  }

  /** The partition where a machine of this node waits, asleep or awake; undefined if none does. */
  waiterPlace(name: string, key: string): Partition | undefined {
    const { journal } = this.#ports.shares ?? {};
    if (this.#stopped || journal === undefined) return undefined;
    const sequence = journal.waiterFor(this.#name, name, key);
    if (sequence !== undefined) return journal.partitionOfNumber(sequence);
    return this.#askers.has(placeOf({ name, key })) ? journal.home() : undefined;
  }

  /** A machine of this node waits, and no signal of this node fits. */
  #want({ name, key }: OpenWait): void {
    const { shares } = this.#ports;
    const partition = shares && this.waiterPlace(name, key);
    if (partition !== undefined) void shares?.exchange.want({ flow: this.#name, name, key }, partition);
  }

  /** Forgets sleepers and signals of a partition that is another node's now. */
  lose(isOf: (number: number) => boolean): void {
    for (const numbers of [this.#signalled, this.#taken, this.#damaged] as readonly Set<number>[])
      for (const number of numbers) if (isOf(number)) numbers.delete(number);
    for (const sequence of this.stuck.keys()) if (isOf(sequence)) this.unstuck(sequence);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** Keeps a signal, or hands it to the owner of its partition. Never rejects. */
  signal(incoming: IncomingSignal): Promise<SignalOutcome> {
    const { shares } = this.#ports;
    const partition = shares?.journal.partitionOfSignal(incoming);
    if (shares === undefined || partition === undefined || shares.owns(partition)) return this.keepHere(incoming);
    return shares.cluster.signal(partition, incoming);
  }

  /** Keeps a signal in this node's journal. Never rejects. */
  async keepHere(incoming: IncomingSignal): Promise<SignalOutcome> {
    const refusal = this.#refusal(incoming);
    if (refusal !== undefined) return refusal;
    const bytes = heldBytesOf(incoming.body);
    const account = accountOf(this.#ports.memory, bytes);
    if (!account.tryTake(bytes))
      return refused(memoryBusy, "the gateway is out of memory for signals: send it again later, or raise `memory`", false);
    try {
      return await this.#keep(incoming);
    } finally {
      account.give(bytes);
    }
  }

  async #keep(incoming: IncomingSignal): Promise<SignalOutcome> {
    const { journal, persistence, clock, ids, metrics } = this.#ports;
    const { dedup, sleep } = this.#ports.flow().config;
    const { name, key, source, headers, contentType, body } = incoming;
    const given = incoming.id === undefined ? undefined : cleanId(incoming.id);
    const receivedMs = clock.now();
    try {
      const kept = await journal.keepSignal({
        flow: this.#name,
        name,
        key,
        id: given ?? ids.next(),
        source,
        headers,
        contentType,
        body,
        receivedMs,
        keptUntilMs: receivedMs + Math.max(sleep.early, gatewayLimits.signalGraceMs),
        dedup:
          given === undefined
            ? undefined
            : {
                id: dedupIdOf({ place: incoming.idScope ?? source, scope: "", id: given, fingerprint: undefined }),
                windowMs: dedup?.window ?? gatewayLimits.signalDedupMs,
                count: dedup?.count ?? gatewayLimits.keptSignals,
              },
      });
      if (kept.status === "duplicate") return kept;
      metrics.signals += 1;
      return { status: "kept", id: kept.signal.id, waiting: this.#offer(kept.signal) };
    } catch (error) {
      if (isPartitionAway(error)) return refused("MF_PARTITION_AWAY", "the signal's partition moves to another node: send it again", false);
      persistence.failed(error);
      if (isRecordFault(error)) return refused(error.code, error.message, true);
      return refused(
        "MF_JOURNAL_UNAVAILABLE",
        "the journal can't be written at the moment (see the gateway's log): try again later",
        false,
      );
    }
  }

  #refusal({ name, key, body }: IncomingSignal): SignalOutcome | undefined {
    const { journal } = this.#ports;
    const { sleep } = this.#ports.flow().config;
    if (this.#stopped) return refused("MF_STOPPING", "the gateway is stopping: send the signal again, to the next gateway", false);
    if (key === "" || Buffer.byteLength(key) > hardLimits.keyBytes || name === "" || Buffer.byteLength(name) > hardLimits.nameBytes)
      return refused(
        "MF_SIGNAL_NO_KEY",
        `a signal needs a name and a key of at most ${hardLimits.keyBytes} bytes, the same as its wait's: give both`,
        true,
      );
    if (body.length > gatewayLimits.signalBytes)
      return refused(
        "MF_SIGNAL_TOO_LARGE",
        `the signal has ${body.length} bytes, more than ${gatewayLimits.signalBytes}: send a reference to what is long`,
        true,
      );
    if (journal.sleeperCount(this.#name).signals >= gatewayLimits.keptSignals)
      return refused(
        "MF_SIGNALS_FULL",
        `the flow keeps ${gatewayLimits.keptSignals} signals that nobody has taken: try again later`,
        false,
      );
    const isAwaited = journal.isAwaited(this.#name, name, key) || this.#askers.has(placeOf({ name, key }));
    if (sleep.early === 0 && !isAwaited && this.#ports.shares === undefined)
      return refused(
        "MF_SIGNAL_UNCLAIMED",
        `nobody waits for the signal ${name} with the key ${key}, and sleep.early refuses what comes early`,
        true,
      );
    return undefined;
  }

  /** A signal was kept again, of a dead letter: as if it had just come. */
  kept(signal: KeptSignal): void {
    if (!this.#stopped) this.#offer(signal);
  }

  /** True when a machine waits for it: it is given to it, or wakes it. */
  #offer(signal: KeptSignal): boolean {
    for (const asker of this.#askers.get(placeOf(signal)) ?? []) {
      if (!inTime(asker.wait, signal)) continue;
      this.#give(asker, signal);
      return true;
    }
    const { journal, clock } = this.#ports;
    const sequence = journal.waiterFor(this.#name, signal.name, signal.key);
    if (sequence === undefined) {
      void this.#ports.shares?.exchange.seek(signal);
      this.#wakeAt(clock.now() + gatewayLimits.signalSweepMs); // it may be that nothing else happens before its time is over
      return false;
    }
    this.#signalled.add(sequence);
    this.pump();
    return true;
  }

  #give(asker: Asker, signal: KeptSignal): void {
    this.#forget(asker);
    this.#taken.add(signal.number);
    asker.give(signal);
  }

  #forget(asker: Asker): void {
    const place = placeOf(asker.wait);
    const askers = this.#askers.get(place);
    askers?.delete(asker);
    if (askers?.size === 0) this.#askers.delete(place);
  }

  ask(wait: OpenWait, give: (signal: KeptSignal) => void): Cancel {
    const asker = { wait, give };
    const place = placeOf(wait);
    const askers = this.#askers.get(place);
    if (askers === undefined) this.#askers.set(place, new Set([asker]));
    else askers.add(asker);
    const { shares, journal } = this.#ports;
    if (shares !== undefined || journal.sleeperCount(this.#name).signals > 0) void Promise.resolve().then(() => this.#look(asker));
    return () => this.#forget(asker);
  }

  /** A signal may have come before its wait. */
  async #look(asker: Asker): Promise<void> {
    const isAsking = (): boolean => this.#askers.get(placeOf(asker.wait))?.has(asker) === true;
    if (!isAsking()) return; // it went to sleep at once
    const signal = await this.#first(asker.wait);
    if (!isAsking()) return;
    if (signal === undefined) this.#want(asker.wait);
    else if (!this.#taken.has(signal.number)) this.#give(asker, signal);
  }

  /** The oldest signal for a wait that can be read. */
  async #first(wait: OpenWait): Promise<KeptSignal | undefined> {
    const { journal, persistence } = this.#ports;
    const fits = this.#fits(wait);
    for (;;) {
      let tried: SignalNumber | undefined;
      const noted = (signal: SignalHead): boolean => {
        if (fits(signal)) tried = signal.number;
        return tried !== undefined;
      };
      const find = (): Promise<KeptSignal | undefined> => {
        tried = undefined;
        return journal.firstSignal(this.#name, wait.name, wait.key, noted);
      };
      try {
        return await persistence.keepTrying(find, isNotDamage);
      } catch (error) {
        if (tried === undefined) throw error;
        this.#setAside(tried, error);
      }
    }
  }

  #fits(wait: OpenWait): (signal: SignalHead) => boolean {
    return (signal) => !this.#taken.has(signal.number) && !this.#damaged.has(signal.number) && inTime(wait, signal);
  }

  /** A machine is awake, or can't be: signals that it leaves are for the next who waits. */
  leaves(waits: readonly OpenWait[]): void {
    if (this.#stopped) return;
    const { journal } = this.#ports;
    if (journal.sleeperCount(this.#name).signals === 0) return;
    const isLeft = ({ number }: SignalHead): boolean => !this.#taken.has(number) && !this.#damaged.has(number);
    for (const { name, key } of waits) {
      const next = journal.hasSignal(this.#name, name, key, isLeft) ? journal.waiterFor(this.#name, name, key) : undefined;
      if (next !== undefined && this.#mayRun(next)) this.#signalled.add(next);
    }
    this.pump();
  }

  /** False for one that is stuck, or may be: it is tried again at its date. Several such would wake each other for ever. */
  #mayRun(sequence: Sequence): boolean {
    return !this.stuck.has(sequence) && this.stuck.size < gatewayLimits.stuckShown;
  }

  #setAside(number: SignalNumber, error: unknown): void {
    this.#damaged.add(number);
    const code = isCoded(error) ? error.code : undefined;
    this.#ports.logger.error({ signal: number, code }, `a signal can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }

  async claim(waits: readonly OpenWait[]): Promise<readonly { readonly wait: OpenWait; readonly signal: KeptSignal }[]> {
    const claimed: { readonly wait: OpenWait; readonly signal: KeptSignal }[] = [];
    if (this.#ports.journal.sleeperCount(this.#name).signals === 0) return claimed;
    for (const wait of waits) {
      const signal = await this.#first(wait);
      if (signal === undefined || this.#taken.has(signal.number)) continue;
      this.#taken.add(signal.number);
      claimed.push({ wait, signal });
    }
    return claimed.sort((a, b) => a.signal.number - b.signal.number);
  }

  /** Others may have them. */
  returned(signals: readonly KeptSignal[]): void {
    for (const { number } of signals) this.#taken.delete(number);
    if (!this.#stopped) for (const signal of signals) this.#offer(signal);
  }

  /** The attempt that had them is committed: the journal has forgotten them. */
  consumed(numbers: readonly SignalNumber[]): void {
    for (const number of numbers) this.#taken.delete(number);
  }

  /** A machine has just fallen asleep: a signal for it may be there already. */
  slept({ waits, dueMs }: Sleeper): void {
    this.#wakeAt(dueMs);
    const { journal, shares } = this.#ports;
    if (shares === undefined && journal.sleeperCount(this.#name).signals === 0) return;
    for (const wait of waits) {
      if (!journal.hasSignal(this.#name, wait.name, wait.key, this.#fits(wait))) {
        this.#want(wait);
        continue;
      }
      const sequence = journal.waiterFor(this.#name, wait.name, wait.key);
      if (sequence !== undefined) this.#signalled.add(sequence);
    }
    this.pump();
  }

  /** Wakes as many as there is room for: those with a signal first, then those that are due. */
  pump(): void {
    if (this.#stopped) return;
    const { journal, clock } = this.#ports;
    const nowMs = clock.now();
    if (nowMs - this.#sweptMs >= gatewayLimits.signalSweepMs && !this.#sweeping) void this.#sweep(nowMs);
    let room = this.#ports.room(this.#waking.size);
    for (const sequence of this.#signalled) {
      if (room <= 0) return this.#later();
      this.#signalled.delete(sequence);
      if (this.#waking.has(sequence)) continue;
      room -= 1;
      void this.wake(sequence, 0);
    }
    if (room <= 0) return this.#later();
    for (const sequence of journal.dueSleepers(this.#name, nowMs, room + this.#waking.size))
      if (!this.#waking.has(sequence) && room-- > 0) void this.wake(sequence, 0);
    const nextMs = journal.nextSleeperMs(this.#name);
    if (nextMs !== undefined && nextMs <= nowMs)
      this.#later(); // it is on its way, or there is no room for it
    else if (nextMs !== undefined) this.#wakeAt(nextMs);
    else if (journal.sleeperCount(this.#name).signals > 0) this.#wakeAt(nowMs + gatewayLimits.signalSweepMs);
  }

  /** Pumps again after a while: memory may be free by then, also when nothing of this flow ends. */
  #later(): void {
    this.#wakeAt(this.#ports.clock.now() + gatewayLimits.retryAfterMs);
  }

  /** Pumps at that time. Dates are looked at again at least so often that a clock that was set is noticed. */
  #wakeAt(dueMs: number): void {
    if (this.#stopped || (this.#cancelTimer !== undefined && this.#timerMs <= dueMs)) return;
    this.#cancelTimer?.();
    this.#timerMs = dueMs;
    const waitMs = Math.min(Math.max(dueMs - this.#ports.clock.now(), 0), gatewayLimits.sleepLookMs);
    this.#cancelTimer = this.#ports.clock.after(waitMs, () => {
      this.#cancelTimer = undefined;
      this.#timerMs = Number.POSITIVE_INFINITY;
      this.pump();
    });
  }

  /** Wakes one. `wakeMs`: what ends by then counts as due. False when it is awake already, gone, or stuck. */
  async wake(sequence: Sequence, wakeMs: number): Promise<boolean> {
    this.#waking.add(sequence);
    const isAwake = await this.#wakeNow(sequence, wakeMs).finally(() => this.#waking.delete(sequence));
    if (isAwake || this.#signalled.size > 0) this.pump();
    return isAwake;
  }

  async #wakeNow(sequence: Sequence, wakeMs: number): Promise<boolean> {
    const { memory, expectedBytes } = this.#ports;
    const reservedBytes = expectedBytes(); // others look at the room meanwhile
    memory.messages.force(reservedBytes);
    let lease: Lease | undefined;
    try {
      lease = await this.#leaseOf(sequence);
    } catch (error) {
      if (!this.#stopped) this.#postpone(sequence, error);
    } finally {
      memory.messages.give(reservedBytes);
    }
    if (lease !== undefined) this.#ports.enter(lease, wakeMs);
    return lease !== undefined;
  }

  /** The lease of a sleeper whose image can run. */
  async #leaseOf(sequence: Sequence): Promise<Lease | undefined> {
    const { journal } = this.#ports;
    const lease = await journal.wake(sequence);
    const { sleeper } = lease ?? {};
    if (lease === undefined || sleeper === undefined) return undefined;
    if (!this.#stopped && (await this.#canRun(lease, sleeper))) return lease;
    this.leaves(sleeper.waits);
    journal.release(lease);
    return undefined;
  }

  async #canRun(lease: Lease, { imageSha256 }: Sleeper): Promise<boolean> {
    try {
      await this.#ports.loadAsleep(imageSha256, this.#ports.flow());
      this.unstuck(lease.sequence);
      return true;
    } catch (error) {
      this.#postpone(lease.sequence, error);
      return false;
    }
  }

  /** It can be woken again, or has ended. */
  unstuck(sequence: Sequence): void {
    if (this.stuck.delete(sequence) && this.stuck.size === 0) this.#told.clear();
  }

  #postpone(sequence: Sequence, error: unknown): void {
    const { journal, clock, logger } = this.#ports;
    const problem = `${isCoded(error) ? `${error.code}: ` : ""}${error instanceof Error ? error.message : String(error)}`;
    if (!this.#told.has(problem) && this.#told.size < gatewayLimits.stuckReasons) {
      this.#told.add(problem);
      logger.error(
        { sleeper: sequence, code: isCoded(error) ? error.code : undefined },
        `a sleeping machine can't be woken, and is tried again: ${problem}`,
      );
    }
    if (this.stuck.has(sequence) || this.stuck.size < gatewayLimits.stuckShown) this.stuck.set(sequence, problem);
    journal.postpone(sequence, clock.now() + gatewayLimits.stuckRetryMs);
  }

  /** Signals that nobody has taken in their time become dead letters. */
  async #sweep(nowMs: number): Promise<void> {
    if (this.#ports.journal.sleeperCount(this.#name).signals === 0) return;
    this.#sweptMs = nowMs;
    this.#sweeping = true;
    try {
      await this.#ports.shares?.exchange.settle();
      for (const signal of [...this.#ports.journal.keptSignals()]) {
        if (this.#isLeft(signal, nowMs)) await this.#bury(signal, nowMs);
        else if (signal.flow === this.#name) void this.#ports.shares?.exchange.seek(signal);
      }
    } finally {
      this.#sweeping = false;
    }
  }

  #isLeft({ flow, number, name, key, keptUntilMs }: SweptSignal, nowMs: number): boolean {
    if (flow !== this.#name || keptUntilMs > nowMs || this.#taken.has(number) || this.#damaged.has(number) || this.#stopped) return false;
    return !this.#ports.journal.isAwaited(flow, name, key); // else its machine is awake, about to be woken, or can't be
  }

  async #bury({ number, name, key }: SweptSignal, nowMs: number): Promise<void> {
    const { journal, persistence, logger, metrics } = this.#ports;
    const text = `nobody waited for the signal ${name} with the key ${key} in the time that sleep.early keeps it: check the key, and send it again with \`mayfly dlq retry\``;
    const failure = failureOf("MF_SIGNAL_UNCLAIMED", text, false, 404);
    const record = { attempt: 1, startedMs: nowMs, endedMs: nowMs, imageSha256: "", failure, logs: [] };
    this.#taken.add(number); // no machine gets it any more
    try {
      const letter = await persistence.keepTrying(() => journal.burySignal(number, record), isNotDamage);
      if (letter === undefined) return;
      metrics.signalsUnclaimed += 1;
      logger.error({ code: failure.code, deadLetter: letter }, text);
    } catch (error) {
      this.#setAside(number, error);
    } finally {
      this.#taken.delete(number);
    }
  }
}

function refused(code: string, message: string, final: boolean): SignalOutcome {
  return { status: "refused", code, message, final, retryAfterMs: gatewayLimits.retryAfterMs };
}
