/**
 * The gateway as a node of a cluster: its flows take up what of a partition the journal has gained, let it rest before it moves, and let go
 * of it when it is lost.
 */
import { CodedError } from "#base";
import type { Cluster, ForwardedMessage, ForwardedOrigin, Partition, PartitionHost } from "./contract/cluster.ts";
import type { GatewayConfig } from "./contract/config.ts";
import type { Outcome } from "./contract/message.ts";
import type { IncomingSignal, SignalOutcome } from "./contract/sleep.ts";
import { gatewayLimits } from "./contract/limits.ts";
import { refusedWith } from "./delivery/admission/message.ts";
import { settles } from "./ending.ts";
import { Shares } from "./delivery/shares.ts";
import type { LocalWaiters } from "./delivery/sleep/exchange.ts";
import type { Journal } from "./journal/journal.ts";
import { PartitionedJournal } from "./journal/partitions/partitioned-journal.ts";
import type { LetterRetries } from "./letter-retries.ts";
import { answerOf, type LetterRetry, retryAsked } from "./letters-elsewhere.ts";
import type { ServedFlow, ServedFlowPorts } from "./served-flow.ts";

/** The node's share; undefined without a cluster. Throws MF_GATEWAY_STATE for a journal that has no partitions, and as `checkForCluster` does. */
export function sharesOf(
  { cluster, journal }: { readonly cluster?: Cluster | undefined; readonly journal: Journal },
  config: GatewayConfig,
): Shares | undefined {
  if (cluster === undefined) return undefined;
  checkForCluster(config);
  if (journal instanceof PartitionedJournal) return new Shares(cluster, journal);
  throw new CodedError("MF_GATEWAY_STATE", "a gateway of a cluster needs the journal of its partitions: open both with openCluster");
}

/** Throws MF_CLUSTER_UNSUPPORTED for what no node of a cluster can do yet: it would be wrong silently. */
export function checkForCluster({ flows, functions, approvals }: GatewayConfig): void {
  const refuse = (what: string, why: string): never => {
    throw new CodedError("MF_CLUSTER_UNSUPPORTED", `${what} can't be used with cluster: ${why}`);
  };
  if (functions !== undefined)
    refuse("functions", "the functions of one node would be unknown to the others; take functions or cluster out");
  if (approvals !== undefined && approvals.key === undefined)
    refuse("approvals without a key", "all nodes sign links alike; set approvals.key to a secret of 32 characters or more");
  for (const [name, { claimCheck }] of Object.entries(flows))
    if (claimCheck !== undefined)
      refuse(`flows.${name}.claimCheck`, "a body that one node stores is not there for the others; take it out");
}

export class Partitions implements PartitionHost {
  readonly #flows: ReadonlyMap<string, ServedFlow>;
  readonly #retries: LetterRetries;
  readonly #answers: readonly ((question: unknown) => Promise<unknown>)[];
  readonly #ports: Pick<ServedFlowPorts, "shares" | "clock" | "unexpected">;

  /** `flows` as of now: a reload changes them. `answers`: to other questions; undefined for one that is another's. */
  constructor(
    flows: ReadonlyMap<string, ServedFlow>,
    retries: LetterRetries,
    answers: readonly ((question: unknown) => Promise<unknown>)[],
    ports: Pick<ServedFlowPorts, "shares" | "clock" | "unexpected">,
  ) {
    this.#flows = flows;
    this.#retries = retries;
    this.#answers = answers;
    this.#ports = ports;
    if (ports.shares === undefined) return;
    ports.shares.exchange.onSettled = () => {
      for (const { delivery } of flows.values()) delivery.sleepers.look();
    };
  }

  async gained(partition: Partition): Promise<void> {
    const { unexpected } = this.#ports;
    const gain = (served: ServedFlow): Promise<void> =>
      served.gain(partition).catch((error: unknown) => unexpected(error, `flows.${served.name}, the take-over of partition ${partition}`));
    await Promise.all([...this.#flows.values()].map(gain));
    await this.#ports.shares?.exchange.settle();
  }

  async rest(partition: Partition, mostMs: number): Promise<void> {
    const { shares, clock, unexpected } = this.#ports;
    const untilMs = clock.monotonicMs() + mostMs;
    shares?.journal.rest(partition);
    const resting = [...this.#flows.values()].map((served) => served.rest(partition));
    const stopped = Promise.all(resting).catch((error: unknown) => unexpected(error, `partition ${partition} before it moves`));
    const isBusy = (): boolean => [...this.#flows.values()].some((served) => served.isBusyWith(partition));
    while (isBusy() && clock.monotonicMs() < untilMs) await this.#pause(gatewayLimits.restLookMs);
    await settles(clock, Math.max(untilMs - clock.monotonicMs(), 0), stopped);
  }

  lost(partition: Partition): void {
    for (const served of this.#flows.values()) served.lose(partition);
  }

  async message(flow: string, message: ForwardedMessage, origin: ForwardedOrigin): Promise<Outcome> {
    const served = this.#flows.get(flow);
    return served === undefined ? refusedWith("MF_PARTITION_AWAY", message.id) : served.delivery.acceptForwarded(message, origin);
  }

  async signal(signal: IncomingSignal): Promise<SignalOutcome> {
    const served = this.#flows.get(signal.flow);
    if (served !== undefined) return served.delivery.sleepers.keepHere(signal);
    const message = `this node has no flow ${signal.flow}: deploy the same configuration to all nodes`;
    return { status: "refused", code: "MF_PARTITION_AWAY", message, final: false, retryAfterMs: gatewayLimits.retryAfterMs };
  }

  async ask(question: unknown): Promise<unknown> {
    const retry = retryAsked(question);
    if (retry !== undefined) return await this.#retry(retry);
    try {
      for (const answerOf of this.#answers) {
        const answer = await answerOf(question);
        if (answer !== undefined) return answer;
      }
      const waitersOf = (flow: string): LocalWaiters | undefined => this.#flows.get(flow)?.delivery.sleepers;
      return await this.#ports.shares?.exchange.answer(question, waitersOf);
    } catch {
      return undefined; // who asked takes it for no answer
    }
  }

  /** Another node waits for the answer a while only: a retry that takes longer is accepted. */
  async #retry(retry: LetterRetry): Promise<unknown> {
    const answer = answerOf(this.#retries.retryHere(retry)).catch(() => undefined);
    const isSoon = await settles(this.#ports.clock, gatewayLimits.retryAwayMs, answer);
    return isSoon ? answer : { outcome: { status: "accepted", id: retry.id } };
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#ports.clock.after(ms, resolve));
  }
}
