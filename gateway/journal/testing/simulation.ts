/**
 * A schedule of calls, crashes and disk faults, all of it made from one number: several workers use a journal on a simulated disk
 * until the power goes, then it is recovered and held against the world, several times over.
 */
import { fromUtf8, prng, type Prng } from "#base";
import { DeadLetters } from "../dead-letters.ts";
import type { Lease } from "../journal.ts";
import type { LogLimits } from "../log/limits.ts";
import { LogJournal } from "../log/log-journal.ts";
import { SimulatedClock } from "./simulated-clock.ts";
import { SimulatedDisk, type SimulatedStore } from "./simulated-disk.ts";
import { messageOf, outlets, SimulatedLife, stateKeys } from "./simulated-life.ts";
import { sleepFlow, SleepWorld } from "./simulated-sleep.ts";
import { check, Violation, World } from "./simulated-world.ts";

/** Small, so that few calls fill batches and segments, spill bodies, and make checkpoints. */
const tinyLimits: Partial<LogLimits> = {
  segmentBytes: 6_000,
  zeroBytes: 2_000,
  batchBytes: 2_000,
  blobBytes: 700,
  bodyMemoryBytes: 1_500,
  smallBodyBytes: 80,
  checkpointBytes: 20_000,
  reserveBytes: 1_000,
  refusedRetryMs: 30,
  checkpointRetryMs: 50,
  readBytes: 4_096,
};

/** Counts of events, added up over schedules: a simulation in which nothing happens proves nothing. */
export interface ScheduleResult {
  /** Of the disk. */
  calls: number;
  crashes: number;
  messages: number;
  refused: number;
  checkpoints: number;
  /** Recoveries that cut a torn end, and burials they finished. */
  cut: number;
  burials: number;
  conflicts: number;
  /** Segments that were made ahead. */
  ahead: number;
  /** Sleepers: put to sleep, woken, buried, put back; and signals they took. */
  sleeps: number;
  wakes: number;
  consumed: number;
  asleepLetters: number;
  putBack: number;
}

export function noResult(): ScheduleResult {
  return {
    calls: 0,
    crashes: 0,
    messages: 0,
    refused: 0,
    checkpoints: 0,
    cut: 0,
    burials: 0,
    conflicts: 0,
    ahead: 0,
    sleeps: 0,
    wakes: 0,
    consumed: 0,
    asleepLetters: 0,
    putBack: 0,
  };
}

export interface ScheduleOptions {
  /** Crash the first life at this call of the disk; absent: where the seed says. */
  readonly crashAt?: number | undefined;
  readonly lives?: number | undefined;
  /** Absent: a disk. */
  readonly store?: ((random: Prng) => SimulatedStore) | undefined;
}

export async function runSchedule(seed: number, options: ScheduleOptions = {}): Promise<ScheduleResult> {
  try {
    return await new Schedule(seed, options.store).run(options);
  } catch (error) {
    if (error instanceof Error)
      error.message = `seed ${seed}${options.crashAt === undefined ? "" : `, crash at call ${options.crashAt}`}: ${error.message}`;
    throw error;
  }
}

/** Never ends: what a call of a life before does. */
const forever = new Promise<never>(() => undefined);

class Schedule {
  readonly #random: Prng;
  readonly #world = new World();
  readonly #sleep = new SleepWorld();
  readonly #disk: SimulatedStore;
  #clock = new SimulatedClock(1_000);
  #journal!: LogJournal;
  #letters!: DeadLetters;
  #crashed!: Promise<void>;
  #faulty = false;
  readonly #result = noResult();

  constructor(seed: number, store: (random: Prng) => SimulatedStore = (random) => new SimulatedDisk(random)) {
    this.#random = prng(seed);
    this.#disk = store(prng(seed ^ 0x5bd1_e995));
  }

  async run({ crashAt, lives = 3 }: ScheduleOptions): Promise<ScheduleResult> {
    for (let life = 0; life < lives; life++) {
      this.#world.life += 1;
      this.#faulty = this.#random.below(3) === 0;
      const at = life === 0 && crashAt !== undefined ? crashAt : this.#disk.calls + 1 + this.#random.below(260);
      this.#setCrash(at);
      const ended = await Promise.race([this.#crashed.then(() => "crash" as const), this.#live().then(() => "end" as const)]);
      if (ended === "end" && this.#random.below(3) === 0) {
        Object.assign(this.#disk.faults, { full: 0, broken: 0, readOnly: false });
        await Promise.race([this.#crashed, this.#journal.close()]);
      }
      this.#world.life += 1;
      this.#world.crash();
      this.#disk.restart(this.#random.below(3) > 0);
    }
    this.#crashed = forever;
    await this.#recover();
    await this.#drain();
    await this.#journal.close();
    const { calls, ahead } = this.#disk;
    return { ...this.#result, calls, ahead, crashes: this.#world.crashes, messages: this.#world.messages.length };
  }

  #setCrash(call: number): void {
    this.#crashed = new Promise((resolve) => {
      this.#disk.crashAt(call, () => {
        this.#world.life += 1;
        resolve();
      });
    });
  }

  async #live(): Promise<void> {
    const { life } = this.#world;
    const held = await this.#recover();
    if (life !== this.#world.life) return forever; // else it would take itself for the next one, and wait for its dead disk for ever
    const [world, random, clock, journal] = [this.#world, this.#random, this.#clock, this.#journal];
    await new SimulatedLife({
      world,
      random,
      clock,
      journal,
      faults: this.#disk.faults,
      faulty: this.#faulty,
      held,
      counts: this.#result,
      sleep: this.#sleep,
      letters: this.#letters,
    }).run();
  }

  async #recover(): Promise<readonly Lease[]> {
    this.#clock = new SimulatedClock(this.#clock.now() + 1);
    const disk = this.#disk.mount();
    this.#letters = new DeadLetters("dead", disk.deadLetterFs);
    this.#journal = new LogJournal({
      disk,
      deadLetters: this.#letters,
      clock: this.#clock,
      limits: tinyLimits,
      salt: () => 77,
      onEvent: (event) => {
        if (event.kind === "checkpoint") this.#result.checkpoints += 1;
      },
    });
    const journal = this.#journal;
    const { life } = this.#world;
    const { remarks } = await journal.recover();
    for (const remark of remarks) {
      if (remark.includes("cut at byte")) this.#result.cut += 1;
      if (remark.includes("is finished")) this.#result.burials += 1;
    }
    const leases = await journal.lease("orders", 10_000);
    const states = await Promise.all(stateKeys.map((key) => journal.readState("orders", key)));
    const letters = [];
    const sends: string[] = [];
    for await (const letter of this.#letters.list()) {
      letters.push(letter);
      if (letter.kind === "send" && letter.flow !== sleepFlow)
        sends.push(fromUtf8((await this.#letters.read(letter.id))?.body ?? new Uint8Array(0)));
    }
    if (life !== this.#world.life) return forever; // the power went meanwhile
    for (const send of sends) this.#world.buriedSends.add(send);
    this.#world.checkPending(leases);
    for (const [index, key] of stateKeys.entries()) this.#world.checkState(key, states[index] ?? { version: 0, json: undefined });
    this.#world.checkLetters(letters.filter(({ flow }) => flow !== sleepFlow));
    await this.#sleep.checkRecovered(journal, letters);
    if (life !== this.#world.life) return forever;
    this.#checkDedup(leases);
    for (const old of this.#world.oldLeases.splice(0)) {
      // Answered without the disk, so no crash can come in between.
      const late = await journal.complete(old, { nowMs: 1, sends: [], state: undefined, reply: undefined });
      check(late.status === "stale", `a lease of a life before was ${late.status}`);
    }
    return leases;
  }

  #checkDedup(leases: readonly Lease[]): void {
    const pending = new Map(leases.map((lease) => [lease.message.id, lease]));
    for (const told of this.#world.messages) {
      if (told.dedupId === undefined || told.maybe.length > 0) continue;
      const again = this.#journal.adopt({ ...messageOf(told), id: "again" });
      const lease = pending.get(`m${told.n}`);
      const expected = lease !== undefined ? "running" : told.end?.kind === "complete" ? "duplicate" : "leased";
      check(again.status === expected, `the id of message ${told.n} is ${again.status}, expected ${expected}`);
      if (again.status === "running") check(again.sequence === lease?.sequence, `the id of message ${told.n} is leased by another one`);
      if (again.status === "leased") this.#journal.release(again.lease);
    }
  }

  /** With nothing in the way any more, every outbox empties. */
  async #drain(): Promise<void> {
    for (const outlet of outlets) {
      for (let round = 0; this.#journal.outboxDepth("orders", outlet) > 0; round++) {
        if (round > 1_000) throw new Violation(`outbox ${outlet} does not empty`);
        this.#clock.advance(1_000);
        for (const entry of await this.#journal.leaseOutbox("orders", outlet, 100, this.#clock.now())) {
          this.#world.receive(entry);
          await this.#journal.settleOutbox(entry);
        }
      }
    }
    this.#world.checkReceived();
    await this.#drainSleep();
  }

  /** All dates are there: what sleeping flows sent arrives. */
  async #drainSleep(): Promise<void> {
    for (let round = 0; this.#journal.outboxDepth(sleepFlow, "z") > 0; round++) {
      if (round > 1_000) throw new Violation("the outbox of sleepers does not empty");
      this.#clock.advance(1_000);
      for (const entry of await this.#journal.leaseOutbox(sleepFlow, "z", 100, this.#clock.now())) {
        this.#sleep.received.add(fromUtf8(entry.body));
        await this.#journal.settleOutbox(entry);
      }
    }
    this.#sleep.checkDrained();
  }
}
