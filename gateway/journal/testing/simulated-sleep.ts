/**
 * Sleepers and signals of a schedule: messages that fall asleep, are woken, sleep on, end, are buried and put back, and what a crash leaves
 * of that. A message has at most one call whose outcome is open; after a crash exactly that call has happened, or has not.
 */
import { fromUtf8, type Prng, toUtf8 } from "#base";
import type { Sleeper } from "../../contract/sleep.ts";
import { retryLetters } from "../dead-letter-operations.ts";
import type { DeadLetter, DeadLetters } from "../dead-letters.ts";
import type { AttemptRecord, Completion, KeptSignal, Lease, NewSignal, Sequence } from "../journal.ts";
import type { LogJournal } from "../log/log-journal.ts";
import { keptFor } from "./kept-signals.ts";
import type { SimulatedClock } from "./simulated-clock.ts";
import { check } from "./simulated-world.ts";

export const sleepFlow = "dreams";
const outlet = "z";
const keys: readonly string[] = ["k0", "k1", "k2"];

/** A change of a message whose answer is open, or that has happened. */
interface Step {
  readonly kind: "sleep" | "done" | "drop" | "bury" | "retry";
  readonly run: string;
  readonly consumed: readonly number[];
}

interface Dream {
  readonly n: number;
  state: "none" | "asleep" | "gone" | "buried";
  run: string;
  transactions: number;
  maybe: Step | undefined;
  /** It was put back: its letter may be there again after a power loss, as no removal is synced. It is not buried a second time. */
  wasPutBack: boolean;
  /** Its letter is there although it was put back. */
  letterLeft: boolean;
  letterSignals: readonly number[];
}

interface Told {
  readonly n: number;
  readonly key: string;
  readonly body: string;
  kept: "maybe" | "yes" | "no";
  gone: boolean;
  /** Number of the message that took it last: it may be put back, and taken by another before that is answered. */
  goneBy: number | undefined;
  /** It was buried for itself. */
  letter: boolean;
  maybeBuried: boolean;
}

export interface SleepCounts {
  sleeps: number;
  wakes: number;
  consumed: number;
  asleepLetters: number;
  putBack: number;
}

/** The truth about sleepers; it survives crashes. */
export class SleepWorld {
  readonly dreams: Dream[] = [];
  readonly signals: Told[] = [];
  readonly sent = new Set<string>();
  readonly received = new Set<string>();
  /** Dreams and signals that a call is under way for, or that were left for the next life. */
  busy = new Set<Dream>();
  taken = new Set<number>();

  apply(dream: Dream, step: Step): void {
    dream.maybe = undefined;
    if (step.kind === "sleep" || step.kind === "done") this.sent.add(`z:${dream.n}:${step.run}`);
    if (step.kind === "retry") {
      for (const n of dream.letterSignals) if (this.#signal(n).goneBy === dream.n) this.#signal(n).gone = false;
      dream.state = "asleep";
      dream.wasPutBack = true;
      return;
    }
    for (const n of step.consumed) Object.assign(this.#signal(n), { gone: true, goneBy: dream.n });
    dream.state = step.kind === "sleep" ? "asleep" : step.kind === "bury" ? "buried" : "gone";
    if (step.kind === "bury") dream.letterSignals = step.consumed;
    if (step.kind !== "sleep") return;
    dream.run = step.run;
    dream.transactions += 1;
  }

  #signal(n: number): Told {
    const told = this.signals[n];
    check(told !== undefined, `signal ${n} was never sent`);
    return told;
  }

  /** Holds a journal that was just recovered against all of this. */
  async checkRecovered(journal: LogJournal, letters: readonly DeadLetter[]): Promise<void> {
    this.busy = new Set();
    this.taken = new Set();
    const asleep = new Map<string, Lease>();
    for (const info of await journal.listSleepers(sleepFlow, undefined, 10_000)) {
      const lease = await journal.readSleeper(info.sequence);
      check(lease?.sleeper !== undefined && !info.awake, `sleeper ${info.id} is listed and not there, or awake after a start`);
      check(!asleep.has(info.id), `message ${info.id} sleeps twice`);
      check((await journal.findSleeper(info.id)) === info.sequence, `sleeper ${info.id} is not found by its id`);
      asleep.set(info.id, lease);
    }
    check(journal.sleeperCount(sleepFlow).sleepers === asleep.size, "the count of sleepers is wrong");
    const due = journal.dueSleepers(sleepFlow, Number.MAX_SAFE_INTEGER, 10_000);
    check(due.length === asleep.size, `${asleep.size} are asleep after a start, and ${due.length} of them would ever be woken`);
    for (const dream of this.dreams) this.#resolve(dream, asleep.get(`z${dream.n}`), lettersOf(letters, `z${dream.n}`));
    check(asleep.size === this.dreams.filter(({ state }) => state === "asleep").length, "somebody sleeps who never fell asleep");
    await this.#checkSignals(journal, letters);
    for (const send of this.received) check(this.sent.has(send), `${send} was received and its transaction did not happen`);
  }

  #resolve(dream: Dream, lease: Lease | undefined, letters: number): void {
    const what = `sleeper z${dream.n} (${dream.state}, maybe ${dream.maybe?.kind})`;
    const { maybe } = dream;
    if (lease?.sleeper !== undefined) {
      const [n, run, transactions] = fromUtf8(lease.sleeper.recording).split(":");
      check(n === String(dream.n) && fromUtf8(lease.message.body).startsWith(`${n}:`), `${what} is another one`);
      if (maybe?.kind === "sleep" && run === maybe.run) this.apply(dream, maybe);
      else if (maybe?.kind === "retry" && dream.state === "buried") this.apply(dream, maybe);
      check(dream.state === "asleep" && run === dream.run, `${what} sleeps after ${run}, not ${dream.run}`);
      check(Number(transactions) === dream.transactions && lease.sleeper.transactions === dream.transactions, `${what} lost a transaction`);
      // A burial that was begun goes on at the start: without a letter it was not, and never will be.
      check(dream.maybe?.kind !== "bury" || letters === 0, `${what} has a letter and sleeps on`);
      dream.maybe = undefined;
    } else {
      if (dream.state === "asleep") {
        check(maybe !== undefined && maybe.kind !== "sleep" && maybe.kind !== "retry", `${what} is missing`);
        this.apply(dream, maybe);
      } else if (maybe?.kind !== "retry" || letters > 0) dream.maybe = undefined;
      else check(false, `${what} has neither its letter nor its sleep`);
    }
    dream.letterLeft = dream.wasPutBack && letters > 0;
    const least = dream.state === "buried" ? 1 : 0;
    const most = dream.state === "buried" || dream.letterLeft ? 1 : 0;
    check(letters >= least && letters <= most, `${what} has ${letters} letters, is ${dream.state} now`);
  }

  async #checkSignals(journal: LogJournal, letters: readonly DeadLetter[]): Promise<void> {
    const kept = new Map<string, KeptSignal>();
    for (const key of keys)
      for (const signal of await keptFor(journal, sleepFlow, "wish", key)) {
        check(!kept.has(signal.id), `signal ${signal.id} is kept twice`);
        kept.set(signal.id, signal);
      }
    check(journal.sleeperCount(sleepFlow).signals === kept.size, "the count of signals is wrong");
    for (const told of this.signals) {
      const signal = kept.get(`g${told.n}`);
      const what = `signal g${told.n} (kept ${told.kept}, gone ${told.gone})`;
      if (signal !== undefined) {
        if (told.kept === "maybe") told.kept = "yes";
        check(told.kept === "yes" && !told.gone, `${what} is there`);
        check(fromUtf8(signal.body) === told.body, `${what} has other bytes`);
      } else {
        if (told.kept === "maybe") told.kept = "no";
        if (told.kept === "yes" && !told.gone && told.maybeBuried) told.gone = told.letter = true;
        check(told.kept === "no" || told.gone, `${what} is missing`);
      }
      const found = lettersOf(letters, `g${told.n}`);
      check(found === (told.letter ? 1 : 0) || (told.maybeBuried && found <= 1), `${what} has ${found} letters`);
      if (signal === undefined) told.maybeBuried = false;
      const { dedup, ...rest } = signalOf(told);
      const again = told.kept === "no" ? undefined : await journal.keepSignal({ ...rest, id: "again", dedup });
      check(again === undefined || again.status === "duplicate", `${what} is kept again`);
    }
  }

  checkDrained(): void {
    for (const send of this.sent) check(this.received.has(send), `${send} was committed and never sent`);
  }
}

function lettersOf(letters: readonly DeadLetter[], id: string): number {
  return letters.filter(({ messageId }) => messageId === id).length;
}

function signalOf({ n, key, body }: Told): NewSignal {
  const dedup = { id: `g${n}`, windowMs: 1e9, count: 10_000 };
  const names = { flow: sleepFlow, name: "wish", key, id: `g${n}`, source: "test" };
  return { ...names, headers: {}, contentType: "", body: toUtf8(body), receivedMs: 1_000, keptUntilMs: 1e9, dedup };
}

export interface SleepLifeOptions {
  readonly world: SleepWorld;
  readonly random: Prng;
  readonly clock: SimulatedClock;
  readonly journal: LogJournal;
  readonly letters: DeadLetters;
  readonly counts: SleepCounts;
  /** The answer of a call, or "refused"; never returns once the life is over. */
  readonly answer: <T>(call: Promise<T>) => Promise<T | "refused">;
  readonly pause: () => Promise<void>;
  readonly filling: () => string;
  readonly record: (attempt: number) => AttemptRecord;
}

/** A worker of one life. Several may share a world. */
export class SleepLife {
  readonly #o: SleepLifeOptions;

  constructor(options: SleepLifeOptions) {
    this.#o = options;
  }

  async step(): Promise<void> {
    const { random, world } = this.#o;
    const left = world.dreams.find((dream) => dream.letterLeft && !world.busy.has(dream));
    if (left !== undefined) return this.#retry(left);
    const choice = random.below(12);
    if (choice < 3) return this.#begin();
    if (choice < 5) return this.#signal();
    if (choice < 9) return this.#wake();
    if (choice === 9) return this.#burySignal();
    if (choice === 10) return this.deliver();
    const buried = world.dreams.find((dream) => dream.state === "buried" && dream.maybe === undefined && !world.busy.has(dream));
    if (buried !== undefined) await this.#retry(buried);
  }

  #sleeper(dream: Dream, run: string, transactions: number): Sleeper {
    const { random, clock, filling } = this.#o;
    const key = keys[random.below(keys.length)] ?? "k0";
    const dueMs = clock.now() + random.below(40);
    return {
      imageSha256: "ab".repeat(32),
      waits: random.below(4) === 0 ? [] : [{ wait: 1, name: "wish", key, dueMs, questionJson: undefined }],
      timers: [{ timer: 2, dueMs }],
      sinceMs: clock.now(),
      dueMs,
      transactions,
      recording: toUtf8(`${dream.n}:${run}:${transactions}:${filling()}`),
      pages: random.below(3) === 0 ? toUtf8(filling()) : undefined,
    };
  }

  #completion(dream: Dream, { kind, run, consumed }: Step, numbers: Completion["consumed"]): Completion {
    const body = toUtf8(`z:${dream.n}:${run}`);
    const { random, clock } = this.#o;
    const dated = random.below(3) === 0 ? { dueMs: clock.now() + 5 + random.below(20) } : {};
    this.#o.counts.consumed += consumed.length;
    return {
      nowMs: clock.now(),
      sends: [{ outlet, key: undefined, contentType: "", headers: {}, body, ...dated }],
      state: undefined,
      reply: undefined,
      sleeper: kind === "sleep" ? this.#sleeper(dream, run, dream.transactions + 1) : undefined,
      consumed: numbers,
    };
  }

  /** Makes a call that changes the dream. It stays busy where its outcome is open. */
  async #change(dream: Dream, step: Step, call: () => Promise<boolean>): Promise<boolean> {
    const { world, answer } = this.#o;
    dream.maybe = step;
    world.busy.add(dream);
    const done = await answer(call());
    if (done === "refused") return false;
    check(done, `${step.kind} of a held sleeper z${dream.n} is stale`);
    world.apply(dream, step);
    world.busy.delete(dream);
    return true;
  }

  async #begin(): Promise<void> {
    const { world, journal, random, filling } = this.#o;
    const n = world.dreams.length;
    const dream: Dream = {
      n,
      state: "none",
      run: "",
      transactions: 0,
      maybe: undefined,
      wasPutBack: false,
      letterLeft: false,
      letterSignals: [],
    };
    world.dreams.push(dream);
    const body = toUtf8(`${n}:${filling()}`);
    const head = { flow: sleepFlow, id: `z${n}`, source: "test", headers: {}, contentType: "", key: undefined, correlationId: undefined };
    const adopted = journal.adopt({ ...head, body, receivedMs: 1_000 + n, expiresMs: undefined, dedup: undefined });
    check(adopted.status === "leased", "a new message is adopted");
    const step: Step = { kind: "sleep", run: this.#run(), consumed: [] };
    const completion = this.#completion(dream, step, []);
    if (await this.#change(dream, step, async () => (await journal.complete(adopted.lease, completion)).status === "committed"))
      this.#o.counts.sleeps += 1;
    if (random.below(3) > 0) return;
    const late = await this.#o.answer(journal.complete(adopted.lease, completion));
    check(late === "refused" || late.status === "stale" || dream.maybe !== undefined, "a late result of before the sleep was taken");
  }

  #run(): string {
    return `r${this.#o.random.uint32().toString(36)}`;
  }

  async #signal(): Promise<void> {
    const { world, journal, random, filling, answer } = this.#o;
    const n = world.signals.length;
    const key = keys[random.below(keys.length)] ?? "k0";
    const told: Told = {
      n,
      key,
      body: `${n}:${filling()}`,
      kept: "maybe",
      gone: false,
      goneBy: undefined,
      letter: false,
      maybeBuried: false,
    };
    world.signals.push(told);
    const kept = await answer(journal.keepSignal(signalOf(told)));
    if (kept === "refused") return;
    check(kept.status === "kept", "a new signal is a duplicate");
    told.kept = "yes";
  }

  async #wake(): Promise<void> {
    const { world, journal, random, clock, answer, counts, pause } = this.#o;
    const sequence = this.#pick();
    if (sequence === undefined) return;
    const lease = await answer(journal.wake(sequence));
    if (lease === "refused" || lease === undefined) return;
    const dream = world.dreams[Number(lease.message.id.slice(1))];
    check(dream !== undefined && lease.sleeper !== undefined, "an unknown sleeper was woken");
    if (world.busy.has(dream) || dream.letterLeft) return journal.release(lease);
    check(dream.run === fromUtf8(lease.sleeper.recording).split(":")[1], `z${dream.n} woke up in another sleep`);
    world.busy.add(dream);
    counts.wakes += 1;
    check(!journal.dueSleepers(sleepFlow, clock.now() + 1e6, 10_000).includes(sequence), "who is awake is due");
    for (let pauses = random.below(3); pauses > 0; pauses--) await pause();
    const taken = await this.#take(lease);
    await this.#handle(dream, lease, taken);
    for (const n of taken)
      if (world.signals[Number(n.id.slice(1))]?.gone !== true && dream.maybe === undefined) world.taken.delete(n.number);
  }

  #pick(): Sequence | undefined {
    const { journal, random, clock } = this.#o;
    if (random.below(2) === 0) return journal.waiterFor(sleepFlow, "wish", keys[random.below(keys.length)] ?? "k0");
    const due = journal.dueSleepers(sleepFlow, clock.now() + random.below(60), 3);
    return due[random.below(Math.max(due.length, 1))];
  }

  async #take(lease: Lease): Promise<KeptSignal[]> {
    const { world, journal, answer } = this.#o;
    const found: KeptSignal[] = [];
    for (const { name, key } of lease.sleeper?.waits ?? []) {
      const signal = await answer(journal.firstSignal(sleepFlow, name, key, ({ number }) => !world.taken.has(number)));
      if (signal === "refused" || signal === undefined || world.taken.has(signal.number) || signal.id === "again") continue;
      world.taken.add(signal.number);
      found.push(signal);
    }
    return found;
  }

  async #handle(dream: Dream, lease: Lease, taken: readonly KeptSignal[]): Promise<void> {
    const { world, journal, random, answer, record, counts } = this.#o;
    const consumed = taken.map(({ id }) => Number(id.slice(1)));
    const numbers = taken.map(({ number }) => number);
    const leave = (held: Lease): void => {
      journal.release(held);
      world.busy.delete(dream);
    };
    const choice = random.below(10);
    if (choice < 6) {
      const step: Step = { kind: choice < 4 ? "sleep" : "done", run: this.#run(), consumed };
      const completion = this.#completion(dream, step, numbers);
      await this.#change(dream, step, async () => (await journal.complete(lease, completion)).status === "committed");
      return;
    }
    if (choice === 6) {
      const next = await answer(journal.retryLater(lease, record(lease.attempt), 5));
      if (next === "refused") return leave(lease);
      check(next !== undefined, "a lease that is held can be retried");
      const late = await answer(journal.drop(lease));
      check(late === false || late === "refused", "a late drop of a sleeper was taken");
      return leave(next);
    }
    if (choice === 7 && !dream.wasPutBack) {
      const step: Step = { kind: "bury", run: "", consumed };
      if (await this.#change(dream, step, async () => (await journal.bury(lease, record(lease.attempt), numbers)) !== undefined))
        counts.asleepLetters += 1;
      return;
    }
    if (choice === 8) return void (await this.#change(dream, { kind: "drop", run: "", consumed: [] }, () => journal.drop(lease)));
    leave(lease);
  }

  async #burySignal(): Promise<void> {
    const { world, journal, random, answer, record } = this.#o;
    const free = [...journal.keptSignals()].filter(({ flow, number }) => flow === sleepFlow && !world.taken.has(number));
    const one = free[random.below(Math.max(free.length, 1))];
    if (one === undefined || random.below(3) > 0) return;
    world.taken.add(one.number);
    const signal = await journal.firstSignal(sleepFlow, one.name, one.key, ({ number }) => number === one.number);
    const told = world.signals[Number(signal?.id.slice(1) ?? -1)];
    if (told === undefined) return;
    told.maybeBuried = true;
    const letter = await answer(journal.burySignal(one.number, record(1)));
    if (letter === "refused") return;
    check(letter !== undefined, "a kept signal can be buried");
    told.gone = told.letter = true;
    told.maybeBuried = false;
  }

  /** Puts a buried dream back to sleep, or removes a letter whose retry was cut. */
  async #retry(dream: Dream): Promise<void> {
    const { world, journal, letters, answer, clock, counts } = this.#o;
    world.busy.add(dream);
    const wasLeft = dream.letterLeft;
    const ids: string[] = [];
    for await (const letter of letters.list(sleepFlow)) if (letter.messageId === `z${dream.n}`) ids.push(letter.id);
    await this.#o.pause();
    if (!wasLeft) dream.maybe = { kind: "retry", run: "", consumed: [] };
    const report = await answer(retryLetters(journal, letters, { ids }, { nowMs: clock.now() }));
    if (report === "refused") return;
    const [failed] = report.failed;
    const isDisk = failed !== undefined && /^MF_JOURNAL_|^MF_DEAD_LETTER_READ/.test(failed.code);
    check(failed === undefined || isDisk, `z${dream.n} could not be put back: ${failed?.code} ${failed?.message}`);
    if (failed !== undefined) return; // busy until the next life: nobody knows how far it came
    check(report.repeated.length === 0 || wasLeft, `z${dream.n} was put back already`);
    if (!wasLeft && dream.maybe !== undefined) {
      world.apply(dream, dream.maybe);
      counts.putBack += 1;
    }
    dream.letterLeft = false;
    world.busy.delete(dream);
  }

  async deliver(): Promise<void> {
    const { world, journal, clock, answer } = this.#o;
    const entries = await answer(journal.leaseOutbox(sleepFlow, outlet, 5, clock.now()));
    if (entries === "refused") return;
    for (const entry of entries) {
      const send = fromUtf8(entry.body);
      const [, n, run] = send.split(":");
      check((entry.dueMs ?? 0) <= clock.now(), `${send} is sent before its date`);
      check(world.sent.has(send) || world.dreams[Number(n)]?.maybe?.run === run, `${send} is of a transaction that never happened`);
      world.received.add(send);
      await answer(journal.settleOutbox(entry));
    }
  }
}
