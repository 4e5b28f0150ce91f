/** A message by the clock: a cron expression, or an interval. */
import { Cron } from "croner";
import { CodedError, toUtf8 } from "#base";
import { type Accept, duration, type Health, type Source, type SourceContext, type SourceDefinition } from "#gateway/contract";
import { cronLimits } from "./limits.ts";

export interface CronSourceConfig {
  readonly schedule: string | undefined;
  readonly timezone: string | undefined;
  readonly every: number | undefined;
  readonly atStart: boolean;
  readonly missed: "skip" | "once";
  readonly body: unknown;
  readonly contentType: string | undefined;
}

class CronSource implements Source {
  readonly #config: CronSourceConfig;
  readonly #context: SourceContext;
  readonly #cron: Cron | undefined;
  #accept: Accept | undefined;
  /** When the next run is due: by the wall clock with a schedule, by the monotonic one with an interval; 0 for never. */
  #nextMs = 0;
  #running: Promise<void> | undefined;
  #missed = false;
  #stopped = false;
  #cancelTimer: (() => void) | undefined;

  constructor(config: CronSourceConfig, context: SourceContext) {
    this.#config = config;
    this.#context = context;
    if ((config.schedule === undefined) === (config.every === undefined))
      throw new CodedError("MF_CRON_INVALID", `give either "schedule" or "every"`);
    if (config.schedule === undefined) return;
    try {
      this.#cron = new Cron(config.schedule, { paused: true, ...(config.timezone === undefined ? {} : { timezone: config.timezone }) });
      if (this.#cron.nextRun(new Date(context.clock.now())) === null)
        throw new Error(`schedule: "${config.schedule}" never matches a date`);
    } catch (cause) {
      throw new CodedError("MF_CRON_INVALID", `schedule: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  }

  async start(accept: Accept): Promise<void> {
    this.#accept = accept;
    const missedMs = await this.#missedMs();
    if (this.#stopped) return;
    if (this.#config.atStart) this.#run(this.#timeMs);
    else if (missedMs !== undefined) this.#run(missedMs);
    this.#plan(this.#timeMs);
  }

  /** The last run that was due while the gateway was down, with `missed: once`. Before the first start nothing was due. */
  async #missedMs(): Promise<number | undefined> {
    const { clock, recall } = this.#context;
    if (this.#config.missed !== "once" || recall === undefined) return undefined;
    const last = await recall.read(this.#name);
    if (last === undefined) {
      await this.#remember(clock.now());
      return undefined;
    }
    const lastMs = Date.parse(last);
    const { every } = this.#config;
    if (every !== undefined) return clock.now() - lastMs >= every ? this.#timeMs : undefined;
    const dueMs = this.#cron?.previousRuns(1, new Date(clock.now()))[0]?.getTime();
    return dueMs !== undefined && dueMs > lastMs ? dueMs : undefined;
  }

  /** Another schedule begins anew. */
  get #name(): string {
    const { schedule, timezone, every } = this.#config;
    return `cron ${schedule ?? every} ${timezone ?? ""}`;
  }

  async #remember(dueMs: number): Promise<void> {
    if (this.#config.missed === "once") await this.#context.recall?.write(this.#name, new Date(dueMs).toISOString());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#missed = false;
    this.#cancelTimer?.();
    await this.#running;
  }

  health(): Health {
    return { ready: true, detail: this.#nextMs === 0 ? "no further run is scheduled" : `next run at ${this.#dateOf(this.#nextMs)}` };
  }

  /** Now, by the clock this source goes by: a schedule names dates, an interval is a duration. */
  get #timeMs(): number {
    const { clock } = this.#context;
    return this.#cron === undefined ? clock.monotonicMs() : clock.now();
  }

  #dateOf(dueMs: number): string {
    const { clock } = this.#context;
    return new Date(this.#cron === undefined ? Math.round(clock.now() + dueMs - clock.monotonicMs()) : dueMs).toISOString();
  }

  /** The next run after now: after a long sleep not every missed run is made up for. Intervals are counted from the run before, so that they don't drift. */
  #plan(dueMs: number): void {
    if (this.#stopped) return;
    const nowMs = this.#timeMs;
    const { every } = this.#config;
    const next =
      every === undefined
        ? this.#cron?.nextRun(new Date(nowMs))?.getTime()
        : dueMs + every * Math.max(Math.ceil((nowMs - dueMs + 1) / every), 1);
    this.#nextMs = next ?? 0;
    if (next !== undefined) this.#wait();
  }

  #wait(): void {
    const { clock } = this.#context;
    const sinceMs = this.#timeMs;
    const sinceMonotonicMs = clock.monotonicMs();
    this.#cancelTimer = clock.after(Math.min(Math.max(this.#nextMs - sinceMs, 0), cronLimits.lookMs), () => {
      const nowMs = this.#timeMs;
      const setBack = nowMs - sinceMs < clock.monotonicMs() - sinceMonotonicMs - cronLimits.setBackMs;
      if (setBack) return this.#plan(nowMs);
      if (nowMs < this.#nextMs) return this.#wait();
      const dueMs = this.#nextMs;
      this.#run(dueMs);
      this.#plan(dueMs);
    });
  }

  #run(dueMs: number): void {
    if (this.#running !== undefined) {
      this.#context.metrics.count("overlap");
      if (this.#config.missed === "once") this.#missed = true;
      else this.#context.logger.warn({ due: this.#dateOf(dueMs) }, "the previous run is still in progress: this run is skipped");
      return;
    }
    this.#running = this.#deliver(dueMs).finally(() => {
      this.#running = undefined;
      if (!this.#missed || this.#stopped) return;
      this.#missed = false;
      this.#run(this.#timeMs);
    });
  }

  async #deliver(dueMs: number): Promise<void> {
    const due = this.#dateOf(dueMs);
    const { body, contentType } = this.#config;
    const text = body === undefined ? JSON.stringify({ scheduled: due }) : typeof body === "string" ? body : JSON.stringify(body);
    const type = contentType ?? (typeof body === "string" ? "text/plain" : "application/json");
    const outcome = await this.#accept?.({
      id: `${this.#context.flow}-${this.#context.name}-${due}`,
      headers: { "mayfly-scheduled-time": due },
      contentType: type,
      body: toUtf8(text),
      replyWanted: false,
      keeper: "source",
    });
    if (outcome?.status === "refused") this.#context.logger.warn({ due, code: outcome.code }, `this run was refused: ${outcome.message}`);
    else await this.#remember(Date.parse(due));
  }
}

export const cronSource: SourceDefinition<CronSourceConfig> = {
  isSingle: () => true,
  name: "cron",
  summary: "A message on a schedule: a cron expression or an interval.",
  description: `\`schedule\` is a cron expression of five fields, or six with seconds first; \`timezone\` is an IANA name, UTC by default. \`every\` is an interval, counted from the start.
Runs never overlap: a run that is due while the previous one is still in progress (including its retries) is skipped, or with \`missed: once\` runs as soon as the previous one has ended. With \`missed: once\` and a journal on disk, runs that were due
while the gateway was down are replaced by one run at its start, with the date of the last of them; so is a run that a stop or a crash interrupted. The first start of a schedule replaces nothing.
Otherwise the next run is the next scheduled one.

The body is \`{"scheduled": "…"}\` unless \`body\` says otherwise. Header: \`mayfly-scheduled-time\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    properties: {
      schedule: { type: "string", minLength: 1, description: "Cron expression.", examples: ["*/5 * * * *", "0 30 6 * * MON-FRI"] },
      timezone: { type: "string", minLength: 1, description: "IANA time zone of the schedule.", examples: ["Europe/Berlin"] },
      every: duration("Interval."),
      atStart: { type: "boolean", default: false, description: "Also run once at the start." },
      missed: {
        type: "string",
        enum: ["skip", "once"],
        default: "skip",
        description: "Handling of runs that were due during another run or while the gateway was down.",
      },
      body: { description: "Body of the message: a text, or any other value, written as JSON." },
      contentType: { type: "string", description: "Content type. Default: text/plain for a text, application/json otherwise." },
    },
  },
  example: 'cron: { schedule: "*/5 * * * *", timezone: Europe/Berlin }',
  create: (config, context) => new CronSource(config, context),
};
