/** One life of a gateway over the journal: workers that accept, complete, retry, bury and deliver until the power goes. */
import { fromUtf8, type Prng, toUtf8 } from "#base";
import type { Failure } from "../../contract/message.ts";
import type { AttemptRecord, Lease, NewMessage, NewSend, StateSnapshot } from "../journal.ts";
import type { LogJournal } from "../log/log-journal.ts";
import type { SimulatedClock } from "./simulated-clock.ts";
import type { Faults } from "./simulated-disk.ts";
import type { DeadLetters } from "../dead-letters.ts";
import { type SleepCounts, SleepLife, type SleepWorld } from "./simulated-sleep.ts";
import { check, type End, type Told, type World } from "./simulated-world.ts";

export const outlets: readonly string[] = ["a", "b"];
export const stateKeys: readonly string[] = ["s0", "s1", "s2"];
const failure: Failure = { origin: "flow", code: "MF_TEST", message: "no luck", status: 0, retry: true };

/** Never ends: what is left of a life after its end. */
const forever = new Promise<never>(() => undefined);

export interface LifeCounts {
  refused: number;
  conflicts: number;
}

export interface LifeOptions {
  readonly world: World;
  readonly random: Prng;
  readonly clock: SimulatedClock;
  readonly journal: LogJournal;
  readonly faults: Faults;
  /** True if the disk may fail in this life. */
  readonly faulty: boolean;
  /** Messages that were pending when it began. */
  readonly held: readonly Lease[];
  readonly counts: LifeCounts & SleepCounts;
  readonly sleep: SleepWorld;
  readonly letters: DeadLetters;
}

/** How many completions the state says it has had. */
export function countIn({ json }: StateSnapshot): number {
  return (JSON.parse(json ?? "{}") as { count?: number }).count ?? 0;
}

export function messageOf(told: Told): NewMessage {
  return {
    flow: "orders",
    id: `m${told.n}`,
    source: "test",
    headers: { n: String(told.n) },
    contentType: "text/plain",
    body: toUtf8(told.body),
    key: undefined,
    correlationId: undefined,
    receivedMs: 1_000 + told.n,
    expiresMs: undefined,
    dedup: told.dedupId === undefined ? undefined : { id: told.dedupId, windowMs: 1e9, count: 10_000 },
  };
}

export class SimulatedLife {
  readonly #options: LifeOptions;
  readonly #world: World;
  readonly #random: Prng;
  readonly #clock: SimulatedClock;
  readonly #journal: LogJournal;
  readonly #life: number;
  readonly #held: Lease[];

  constructor(options: LifeOptions) {
    this.#options = options;
    this.#world = options.world;
    this.#random = options.random;
    this.#clock = options.clock;
    this.#journal = options.journal;
    this.#life = options.world.life;
    this.#held = [...options.held];
  }

  async run(): Promise<void> {
    if (this.#options.faulty) this.#fault();
    let working = 6;
    const asleep = this.#asleep();
    const workers = Array.from({ length: working }, async (_, worker) => {
      for (let step = 0; step < 8; step++) {
        if (worker < 4) await this.#step();
        else {
          await asleep.step();
          await this.#pause();
        }
      }
      working -= 1;
    });
    const clock = async (): Promise<void> => {
      while (working > 0) {
        this.#clock.advance(3);
        await this.#pause();
      }
    };
    await Promise.all([...workers, clock()]);
  }

  #asleep(): SleepLife {
    const { sleep, letters, counts } = this.#options;
    return new SleepLife({
      world: sleep,
      random: this.#random,
      clock: this.#clock,
      journal: this.#journal,
      letters,
      counts,
      answer: (call) => this.#answer(call),
      pause: () => this.#pause(),
      filling: () => this.#filling(),
      record: (attempt) => this.#record(attempt),
    });
  }

  #fault(): void {
    const kind = this.#random.below(4);
    const { faults } = this.#options;
    faults.full = kind === 0 ? 1 + this.#random.below(3) : 0;
    faults.broken = kind === 1 ? 2 + this.#random.below(6) : 0;
    faults.readOnly = kind === 2;
  }

  get #over(): boolean {
    return this.#life !== this.#world.life;
  }

  async #pause(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#over) await forever;
  }

  /** The answer of a call, or "refused"; never returns once the life is over. */
  async #answer<T>(call: Promise<T>): Promise<T | "refused"> {
    try {
      const answer = await call;
      return this.#over ? await forever : answer;
    } catch (error) {
      if (this.#over) return forever;
      const code = (error as { code?: string }).code ?? "";
      if (!["MF_JOURNAL_FULL", "MF_JOURNAL_IO", "MF_DEAD_LETTER_WRITE"].includes(code)) throw error;
      this.#options.counts.refused += 1;
      check(this.#options.faulty, `a call was refused on a disk without faults: ${String(error)}`);
      return "refused";
    }
  }

  async #step(): Promise<void> {
    if (this.#over) await forever;
    const choice = this.#random.below(10);
    if (choice < 4) await this.#accept();
    else if (choice < 6) await this.#work();
    else if (choice < 9) await this.#deliver();
    else if (this.#random.below(3) === 0) await this.#answer(this.#journal.compact());
    else if (this.#options.faulty) this.#fault();
    for (let pauses = this.#random.below(4); pauses > 0; pauses--) await this.#pause();
  }

  #filling(): string {
    return "x".repeat([3, 60, 300, 600, 900][this.#random.below(5)] ?? 3);
  }

  async #accept(): Promise<void> {
    const { messages } = this.#world;
    const n = messages.length;
    const told: Told = {
      n,
      dedupId: this.#random.below(2) === 0 ? `d${n}` : undefined,
      body: `${n}:${this.#filling()}`,
      accepted: "maybe",
      refusedAt: undefined,
      end: undefined,
      maybe: [],
      attempt: 1,
      safeAttempt: 1,
      maybeRetried: false,
    };
    messages.push(told);
    const accepted = await this.#answer(this.#journal.accept(messageOf(told)));
    if (accepted === "refused") {
      told.refusedAt = this.#world.acknowledged;
      return;
    }
    check(accepted.status === "leased", `a new message is ${accepted.status}`);
    this.#world.saw(accepted.lease);
    this.#world.acknowledged += 1;
    told.accepted = "yes";
    if (told.dedupId !== undefined && this.#random.below(3) === 0) {
      const again = await this.#answer(this.#journal.accept(messageOf(told)));
      check(again === "refused" || again.status === "running", "a message that is worked on is accepted again");
    }
    await this.#handle(accepted.lease, told);
  }

  /** Works on a message that was leased after a crash or given back. */
  async #work(): Promise<void> {
    const lease = this.#held.shift();
    if (lease !== undefined) return this.#handle(lease, this.#world.saw(lease));
    const leased = await this.#answer(this.#journal.lease("orders", 2));
    if (leased !== "refused") this.#held.push(...leased);
  }

  async #handle(lease: Lease, told: Told): Promise<void> {
    this.#world.oldLeases.push(lease);
    for (let pauses = this.#random.below(3); pauses > 0; pauses--) await this.#pause();
    const choice = this.#random.below(12);
    if (choice < 6) return this.#complete(lease, told);
    if (choice < 8) return this.#retry(lease, told);
    if (choice === 8) return this.#bury(lease, told);
    if (choice === 9) return this.#drop(lease, told);
    if (choice === 10) return this.#journal.release(lease);
    this.#held.push(lease); // for later
  }

  #record(attempt: number): AttemptRecord {
    return { attempt, startedMs: 10, endedMs: 20, imageSha256: "00", failure, logs: [] };
  }

  async #complete(lease: Lease, told: Told): Promise<void> {
    const run = `r${this.#random.uint32().toString(36)}`;
    const sends: string[] = [];
    for (let index = this.#random.below(4) - 1; index >= 0; index--) {
      const outlet = outlets[this.#random.below(2)] ?? "a";
      const key = ["", "k0", "k1"][this.#random.below(3)] ?? "";
      sends.push(`${told.n}:${run}:${index}:${outlet}:${key}:${this.#filling()}`);
    }
    const stateKey = this.#random.below(2) === 0 ? stateKeys[this.#random.below(stateKeys.length)] : undefined;
    const end: End = { kind: "complete", run, sends, stateKey };
    for (let tries = 0; tries < 4; tries++) {
      const version = stateKey === undefined ? 0 : await this.#answer(this.#journal.readState("orders", stateKey));
      if (version === "refused") return;
      end.refusedAt = undefined;
      if (!told.maybe.includes(end)) told.maybe.push(end);
      const completed = await this.#answer(
        this.#journal.complete(lease, {
          nowMs: 2_000,
          sends: sends.map((send): NewSend => {
            const [, , , outlet = "", key = ""] = send.split(":");
            return { outlet, key: key === "" ? undefined : key, contentType: "text/plain", headers: {}, body: toUtf8(send) };
          }),
          state:
            stateKey === undefined || version === 0
              ? undefined
              : {
                  key: stateKey,
                  version: version.version,
                  changes: [
                    { name: `m${told.n}`, valueJson: JSON.stringify(run) },
                    { name: "count", valueJson: String(countIn(version) + 1) },
                  ],
                },
          reply: this.#random.below(4) === 0 ? { status: 200, contentType: "text/plain", headers: {}, body: toUtf8("yes") } : undefined,
        }),
      );
      if (completed === "refused") {
        end.refusedAt = this.#world.acknowledged;
        await this.#pause();
        continue;
      }
      if (completed.status === "committed") return this.#world.ended(told, end);
      told.maybe = told.maybe.filter((other) => other !== end);
      this.#options.counts.conflicts += 1;
      check(completed.status === "conflict", `a lease that is held is ${completed.status}`);
    }
    this.#held.push(lease);
  }

  async #retry(lease: Lease, told: Told): Promise<void> {
    told.maybeRetried = true;
    const next = await this.#answer(this.#journal.retryLater(lease, this.#record(lease.attempt), 5));
    if (next === "refused") return void this.#held.push(lease);
    check(next !== undefined, "a lease that is held can be retried");
    told.maybeRetried = false;
    told.attempt = next.attempt;
    // A refusing disk may keep nothing of an attempt's record: the answer proves neither that nor that what was refused before is not there.
    if (!this.#options.faulty) {
      told.safeAttempt = next.attempt;
      this.#world.acknowledged += 1;
    }
    const late = await this.#answer(this.#journal.complete(lease, { nowMs: 1, sends: [], state: undefined, reply: undefined }));
    check(late === "refused" || late.status === "stale", "a late result of the attempt before was taken");
    check((await this.#answer(this.#journal.retryLater(lease, this.#record(lease.attempt), 5))) === undefined, "a late retry was taken");
    check((await this.#answer(this.#journal.drop(lease))) === false, "a late drop was taken");
    check((await this.#answer(this.#journal.bury(lease, this.#record(lease.attempt)))) === undefined, "a late burial was taken");
    this.#held.push(next);
  }

  async #bury(lease: Lease, told: Told): Promise<void> {
    const end: End = { kind: "bury", run: "", sends: [], stateKey: undefined };
    told.maybe.push(end);
    for (let tries = 0; tries < 3; tries++) {
      const letter = await this.#answer(this.#journal.bury(lease, this.#record(lease.attempt)));
      if (letter !== "refused") {
        check(letter !== undefined, "a lease that is held can be buried");
        return this.#world.ended(told, end);
      }
      await this.#pause();
    } // given up: as the gateway does, the message stays held until the end of this life
  }

  async #drop(lease: Lease, told: Told): Promise<void> {
    const end: End = { kind: "drop", run: "", sends: [], stateKey: undefined };
    told.maybe.push(end);
    const dropped = await this.#answer(this.#journal.drop(lease));
    if (dropped === "refused") {
      end.refusedAt = this.#world.acknowledged;
      this.#held.push(lease);
      return;
    }
    check(dropped, "a lease that is held can be dropped");
    this.#world.ended(told, end);
  }

  async #deliver(): Promise<void> {
    const outlet = outlets[this.#random.below(2)] ?? "a";
    const entries = await this.#answer(this.#journal.leaseOutbox("orders", outlet, 1 + this.#random.below(4), this.#clock.now()));
    if (entries === "refused") return;
    for (const entry of entries) {
      await this.#pause();
      const choice = this.#random.below(8);
      if (choice === 0) {
        this.#journal.releaseOutbox(entry);
        continue;
      }
      const send = fromUtf8(entry.body);
      if (choice === 1) {
        const buried = await this.#answer(this.#journal.buryOutbox(entry, this.#record(entry.attempt)));
        if (buried === "refused") continue; // it stays leased: the gateway repeats the call
        this.#world.acknowledged += 1;
        this.#world.buriedSends.add(send);
        continue;
      }
      if (choice === 2) {
        await this.#answer(this.#journal.deferOutbox(entry, this.#record(entry.attempt), this.#clock.now() + 2));
        continue;
      }
      this.#world.receive(entry);
      if ((await this.#answer(this.#journal.settleOutbox(entry))) !== "refused") this.#world.settledInLife.set(send, this.#world.life);
    }
  }
}
