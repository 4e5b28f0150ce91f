/** Sends numbered messages, each again and again until it is acknowledged; the next of a key only after that. */
import type { Ledger } from "./ledger.ts";
import { probeOf } from "./message.ts";
import { type Lane, pause } from "./transports/transport.ts";

export interface ProberOptions {
  readonly run: string;
  readonly keys: number;
  /** Over all lanes, a second. */
  readonly rate: number;
}

/** Messages of one lane that may be on their way: what a broker queues up while the gateway is away is bounded by it. */
const mostOutstanding = 1_000;
const sendMs = 10_000;

export class Prober {
  readonly #lanes: readonly Lane[];
  readonly #ledger: Ledger;
  readonly #options: ProberOptions;
  readonly #loops: Promise<void>[] = [];
  /** Tries that were not acknowledged, by lane. */
  readonly resent: Record<string, number> = {};
  readonly lastError: Record<string, string> = {};
  #stopping = false;
  #abandoned = false;

  constructor(lanes: readonly Lane[], ledger: Ledger, options: ProberOptions) {
    this.#lanes = lanes;
    this.#ledger = ledger;
    this.#options = options;
  }

  start(): void {
    const { keys, rate } = this.#options;
    const everyMs = (1000 * keys * this.#lanes.length) / rate;
    for (const lane of this.#lanes) for (let key = 0; key < keys; key += 1) this.#loops.push(this.#run(lane, `k${key}`, everyMs));
  }

  /** Nothing new; resolves once what was begun is acknowledged, or after the limit. Answers with whether all was. */
  async stop(limitMs: number): Promise<boolean> {
    this.#stopping = true;
    const all = Promise.all(this.#loops).then(() => true);
    const done = await Promise.race([all, pause(limitMs).then(() => false)]);
    this.#abandoned = true;
    return done;
  }

  async #run(lane: Lane, key: string, everyMs: number): Promise<void> {
    await pause(Math.random() * everyMs); // not all at once; no part of what is checked
    for (let seq = 1; !this.#stopping; seq += 1) {
      const dueMs = Date.now() + everyMs;
      while (this.#ledger.outstanding(lane.name) > mostOutstanding && !this.#stopping && !lane.lossy) await pause(50);
      if (this.#stopping) return;
      const names = [lane.name, ...(lane.also ?? []).map(({ name }) => name)];
      for (const name of names) this.#ledger.attempted(name, key, seq);
      if (!(await this.#sendSurely(lane, key, seq))) return;
      for (const name of names) this.#ledger.acknowledged(name, key, seq);
      await pause(Math.max(0, dueMs - Date.now()));
    }
  }

  async #sendSurely(lane: Lane, key: string, seq: number): Promise<boolean> {
    const probe = probeOf(this.#options.run, lane.name, key, seq);
    for (let tries = 0; !this.#abandoned; tries += 1) {
      const timeout = new AbortController();
      try {
        const late = pause(sendMs).then(() => {
          if (!timeout.signal.aborted) throw new Error(`not acknowledged within ${sendMs} ms`);
        });
        await Promise.race([lane.send(probe), late]);
        return true;
      } catch (error) {
        this.resent[lane.name] = (this.resent[lane.name] ?? 0) + 1;
        this.lastError[lane.name] = error instanceof Error ? error.message : String(error);
        await pause(Math.min(50 * 2 ** Math.min(tries, 3), 400));
      } finally {
        timeout.abort();
      }
    }
    return false;
  }
}
