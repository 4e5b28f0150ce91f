/** A flow's rules in mayfly.yaml, for runs without a gateway: `mayfly run` and flow tests. */
import type { FlowLimits } from "#abi";
import { gatewayLimits } from "./contract/limits.ts";
import type { Ceilings, FlowConfig } from "./contract/config.ts";
import { type HostPattern, parseHost } from "./contract/hosts.ts";
import { bounded, type Keyed, parseKey } from "./delivery/admission/keys.ts";

/** The flow's limits, or else its image's, but none above its ceiling; and the names of those that were. */
export function limitsOf(
  { limits, ceilings }: Pick<FlowConfig, "limits" | "ceilings">,
  own: FlowLimits,
): { readonly limits: FlowLimits; readonly capped: readonly (keyof Ceilings)[] } {
  const { memoryBytes: memory, cpuMs: cpu, timeMs: time, sends, logBytes: log } = own;
  const wanted: Ceilings = { memory, cpu, time, sends, log, ...limits };
  const capped = (Object.keys(ceilings) as (keyof Ceilings)[]).filter((name) => wanted[name] > ceilings[name]);
  const least = (name: keyof Ceilings): number => Math.min(wanted[name], ceilings[name]);
  return {
    limits: { memoryBytes: least("memory"), cpuMs: least("cpu"), timeMs: least("time"), sends: least("sends"), logBytes: least("log") },
    capped,
  };
}

/** A flow's rules in mayfly.yaml: `limits` merges in the limits of its image. */
export interface FlowRules {
  /** The flow's name in mayfly.yaml. */
  readonly name: string;
  readonly outlets: readonly string[];
  readonly hosts: readonly HostPattern[];
  readonly retriesProgramErrors: boolean;
  /** Longest time of one sleep, in milliseconds. */
  readonly sleepMostMs: number;
  /** How long a signal is kept that comes before its wait, in milliseconds. */
  readonly earlySignalMs: number;
  /** By the names of the headers that carry them into a machine. */
  readonly values: Readonly<Record<string, string>>;
  limits(own: FlowLimits): FlowLimits;
  /** The key of a message, whose own is the one its source gives. */
  keyOf(message: Keyed): string | undefined;
  /** Duration of one attempt at a request to the outlet, in milliseconds. */
  timeoutMs(outlet: string): number;
}

/** `config` is checked: its expressions and hosts can be read. */
export function flowRules(name: string, config: FlowConfig): FlowRules {
  const key = config.key === undefined ? undefined : parseKey(config.key);
  const hosts = config.hosts.flatMap((text) => {
    const host = parseHost(text);
    return host.ok ? [host.value] : [];
  });
  return {
    name,
    outlets: Object.keys(config.to),
    hosts,
    retriesProgramErrors: config.retry.programErrors,
    sleepMostMs: config.sleep.max,
    earlySignalMs: config.sleep.early,
    values: config.values,
    limits: (own) => limitsOf(config, own).limits,
    keyOf: (message) => (key?.ok === true ? key.value(message) : bounded(message.key)),
    timeoutMs: (outlet) => config.to[outlet]?.timeout ?? gatewayLimits.outletTimeoutMs,
  };
}
