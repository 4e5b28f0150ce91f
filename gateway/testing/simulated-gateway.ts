/**
 * The delivery core under a seed: time, the disk's moods, peers, flows and crashes are all drawn from one generator, and nothing
 * else decides anything. What must hold whatever happens is checked by `verify`.
 *
 * A crash here is the end of a process whose journal is durable: what was committed is there for the next process, what was leased
 * is pending again, what was adopted is with its sender again; and nothing of the old process is heard any more.
 */
import { prng, type Prng } from "#base";
import type { Effect } from "#abi";
import type { FlowConfig } from "../contract/config.ts";
import { gatewayLimits } from "../contract/limits.ts";
import type { Incoming, Outcome } from "../contract/message.ts";
import { type OutletDefinition, OutletError } from "../contract/outlet.ts";
import type { Persistence } from "../delivery/persistence.ts";
import { DeadLetters } from "../journal/dead-letters.ts";
import { MemoryJournal } from "../journal/memory.ts";
import type { ServedFlow } from "../served-flow.ts";
import { ManualClock } from "./manual-clock.ts";
import { broken, done, fail, request, type Script, send, utf8 } from "./scripted.ts";
import { beginProcess, simulatedFlow } from "./simulated-flow.ts";
import { memoryFs, type MoodyJournal, never, Process, settled } from "./simulated-process.ts";

interface Sender {
  readonly message: Incoming;
  readonly number: number;
  readonly key: string | undefined;
  outcome: Outcome | undefined;
  /** In the hands of this process. */
  held: Process | undefined;
  notBeforeMs: number;
  offeredStep: number;
}

interface Received {
  readonly idempotencyKey: string;
  readonly id: string;
  readonly index: number;
  readonly key: string | undefined;
}

export interface Report {
  readonly crashes: number;
  readonly done: number;
  readonly dead: number;
  readonly duplicates: number;
}

const yaml = `flows: { f: { image: f.mfi, key: "header:x-key", dedup: { window: 7d, count: 100000 }, concurrency: 4, queue: 12, retry: { attempts: 4, backoff: 50ms..500ms }, limits: { time: 5s }, to: { out: { peer: {}, concurrency: 3, retry: { attempts: 1000, backoff: 50ms..800ms }, timeout: 2s, breaker: { failures: 4, pause: 700ms } } } } }`;

const flowConfig = simulatedFlow(yaml);
const holdingConfig: FlowConfig = { ...flowConfig, onDead: "hold" };

export class SimulatedGateway {
  readonly #random: Prng;
  readonly #clock = new ManualClock(1_700_000_000_000);
  readonly #files = new Map<string, Uint8Array>();
  readonly #deadLetters = new DeadLetters("/dead", memoryFs(this.#files));
  readonly #store = new MemoryJournal(this.#deadLetters);
  readonly #senders: Sender[] = [];
  readonly #received: Received[] = [];
  #process = new Process();
  #journal: MoodyJournal | undefined;
  #served: ServedFlow | undefined;
  #persistence: Persistence | undefined;
  #crashes = 0;
  #steps = 0;
  #mostPending = 0;
  #mostRunning = 0;
  #peerDownUntilMs = 0;
  #calm = false;
  readonly #config: FlowConfig;
  readonly #overtaken: string[] = [];
  readonly #retried = new Set<string>();
  /** Ids of messages whose letter was dropped. */
  readonly #dropped = new Set<string>();

  /** `holds`: with `onDead: hold`, and an operator who retries most dead letters and drops others. */
  constructor(seed: number, messages: number, holds = false) {
    this.#random = prng(seed);
    this.#config = holds ? holdingConfig : flowConfig;
    this.#deadLetters.decideHolds(() => holds);
    for (let number = 0; number < messages; number += 1) {
      const key = this.#random.below(3) === 0 ? undefined : `k${this.#random.below(3)}`;
      // One key comes from one kind of source: else a crash changes the order at the senders.
      const keeper = (key === undefined ? this.#random.below(2) === 0 : key !== "k0") ? "journal" : "source";
      const headers: Record<string, string> = key === undefined ? {} : { "x-key": key };
      this.#senders.push({
        number,
        key,
        outcome: undefined,
        held: undefined,
        notBeforeMs: 0,
        offeredStep: -1,
        message: { id: `m${number}`, headers, contentType: "text/plain", body: utf8(String(number)), replyWanted: false, keeper },
      });
    }
  }

  async run(): Promise<Report> {
    await this.#begin();
    for (let step = 0; step < 400; step += 1) await this.#step(step);
    this.#calm = true;
    this.#peerDownUntilMs = 0;
    this.#journal?.calm();
    for (let step = 0; step < 2000 && !this.#isOver; step += 1) await this.#step(-1);
    return this.#verify();
  }

  get #isOver(): boolean {
    return (
      this.#senders.every((sender) => sender.outcome !== undefined) &&
      this.#served?.quiet === true &&
      this.#served.delivery.pending === 0 &&
      this.#served.delivery.holds.size === 0 &&
      this.#store.stats().outbox === 0
    );
  }

  async #step(step: number): Promise<void> {
    this.#steps += 1;
    const { pending, running } = this.#served?.delivery ?? { pending: 0, running: 0 };
    this.#mostPending = Math.max(this.#mostPending, pending);
    this.#mostRunning = Math.max(this.#mostRunning, running);
    if (step >= 0 && this.#random.below(60) === 0) await this.#crash();
    if (step >= 0 && this.#random.below(40) === 0) this.#peerDownUntilMs = this.#clock.now() + this.#random.below(6000);
    if (this.#config.onDead === "hold" && this.#random.below(12) === 0) await this.#operate();
    for (let offers = this.#random.below(4); offers > 0; offers -= 1) this.#offer();
    await settled();
    const nextMs = this.#clock.nextMs;
    const jumpMs = this.#random.below(100);
    this.#clock.advance(nextMs === undefined || this.#random.below(2) === 0 ? jumpMs : Math.max(nextMs - this.#clock.now(), 0));
    await settled();
  }

  /** Somebody looks at the dead letters. */
  async #operate(): Promise<void> {
    const { held } = this.#served ?? {};
    for await (const letter of this.#deadLetters.list()) {
      const found = await this.#deadLetters.read(letter.id);
      if (held === undefined || found === undefined || !held.takesUp(letter)) continue;
      if (!this.#calm && !this.#retried.has(letter.id) && this.#random.below(4) === 0) {
        this.#dropped.add(letter.messageId);
        await this.#deadLetters.remove(letter.id);
      } else {
        this.#retried.add(letter.id);
        held.retry(found, undefined).catch(() => undefined); // it may be under way already
      }
    }
  }

  /** A sender gives its message, in order per key: not before the one ahead of it has an outcome or is in the gateway's hands for certain. */
  #offer(): void {
    const nowMs = this.#clock.now();
    const blocked = new Set<string>();
    for (const sender of this.#senders) {
      if (sender.outcome !== undefined) continue;
      if (sender.key !== undefined && blocked.has(sender.key)) continue;
      if (sender.held === this.#process) {
        if (sender.key !== undefined && sender.offeredStep === this.#steps) blocked.add(sender.key); // it may be refused yet
        continue;
      }
      if (sender.key !== undefined) blocked.add(sender.key);
      if (sender.notBeforeMs > nowMs) continue;
      const { delivery } = this.#served ?? {};
      const process = this.#process;
      sender.held = process;
      sender.offeredStep = this.#steps;
      void delivery?.accept(sender.message, { source: "test", place: "test" }).then((outcome) => {
        if (!process.alive) return;
        if (outcome.status !== "refused") sender.outcome = outcome;
        else {
          sender.held = undefined;
          sender.notBeforeMs = this.#clock.now() + outcome.retryAfterMs;
        }
      });
      return;
    }
  }

  async #crash(): Promise<void> {
    this.#crashes += 1;
    this.#process.alive = false;
    this.#journal?.crash();
    await this.#begin();
  }

  async #begin(): Promise<void> {
    const begun = beginProcess({
      config: this.#config,
      script: this.#script(),
      peer: (process) => this.#makePeer(process),
      clock: this.#clock,
      random: this.#random,
      store: this.#store,
      letters: this.#deadLetters,
    });
    if (this.#calm) begun.journal.calm();
    this.#process = begun.process;
    this.#journal = begun.journal;
    this.#served = begun.served;
    this.#persistence = begun.persistence;
    void this.#served.start();
    await settled();
  }

  /** Behaviours of machines, good and bad; always two sends when they complete. */
  #script(): Script {
    return (event) => {
      if (event.kind === "cancel") return [fail("MF_CANCELLED")];
      if (event.kind !== "deliver") return this.#ending("");
      const id = event.id;
      const mood = this.#calm ? 9 : this.#random.below(12);
      if (mood === 0) return undefined; // hangs: its time limit ends it
      if (mood === 1) return broken("MF_CPU_LIMIT");
      if (mood === 2) return broken("MF_MONITOR_BUSY");
      if (mood === 3) return [fail("MF_FLOW_THREW")];
      const before = (JSON.parse(event.stateJson ?? "{}") as { n?: number }).n ?? 0;
      const state: Effect[] = event.key === undefined ? [] : [{ kind: "state", name: "n", valueJson: String(before + 1) }];
      const sends = [send("out", `${id}/0`, event.key), send("out", `${id}/1`, event.key), ...state];
      if (mood === 4) return [...sends, fail("MF_FLOW_THREW")];
      if (mood === 5) return [...sends, { kind: "timer", timer: 0, dueMs: event.timeMs + this.#random.below(300) }];
      if (mood === 6) return [...sends, request(0, "out")];
      return [...sends, ...this.#ending("ok")];
    };
  }

  #ending(body: string): Effect[] {
    return [done(body)];
  }

  #makePeer(process: Process): OutletDefinition["create"] {
    return () => ({
      send: (message, { idempotencyKey }) =>
        process.guard(async () => {
          const [id = "", index = ""] = Buffer.from(message.body).toString().split("/");
          const down = this.#clock.now() < this.#peerDownUntilMs;
          const mood = this.#calm ? 9 : this.#random.below(10);
          if (!down && mood !== 0) this.#checkHeld(id, message.key);
          if (!down && mood !== 0) this.#received.push({ idempotencyKey, id, index: Number(index), key: message.key });
          if (mood === 1) return never(); // took it, but the answer is lost
          if (down || mood === 0 || mood === 2)
            throw new OutletError("MF_PEER", "down", { retryable: true, retryAfterMs: this.#random.below(2) === 0 ? undefined : 300 });
        }),
      request: () =>
        process.guard(async () =>
          this.#random.below(3) === 0
            ? Promise.reject(new OutletError("MF_PEER", "down", { retryable: true }))
            : { status: 200, contentType: "", headers: {}, body: utf8("") },
        ),
      health: () => ({ ready: true, detail: "" }),
      stop: async () => undefined,
    });
  }

  /** Nothing of a key arrives that came after its dead letter, while that lies there. */
  #checkHeld(id: string, key: string | undefined): void {
    const { holds } = this.#served?.delivery ?? {};
    if (key === undefined || holds === undefined) return;
    for (const letter of holds.letters) {
      const dead = this.#senderOf(letter);
      if (dead !== undefined && dead.key === key && Number(id.slice(1)) > dead.number)
        this.#overtaken.push(`${id} overtook m${dead.number}`);
    }
  }

  #senderOf(letter: string): Sender | undefined {
    const file = this.#files.get(`/dead/${letter}.json`);
    if (file === undefined) return undefined;
    const { messageId } = JSON.parse(Buffer.from(file).toString()) as { readonly messageId: string };
    return this.#senders[Number(messageId.slice(1))];
  }

  async #verify(): Promise<Report> {
    const problems: string[] = [...this.#overtaken];
    const check = (holds: boolean, what: string): void => void (holds || problems.push(what));
    const dead = new Map<string, number>();
    for await (const letter of this.#deadLetters.list()) dead.set(letter.messageId, (dead.get(letter.messageId) ?? 0) + 1);
    for (const id of this.#dropped) dead.set(id, (dead.get(id) ?? 0) + 1);
    check(
      this.#isOver,
      `everything ends; open: ${this.#senders
        .filter((sender) => sender.outcome === undefined)
        .map((sender) => sender.message.id)
        .join(
          " ",
        )}, outbox ${this.#store.stats().outbox}, pending ${this.#served?.delivery.pending}, trouble ${this.#persistence?.troubled}`,
    );
    check(this.#store.stats().pending === 0 && this.#store.stats().pendingBytes === 0, "the journal is empty in the end");
    let duplicates = 0;
    for (const { message } of this.#senders) {
      const id = message.id ?? "";
      const got = this.#received.filter((each) => each.id === id);
      const wasDead = (dead.get(id) ?? 0) > 0;
      check((dead.get(id) ?? 0) <= 1, `${id} is dead once at most`);
      check(wasDead !== got.length > 0, `${id} is either dead or its sends arrived`);
      for (const index of [0, 1]) {
        const keys = new Set(got.filter((each) => each.index === index).map((each) => each.idempotencyKey));
        check(wasDead || keys.size === 1, `${id}/${index} arrived under one idempotency key, not ${keys.size}`);
        duplicates += Math.max(got.filter((each) => each.index === index).length - 1, 0);
      }
    }
    const retries = this.#config.onDead === "hold" ? gatewayLimits.heldRetries : 0;
    check(this.#mostPending <= flowConfig.queue + retries, `${this.#mostPending} were pending, the queue is ${flowConfig.queue}`);
    check(this.#mostRunning <= flowConfig.concurrency + retries, `${this.#mostRunning} ran at once, ${flowConfig.concurrency} may`);
    this.#checkOrder(check);
    await this.#checkState(check, dead);
    if (problems.length > 0) throw new Error(problems.slice(0, 5).join("\n"));
    return { crashes: this.#crashes, done: this.#senders.length - dead.size, dead: dead.size, duplicates };
  }

  /** Sends of one key arrive first in the order their messages were given. */
  #checkOrder(check: (holds: boolean, what: string) => void): void {
    const lastOf = new Map<string, number>();
    const seen = new Set<string>();
    for (const { id, index, key } of this.#received) {
      if (key === undefined || seen.has(`${id}/${index}`)) continue;
      seen.add(`${id}/${index}`);
      const position = Number(id.slice(1)) * 2 + index;
      check(position > (lastOf.get(key) ?? -1), `${id}/${index} came after a later one of key ${key}`);
      lastOf.set(key, position);
    }
  }

  /** The state counts every completed message of its key exactly once. */
  async #checkState(check: (holds: boolean, what: string) => void, dead: ReadonlyMap<string, number>): Promise<void> {
    for (const key of new Set(this.#senders.map((sender) => sender.key))) {
      if (key === undefined) continue;
      const { json } = await this.#store.readState("f", key);
      const counted = (JSON.parse(json ?? "{}") as { n?: number }).n ?? 0;
      const completed = this.#senders.filter((sender) => sender.key === key && !dead.has(sender.message.id ?? "")).length;
      check(counted === completed, `the state of ${key} counts ${counted}, but ${completed} were completed`);
    }
  }
}
