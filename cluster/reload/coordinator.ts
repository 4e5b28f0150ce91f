/** A reload of the cluster, as the node decides it that was asked for it: see table.ts and participant.ts. */
import type { Clock } from "#base";
import type { ClusterReload, NodeReload } from "#gateway";
import { reloadLimits } from "./limits.ts";
import { type Said, saidIn } from "./participant.ts";
import type { ReloadRecord, ReloadTable } from "./table.ts";

/** Questions of the node that decides a reload. */
export type ReloadQuestion =
  | { readonly kind: "reload"; readonly ask: "prepare"; readonly id: string; readonly at: number }
  | { readonly kind: "reload"; readonly ask: "swapped"; readonly id: string };

export interface LiveNode {
  readonly name: string;
  readonly life: string;
}

export interface CoordinatorPorts {
  readonly table: ReloadTable;
  readonly clock: Clock;
  readonly node: string;
  readonly life: string;
  /** Nodes that hold a lease, this one among them. */
  readonly nodes: () => readonly LiveNode[];
  /** Asks a node, which may be this one. Undefined: no answer. Never rejects. */
  readonly ask: (node: string, question: ReloadQuestion, mostMs: number) => Promise<unknown>;
  readonly newId: () => string;
}

type Refused = Pick<ClusterReload, "result" | "code" | "message">;

const refused = (code: string, message: string): Refused & { readonly code: string } => ({ result: "refused", code, message });
const overtaken = (): Refused =>
  refused("MF_CLUSTER_RELOAD_OVER", "the reload took too long, or another one ended it: no node has swapped; run it again");
const unanswered = (): Refused =>
  refused("MF_CLUSTER_RELOAD_UNKNOWN", "the NATS servers do not answer, so that no reload can begin: see `mayfly cluster check`");

/** Processes by name and life: a node that was restarted is another one. */
type Answers = Map<string, { readonly name: string; readonly said: Said | undefined }>;

const keyOf = ({ name, life }: LiveNode): string => `${name} ${life}`;

export class Coordinator {
  readonly #ports: CoordinatorPorts;

  constructor(ports: CoordinatorPorts) {
    this.#ports = ports;
  }

  /** Never rejects. */
  async reload(): Promise<ClusterReload> {
    const { table, node, life, newId } = this.#ports;
    const open = { id: newId(), node, life };
    const trouble = await this.#open(open);
    if (trouble !== undefined) return { ...trouble, nodes: [] };
    const at = table.sequence;
    const answers = await this.#prepared(open.id, at);
    const verdict = table.sequence === at ? this.#verdict(answers) : overtaken(); // the nodes have ended it, or another has begun
    if (!("revision" in verdict)) {
      await table.put({ open: undefined, committed: table.record.committed }, at); // else the nodes end it, after a while
      return { ...verdict, nodes: shown(answers) };
    }
    return await this.#commit({ id: open.id, revision: verdict.revision }, at, answers);
  }

  /** Undefined: the record is this reload's. */
  async #open(open: NonNullable<ReloadRecord["open"]>): Promise<Refused | undefined> {
    const { table, nodes } = this.#ports;
    const isOurs = (): boolean => table.record.open?.id === open.id;
    for (let attempt = 0; attempt < reloadLimits.begins; attempt += 1) {
      const { record, sequence } = table;
      const isDecided = record.open === undefined || !nodes().some(({ life }) => life === record.open?.life);
      if (!isDecided && table.ageMs < reloadLimits.openMs) break;
      const isWritten = await table.put({ open, committed: record.committed }, sequence);
      if (isOurs() || (isWritten === undefined && (await table.until(isOurs, reloadLimits.seeMs)))) return undefined;
      if (isWritten === undefined) return unanswered();
      await table.until(() => table.sequence !== sequence, reloadLimits.seeMs);
    }
    const { open: other } = table.record;
    const whose = other === undefined ? "" : ` that ${other.node} was asked for`;
    return refused("MF_CLUSTER_RELOAD_BUSY", `a reload${whose} is under way: wait for its end, then run it again`);
  }

  /** Asks all nodes, and those that come meanwhile. */
  async #prepared(id: string, at: number): Promise<Answers> {
    const { nodes, ask, clock } = this.#ports;
    const untilMs = clock.monotonicMs() + reloadLimits.prepareMs;
    const answers: Answers = new Map();
    for (let round = 0; round < reloadLimits.rounds; round += 1) {
      const asked = nodes().filter((node) => !answers.has(keyOf(node)));
      if (asked.length === 0) break;
      const question = { kind: "reload", ask: "prepare", id, at } as const;
      const one = async (node: LiveNode): Promise<void> => {
        const said = saidIn(await ask(node.name, question, Math.max(untilMs - clock.monotonicMs(), 0)));
        answers.set(keyOf(node), { name: node.name, said });
      };
      await Promise.all(asked.map(one));
    }
    const live = new Set(this.#ports.nodes().map(keyOf));
    for (const key of answers.keys()) if (!live.has(key)) answers.delete(key); // it reads its configuration when it starts
    for (const node of this.#ports.nodes()) if (!answers.has(keyOf(node))) answers.set(keyOf(node), { name: node.name, said: undefined });
    return answers;
  }

  #verdict(answers: Answers): { readonly revision: string } | Refused {
    const all = [...answers.values()];
    const names = (of: readonly { readonly name: string }[]): string => of.map(({ name }) => name).join(", ");
    const unable = all.filter(({ said }) => said !== undefined && "code" in said);
    if (unable.length > 0)
      return refused(
        "MF_CLUSTER_RELOAD_REFUSED",
        `${names(unable)} can't serve the new configuration, so no node has swapped: mend what is said of it`,
      );
    const silent = all.filter(({ said }) => said === undefined);
    if (silent.length > 0)
      return refused(
        "MF_CLUSTER_RELOAD_SILENT",
        `${names(silent)} did not answer in time, so no node has swapped: run it again, or stop that node before`,
      );
    const revisions = new Set(all.map(({ said }) => (said as { readonly revision: string }).revision));
    const [revision] = revisions;
    if (revision === undefined) return overtaken(); // this node holds no lease itself
    if (revisions.size > 1)
      return refused(
        "MF_CLUSTER_RELOAD_DIFFERS",
        "the nodes' configurations are not the same, so no node has swapped: give all nodes the same mayfly.yaml, flows and variables",
      );
    return { revision };
  }

  async #commit(committed: { readonly id: string; readonly revision: string }, at: number, answers: Answers): Promise<ClusterReload> {
    const { table, ask } = this.#ports;
    const isCommitted = (): boolean => table.record.committed?.id === committed.id;
    for (let write = 0; write < reloadLimits.writes && !isCommitted(); write += 1) {
      const isWritten = await table.put({ open: undefined, committed }, at);
      if (isWritten === true) break;
      const isSeen = await table.until(() => table.sequence > at, reloadLimits.seeMs);
      if (isSeen && !isCommitted()) return { ...overtaken(), nodes: shown(answers) };
    }
    if (!isCommitted())
      return {
        result: "unknown",
        code: "MF_CLUSTER_RELOAD_UNKNOWN",
        message:
          "the NATS servers did not say whether the reload was kept: all nodes swap or none does; see `mayfly cluster status` for their revisions",
        nodes: shown(answers),
      };
    const question = { kind: "reload", ask: "swapped", id: committed.id } as const;
    const silence = {
      code: "MF_CLUSTER_RELOAD_FAILED",
      message: "the node did not confirm: it swaps when it sees the reload, or starts with it",
    };
    const one = async ({ name }: { readonly name: string }): Promise<NodeReload> => {
      const said = saidIn(await ask(name, question, reloadLimits.swapMs)) ?? silence;
      return { node: name, state: "code" in said ? "failed" : "swapped", ...said };
    };
    const nodes = (await Promise.all([...answers.values()].map(one))).sort(byName);
    const failed = nodes.filter(({ state }) => state === "failed").map(({ node }) => node);
    const trouble =
      failed.length === 0
        ? {}
        : {
            code: "MF_CLUSTER_RELOAD_FAILED",
            message: `the reload is committed, and ${failed.join(", ")} did not confirm the swap: see \`mayfly cluster status\` and the node's log`,
          };
    return { result: "committed", revision: committed.revision, ...trouble, nodes };
  }
}

const byName = (a: NodeReload, b: NodeReload): number => (a.node < b.node ? -1 : 1);

function shown(answers: Answers): NodeReload[] {
  const of = ({ name, said }: { readonly name: string; readonly said: Said | undefined }): NodeReload => {
    if (said === undefined) return { node: name, state: "silent" };
    return { node: name, state: "code" in said ? "refused" : "prepared", ...said };
  };
  return [...answers.values()].map(of).sort(byName);
}
