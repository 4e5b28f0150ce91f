/**
 * Use by tenants, and whether they may go on: requests in a time, messages under way, CPU time a day. Served functions are asked for their
 * figures about every second. These are written to disk now and then: a crash forgets the last ten seconds.
 */
import type { Clock } from "#base";
import type { KeptBytes } from "../journal/journal.ts";
import type { Problem } from "../contract/http/problem.ts";
import type { Quota } from "../contract/units.ts";
import { functionLimits } from "./limits.ts";
import type { FunctionFigures, ServedFunction } from "./ports.ts";
import type { RecordLog } from "./record-log.ts";
import type { Tenant } from "./tenants.ts";

/** Figures of one day (UTC). */
export interface Usage extends FunctionFigures {
  /** `2026-11-30` */
  readonly day: string;
  /** Bytes recorded in history. */
  readonly history?: number;
}

interface Counted {
  usage: Usage;
  pending: number;
  changed: boolean;
}

const none: FunctionFigures = { received: 0, done: 0, dead: 0, cpuMs: 0 };

function sum(a: FunctionFigures, b: FunctionFigures, sign: 1 | -1 = 1): FunctionFigures {
  return {
    received: a.received + sign * b.received,
    done: a.done + sign * b.done,
    dead: a.dead + sign * b.dead,
    cpuMs: a.cpuMs + sign * b.cpuMs,
  };
}

/** So many in a time; as many may come at once (GCRA). */
export class Rate {
  /** By name: when its bucket is full again, by the monotonic clock. */
  readonly #full = new Map<string, number>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds until one more is allowed; 0: it is counted. */
  take(name: string, { count, windowMs }: Quota): number {
    const nowMs = this.#clock.monotonicMs();
    const fullAtMs = Math.max(this.#full.get(name) ?? 0, nowMs) + windowMs / count;
    const waitMs = fullAtMs - nowMs - windowMs;
    if (waitMs > windowMs * 1e-9) return waitMs;
    this.#full.set(name, fullAtMs);
    return 0;
  }
}

export interface QuotaPorts {
  readonly clock: Clock;
  readonly records: RecordLog;
  /** Served functions of all tenants. */
  readonly served: () => Iterable<{ readonly tenant: string; readonly served: ServedFunction }>;
  readonly keptBy: (tenant: string) => KeptBytes;
}

export class Quotas {
  readonly #ports: QuotaPorts;
  readonly #tenants = new Map<string, Counted>();
  /** Figures of each served function that are counted. */
  readonly #seen = new WeakMap<ServedFunction, FunctionFigures>();
  readonly #requests: Rate;
  readonly #deploys: Rate;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #keptMs: number;

  constructor(ports: QuotaPorts) {
    this.#ports = ports;
    this.#requests = new Rate(ports.clock);
    this.#deploys = new Rate(ports.clock);
    this.#keptMs = ports.clock.monotonicMs();
  }

  /** Why a request to a function of the tenant is refused; undefined: it is counted. */
  request(tenant: Tenant): Problem | undefined {
    const { name, requests, queue, cpuMs } = tenant;
    const waitMs = requests === undefined ? 0 : this.#requests.take(name, requests);
    if (waitMs > 0) return this.#refusal("MF_TENANT_RATE", 429, "its tenant had as many requests as it may: wait, or ask for more", waitMs);
    const full = this.isFull(tenant);
    if (full !== undefined) return this.#refusal("MF_TENANT_FULL", 507, full, functionLimits.fullRetryMs);
    if (queue === Number.POSITIVE_INFINITY && cpuMs === undefined) return undefined;
    this.look();
    const counted = this.#counted(name);
    if (counted.pending >= queue)
      return this.#refusal("MF_TENANT_BUSY", 503, "its tenant has as many messages under way as it may", functionLimits.startAgainMs);
    if (cpuMs !== undefined && counted.usage.cpuMs >= cpuMs)
      return this.#refusal("MF_TENANT_CPU", 429, "its tenant has used the CPU time of this day", untilTomorrowMs(this.#ports.clock.now()));
    return undefined;
  }

  /** Why no message of the tenant is taken; undefined: it may keep more. */
  isFull({ name, keeps }: Tenant): string | undefined {
    if (name === "") return undefined;
    const { messages, deadLetters } = this.#ports.keptBy(name);
    if (messages >= keeps.messages)
      return `its tenant's messages, sends and sleepers that wait take ${messages} bytes, and may take ${keeps.messages}: see to what they wait for, or raise \`messages\` of the tenant`;
    if (deadLetters >= keeps.deadLetters)
      return `its tenant's dead letters take ${deadLetters} bytes, and may take ${keeps.deadLetters}: retry or drop some, or raise \`deadLetters\` of the tenant`;
    return undefined;
  }

  /** True while history may have more of the tenant this day. */
  mayRecord({ name, keeps }: Tenant): boolean {
    return keeps.history === Number.POSITIVE_INFINITY || (this.#counted(name).usage.history ?? 0) < keeps.history;
  }

  recorded(tenant: string, bytes: number): void {
    const counted = this.#counted(tenant);
    counted.usage = { ...counted.usage, history: (counted.usage.history ?? 0) + bytes };
    counted.changed = true;
  }

  /** True where the tenant has used the CPU time of this day. */
  isSpent({ name, cpuMs }: Tenant): boolean {
    return cpuMs !== undefined && this.#counted(name).usage.cpuMs >= cpuMs;
  }

  /** Milliseconds until the tenant may deploy again; 0: it is counted. */
  deploy({ name, deploys }: Tenant): number {
    return this.#deploys.take(name, deploys);
  }

  /** As of now. */
  usage(tenant: string): Usage {
    this.#look();
    return this.#counted(tenant).usage;
  }

  /** Takes new figures, unless the last ones are young. */
  look(): void {
    if (this.#ports.clock.monotonicMs() - this.#lookedMs >= functionLimits.usageMs) this.#look();
  }

  #look(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    this.#lookedMs = nowMs;
    for (const counted of this.#tenants.values()) counted.pending = 0;
    for (const { tenant, served } of this.#ports.served()) this.count(tenant, served);
    if (nowMs - this.#keptMs < functionLimits.usageKeptMs) return;
    this.#keptMs = nowMs;
    void this.keep();
  }

  /** Counts what a function did since it was counted last; also before it leaves memory. */
  count(tenant: string, served: ServedFunction): void {
    const counted = this.#counted(tenant);
    counted.pending += served.pending;
    const now = served.figures;
    const more = sum(now, this.#seen.get(served) ?? none, -1);
    this.#seen.set(served, now);
    if (more.received === 0 && more.done === 0 && more.dead === 0 && more.cpuMs === 0) return;
    counted.usage = { ...counted.usage, ...sum(counted.usage, more) };
    counted.changed = true;
  }

  /** Writes figures that have changed. Never rejects: a disk that refuses is asked again later. */
  async keep(): Promise<void> {
    const changed = [...this.#tenants].filter(([, counted]) => counted.changed);
    if (changed.length === 0) return;
    for (const [, counted] of changed) counted.changed = false;
    const changes = changed.map(([tenant, { usage }]) => [`u ${tenant}`, JSON.stringify(usage)] as const);
    await this.#ports.records.write(changes, "usage").catch(() => {
      for (const [, counted] of changed) counted.changed = true;
    });
  }

  #counted(tenant: string): Counted {
    const day = new Date(this.#ports.clock.now()).toISOString().slice(0, 10);
    let counted = this.#tenants.get(tenant);
    if (counted === undefined) {
      const kept = this.#ports.records.get(`u ${tenant}`);
      const usage = kept === undefined ? { day, ...none } : (JSON.parse(kept) as Usage);
      this.#tenants.set(tenant, (counted = { usage, pending: 0, changed: false }));
    }
    if (counted.usage.day !== day) counted.usage = { day, ...none };
    return counted;
  }

  #refusal(code: string, status: number, detail: string, waitMs: number): Problem {
    const seconds = Math.max(Math.ceil(waitMs / 1000), 1);
    return { status, code, detail: `the function was not called: ${detail}`, headers: { "retry-after": String(seconds) } };
  }
}

function untilTomorrowMs(nowMs: number): number {
  const dayMs = 24 * 3_600_000;
  return dayMs - (nowMs % dayMs);
}
