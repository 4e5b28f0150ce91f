/**
 * Records of machines that slept and of the signals for them, and what is wrong with them. Nothing here knows of processes: faults follow
 * from what was told, and are tested by themselves. Times are of one computer's clock, which is set now and then: dates that a flow tells are
 * off by as much, and are compared with others only where the clock was left alone.
 */

interface SentSignal {
  readonly sentMs: number;
  ackMs: number | undefined;
  /** By another flow: when it was received is not known. */
  told: boolean;
}

interface Slept {
  readonly token: string;
  readonly dueMs: number;
  readonly version: number;
  readonly by: string | null;
  readonly atMs: number;
}

type Asked = Pick<Slept, "token" | "dueMs" | "version">;

interface Saga {
  /** Before anything of it was sent, and when its end was first seen. */
  begunMs: number;
  endedMs: number;
  readonly signals: Map<string, SentSignal>;
  asked: Asked | undefined;
  ended: Slept | undefined;
}

/** Between the date that a flow reckons and that of its wait. */
const slackMs = 50;
/** Until the gateway has noticed that its clock was set. */
const stepMs = 1_000;
const mostFaults = 1_000;

function isAsked(value: Partial<Record<keyof Slept, unknown>>): value is Asked {
  return typeof value.token === "string" && typeof value.dueMs === "number" && typeof value.version === "number";
}

export class SleepBook {
  readonly #sagas = new Map<string, Saga>();
  readonly #faults: string[] = [];
  readonly #steps: { readonly atMs: number; readonly offsetMs: number }[] = [{ atMs: Number.NEGATIVE_INFINITY, offsetMs: 0 }];

  /** The gateway's clock is off by this from now on. */
  stepped(atMs: number, offsetMs: number): void {
    this.#steps.push({ atMs, offsetMs });
  }

  /** Before anything of it is sent. */
  beginning(saga: string, atMs: number): void {
    const found = this.#saga(saga);
    found.begunMs = Math.min(found.begunMs, atMs);
  }

  /** How far the clock was off all the while; undefined when it was set meanwhile. */
  #offsetOf({ begunMs, endedMs }: Saga): number | undefined {
    const before = this.#steps.findLast(({ atMs }) => atMs < begunMs - stepMs);
    const next = this.#steps.find(({ atMs }) => atMs >= begunMs - stepMs);
    return next === undefined || next.atMs > endedMs ? (before?.offsetMs ?? 0) : undefined;
  }

  /** Before the first try at sending it. */
  sending(saga: string, id: string, sentMs: number): void {
    const { signals } = this.#saga(saga);
    if (!signals.has(id)) signals.set(id, { sentMs, ackMs: undefined, told: false });
  }

  acknowledged(saga: string, id: string, ackMs: number): void {
    const signal = this.#saga(saga).signals.get(id);
    if (signal !== undefined) signal.ackMs ??= ackMs;
  }

  /** Another flow has taken it. */
  told(id: string): void {
    const signal = this.#saga(id.slice(0, id.indexOf("/"))).signals.get(id);
    if (signal !== undefined) signal.told = true;
  }

  /** A send of a flow that sleeps: of its first transaction, or its last. */
  saw(text: string, atMs: number): void {
    const value = JSON.parse(text) as Partial<Record<keyof Slept | "lane" | "key" | "seq", unknown>>;
    if (!isAsked(value)) return;
    const name = `${String(value["key" as never])}-${String(value["seq" as never])}`;
    const saga = this.#saga(name);
    if ((value as { lane?: unknown }).lane === "asked") {
      const { token, dueMs, version } = value;
      if (saga.asked !== undefined && saga.asked.token !== token) this.#fault(`${name}: its first transaction was committed twice`);
      saga.asked ??= { token, dueMs, version };
      return;
    }
    const found = value as unknown as Slept;
    if (saga.ended !== undefined && (saga.ended.token !== found.token || saga.ended.by !== found.by))
      this.#fault(`${name}: it ended twice, by ${String(saga.ended.by)} and ${String(found.by)}`);
    saga.ended ??= found;
    saga.endedMs = Math.min(saga.endedMs, atMs);
  }

  /** Signals that are acknowledged and that no machine was given. */
  get expectsKept(): number {
    let kept = 0;
    for (const { signals, ended } of this.#sagas.values())
      for (const [id, { ackMs, told }] of signals) if ((ackMs !== undefined || told) && ended?.by !== id) kept += 1;
    return kept;
  }

  get figures(): Readonly<Record<string, number>> {
    const all = [...this.#sagas.values()];
    const signals = all.flatMap((saga) => [...saga.signals.values()]);
    return {
      "machines that slept": all.filter(({ ended }) => ended !== undefined).length,
      "woken by a signal": all.filter(({ ended }) => ended?.by != null).length,
      signals: signals.length,
    };
  }

  get faults(): readonly string[] {
    const found = [...this.#faults];
    for (const [name, saga] of this.#sagas) {
      const { asked, ended, signals } = saga;
      const offsetMs = this.#offsetOf(saga);
      if (ended === undefined) continue; // missing: the ledger says so
      if (asked !== undefined && asked.token !== ended.token) found.push(`${name}: woken with the memory of another run`);
      if (asked !== undefined && asked.version !== ended.version)
        found.push(`${name}: woken in version ${ended.version}, not ${asked.version}`);
      const { by, dueMs, atMs } = ended;
      if (by === null) {
        if (atMs < dueMs) found.push(`${name}: its time was over ${dueMs - atMs} ms too early`);
        // The machine's time is what it was told: its sends show when it really was.
        if (offsetMs !== undefined && saga.endedMs + offsetMs < dueMs - slackMs)
          found.push(`${name}: its end was seen ${dueMs - saga.endedMs - offsetMs} ms before its time was over`);
        for (const [id, { ackMs }] of signals)
          if (ackMs !== undefined && offsetMs !== undefined && ackMs + offsetMs < dueMs)
            found.push(`${name}: ${id} was acknowledged ${dueMs - ackMs - offsetMs} ms before the end, and not given`);
        continue;
      }
      const signal = signals.get(by);
      if (signal === undefined) found.push(`${name}: woken by ${by}, which nobody sent`);
      else if (offsetMs !== undefined && signal.sentMs + offsetMs > dueMs + slackMs)
        found.push(`${name}: ${by} was sent ${signal.sentMs + offsetMs - dueMs} ms after the end, and won`);
    }
    return found;
  }

  #fault(text: string): void {
    if (this.#faults.length < mostFaults) this.#faults.push(text);
  }

  #saga(name: string): Saga {
    let saga = this.#sagas.get(name);
    if (saga === undefined) {
      saga = {
        begunMs: Number.POSITIVE_INFINITY,
        endedMs: Number.POSITIVE_INFINITY,
        signals: new Map(),
        asked: undefined,
        ended: undefined,
      };
      this.#sagas.set(name, saga);
    }
    return saga;
  }
}
