/**
 * A node's part in a reload of the cluster.
 *
 *   idle ──asked──▶ preparing ──▶ prepared ──┬── the record says committed ──────────────▶ swapped
 *                       └── it can't: said   ├── the record says another reload, or none ▶ as before
 *                                            └── no decision, or who decides has gone: it ends the reload, as anybody may
 *
 * A node that sees a reload committed for which it is not prepared reads its configuration, and swaps if it is the one of the others.
 */
import { type Clock, isCoded } from "#base";
import type { Logger, PreparedReload } from "#gateway";
import { reloadLimits } from "./limits.ts";
import type { ReloadTable } from "./table.ts";

/** A node's answer, as JSON: the revision it is prepared for or has, or its error. */
export type Said = { readonly revision: string } | { readonly code: string; readonly message: string };

/** Undefined for an answer of another form. */
export function saidIn(value: unknown): Said | undefined {
  const { revision, code, message } = (typeof value === "object" && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  if (typeof revision === "string") return { revision };
  return typeof code === "string" && typeof message === "string" ? { code, message } : undefined;
}

export interface ReloadedNode {
  /** Reads this node's configuration, builds and checks its flows. `revision`: as other nodes may see it. */
  prepare(): Promise<PreparedReload>;
  /** Of the configuration that is served now. */
  revision(): string;
}

export interface ParticipantPorts {
  readonly table: ReloadTable;
  readonly clock: Clock;
  readonly logger: Logger;
  /** True for a process that holds a lease. */
  readonly isLive: (life: string) => boolean;
}

interface Work {
  readonly id: string;
  /** Sequence of the record that opened the reload. */
  readonly at: number;
  readonly said: Promise<Said>;
  ready: PreparedReload | undefined;
  isDropped: boolean;
  cancel: () => void;
}

const over: Said = { code: "MF_CLUSTER_RELOAD_OVER", message: "the reload was over before this node was ready: run it again" };

export class Participant {
  readonly #ports: ParticipantPorts;
  #node: ReloadedNode | undefined;
  #work: Work | undefined;
  /** The committed reload that this node has dealt with last, and what came of it. */
  #last: { readonly id: string; readonly said: Promise<Said> } | undefined;
  #isStopped = false;

  constructor(ports: ParticipantPorts) {
    this.#ports = ports;
    ports.table.onChange(() => this.#look());
  }

  serve(node: ReloadedNode): void {
    this.#node = node;
    this.#look();
  }

  /** Lets go of what is prepared, for good. */
  stop(): void {
    this.#isStopped = true;
    if (this.#work !== undefined) this.#drop(this.#work);
  }

  /** `at`: the record's sequence that opened the reload. Never rejects. */
  async prepare(id: string, at: number): Promise<Said> {
    const { table } = this.#ports;
    if (this.#work?.id === id) return await this.#work.said;
    const isPast = (table.sequence > at && table.record.open?.id !== id) || (this.#work?.at ?? 0) >= at;
    if (isPast) return over;
    if (this.#work !== undefined) this.#drop(this.#work); // the record was opened anew since
    if (this.#node === undefined || this.#isStopped)
      return { code: "MF_GATEWAY_STATE", message: "the node starts or stops: run the reload again when it serves" };
    let tell!: (said: Said) => void;
    const said = new Promise<Said>((resolve) => (tell = resolve));
    const work: Work = { id, at, said, ready: undefined, isDropped: false, cancel: () => undefined };
    this.#work = work;
    void this.#prepare(work, this.#node).then(tell);
    return await said;
  }

  async #prepare(work: Work, node: ReloadedNode): Promise<Said> {
    try {
      const ready = await node.prepare();
      if (work.isDropped) {
        await ready.abandon();
        return over;
      }
      work.ready = ready;
      this.#lookLater(work, this.#ports.clock.monotonicMs() + reloadLimits.heldMs, 0);
      const { revision } = ready;
      this.#look(); // it may have been decided meanwhile
      return { revision };
    } catch (error) {
      if (this.#work === work) this.#work = undefined;
      return saidOf(error);
    }
  }

  /** The answer to "have you swapped?". Never rejects. */
  async swapped(id: string): Promise<Said> {
    const { table } = this.#ports;
    await table.until(() => table.record.committed?.id === id, reloadLimits.seeMs);
    if (this.#last?.id === id) return await this.#last.said;
    return {
      code: "MF_CLUSTER_RELOAD_FAILED",
      message: "the node has not seen yet that the reload was committed; it swaps when it does: see `mayfly cluster status`",
    };
  }

  #look(): void {
    const { table } = this.#ports;
    const { open, committed } = table.record;
    const work = this.#work;
    if (work !== undefined) {
      const isCommitted = committed?.id === work.id;
      if (isCommitted && work.ready === undefined) return; // it is looked at again when it is
      if (isCommitted && work.ready?.revision === committed.revision) return this.#swap(work, work.ready);
      if (isCommitted || (table.sequence > work.at && open?.id !== work.id)) this.#drop(work);
    }
    const node = this.#node;
    if (this.#work !== undefined || node === undefined || this.#isStopped || committed === undefined) return;
    if (committed.id === this.#last?.id) return;
    const { id, revision } = committed;
    const isServed = node.revision() === revision;
    this.#last = { id, said: isServed ? Promise.resolve({ revision }) : this.#catchUp(node, id, revision) };
  }

  #swap(work: Work, ready: PreparedReload): void {
    work.cancel();
    this.#work = undefined;
    this.#last = { id: work.id, said: this.#committed(ready) };
  }

  async #committed(ready: PreparedReload): Promise<Said> {
    const { logger } = this.#ports;
    try {
      await ready.commit();
      logger.info({ revision: ready.revision }, "reloaded with the cluster");
      return { revision: ready.revision };
    } catch (error) {
      const { message } = saidOf(error) as { readonly message: string };
      logger.error(
        { code: "MF_CLUSTER_RELOAD_FAILED", revision: ready.revision },
        `a reload of the cluster was committed, and this node could not carry it out: ${message}`,
      );
      return { code: "MF_CLUSTER_RELOAD_FAILED", message };
    }
  }

  /** It missed the reload: swaps if its own configuration is what was committed. */
  async #catchUp(node: ReloadedNode, id: string, revision: string): Promise<Said> {
    const { table, logger } = this.#ports;
    try {
      const ready = await node.prepare();
      if (!this.#isStopped && ready.revision === revision && table.record.committed?.id === id) return await this.#committed(ready);
      await ready.abandon();
    } catch (error) {
      logger.warn({ code: "MF_CLUSTER_REVISION" }, `this node can't take up the cluster's last reload: ${saidText(error)}`);
      return saidOf(error);
    }
    const message = `this node serves revision ${node.revision()}, and the cluster's last reload was of ${revision}: give it the same mayfly.yaml and flows, then run \`mayfly cluster reload\``;
    logger.warn({ code: "MF_CLUSTER_REVISION" }, message);
    return { code: "MF_CLUSTER_REVISION", message };
  }

  #drop(work: Work): void {
    work.cancel();
    work.isDropped = true;
    if (this.#work === work) this.#work = undefined;
    work.ready?.abandon().catch((error: unknown) => this.#ports.logger.warn({}, `a reload was abandoned: ${saidText(error)}`));
  }

  #lookLater(work: Work, untilMs: number, attempts: number): void {
    work.cancel = this.#ports.clock.after(reloadLimits.lookMs, () => void this.#endReload(work, untilMs, attempts));
  }

  /** Ends the reload when nobody decides it: compare and set, so that it was not decided. */
  async #endReload(work: Work, untilMs: number, attempts: number): Promise<void> {
    const { table, clock, logger, isLive } = this.#ports;
    const { open, committed } = table.record;
    const isOpen = open?.id === work.id;
    const mayDecide = isOpen && isLive(open.life) && clock.monotonicMs() < untilMs;
    if (!mayDecide && isOpen) await table.put({ open: undefined, committed }, table.sequence);
    if (this.#work !== work) return; // the change was seen
    if (mayDecide || attempts < reloadLimits.endAttempts) return this.#lookLater(work, untilMs, mayDecide ? 0 : attempts + 1);
    logger.warn({ code: "MF_CLUSTER_RELOAD_OVER" }, "a reload was prepared, and nobody decided it: it is forgotten");
    this.#drop(work);
  }
}

function saidText(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, reloadLimits.messageCharacters);
}

function saidOf(error: unknown): Said {
  return { code: isCoded(error) ? error.code : "MF_INTERNAL", message: saidText(error) };
}
