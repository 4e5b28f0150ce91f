/** Tools for connector tests: a pretended gateway behind a source, contexts, configurations checked against their schema. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { prng, systemClock } from "#base";
import { schemaCompiler } from "../../gateway/config/validator.ts";
import type { ConnectorContext, ConnectorDescription } from "../../gateway/contract/connector.ts";
import { gatewayMemory } from "../../gateway/memory/budget.ts";
import type { Incoming, Outcome, Outgoing } from "../../gateway/contract/message.ts";
import type { Attempt, Outlet, OutletContext, OutletDefinition } from "../../gateway/contract/outlet.ts";
import type { Accept, Source, SourceContext, SourceDefinition } from "../../gateway/contract/source.ts";

/** Printed with every failure; `MAYFLY_SEED=n` repeats a run. */
export const seed = Number(process.env["MAYFLY_SEED"] ?? Date.now() % 1_000_000);
export const random = prng(seed);

/** Names that no other run uses. */
let names = 0;
export function uniqueName(what: string): string {
  return `mayfly-test-${process.pid}-${seed}-${++names}-${what}`;
}

export interface LogLine {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export interface TestContext extends SourceContext, OutletContext {
  readonly lines: LogLine[];
  readonly counts: Map<string, number>;
}

export function testContext(prefetch = 16, base = tmpdir()): TestContext {
  const lines: LogLine[] = [];
  const counts = new Map<string, number>();
  const at = (level: string) => (fields: object, text: string) =>
    void lines.push({ level, fields: fields as Record<string, unknown>, text });
  const context: ConnectorContext = {
    flow: "tested",
    name: "from[0]",
    base,
    logger: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") },
    clock: systemClock,
    random: prng(random.uint32()),
    memory: gatewayMemory(),
    metrics: { count: (event, amount = 1) => void counts.set(event, (counts.get(event) ?? 0) + amount) },
    unexpected: (error) => {
      throw error;
    },
  };
  const http = {
    add(): never {
      throw new Error("no HTTP here");
    },
    addressOf: () => undefined,
  };
  return {
    ...context,
    prefetch,
    http,
    deliverTo: () => undefined,
    signalTo: () => undefined,
    expression: () => () => undefined,
    lines,
    counts,
  };
}

/** The configuration as `create` gets it: checked against the connector's schema, defaults filled in, units parsed. */
export function configured<Config>(definition: ConnectorDescription, raw: object): Config {
  const config: unknown = structuredClone(raw);
  const compiler = schemaCompiler();
  const validate = compiler.compile(definition.schema);
  assert.ok(validate(config), `${definition.name}: ${compiler.errorsText(validate.errors)} in ${JSON.stringify(raw)}`);
  return config as Config;
}

/** A folder that is there while `run` is. */
export async function withFolder(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-test-"));
  try {
    await run(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Waits until `condition` holds. The bound is only there so that a broken connector fails instead of hanging. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>, limitMs = 12_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > end) assert.fail(`never happened: ${what} (MAYFLY_SEED=${seed})`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Long enough for what must not happen to happen here. */
export function aWhile(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 150));
}

export const done = (incoming: Incoming): Outcome => ({ status: "done", id: incoming.id ?? "made", reply: undefined });
/** Done, with a reply. */
export const answered = (incoming: Incoming, body: Uint8Array = Buffer.from("answer")): Outcome => ({
  status: "done",
  id: incoming.id ?? "made",
  reply: { status: 200, contentType: "text/plain", headers: {}, body },
});
export const refused = (retryAfterMs = 20): Outcome => ({
  status: "refused",
  id: undefined,
  code: "MF_BUSY",
  message: "busy",
  retryAfterMs,
});

/** The gateway as a source sees it. `answer` decides the outcome of each message; held ones wait for `release`. */
export class PretendedGateway {
  readonly received: Incoming[] = [];
  answer: (incoming: Incoming, count: number) => Outcome | Promise<Outcome> = done;
  atOnce = 0;
  mostAtOnce = 0;
  settled = 0;
  #held: (() => void)[] = [];

  readonly accept: Accept = async (incoming) => {
    this.received.push(incoming);
    const count = this.received.length;
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    const outcome = await this.answer(incoming, count);
    this.atOnce -= 1;
    this.settled += 1;
    return outcome;
  };

  /** An `answer` that waits for `release` (or the next `release` after it). */
  readonly hold = (incoming: Incoming): Promise<Outcome> => new Promise((resolve) => this.#held.push(() => resolve(done(incoming))));

  release(count = Infinity): void {
    for (const go of this.#held.splice(0, Math.min(count, this.#held.length))) go();
  }

  texts(): string[] {
    return this.received.map((incoming) => Buffer.from(incoming.body).toString("utf8"));
  }
}

/** Sources and outlets that tests have started and not stopped: those of a failed test would keep its file from ending. */
const leftovers = new Map<{ stop(): Promise<void> }, () => void>();

after(async () => {
  for (const [one, release] of leftovers) {
    release();
    await one.stop();
  }
});

function stopAtTheEnd(one: { stop(): Promise<void> }, release: () => void = () => {}): void {
  leftovers.set(one, release);
  const stop = one.stop.bind(one);
  one.stop = () => {
    leftovers.delete(one);
    return stop();
  };
}

export interface RunningSource {
  readonly source: Source;
  readonly gateway: PretendedGateway;
  readonly context: TestContext;
}

export async function startSource<C>(
  definition: SourceDefinition<C>,
  raw: object,
  prefetch = 16,
  gateway = new PretendedGateway(),
): Promise<RunningSource> {
  const context = testContext(prefetch);
  const source = definition.create(configured<C>(definition, raw), context);
  stopAtTheEnd(source, () => {
    gateway.answer = done;
    gateway.release();
  });
  await source.start(gateway.accept);
  return { source, gateway, context };
}

/** The source says so, is not ready, and goes on trying. */
export async function toldBy<C>(definition: SourceDefinition<C>, raw: object, code: string): Promise<void> {
  const { source } = await startSource(definition, raw);
  await eventually(`${code}, not: ${source.health().detail}`, () => source.health().detail.startsWith(code), 5_000);
  assert.equal(source.health().ready, false);
  await source.stop();
}

export interface RunningOutlet {
  readonly outlet: Outlet;
  readonly context: TestContext;
}

export async function startOutlet<C>(definition: OutletDefinition<C>, raw: object, base?: string): Promise<RunningOutlet> {
  const context = testContext(16, base);
  const outlet = definition.create(configured<C>(definition, raw), context);
  stopAtTheEnd(outlet);
  await outlet.start?.();
  return { outlet, context };
}

let sends = 0;
export function attemptOf(idempotencyKey = `${uniqueName("send")}-${++sends}`, limitMs = 10_000): Attempt {
  return { idempotencyKey, attempt: 1, signal: AbortSignal.timeout(limitMs) };
}

export function outgoing(body: string | Uint8Array, more: Partial<Outgoing> = {}): Outgoing {
  return {
    messageId: `m${++sends}`,
    flow: "sender",
    outlet: "out",
    key: undefined,
    contentType: "text/plain",
    headers: {},
    body: typeof body === "string" ? Buffer.from(body) : body,
    correlationId: undefined,
    timeMs: 1_750_000_000_000,
    ...more,
  };
}

/** Sends as the gateway does: the same idempotency key again until the peer has it. */
export async function sendSurely(outlet: Outlet, message: Outgoing, attempts = 200): Promise<void> {
  const { idempotencyKey } = attemptOf();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await outlet.send(message, { idempotencyKey, attempt, signal: AbortSignal.timeout(2_000) });
    } catch (error) {
      const retryable = (error as { readonly retryable?: boolean }).retryable ?? true;
      if (!retryable || attempt >= attempts) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
