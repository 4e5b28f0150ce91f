/**
 * History as a gateway uses it: a witness that encodes what ended into batches, the thread that writes them, and readers of the folder. It is
 * never waited for: a slow or full disk costs recordings, which are counted and said, and nothing else.
 */
import { Worker } from "node:worker_threads";
import type { Clock } from "#base";
import type { GatewayConfig, HistoryRules } from "../contract/config.ts";
import type { Logger } from "../contract/connector.ts";
import type { Witness, WitnessedAttempt, WitnessedDelivery, WitnessedEnd, WitnessedMessage } from "../contract/witness.ts";
import { Batches } from "./batches.ts";
import { attemptedEntry, deliveredEntry, endedEntry, type Entry } from "./facts.ts";
import type { HistoryReader } from "./history.ts";
import { hashOfText } from "./layout.ts";
import { historyLimits } from "./limits.ts";
import { ThreadReader } from "./reader-thread.ts";
import { Redactor } from "./redact.ts";
import type { FromThread, ThreadSetup, ToThread } from "./thread.ts";
import type { WriterStatus } from "./writer.ts";

export interface HistoryStats {
  readonly bytes: number;
  readonly segments: number;
  readonly recorded: number;
  /** Entries that were dropped because the disk was too slow, full or failing. */
  readonly dropped: number;
  readonly gaveWay: number;
}

/** Bytes that may be recorded of a flow. */
export interface HistoryAllowance {
  readonly mayRecord: (flow: string) => boolean;
  readonly recorded: (flow: string, bytes: number) => void;
}

/** The port of the gateway to its history. */
export interface History extends Witness {
  readonly reader: HistoryReader;
  readonly folder: string;
  /** Why recordings are lost now; the gateway is ready all the same. */
  readonly trouble: string | undefined;
  stats(): HistoryStats;
  /** Bounds what is recorded of flows of tenants. */
  boundBy(allowance: HistoryAllowance): void;
  /** The rules of flows, as a new configuration has them. */
  configure(flows: GatewayConfig["flows"]): void;
  /** Resolves once everything that ended before can be read. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface HistoryOptions {
  readonly folder: string;
  readonly keepMs: number;
  readonly sizeBytes: number;
  readonly flows: GatewayConfig["flows"];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The rules of one flow, ready for use. */
interface FlowRules {
  readonly record: HistoryRules["record"];
  /** A message is recorded whose hash is below. */
  readonly sampleBelow: number;
  readonly redactor: Redactor;
}

function rulesOf(rules: HistoryRules): FlowRules {
  return { record: rules.record, sampleBelow: rules.sample * 2 ** 32, redactor: new Redactor(rules) };
}

const noStatus: WriterStatus = { trouble: undefined, bytes: 0, segments: 0, lost: 0, gaveWay: 0, remarks: [] };

export class HistoryStore implements History {
  readonly folder: string;
  readonly reader: HistoryReader;
  readonly #options: HistoryOptions;
  readonly #batches: Batches;
  #rules = new Map<string, FlowRules>();
  #allowance: HistoryAllowance | undefined;
  #worker: Worker | undefined;
  #status: WriterStatus = noStatus;
  /** Lost with threads that ended. */
  #lostBefore = 0;
  #threadTrouble: string | undefined;
  #droppingSince = 0;
  readonly #syncs = new Map<number, () => void>();
  #syncNumber = 0;
  readonly #waiting = new Set<string>();
  #closed: Promise<void> | undefined;
  #whenClosed: () => void = () => undefined;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.folder = options.folder;
    this.#batches = new Batches({
      after: (ms, task) => options.clock.after(ms, task),
      hand: (bytes, length, entries) => this.#hand(bytes, length, entries),
    });
    this.configure(options.flows);
    this.#start();
    this.reader = new ThreadReader(options.folder, () => this.flush());
  }

  get trouble(): string | undefined {
    const dropping = this.#droppingSince > 0 && this.#options.clock.monotonicMs() - this.#droppingSince < historyLimits.retryMs;
    return this.#threadTrouble ?? this.#status.trouble ?? (dropping ? tooSlow : undefined);
  }

  stats(): HistoryStats {
    const { bytes, segments, lost, gaveWay } = this.#status;
    const { recorded, dropped } = this.#batches;
    const unwritten = lost + this.#lostBefore;
    return { bytes, segments, recorded: Math.max(recorded - unwritten, 0), dropped: dropped + unwritten, gaveWay };
  }

  boundBy(allowance: HistoryAllowance): void {
    this.#allowance = allowance;
  }

  configure(flows: GatewayConfig["flows"]): void {
    this.#rules = new Map(Object.entries(flows).map(([name, { history }]) => [name, rulesOf(history)]));
  }

  wants({ flow, id }: WitnessedMessage): boolean {
    return this.#sampledRules(flow, id) !== undefined;
  }

  attempted(message: WitnessedMessage, attempt: WitnessedAttempt): void {
    const rules = this.#sampledRules(message.flow, message.id);
    if (rules === undefined) return;
    this.#add(message.flow, attemptedEntry(message, attempt, rules.redactor));
  }

  ended(message: WitnessedMessage, end: WitnessedEnd): void {
    const rules = this.#sampledRules(message.flow, message.id);
    if (rules === undefined) return;
    if (rules.record === "failures" && end.status === "done" && end.attempts <= 1) return;
    this.#add(message.flow, endedEntry(message, end, rules.redactor));
  }

  delivered(delivery: WitnessedDelivery): void {
    const { flow, messageId, status, idempotencyKey } = delivery;
    const rules = this.#sampledRules(flow, messageId);
    if (rules === undefined) return;
    if (status === "waiting") {
      if (this.#waiting.has(idempotencyKey)) return; // said once: it may wait for days
      if (this.#waiting.size >= historyLimits.waitingSends) this.#waiting.clear();
      this.#waiting.add(idempotencyKey);
    } else if (this.#waiting.size > 0) this.#waiting.delete(idempotencyKey);
    if (rules.record === "failures" && status === "sent" && delivery.attempt === 1) return;
    this.#add(flow, deliveredEntry(delivery));
  }

  async flush(): Promise<void> {
    this.#batches.flush();
    if (this.#worker === undefined) return;
    const number = ++this.#syncNumber;
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(historyLimits.flushWaitMs, resolve); // a disk that hangs: what is there is read
      this.#syncs.set(number, () => {
        cancel();
        resolve();
      });
      this.#tell({ kind: "sync", number });
    });
    this.#syncs.delete(number);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#batches.flush();
    const worker = this.#worker;
    if (worker !== undefined) {
      await new Promise<void>((resolve) => {
        const cancel = this.#options.clock.after(historyLimits.closeMs, resolve);
        this.#whenClosed = () => {
          cancel();
          resolve();
        };
        this.#tell({ kind: "close" });
      });
      this.#worker = undefined;
      await worker.terminate();
    }
    await this.reader.close();
  }

  /** Rules of the flow; undefined for a message that is not recorded: all attempts and deliveries of one are, or none. */
  #sampledRules(flow: string, id: string): FlowRules | undefined {
    const rules = this.#rules.get(flow);
    if (rules === undefined || this.#allowance?.mayRecord(flow) === false) return undefined;
    return rules.record === "sample" && hashOfText(id) >= rules.sampleBelow ? undefined : rules;
  }

  #add(flow: string, entry: Entry): void {
    if (this.#worker === undefined) return void this.#batches.drop();
    const bytes = this.#batches.add(entry);
    if (bytes === 0) this.#dropped();
    else this.#allowance?.recorded(flow, bytes);
  }

  #dropped(): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#droppingSince > historyLimits.retryMs)
      this.#options.logger.warn({ code: "MF_HISTORY_SLOW", dropped: this.#batches.dropped }, tooSlow);
    this.#droppingSince = nowMs;
  }

  #tell(message: ToThread, transfer: ArrayBuffer[] = []): void {
    this.#worker?.postMessage(message, transfer);
  }

  #hand(bytes: ArrayBuffer, length: number, entries: number): void {
    this.#tell({ kind: "batch", bytes, length, entries }, [bytes]);
  }

  #start(): void {
    const { folder, keepMs, sizeBytes, logger } = this.#options;
    const workerData: ThreadSetup = { folder, settings: { keepMs, sizeBytes } };
    let worker: Worker;
    try {
      worker = new Worker(new URL("./thread.js", import.meta.url), { workerData, name: "mayfly-history", execArgv: [] });
    } catch (error) {
      return this.#ended(error);
    }
    this.#worker = worker;
    worker.unref();
    worker.on("message", (message: FromThread) => this.#heard(message));
    worker.on("error", (error) => logger.error({ code: "MF_HISTORY_THREAD" }, `the thread that writes history failed: ${String(error)}`));
    worker.on("exit", () => {
      if (this.#worker === worker && this.#closed === undefined) this.#ended(new Error("it ended"));
      this.#whenClosed();
    });
  }

  /** The thread is gone, with what it had in hand: another one is started in a moment. */
  #ended(error: unknown): void {
    this.#worker = undefined;
    this.#lostBefore += this.#status.lost;
    this.#status = { ...noStatus, bytes: this.#status.bytes, segments: this.#status.segments };
    this.#batches.lost();
    for (const resolve of this.#syncs.values()) resolve();
    this.#syncs.clear();
    this.#threadTrouble = `history is not recorded: its thread could not run (${String(error)}); it is started again`;
    this.#options.clock.after(historyLimits.retryMs, () => {
      if (this.#closed === undefined) this.#start();
    });
  }

  #heard(message: FromThread): void {
    switch (message.kind) {
      case "written":
        return this.#batches.written(message.length, message.bytes);
      case "synced":
        this.#syncs.get(message.number)?.();
        this.#syncs.delete(message.number);
        return;
      case "status":
        this.#threadTrouble = undefined;
        return this.#heardStatus(message.status);
      case "closed":
        return this.#whenClosed();
    }
  }

  #heardStatus(status: WriterStatus): void {
    const before = this.#status;
    const { logger } = this.#options;
    this.#status = status;
    for (const remark of status.remarks) logger.warn({ code: "MF_HISTORY_DAMAGED" }, remark);
    if (status.trouble !== undefined && status.trouble !== before.trouble) logger.error({ code: "MF_HISTORY_DISK" }, status.trouble);
    if (status.trouble === undefined && before.trouble !== undefined) logger.info({}, "history is recorded again");
    if (status.gaveWay > before.gaveWay)
      logger.warn(
        { code: "MF_HISTORY_DISK", segments: status.gaveWay - before.gaveWay },
        "the disk is nearly full: the oldest history was deleted before its time",
      );
  }
}

const tooSlow = "history is not recorded completely: its disk is slower than the messages; see `history.record: sample`";
