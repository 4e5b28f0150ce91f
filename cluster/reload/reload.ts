/** A node's side of reloads of the cluster: it takes part in all, and decides those that it is asked for. */
import type { Clock } from "#base";
import type { ClusterReload, Logger } from "#gateway";
import type { Store } from "../ownership/mod.ts";
import { Coordinator, type LiveNode, type ReloadQuestion } from "./coordinator.ts";
import { Participant, type ReloadedNode } from "./participant.ts";
import { ReloadTable } from "./table.ts";

export interface ReloadsOptions {
  readonly store: Pick<Store, "put">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly node: string;
  readonly life: string;
  readonly nodes: () => readonly LiveNode[];
  /** Asks another node. Undefined: no answer. Never rejects. */
  readonly ask: (node: string, question: ReloadQuestion, mostMs: number) => Promise<unknown>;
  readonly newId: () => string;
}

export class ClusterReloads {
  readonly #table: ReloadTable;
  readonly #participant: Participant;
  readonly #coordinator: Coordinator;

  constructor(options: ReloadsOptions) {
    const { store, clock, logger, node, ask } = options;
    this.#table = new ReloadTable(store, clock);
    this.#participant = new Participant({
      ...{ table: this.#table, clock, logger },
      isLive: (life) => options.nodes().some((each) => each.life === life),
    });
    this.#coordinator = new Coordinator({
      ...options,
      table: this.#table,
      ask: (to, question, mostMs) => (to === node ? this.answer(question) : ask(to, question, mostMs)),
    });
  }

  /** A change in the table of owners, or what it has. */
  saw(key: string, value: Uint8Array, sequence: number, isPresent?: boolean): void {
    this.#table.saw(key, value, sequence, isPresent);
  }

  serve(node: ReloadedNode): void {
    this.#participant.serve(node);
  }

  /** Never rejects. */
  answer(question: ReloadQuestion): Promise<unknown> {
    return question.ask === "prepare" ? this.#participant.prepare(question.id, question.at) : this.#participant.swapped(question.id);
  }

  reload(): Promise<ClusterReload> {
    return this.#coordinator.reload();
  }

  stop(): void {
    this.#participant.stop();
  }
}
