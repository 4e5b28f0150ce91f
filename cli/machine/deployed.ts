/** A flow as the mayfly.yaml of its project deploys it: limits, key, outlets, hosts and values that count for a run of it. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { CodedError } from "#base";
import { connectors } from "#connectors";
import { type FlowConfig, type FlowRules, flowRules, loadConfigWithout } from "#gateway";
import { projectFolder } from "#image";
import type { Stimulus } from "#replay";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The rules for the flow or image at `path`; undefined where no mayfly.yaml names it. Of several flows made of one file the first counts.
 * Values that need a variable the environment lacks are left out. Rejects with a ConfigError.
 */
export async function deployedRules(path: string, environment: Environment = process.env): Promise<DeployedRules | undefined> {
  const folder = projectFolder(path);
  const file = folder === undefined ? undefined : join(folder, "mayfly.yaml");
  if (file === undefined || !existsSync(file)) return undefined;
  const config = await loadConfigWithout(file, connectors, environment);
  const found = Object.entries(config.flows).find(([, flow]) => resolve(config.base, flow.flow ?? flow.image ?? "") === resolve(path));
  if (found === undefined) return undefined;
  const [name, flow] = found;
  return rulesIn(name, flow);
}

/** A flow's rules, and whether the caller of each of its messages waits for the reply: such a flow can't sleep. */
export interface DeployedRules extends FlowRules {
  readonly callerWaits: boolean;
}

function rulesIn(name: string, flow: FlowConfig): DeployedRules {
  const waits = ({ connector, config }: FlowConfig["from"][number]): boolean =>
    connector === "http" && (config as { readonly mode?: string } | undefined)?.mode !== "accept";
  return { ...flowRules(name, flow), callerWaits: flow.from.length > 0 && flow.from.every(waits) };
}

/** The stimulus as the gateway would make it. `state` asks for a key; throws MF_STATE_NO_KEY where the message would have none. */
export function asDeployed(stimulus: Stimulus, rules: DeployedRules | undefined): Stimulus {
  const { id, headers, body, state } = stimulus;
  const contentType = headers["content-type"];
  const key =
    rules === undefined
      ? (stimulus.key ?? (state === undefined ? undefined : "key"))
      : rules.keyOf({ id, key: stimulus.key, headers, body, contentType: typeof contentType === "string" ? contentType : "" });
  if (state !== undefined && key === undefined)
    throw new CodedError(
      "MF_STATE_NO_KEY",
      `state is set, but the message has no key under flows.${rules?.name ?? ""}.key in mayfly.yaml: set the flow's key, or add to the message the value that the key is read from`,
    );
  return { ...stimulus, key, headers: { ...rules?.values, ...headers }, callerWaits: rules?.callerWaits === true };
}

/** Throws MF_OUTLET_MISSING where the gateway would not start: the flow declares an outlet it is not given. */
export function checkOutlets(declared: readonly string[] | null, rules: FlowRules | undefined): void {
  const missing = rules === undefined ? undefined : declared?.find((name) => !rules.outlets.includes(name));
  if (missing === undefined || rules === undefined) return;
  throw new CodedError(
    "MF_OUTLET_MISSING",
    `the flow ${rules.name} uses the outlet "${missing}", which mayfly.yaml does not define: add flows.${rules.name}.to.${missing}`,
  );
}

export interface DeployedFlow {
  /** Undefined where the file does not name the flow, or is missing. */
  readonly rules: DeployedRules | undefined;
  /** The flow's source, absolute; undefined for one that is served from an image. */
  readonly source: string | undefined;
}

/** A flow by its name in the mayfly.yaml at `file`. Rejects with a ConfigError. */
export async function deployedFlow(file: string, name: string, environment: Environment): Promise<DeployedFlow> {
  if (!existsSync(file)) return { rules: undefined, source: undefined };
  const config = await loadConfigWithout(file, connectors, environment);
  const flow = config.flows[name];
  if (flow === undefined) return { rules: undefined, source: undefined };
  return { rules: rulesIn(name, flow), source: flow.flow === undefined ? undefined : resolve(config.base, flow.flow) };
}

/** The names of the flows made of the file at `path` in the mayfly.yaml at `file`. */
export async function flowsOf(file: string, path: string, environment: Environment): Promise<readonly string[]> {
  if (!existsSync(file)) return [];
  const config = await loadConfigWithout(file, connectors, environment);
  return Object.entries(config.flows).flatMap(([name, { flow }]) =>
    flow !== undefined && resolve(config.base, flow) === resolve(path) ? [name] : [],
  );
}
