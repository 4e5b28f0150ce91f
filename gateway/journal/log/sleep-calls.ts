/** The journal's calls about sleepers and signals. A call about a signal holds its lock from the check to the change. */
import type {
  AttemptRecord,
  KeptSignal,
  Lease,
  NewSignal,
  Sequence,
  SignalHead,
  SignalKept,
  SignalNumber,
  SleeperInfo,
} from "../journal.ts";
import { signalDedupId } from "../ledger.ts";
import { burySignal, takeSignal } from "./burials.ts";
import { KeyedLocks } from "./keyed-locks.ts";
import type { RecoveredLog } from "./recovered-log.ts";
import { leaseOf, sleeperInfo } from "../sleepers.ts";
import type { Slot } from "../slot.ts";
import { isSamePlace, type RecordPlace } from "./places.ts";
import { loadSleeping, readSleeping } from "./sleeping-bodies.ts";
import type { LiveIndex } from "./live-index.ts";
import { writeSignal } from "../format/sleep-records.ts";

export interface SleepCallPorts {
  /** Runs a call of an open journal. */
  readonly call: <T>(work: (log: RecoveredLog) => Promise<T>) => Promise<T>;
  /** Resolves when no call about the message is in flight any more; undefined when none is. */
  readonly busy: (sequence: Sequence) => Promise<void> | undefined;
}

export class SleepCalls {
  readonly #ports: SleepCallPorts;
  readonly #ids = new KeyedLocks<string>();
  /** Signals that are being buried or taken. */
  readonly signals = new KeyedLocks<SignalNumber>();

  constructor(ports: SleepCallPorts) {
    this.#ports = ports;
  }

  keep(signal: NewSignal): Promise<SignalKept> {
    return this.#ports.call(async (log) => {
      const { ledger } = log.index;
      const { flow, dedup } = signal;
      const id = dedup === undefined ? undefined : `${flow}\0${signalDedupId(signal, dedup.id)}`;
      for (let busy = this.#ids.busy(id); busy !== undefined; busy = this.#ids.busy(id)) await busy;
      const duplicate = ledger.duplicateSignal(signal);
      if (duplicate !== undefined) return duplicate;
      log.room.take(signal.body.length);
      this.#ids.acquire(id);
      try {
        return { status: "kept", signal: await this.#write(log, ledger.newKeptSignal(signal)) };
      } finally {
        this.#ids.release(id);
      }
    });
  }

  async #write(log: RecoveredLog, given: KeptSignal): Promise<KeptSignal> {
    const { ledger, bodies } = log.index;
    let signal = given;
    try {
      if (bodies.isLarge(given.body)) {
        signal = { ...given, body: await log.storeBody(given.body, `g${given.number}`) };
        await bodies.syncNames();
      }
      const body = bodies.toWrite(signal.body) ?? signal.body;
      let offset = 0;
      await log.writer.append(
        (out) => {
          const start = out.length;
          offset = writeSignal(out, { signal, burying: undefined, body }) - start;
        },
        (placement) =>
          ledger.keepSignal({ ...signal, body: bodies.keep(bodies.parked(signal.body), placement.file, placement.offset + offset) }),
      );
      return signal;
    } catch (error) {
      log.removeWhenVoid([bodies.release(signal.body)]);
      throw error;
    }
  }

  firstSignal(flow: string, name: string, key: string, fits: (head: SignalHead) => boolean): Promise<KeptSignal | undefined> {
    return this.#ports.call(async ({ index: { ledger, bodies } }) => {
      for (;;) {
        const signal = ledger.signals.first(flow, name, key, fits);
        if (signal === undefined) return undefined;
        try {
          return { ...signal, body: await bodies.load(signal.body) };
        } catch (error) {
          if (ledger.signals.signal(signal.number) !== undefined) throw error; // else it was taken meanwhile, and its file went
        }
      }
    });
  }

  bury(number: SignalNumber, record: AttemptRecord): Promise<string | undefined> {
    return this.#withSignal(number, (log, signal) => burySignal(log.burialPorts, signal, record));
  }

  replace(number: SignalNumber, by: NewSignal): Promise<KeptSignal | undefined> {
    return this.#withSignal(number, async (log) => {
      const { ledger } = log.index;
      const kept = ledger.newKeptSignal(by);
      const commit = ledger.replacementOf(number, kept);
      await log.writeCommit(commit, { entries: [], sleeping: undefined, next: undefined });
      return kept;
    });
  }

  async drop(number: SignalNumber): Promise<boolean> {
    const dropped = await this.#withSignal(number, async (log) => {
      await takeSignal(log.burialPorts, number, undefined);
      return true;
    });
    return dropped === true;
  }

  /** Runs `work` while no other call about the signal is in flight; undefined when somebody has taken it. */
  #withSignal<T>(number: SignalNumber, work: (log: RecoveredLog, signal: KeptSignal) => Promise<T>): Promise<T | undefined> {
    return this.#ports.call(async (log) => {
      for (let busy = this.signals.busy(number); busy !== undefined; busy = this.signals.busy(number)) await busy;
      const signal = log.index.ledger.signals.signal(number);
      if (signal === undefined) return undefined;
      this.signals.acquire(number);
      try {
        return await work(log, signal);
      } finally {
        this.signals.release(number);
      }
    });
  }

  wake(sequence: Sequence): Promise<Lease | undefined> {
    return this.#ports.call(async (log) => {
      const { ledger, bodies } = log.index;
      for (let busy = this.#ports.busy(sequence); busy !== undefined; busy = this.#ports.busy(sequence)) await busy;
      const woken = ledger.wake(sequence);
      if (woken === undefined) return undefined;
      const { slot, token } = woken;
      log.writeNumbers();
      try {
        return leaseOf(await loadSleeping(slot, bodies), slot, token);
      } catch (error) {
        ledger.sleepers.release(sequence);
        throw error;
      }
    });
  }

  read(sequence: Sequence): Promise<Lease | undefined> {
    return this.#ports.call(({ index }) =>
      lookAt(index, sequence, async (slot) => {
        const lease = await loadSleeping(slot, index.bodies);
        return leaseOf(lease, slot, slot.token ?? lease.token);
      }),
    );
  }

  list(flow: string | undefined, after: Sequence | undefined, most: number): Promise<readonly SleeperInfo[]> {
    return this.#ports.call(({ index }) => listSleepers(index, flow, after, most));
  }
}

/** A look at a sleeper as it is read from its slot; undefined if it is gone. */
async function lookAt<T>({ ledger }: LiveIndex, sequence: Sequence, read: (slot: Slot<RecordPlace>) => Promise<T>): Promise<T | undefined> {
  for (;;) {
    const slot = ledger.sleepers.look(sequence);
    if (slot === undefined) return undefined;
    try {
      return await read(slot);
    } catch (error) {
      const now = ledger.sleepers.look(sequence);
      if (now !== undefined && isSamePlace(now.stored, slot.stored)) throw error; // else it has moved on meanwhile, and its files went
    }
  }
}

export async function listSleepers(
  index: LiveIndex,
  flow: string | undefined,
  after: Sequence | undefined,
  most: number,
): Promise<readonly SleeperInfo[]> {
  const infos: SleeperInfo[] = [];
  for (const slot of index.ledger.sleepers.list(flow, after, most)) {
    const look = await lookAt(index, slot.sequence, async (now) => sleeperInfo((await readSleeping(now, index.bodies)).lease, now));
    if (look !== undefined) infos.push(look);
  }
  return infos;
}
