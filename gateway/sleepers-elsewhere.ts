/**
 * Sleeping machines of all nodes of a cluster, through any of them. A list has those of this node first, then node after node by their names; one that
 * is named is found wherever it sleeps.
 *
 *   cursor   {"node": "b", "after": "120"}   as base64url: sleepers of node b behind that place
 */
import { CodedError, isCoded } from "#base";
import type { Cluster } from "./contract/cluster.ts";
import type { GatewayMemory } from "./contract/memory.ts";
import type { SleeperSearch, Sleeping } from "./http/sleepers.ts";

type Fields = Readonly<Record<string, unknown>>;
type Page = Parameters<Sleeping["list"]>[0];
const deeds = ["wake", "cancel", "migrate"] as const;
type Deed = (typeof deeds)[number];

interface Place {
  readonly node: string;
  readonly after: string | undefined;
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

/** Throws MF_QUERY_INVALID. */
function placeIn(cursor: string): Place {
  try {
    const { node, after } = fieldsOf(JSON.parse(Buffer.from(cursor, "base64url").toString()));
    if (typeof node === "string" && (after === undefined || (typeof after === "string" && /^\d{1,16}$/.test(after))))
      return { node, after };
  } catch {
    // told below
  }
  throw new CodedError("MF_QUERY_INVALID", `after: ${JSON.stringify(cursor.slice(0, 100))} is not the \`next\` of a page before`);
}

function cursorOf(place: Place): string {
  return Buffer.from(JSON.stringify(place)).toString("base64url");
}

function isUnknown(error: unknown): boolean {
  return isCoded(error) && error.code === "MF_SLEEPER_UNKNOWN";
}

export class SleepersEverywhere implements Sleeping {
  readonly #own: Sleeping;
  readonly #cluster: Pick<Cluster, "node" | "askOthers">;
  readonly sleepers: Sleeping["sleepers"];

  constructor(own: Sleeping, cluster: Pick<Cluster, "node" | "askOthers">) {
    this.#own = own;
    this.#cluster = cluster;
    const deed = (what: Deed) => (id: string, flow?: string) =>
      this.#anywhere(
        () => own.sleepers[what](id, flow),
        { ask: what, id, flow },
        () => undefined,
      );
    this.sleepers = { wake: deed("wake"), cancel: deed("cancel"), migrate: deed("migrate") };
  }

  get memory(): GatewayMemory {
    return this.#own.memory;
  }

  now(): number {
    return this.#own.now();
  }

  /** `silent`: nodes that did not answer, whose sleepers are left out. */
  async list({ after, most }: Page, search: SleeperSearch): Promise<object> {
    const { node: own } = this.#cluster;
    const place = after === undefined ? { node: own, after: undefined } : placeIn(after);
    const answers = await this.#ask({ ask: "list", node: place.node, page: { after: place.after, most }, search });
    const others = answers.map(({ node }) => node).sort();
    const page =
      place.node === own
        ? await this.#own.list({ after: place.after, most }, search)
        : answers.find(({ node }) => node === place.node)?.answer;
    const { sleepers, next } = fieldsOf(page);
    const known = Array.isArray(sleepers) ? sleepers : [];
    const then = place.node === own ? others[0] : others.find((name) => name > place.node);
    const left =
      typeof next === "string" ? { node: place.node, after: next } : then === undefined ? undefined : { node: then, after: undefined };
    return {
      sleepers: known.map((each) => ({ ...fieldsOf(each), node: place.node })),
      next: left === undefined ? null : cursorOf(left),
      silent: page === undefined ? [place.node] : [],
    };
  }

  show(id: string, flow: string | undefined): Promise<object> {
    return this.#anywhere<object>(
      () => this.#own.show(id, flow),
      { ask: "show", id, flow },
      ({ shown }) => fieldsOf(shown),
    );
  }

  signal(signal: Parameters<Sleeping["signal"]>[0]): ReturnType<Sleeping["signal"]> {
    return this.#own.signal(signal); // it finds its machine by itself
  }

  /** Here, or at the node that has it. Rejects as it does there. */
  async #anywhere<T>(here: () => Promise<T>, question: object, there: (answer: Fields) => T): Promise<T> {
    try {
      return await here();
    } catch (error) {
      if (!isUnknown(error)) throw error;
      const answers = await this.#ask(question);
      for (const { answer } of answers) {
        const fields = fieldsOf(answer);
        const { code, message } = fieldsOf(fields["error"]);
        if (typeof code === "string" && code !== "MF_SLEEPER_UNKNOWN") throw new CodedError(code, String(message));
        if (fields["found"] === true) return there(fields);
      }
      const silent = answers.filter(({ answer }) => answer === undefined).map(({ node }) => node);
      if (silent.length === 0) throw error;
      const text = `no node that answers has that sleeper, and ${silent.join(", ")} did not answer: look at \`mayfly cluster status\`, then try again`;
      throw new CodedError("MF_SLEEPER_UNKNOWN", text);
    }
  }

  async #ask(question: object): ReturnType<Cluster["askOthers"]> {
    return await this.#cluster.askOthers({ kind: "sleeper", ...question });
  }
}

/** The answer to another node's question, as JSON has it; undefined for another question. */
export async function sleeperAnswer(question: unknown, own: Sleeping, name: string): Promise<unknown> {
  const { kind, ask, id, flow, node, page, search } = fieldsOf(question);
  if (kind !== "sleeper") return undefined;
  if (ask === "list") {
    const { after, most } = fieldsOf(page);
    if (node !== name) return { sleepers: [] };
    if (typeof most !== "number" || (after !== undefined && typeof after !== "string")) return undefined;
    return await own.list({ after, most }, fieldsOf(search) as unknown as SleeperSearch);
  }
  if (typeof id !== "string" || (flow !== undefined && typeof flow !== "string")) return undefined;
  try {
    if (ask === "show") return { found: true, shown: await own.show(id, flow) };
    const deed = deeds.find((each) => each === ask);
    if (deed === undefined) return undefined;
    await own.sleepers[deed](id, flow);
    return { found: true };
  } catch (error) {
    if (!isCoded(error)) throw error;
    return { error: { code: error.code, message: error.message } };
  }
}
