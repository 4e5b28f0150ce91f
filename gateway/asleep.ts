/** The gateway's sleepers, as senders of signals and operators see them: contract/sleep-desk.ts over all flows. */
import { decodeRecording, type LogEffect, type Recording } from "#abi";
import { type Brand, type Clock, CodedError } from "#base";
import { gatewayLimits } from "./contract/limits.ts";
import { type IncomingSignal, type OpenWait, questionOf, type SignalOutcome } from "./contract/sleep.ts";
import type { ShownSleeper, ShownSleeperDetail, ShownWait, SleepDesk } from "./contract/sleep-desk.ts";
import type { FlowDelivery } from "./delivery/flow-delivery.ts";
import type { Journal, Lease, Sequence, SleeperInfo } from "./journal/journal.ts";
import { unknownFlow } from "./letter-retries.ts";

export interface AsleepPorts {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly flows: ReadonlyMap<string, { readonly delivery: FlowDelivery }>;
}

function shownWait({ wait, name, key, dueMs, questionJson }: OpenWait): ShownWait {
  return { wait, name, key, until: dueMs ?? null, question: questionOf(questionJson) };
}

/** `problem`: why it can't be woken. */
export function shownSleeper(info: SleeperInfo, problem: string | null): ShownSleeper {
  const { id, flow, key, imageSha256, receivedMs, sinceMs, dueMs, waits, timers, transactions, attempt, awake } = info;
  return {
    id,
    flow,
    key: key ?? null,
    image: imageSha256,
    receivedAt: receivedMs,
    since: sinceMs,
    until: dueMs,
    waits: waits.map(shownWait),
    sleeps: timers.map((timer) => timer.dueMs),
    transactions,
    state: problem !== null ? "stuck" : awake && attempt > 1 ? "retrying" : awake ? "awake" : "asleep",
    problem,
  };
}

/** Last log lines of a life so far. */
function lastLogs({ steps }: Recording): readonly LogEffect[] {
  const logs = steps.flatMap(({ effects }) => effects.filter((effect) => effect.kind === "log"));
  return logs.slice(-gatewayLimits.sleeperLogsShown);
}

export class Asleep implements SleepDesk {
  readonly #ports: AsleepPorts;

  constructor(ports: AsleepPorts) {
    this.#ports = ports;
  }

  async signal(signal: IncomingSignal): Promise<SignalOutcome> {
    const served = this.#ports.flows.get(signal.flow);
    if (served !== undefined) return served.delivery.sleepers.signal(signal);
    const { code, message } = unknownFlow(signal.flow, this.#ports.flows.keys());
    return { status: "refused", code, message, final: true, retryAfterMs: 0 };
  }

  async list({ flow, after, most }: Parameters<SleepDesk["list"]>[0]): ReturnType<SleepDesk["list"]> {
    const place = after === undefined ? undefined : Number(after);
    if (place !== undefined && !Number.isSafeInteger(place))
      throw new CodedError("MF_QUERY_INVALID", `after: ${JSON.stringify(after)} is not the \`next\` of a page before`);
    const found = await this.#ports.journal.listSleepers(flow, place as Sequence | undefined, most);
    const last = found.at(-1);
    return {
      sleepers: found.map((info) => this.#shown(info)),
      next: found.length < most || last === undefined ? undefined : String(last.sequence),
    };
  }

  #shown(info: SleeperInfo): ShownSleeper {
    return shownSleeper(info, this.#ports.flows.get(info.flow)?.delivery.sleepers.stuck.get(info.sequence) ?? null);
  }

  async show(id: string, flow?: string): Promise<ShownSleeperDetail> {
    const { journal } = this.#ports;
    const sequence = await this.#find(id, flow);
    const lease = await journal.readSleeper(sequence);
    const [info] = await journal.listSleepers(flow ?? lease?.message.flow, (sequence - 1) as Brand<number, "Sequence">, 1);
    if (lease?.sleeper === undefined || info?.sequence !== sequence) throw unknown(id);
    const { recording } = lease.sleeper;
    const life = decodeRecording(recording);
    return { ...this.#shown(info), source: lease.message.source, logs: life.ok ? lastLogs(life.value) : [], recording };
  }

  async wake(id: string, flow?: string): Promise<void> {
    const sequence = await this.#find(id, flow);
    const lease = await this.#ports.journal.readSleeper(sequence);
    if (lease?.sleeper === undefined) throw unknown(id);
    if (!(await this.#delivery(lease).sleepers.wake(sequence, lease.sleeper.dueMs))) throw this.#awake(id, sequence, lease);
  }

  async cancel(id: string, flow?: string): Promise<void> {
    const lease = await this.#lease(id, flow);
    await this.#delivery(lease).awake.cancel(lease);
  }

  async migrate(id: string, flow?: string): Promise<void> {
    const lease = await this.#lease(id, flow);
    await this.#delivery(lease).awake.migrate(lease);
  }

  byImage(): ReadonlyMap<string, number> {
    return this.#ports.journal.sleepersByImage();
  }

  async #find(id: string, flow: string | undefined): Promise<Sequence> {
    const sequence = await this.#ports.journal.findSleeper(id, flow);
    if (sequence === undefined) throw unknown(id);
    return sequence;
  }

  /** Leases it, so that nothing else wakes it meanwhile. */
  async #lease(id: string, flow: string | undefined): Promise<Lease> {
    const sequence = await this.#find(id, flow);
    const lease = await this.#ports.journal.wake(sequence);
    if (lease === undefined) throw this.#awake(id, sequence, undefined);
    const served = this.#ports.flows.get(lease.message.flow);
    served?.delivery.sleepers.unstuck(sequence);
    if (served !== undefined) return lease;
    this.#ports.journal.release(lease);
    throw unknownFlow(lease.message.flow, this.#ports.flows.keys());
  }

  #delivery({ message }: Lease): FlowDelivery {
    const served = this.#ports.flows.get(message.flow);
    if (served === undefined) throw unknownFlow(message.flow, this.#ports.flows.keys());
    return served.delivery;
  }

  #awake(id: string, sequence: Sequence, lease: Lease | undefined): CodedError {
    const problem = lease === undefined ? undefined : this.#delivery(lease).sleepers.stuck.get(sequence);
    if (problem !== undefined) return new CodedError("MF_SLEEPER_STUCK", `the message ${id} can't be woken: ${problem}`);
    return new CodedError("MF_SLEEPER_AWAKE", `the message ${id} is awake at the moment: try again when it has ended or sleeps again`);
  }
}

/** Rejects with MF_SLEEPER_IMAGE. */
export function noImage(sha256: string): Promise<never> {
  const text = `the image ${sha256.slice(0, 12)} is gone, and a machine sleeps in it: put it back among the images, or \`mayfly sleepers migrate\``;
  return Promise.reject(new CodedError("MF_SLEEPER_IMAGE", text));
}

function unknown(id: string): CodedError {
  return new CodedError("MF_SLEEPER_UNKNOWN", `no sleeping message has the id ${id}: list them with \`mayfly sleepers ls\``);
}
