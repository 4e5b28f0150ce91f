/** The answer of /ready: what can't work now, put together from all parts. */
import type { Clock } from "#base";
import type { PartitionLoad } from "./contract/cluster.ts";
import { gatewayLimits } from "./contract/limits.ts";
import { type GatewayMemory, memoryBusy } from "./contract/memory.ts";
import type { Readiness } from "./contract/readiness.ts";
import type { Persistence } from "./delivery/persistence.ts";
import type { Journal } from "./journal/journal.ts";
import type { ServedFlow } from "./served-flow.ts";

export interface ReadinessParts {
  readonly state: string;
  readonly clock: Clock;
  readonly persistence: Pick<Persistence, "troubled" | "buryTrouble">;
  readonly journal: Pick<Journal, "trouble">;
  readonly memory: GatewayMemory;
  readonly history: { readonly trouble: unknown } | undefined;
  /** An error nobody expected, for a while. */
  readonly unexpected: object | undefined;
  readonly flows: readonly ServedFlow[];
  /** Tenants that may keep no more, each with the reason. */
  readonly fullTenants: readonly (readonly [tenant: string, reason: string])[];
  /** Of a node of a cluster: the partitions that it owns. */
  readonly loads: readonly PartitionLoad[] | undefined;
  /** Of the nodes' revisions. */
  readonly difference: string | undefined;
}

export function readinessOf(parts: ReadinessParts): Readiness {
  const { state, clock, persistence, journal, memory, history, unexpected, flows, fullTenants, loads, difference } = parts;
  const problems: object[] = state === "running" ? [] : [{ gateway: state }];
  const troubled = persistence.troubled ?? journal.trouble?.message;
  if (troubled !== undefined) problems.push({ journal: troubled });
  const { buryTrouble } = persistence;
  if (buryTrouble !== undefined) problems.push({ deadLetters: buryTrouble });
  if (unexpected !== undefined) problems.push(unexpected);
  const short = memoryTrouble(memory, clock);
  if (short !== undefined) problems.push({ memory: short });
  for (const served of flows) problems.push(...served.unready());
  const paused = flows.flatMap(({ name, switches }) => [
    ...(switches.state === "running" ? [] : [`flows.${name}`]),
    ...[...switches.outlets].map((outlet) => `flows.${name}.to.${outlet}`),
  ]);
  const trouble = history?.trouble;
  const full = fullTenants.map(([tenant, reason]) => ({ [`tenant ${tenant}`]: reason }));
  const remarks: object[] = [...(trouble === undefined ? [] : [{ history: trouble }]), ...full, ...flows.flatMap(stuckSleepers)];
  if (difference !== undefined) remarks.push({ code: "MF_CLUSTER_REVISION", cluster: difference });
  const partitions = loads?.map(({ partition }) => partition).sort((a, b) => a - b);
  return { ready: problems.length === 0, problems, remarks, paused, ...(partitions === undefined ? {} : { partitions }) };
}

/** They wait until what they need is back, and keep no other message waiting. */
function stuckSleepers({ name, delivery }: ServedFlow): object[] {
  const { stuck } = delivery.sleepers;
  if (stuck.size === 0) return [];
  const reasons = [...new Set(stuck.values())];
  const others = reasons.length > 1 ? `; and ${reasons.length - 1} other reasons` : "";
  return [{ flow: name, sleepers: `${stuck.size} can't be woken: ${reasons[0] ?? ""}${others}` }];
}

/** Said for a moment after a refusal: who asks now and then should see it. */
function memoryTrouble({ all }: GatewayMemory, clock: Clock): string | undefined {
  if (clock.monotonicMs() - all.refusals.lastMs > gatewayLimits.memoryTroubleMs) return undefined;
  const uses = all.parts.filter(({ takenBytes }) => takenBytes > 0).map(({ use, takenBytes }) => `${use} ${takenBytes}`);
  return `${memoryBusy}: ${all.takenBytes} of ${all.mostBytes} bytes are in use (${uses.join(", ")}): raise \`memory\`, or send less at once`;
}
