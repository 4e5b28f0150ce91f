/** A reader in a thread of its own, so that a search through a gigabyte keeps no message waiting. The thread is started when it is asked. */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { CodedError } from "#base";
import type { HistoryPage, HistoryQuery, HistoryReader, MessageDetail, RecordedMessage } from "./history.ts";
import { historyLimits } from "./limits.ts";
import { FolderReader } from "./reader.ts";

type Question =
  | { readonly ask: "list"; readonly query: HistoryQuery }
  | { readonly ask: "show"; readonly id: string; readonly flow: string | undefined }
  | { readonly ask: "recording"; readonly id: string; readonly flow: string | undefined; readonly attempt: number | undefined };

interface Asked {
  readonly number: number;
  readonly question: Question;
}

interface Answered {
  readonly number: number;
  readonly value: unknown;
  readonly error: string | undefined;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

const isReaderThread = (data: unknown): data is { readonly historyReader: string } =>
  typeof data === "object" && data !== null && "historyReader" in data;

export class ThreadReader implements HistoryReader {
  readonly #folder: string;
  readonly #flush: () => Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #number = 0;
  #closed = false;

  /** `flush` resolves once all that happened before is in the folder. */
  constructor(folder: string, flush: () => Promise<void>) {
    this.#folder = folder;
    this.#flush = flush;
  }

  list(query: HistoryQuery): Promise<HistoryPage> {
    return this.#ask({ ask: "list", query }) as Promise<HistoryPage>;
  }

  show(id: string, flow?: string): Promise<MessageDetail | undefined> {
    return this.#ask({ ask: "show", id, flow }) as Promise<MessageDetail | undefined>;
  }

  recording(
    id: string,
    { flow, attempt }: { readonly flow?: string | undefined; readonly attempt?: number | undefined } = {},
  ): Promise<RecordedMessage | undefined> {
    return this.#ask({ ask: "recording", id, flow, attempt }) as Promise<RecordedMessage | undefined>;
  }

  async *recordings(query: HistoryQuery): AsyncIterable<RecordedMessage> {
    let cursor = query.cursor;
    let left = query.limit;
    do {
      const page = await this.list({ ...query, limit: Math.min(left, historyLimits.page), cursor });
      for (const { id, flow } of page.messages) {
        const found = await this.recording(id, { flow });
        if (found !== undefined) yield found;
      }
      left -= page.messages.length;
      cursor = page.next;
    } while (cursor !== undefined && left > 0);
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#closed = true;
    this.#worker = undefined;
    await worker?.terminate();
  }

  async #ask(question: Question): Promise<unknown> {
    await this.#flush();
    if (this.#closed) throw unreadable("the gateway is stopping");
    const worker = (this.#worker ??= this.#start());
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      worker.postMessage({ number, question } satisfies Asked);
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL("./reader-thread.js", import.meta.url), {
      workerData: { historyReader: this.#folder },
      name: "mayfly-history-reader",
      execArgv: [],
    });
    worker.unref();
    worker.on("message", ({ number, value, error }: Answered) => {
      const waiting = this.#waiting.get(number);
      this.#waiting.delete(number);
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(unreadable(error));
    });
    const gone = (error: unknown): void => {
      if (this.#worker === worker) this.#worker = undefined;
      for (const { reject } of this.#waiting.values()) reject(unreadable(String(error)));
      this.#waiting.clear();
    };
    worker.on("error", gone);
    worker.on("exit", () => gone("its thread ended"));
    return worker;
  }
}

function unreadable(why: string): CodedError {
  return new CodedError("MF_HISTORY_READ", `history can't be read (${why}): check the folder of history.dir and its disk`);
}

function answer(reader: FolderReader, question: Question): Promise<unknown> {
  switch (question.ask) {
    case "list":
      return reader.list(question.query);
    case "show":
      return reader.show(question.id, question.flow);
    case "recording":
      return reader.recording(question.id, question);
  }
}

if (!isMainThread && isReaderThread(workerData) && parentPort !== null) {
  const port = parentPort;
  const reader = new FolderReader(workerData.historyReader);
  port.on("message", ({ number, question }: Asked) => {
    answer(reader, question).then(
      (value) => port.postMessage({ number, value, error: undefined } satisfies Answered),
      (error: unknown) => port.postMessage({ number, value: undefined, error: String(error) } satisfies Answered),
    );
  });
}
