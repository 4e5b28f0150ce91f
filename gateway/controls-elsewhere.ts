/** An operator's hands on all nodes of a cluster: what is turned at one is turned at each, and queues are shown together. */
import type { Cluster } from "./contract/cluster.ts";
import { controlLimits } from "./contract/limits.ts";
import type { GatewayMemory } from "./contract/memory.ts";
import type { FlowState } from "./delivery/flow-state.ts";
import type { Controlled } from "./http/control.ts";

/** The hands of one node that others ask for. */
export type Hands = Pick<Controlled, "turn" | "turnOutlet" | "queue" | "purge">;

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

/** Numbers of the same name added up, in members as well; of other members the first one's. */
function added(all: readonly Fields[]): Fields {
  const [first = {}] = all;
  return Object.fromEntries(
    Object.entries(first).map(([name, value]) => {
      const values = all.map((each) => each[name]);
      if (typeof value === "number") return [name, values.reduce<number>((sum, each) => sum + (typeof each === "number" ? each : 0), 0)];
      if (typeof value === "boolean") return [name, values.some((each) => each === true)];
      if (typeof value === "object" && value !== null && !Array.isArray(value)) return [name, added(values.map(fieldsOf))];
      return [name, value];
    }),
  );
}

function listIn(value: unknown, name: string): readonly Fields[] {
  const list = fieldsOf(value)[name];
  return Array.isArray(list) ? list.map(fieldsOf) : [];
}

export class ControlsEverywhere implements Controlled {
  readonly #own: Controlled;
  readonly #cluster: Pick<Cluster, "node" | "askOthers">;

  constructor(own: Controlled, cluster: Pick<Cluster, "node" | "askOthers">) {
    this.#own = own;
    this.#cluster = cluster;
  }

  get memory(): GatewayMemory {
    return this.#own.memory;
  }

  /** `nodes`: the answer of each; `silent`: nodes that did not answer, where it may not have happened. */
  async turn(flow: string, state: FlowState): Promise<object> {
    return this.#told(await this.#own.turn(flow, state), { ask: "turn", flow, state });
  }

  async turnOutlet(flow: string, outlet: string, paused: boolean): Promise<object> {
    return this.#told(await this.#own.turnOutlet(flow, outlet, paused), { ask: "turnOutlet", flow, outlet, paused });
  }

  async purge(flow: string, dryRun: boolean): Promise<object> {
    return this.#told(await this.#own.purge(flow, dryRun), { ask: "purge", flow, dryRun });
  }

  async queue(flow: string | undefined): Promise<object> {
    const own = await this.#own.queue(flow);
    const others = await this.#ask({ ask: "queue", flow });
    const pages = [own, ...others.map(({ answer }) => answer)];
    const flows = listIn(own, "flows").map((each) => {
      const same = pages.flatMap((page) => listIn(page, "flows").filter((other) => other["flow"] === each["flow"]));
      const outlets = listIn(each, "outlets").map((outlet) =>
        added(same.flatMap((page) => listIn(page, "outlets").filter((other) => other["outlet"] === outlet["outlet"]))),
      );
      const messages = same.flatMap((page) => listIn(page, "messages")).slice(0, controlLimits.messagesShown);
      return { ...added(same), messages, outlets };
    });
    return { flows, ...silentOf(others) };
  }

  /** This node's: its folder has them. */
  images(): Promise<object> {
    return this.#own.images();
  }

  /** At this node only: as a reload, it is done node by node. */
  rollback(flow: string, image: string | undefined): Promise<object> {
    return this.#own.rollback(flow, image);
  }

  async #told(own: object, question: object): Promise<object> {
    const others = await this.#ask(question);
    const answered = others.filter(({ answer }) => answer !== undefined);
    const all = [own as Fields, ...answered.map(({ answer }) => fieldsOf(answer))];
    const kept = all.every((each) => each["kept"] !== false);
    const nodes = [{ node: this.#cluster.node, ...own }, ...answered.map(({ node, answer }) => ({ node, ...fieldsOf(answer) }))];
    return { ...added(all), ...("kept" in own ? { kept } : {}), nodes, ...silentOf(others) };
  }

  async #ask(question: object): ReturnType<Cluster["askOthers"]> {
    return await this.#cluster.askOthers({ kind: "control", ...question });
  }
}

function silentOf(others: Awaited<ReturnType<Cluster["askOthers"]>>): { readonly silent: readonly string[] } {
  return { silent: others.filter(({ answer }) => answer === undefined).map(({ node }) => node) };
}

const states: readonly unknown[] = ["running", "paused", "draining"];

/** Does here what another node asks for; undefined for another question. Rejects as the hands do. */
export async function controlAnswer(question: unknown, own: Hands): Promise<unknown> {
  const { kind, ask, flow, state, outlet, paused, dryRun } = fieldsOf(question);
  if (kind !== "control" || (flow !== undefined && typeof flow !== "string")) return undefined;
  if (ask === "queue") return await own.queue(flow);
  if (flow === undefined) return undefined;
  if (ask === "turn" && states.includes(state)) return await own.turn(flow, state as FlowState);
  if (ask === "turnOutlet" && typeof outlet === "string" && typeof paused === "boolean") return await own.turnOutlet(flow, outlet, paused);
  return ask === "purge" && typeof dryRun === "boolean" ? await own.purge(flow, dryRun) : undefined;
}
