/**
 * A schedule of calls, crashes and disk faults, all of it made from one number: several workers use a journal on a simulated disk
 * until the power goes, then it is recovered and held against the world, several times over.
 */
import { prng, type Prng, toUtf8 } from "#base";
import type { Failure } from "../../message.ts";
import { DeadLetters } from "../dead-letters.ts";
import type { AttemptRecord, Lease, NewMessage, NewSend } from "../journal.ts";
import type { LogLimits } from "./limits.ts";
import { LogJournal } from "./log-journal.ts";
import { SimulatedClock } from "./simulated-clock.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { check, type End, type Told, Violation, World } from "./simulated-world.ts";

const outlets = ["a", "b"];
const stateKeys = ["s0", "s1", "s2"];
const failure: Failure = { code: "MF_TEST", message: "no luck", status: 0, retry: true };

/** Small, so that few calls fill batches and segments, spill bodies, and make checkpoints. */
const tinyLimits: Partial<LogLimits> = {
  segmentBytes: 6_000,
  batchBytes: 2_000,
  blobBytes: 700,
  bodyMemoryBytes: 1_500,
  smallBodyBytes: 80,
  checkpointBytes: 20_000,
  checkpointRetryMs: 50,
  readBytes: 4_096,
};

export interface ScheduleResult {
  readonly calls: number;
  readonly crashes: number;
  readonly messages: number;
}

export interface ScheduleOptions {
  /** Crash the first life at this call of the disk; absent: where the seed says. */
  readonly crashAt?: number | undefined;
  readonly lives?: number | undefined;
}

export async function runSchedule(seed: number, options: ScheduleOptions = {}): Promise<ScheduleResult> {
  try {
    return await new Schedule(seed).run(options);
  } catch (error) {
    if (error instanceof Error) error.message = `seed ${seed}${options.crashAt === undefined ? "" : `, crash at call ${options.crashAt}`}: ${error.message}`;
    throw error;
  }
}

/** Never ends: what a call of a life before does. */
const forever = new Promise<never>(() => undefined);

class Schedule {
  readonly #random: Prng;
  readonly #world = new World();
  readonly #disk: SimulatedDisk;
  #clock = new SimulatedClock(1_000);
  #journal!: LogJournal;
  #letters!: DeadLetters;
  #crashed!: Promise<void>;
  #held: Lease[] = [];
  #faulty = false;

  constructor(seed: number) {
    this.#random = prng(seed);
    this.#disk = new SimulatedDisk(prng(seed ^ 0x5bd1_e995));
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
    return { calls: this.#disk.calls, crashes: this.#world.crashes, messages: this.#world.messages.length };
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
    await this.#recover();
    const life = this.#world.life;
    if (this.#faulty) this.#fault();
    let working = 4;
    const workers = Array.from({ length: working }, async () => {
      for (let step = 0; step < 8; step++) await this.#step();
      working -= 1;
    });
    const clock = async (): Promise<void> => {
      while (working > 0 && life === this.#world.life) {
        this.#clock.advance(3);
        await this.#pause();
      }
    };
    await Promise.all([...workers, clock()]);
  }

  #fault(): void {
    const kind = this.#random.below(4);
    this.#disk.faults.full = kind === 0 ? 1 + this.#random.below(3) : 0;
    this.#disk.faults.broken = kind === 1 ? 2 + this.#random.below(6) : 0;
    this.#disk.faults.readOnly = kind === 2;
  }

  async #recover(): Promise<void> {
    this.#clock = new SimulatedClock(this.#clock.now() + 1);
    const disk = this.#disk.mount();
    this.#letters = new DeadLetters("dead", disk.deadLetterFs);
    this.#journal = new LogJournal({ disk, deadLetters: this.#letters, clock: this.#clock, limits: tinyLimits, salt: () => 77 });
    const journal = this.#journal;
    await journal.recover();
    const leases = await journal.claim("orders", 10_000);
    this.#world.checkPending(leases);
    const letters = [];
    for await (const letter of this.#letters.list()) {
      letters.push(letter);
      if (letter.kind === "send") this.#world.buriedSends.add(new TextDecoder().decode((await this.#letters.read(letter.id))?.body));
    }
    for (const key of stateKeys) this.#world.checkState(key, await journal.readState("orders", key));
    this.#world.checkLetters(letters);
    this.#checkDedup(leases);
    for (const old of this.#world.oldLeases.splice(0)) {
      const late = await journal.complete(old, { nowMs: 1, sends: [], state: undefined, reply: undefined });
      check(late.status === "stale", `a lease of a life before was ${late.status}`);
    }
    this.#held = [...leases];
  }

  #checkDedup(leases: readonly Lease[]): void {
    const pending = new Map(leases.map((lease) => [lease.message.id, lease]));
    for (const told of this.#world.messages) {
      if (told.dedupId === undefined || told.maybe.length > 0) continue;
      const again = this.#journal.adopt({ ...this.#message(told), id: "again" });
      const lease = pending.get(`m${told.n}`);
      const expected = lease !== undefined ? "running" : told.end?.kind === "complete" ? "duplicate" : "leased";
      check(again.status === expected, `the id of message ${told.n} is ${again.status}, expected ${expected}`);
      if (again.status === "running") check(again.sequence === lease?.sequence, `the id of message ${told.n} is claimed by another one`);
      if (again.status === "leased") this.#journal.release(again.lease);
    }
  }

  async #pause(): Promise<void> {
    const { life } = this.#world;
    await new Promise((resolve) => setImmediate(resolve));
    if (life !== this.#world.life) await forever;
  }

  /** The answer of a call, or "refused"; never returns once the life is over. */
  async #answer<T>(call: Promise<T>): Promise<T | "refused"> {
    const { life } = this.#world;
    try {
      const answer = await call;
      return life === this.#world.life ? answer : await forever;
    } catch (error) {
      if (life !== this.#world.life) return forever;
      const code = (error as { code?: string }).code ?? "";
      if (!["MF_JOURNAL_FULL", "MF_JOURNAL_IO", "MF_DEAD_LETTER_WRITE"].includes(code)) throw error;
      check(this.#faulty, `a call was refused on a disk without faults: ${String(error)}`);
      return "refused";
    }
  }

  async #step(): Promise<void> {
    const choice = this.#random.below(10);
    if (choice < 4) await this.#accept();
    else if (choice < 6) await this.#work();
    else if (choice < 9) await this.#deliver();
    else if (this.#random.below(3) === 0) await this.#answer(this.#journal.compact());
    else if (this.#faulty) this.#fault();
    for (let pauses = this.#random.below(4); pauses > 0; pauses--) await this.#pause();
  }

  #message(told: Told): NewMessage {
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

  #filling(): string {
    return "x".repeat([3, 3, 60, 200, 900][this.#random.below(5)] ?? 3);
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
      maybeRetried: false,
    };
    messages.push(told);
    const accepted = await this.#answer(this.#journal.accept(this.#message(told)));
    if (accepted === "refused") {
      told.refusedAt = this.#world.acknowledged;
      return;
    }
    check(accepted.status === "leased", `a new message is ${accepted.status}`);
    this.#world.saw(accepted.lease);
    this.#world.acknowledged += 1;
    told.accepted = "yes";
    if (told.dedupId !== undefined && this.#random.below(3) === 0) {
      const again = await this.#answer(this.#journal.accept(this.#message(told)));
      check(again === "refused" || again.status === "running", "a message that is worked on is accepted again");
    }
    await this.#handle(accepted.lease, told);
  }

  /** Works on a message that was claimed after a crash or given back. */
  async #work(): Promise<void> {
    const lease = this.#held.shift();
    if (lease !== undefined) return this.#handle(lease, this.#world.saw(lease));
    const claimed = await this.#answer(this.#journal.claim("orders", 2));
    if (claimed !== "refused") this.#held.push(...claimed);
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
    for (let tries = 0; tries < 4; tries++) {
      const end: End = { kind: "complete", run, sends, stateKey };
      const version = stateKey === undefined ? 0 : await this.#answer(this.#journal.readState("orders", stateKey));
      if (version === "refused") return;
      told.maybe.push(end);
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
              : { key: stateKey, version: version.version, changes: [{ name: `m${told.n}`, valueJson: JSON.stringify(run) }] },
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
    this.#world.acknowledged += 1;
    const late = await this.#answer(this.#journal.complete(lease, { nowMs: 1, sends: [], state: undefined, reply: undefined }));
    check(late === "refused" || late.status === "stale", "a late result of the attempt before was taken");
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
    const entries = await this.#answer(this.#journal.claimOutbox("orders", outlet, 1 + this.#random.below(4), this.#clock.now()));
    if (entries === "refused") return;
    for (const entry of entries) {
      await this.#pause();
      const choice = this.#random.below(8);
      if (choice === 0) {
        this.#journal.releaseOutbox(entry);
        continue;
      }
      const send = new TextDecoder().decode(entry.body);
      if (choice === 1) {
        const buried = await this.#answer(this.#journal.buryOutbox(entry, this.#record(entry.attempt)));
        if (buried === "refused") continue; // it stays claimed: the gateway repeats the call
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

  /** With nothing in the way any more, every outbox empties. */
  async #drain(): Promise<void> {
    for (const outlet of outlets) {
      for (let round = 0; this.#journal.outboxDepth("orders", outlet) > 0; round++) {
        if (round > 1_000) throw new Violation(`outbox ${outlet} does not empty`);
        this.#clock.advance(1_000);
        for (const entry of await this.#journal.claimOutbox("orders", outlet, 100, this.#clock.now())) {
          this.#world.receive(entry);
          await this.#journal.settleOutbox(entry);
        }
      }
    }
    this.#world.checkReceived();
  }
}
